//! Model folders: saving, loading, and what is said of broken ones.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Int, Tensor, TensorData};
use illumine_models::device::Device;
use illumine_models::load::{ModelFolder, load_folder};
use illumine_models::save::{WeightType, save_folder, save_folder_as};
use illumine_models::verify::verify;
use illumine_models::{ModelError, Qwen3, Qwen3Config};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// A copy of a fixture that a test may break.
fn copy(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture(name)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    dir
}

fn load(dir: &Path) -> Result<Qwen3, ModelError> {
    ModelFolder::open(dir)?.load_model(&Device::flex())
}

fn edit_json(path: &Path, edit: impl FnOnce(&mut serde_json::Value)) {
    let mut json = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    edit(&mut json);
    fs::write(path, json.to_string()).unwrap();
}

fn logits(model: &Qwen3) -> Vec<f32> {
    let ids = TensorData::new(vec![3_i64, 1, 4, 1, 5, 9, 2, 6], [1, 8]);
    let ids = Tensor::<2, Int>::from_data(ids, &Device::flex());
    let logits = model.forward(ids, None, None);
    logits.into_data().try_into_vec::<f32>().unwrap()
}

fn assert_refused(result: Result<Qwen3, ModelError>, code: &str, says: &[&str]) {
    let error = result.expect_err("a broken folder was loaded");
    let text = error.to_string();
    assert_eq!(error.code(), code, "{text}");
    for part in says {
        assert!(text.contains(part), "{text:?} lacks {part:?}");
    }
}

#[test]
fn saved_models_load_with_the_same_weights_and_configuration() {
    for name in [
        "grouped_tied",
        "sharded",
        "theta_old_spelling",
        "linear_rope",
        "yarn_mscale",
        "yarn_old_spelling",
        "moe",
        "moe_first_layer_dense",
        "moe_every_second_layer",
    ] {
        let source = fixture(&format!("qwen3/{name}"));
        let folder = ModelFolder::open(&source).unwrap();
        let model = folder.load_model(&Device::flex()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("made/on/the/way");
        save_folder(&model, &folder.config, &target).unwrap();
        assert_eq!(ModelFolder::open(&target).unwrap().config, folder.config);
        assert_eq!(logits(&load(&target).unwrap()), logits(&model), "{name}");
        let leftovers = fs::read_dir(&target).unwrap().count();
        assert_eq!(leftovers, 2, "only config.json and model.safetensors");
    }
}

#[test]
fn a_bf16_file_is_half_as_large_and_as_close_as_bf16_is() {
    let folder = ModelFolder::open(&fixture("qwen3/grouped_tied")).unwrap();
    let model = folder.load_model(&Device::flex()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    save_folder_as(&model, &folder.config, dir.path(), WeightType::Bf16).unwrap();
    let bytes = fs::metadata(dir.path().join("model.safetensors"))
        .unwrap()
        .len();
    let parameters = folder.config.num_parameters() as u64;
    assert!(bytes < parameters * 2 + 8192, "{bytes} for {parameters}");
    // Saving what is bf16 already loses nothing.
    let once = load(dir.path()).unwrap();
    save_folder_as(&once, &folder.config, dir.path(), WeightType::Bf16).unwrap();
    assert_eq!(logits(&load(dir.path()).unwrap()), logits(&once));
}

#[test]
fn a_model_that_trained_saves_too() {
    let config = ModelFolder::open(&fixture("qwen3/ungrouped"))
        .unwrap()
        .config;
    let model = Qwen3::init(&config, &Device::flex().autodiff());
    let dir = tempfile::tempdir().unwrap();
    save_folder(&model, &config, dir.path()).unwrap();
    load(dir.path()).unwrap();
}

#[test]
fn initial_weights_have_the_configured_spread() {
    let config = Qwen3Config {
        initializer_range: 0.05,
        ..ModelFolder::open(&fixture("qwen3/ungrouped"))
            .unwrap()
            .config
    };
    let model = config.init(&Device::flex());
    let weight = model.layers[0].mlp.dense().unwrap().gate_proj.weight.val();
    let deviation = weight.powi_scalar(2).mean().sqrt().into_scalar::<f32>();
    assert!((deviation - 0.05).abs() < 0.005, "{deviation}");
}

#[test]
fn a_whole_folder_loads_with_its_tokenizer_and_system_prompt() {
    let dir = copy("qwen3/grouped_tied");
    for name in [
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
    ] {
        fs::copy(fixture("chat").join(name), dir.path().join(name)).unwrap();
    }
    fs::write(dir.path().join("system_prompt.md"), "You draw.\n").unwrap();
    fs::write(
        dir.path().join("generation_config.json"),
        r#"{"eos_token_id": [2, 5]}"#,
    )
    .unwrap();
    let loaded = load_folder(dir.path(), &Device::flex()).unwrap();
    assert_eq!(loaded.folder.system_prompt.as_deref(), Some("You draw.\n"));
    assert_eq!(loaded.folder.eos_token_ids, [2, 5]);
    assert!(loaded.tokenizer.has_chat_template());
}

#[test]
fn a_folder_without_weights_or_config_names_the_file() {
    let dir = copy("qwen3/grouped_tied");
    fs::remove_file(dir.path().join("model.safetensors")).unwrap();
    assert_refused(load(dir.path()), "model_io", &["model.safetensors"]);
    fs::remove_file(dir.path().join("config.json")).unwrap();
    assert_refused(load(dir.path()), "model_io", &["config.json"]);
}

#[test]
fn a_missing_shard_is_named() {
    let dir = copy("qwen3/sharded");
    let mut shards: Vec<PathBuf> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains("-of-"))
        .collect();
    shards.sort();
    assert!(shards.len() > 1);
    fs::remove_file(&shards[1]).unwrap();
    let name = shards[1].file_name().unwrap().to_str().unwrap();
    assert_refused(load(dir.path()), "model_io", &[name]);
}

#[test]
fn a_shard_outside_the_folder_is_refused() {
    let dir = copy("qwen3/sharded");
    edit_json(&dir.path().join("model.safetensors.index.json"), |index| {
        for shard in index["weight_map"].as_object_mut().unwrap().values_mut() {
            *shard = "../../etc/passwd".into();
        }
    });
    let says = ["weight_map", "../../etc/passwd"];
    assert_refused(load(dir.path()), "model_file_malformed", &says);
}

#[test]
fn truncation_at_any_length_is_noticed() {
    let dir = copy("qwen3/ungrouped");
    let path = dir.path().join("model.safetensors");
    let whole = fs::read(&path).unwrap();
    for length in [0, 4, 8, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        let says = ["model.safetensors", "truncated"];
        assert_refused(load(dir.path()), "model_file_malformed", &says);
    }
    fs::write(&path, [0xFF; 64]).unwrap();
    assert_refused(load(dir.path()), "model_file_malformed", &["safetensors"]);
}

#[test]
fn a_wrong_shape_names_tensor_and_both_shapes() {
    let dir = copy("qwen3/grouped_tied");
    edit_json(&dir.path().join("config.json"), |config| {
        config["intermediate_size"] = 50.into();
    });
    let says = [
        "model.layers.0.mlp.gate_proj.weight",
        "[48, 32]",
        "[50, 32]",
    ];
    assert_refused(load(dir.path()), "model_tensor_shape", &says);
}

#[test]
fn a_missing_tensor_is_named() {
    let dir = copy("qwen3/grouped_tied");
    edit_json(&dir.path().join("config.json"), |config| {
        config["num_hidden_layers"] = 3.into();
    });
    let says = ["model.layers.2.", "missing"];
    assert_refused(load(dir.path()), "model_tensor_missing", &says);
}

#[test]
fn an_unknown_architecture_is_named_with_those_known() {
    let dir = copy("qwen3/grouped_tied");
    edit_json(&dir.path().join("config.json"), |config| {
        config["model_type"] = "llama".into();
    });
    let says = ["config.json", "llama", "qwen3"];
    assert_refused(load(dir.path()), "model_architecture_unknown", &says);
}

#[test]
fn a_config_that_contradicts_itself_names_file_and_field() {
    let dir = copy("qwen3/grouped_tied");
    edit_json(&dir.path().join("config.json"), |config| {
        config["num_key_value_heads"] = 3.into();
    });
    let says = ["config.json", "num_key_value_heads"];
    assert_refused(load(dir.path()), "model_file_malformed", &says);
    edit_json(&dir.path().join("config.json"), |config| {
        config["hidden_size"] = "wide".into();
    });
    assert_refused(load(dir.path()), "model_file_malformed", &["config.json"]);
}

#[test]
fn verify_passes_on_the_reference_and_fails_on_another() {
    let dir = copy("qwen3/grouped_tied");
    let reference = dir.path().join("reference.safetensors");
    let report = verify(dir.path(), &reference, &Device::flex(), 1e-4).unwrap();
    assert!(report.passed, "{report:?}");
    let names: Vec<&str> = report.checks.iter().map(|check| check.name).collect();
    assert_eq!(names, ["forward", "decode", "prefill"]);
    // All tokens, and the last of each row.
    let compared: Vec<usize> = report.checks.iter().map(|check| check.compared).collect();
    assert!(
        compared[0] > 1000 && compared[1] == compared[0],
        "{compared:?}"
    );
    assert!(compared[2] >= 96, "{compared:?}");

    let other = fixture("qwen3/theta_1e6/reference.safetensors");
    let report = verify(dir.path(), &other, &Device::flex(), 1e-4).unwrap();
    assert!(!report.passed);
    assert!(report.max_abs_diff() > 0.1);
}

#[test]
fn verify_refuses_a_reference_of_another_shape() {
    let model = fixture("qwen3/grouped_tied");
    let other = fixture("qwen3/odd_sizes/reference.safetensors");
    let error = verify(&model, &other, &Device::flex(), 1e-4).unwrap_err();
    assert_eq!(error.code(), "model_tensor_shape");
    assert!(error.to_string().contains("logits"), "{error}");
}
