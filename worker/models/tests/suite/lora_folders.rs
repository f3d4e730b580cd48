//! Adapter folders that cannot be used: each a clear error naming file and
//! field or tensor.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use illumine_models::ModelError;
use illumine_models::device::Device;
use illumine_models::load::ModelFolder;
use illumine_models::lora::{self, Adapter};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
const Q: &str = "base_model.model.model.layers.0.self_attn.q_proj";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// A copy of an adapter that a test may break.
fn copy(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in [CONFIG, WEIGHTS] {
        fs::copy(fixture("lora").join(name).join(file), dir.path().join(file)).unwrap();
    }
    dir
}

fn open(dir: &Path, base: &str) -> Result<Adapter, ModelError> {
    let folder = ModelFolder::open(&fixture(base)).unwrap();
    lora::open(dir, &folder.load_model(&Device::flex()).unwrap())
}

fn edit_config(dir: &Path, edit: impl FnOnce(&mut serde_json::Value)) {
    let path = dir.join(CONFIG);
    let mut json = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    edit(&mut json);
    fs::write(path, json.to_string()).unwrap();
}

/// Type, shape and bytes.
type Stored = (Dtype, Vec<usize>, Vec<u8>);

fn edit_weights(dir: &Path, edit: impl FnOnce(&mut BTreeMap<String, Stored>)) {
    let path = dir.join(WEIGHTS);
    let bytes = fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors = file
        .iter()
        .map(|(name, view)| {
            let stored = (view.dtype(), view.shape().to_vec(), view.data().to_vec());
            (name.to_owned(), stored)
        })
        .collect();
    edit(&mut tensors);
    let views: Vec<(&String, TensorView<'_>)> = tensors
        .iter()
        .map(|(name, (dtype, shape, bytes))| {
            (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
        })
        .collect();
    safetensors::serialize_to_file(views, None, &path).unwrap();
}

fn assert_refused(dir: &Path, code: &str, says: &[&str]) {
    let error = open(dir, "qwen3/grouped_tied").expect_err("a broken adapter was read");
    let text = error.to_string();
    assert_eq!(error.code(), code, "{text}");
    for part in says {
        assert!(text.contains(part), "{text:?} lacks {part:?}");
    }
}

#[test]
fn every_projection_that_is_named_has_its_factors() {
    let names = open(&fixture("lora/names"), "qwen3/grouped_tied").unwrap();
    assert_eq!(names.len(), 2 * 7);
    let second = open(&fixture("lora/second_layer"), "qwen3/grouped_tied").unwrap();
    let changed = [
        "model.layers.1.self_attn.q_proj",
        "model.layers.1.mlp.up_proj",
    ];
    assert!(changed.iter().all(|name| second.factors(name).is_some()));
    assert!(second.factors("model.layers.0.self_attn.q_proj").is_none());
    let experts = open(&fixture("lora/moe_experts"), "qwen3/moe").unwrap();
    assert_eq!(experts.len(), 2 * (1 + 6 * 3));
    let patterns = open(&fixture("lora/patterns"), "qwen3/odd_sizes").unwrap();
    let of = |name: &str| {
        let factors = patterns.factors(name).unwrap();
        (factors.rank, factors.scale)
    };
    assert_eq!(of("model.layers.0.self_attn.k_proj"), (3, 4.0 / 3.0));
    assert_eq!(of("model.layers.0.mlp.down_proj"), (1, 4.0));
    assert_eq!(of("model.layers.1.mlp.down_proj"), (6, 4.0 / 6.0));
    assert_eq!(of("model.layers.1.self_attn.o_proj"), (2, 4.5));
    assert_eq!(of("model.layers.0.mlp.gate_proj"), (2, 0.75));
    assert_eq!(of("model.layers.1.mlp.gate_proj"), (2, 2.0));
}

#[test]
fn a_folder_without_one_of_its_files_names_it() {
    for file in [CONFIG, WEIGHTS] {
        let dir = copy("names");
        fs::remove_file(dir.path().join(file)).unwrap();
        assert_refused(dir.path(), "model_io", &[file]);
    }
}

#[test]
fn fields_that_are_not_supported_are_named_with_their_file() {
    type Edit = fn(&mut serde_json::Value);
    let cases: [(&str, Edit); 9] = [
        ("peft_type", |c| c["peft_type"] = "LOHA".into()),
        ("use_dora", |c| c["use_dora"] = true.into()),
        ("bias", |c| c["bias"] = "all".into()),
        ("modules_to_save", |c| {
            c["modules_to_save"] = serde_json::json!(["embed_tokens"]);
        }),
        ("fan_in_fan_out", |c| c["fan_in_fan_out"] = true.into()),
        ("target_modules", |c| c["target_modules"] = "(q_proj".into()),
        ("target_modules", |c| {
            c["target_modules"] = serde_json::Value::Null
        }),
        ("`r`", |c| c["r"] = 0.into()),
        ("lora_alpha", |c| c["lora_alpha"] = 1e300.into()),
    ];
    for (field, edit) in cases {
        let dir = copy("names");
        edit_config(dir.path(), edit);
        assert_refused(dir.path(), "model_file_malformed", &[CONFIG, field]);
    }
    let dir = copy("names");
    fs::write(dir.path().join(CONFIG), "{").unwrap();
    assert_refused(dir.path(), "model_file_malformed", &[CONFIG]);
}

#[test]
fn one_factor_without_the_other_is_missing() {
    for factor in ["lora_A", "lora_B"] {
        let dir = copy("names");
        let name = format!("{Q}.{factor}.weight");
        edit_weights(dir.path(), |tensors| {
            tensors.remove(&name).unwrap();
        });
        assert_refused(dir.path(), "model_tensor_missing", &[WEIGHTS, &name]);
    }
    let dir = copy("names");
    edit_weights(dir.path(), |tensors| {
        tensors.retain(|name, _| !name.starts_with(Q));
    });
    assert_refused(dir.path(), "model_tensor_missing", &[WEIGHTS, Q]);
}

#[test]
fn shapes_that_do_not_fit_rank_or_base_are_given() {
    let dir = copy("names");
    edit_config(dir.path(), |config| config["r"] = 5.into());
    assert_refused(dir.path(), "model_tensor_shape", &["[4, ", "[5, "]);

    let dir = copy("names");
    edit_weights(dir.path(), |tensors| {
        let (_, shape, _) = tensors.get_mut(&format!("{Q}.lora_B.weight")).unwrap();
        shape.swap(0, 1);
    });
    let says = [WEIGHTS, Q, "lora_B", "[4, 64]", "[64, 4]"];
    assert_refused(dir.path(), "model_tensor_shape", &says);

    let error = open(&fixture("lora/names"), "qwen3/odd_sizes").unwrap_err();
    assert_eq!(error.code(), "model_tensor_shape", "{error}");
}

#[test]
fn types_that_are_no_weights_are_refused() {
    for dtype in [Dtype::I32, Dtype::F64] {
        let dir = copy("names");
        edit_weights(dir.path(), |tensors| {
            let (kind, shape, bytes) = tensors.get_mut(&format!("{Q}.lora_A.weight")).unwrap();
            *bytes = vec![0; shape.iter().product::<usize>() * dtype.bitsize() / 8];
            *kind = dtype;
        });
        let says = [WEIGHTS, Q, &format!("{dtype:?}"), "bf16"];
        assert_refused(dir.path(), "model_file_malformed", &says);
    }
}

#[test]
fn tensors_that_have_no_place_are_explained() {
    for (name, says) in [
        (
            "base_model.model.model.layers.7.self_attn.q_proj.lora_A.weight",
            "no projection",
        ),
        (
            "base_model.model.model.embed_tokens.lora_A.weight",
            "embedding and head",
        ),
        (
            "base_model.model.lm_head.lora_B.weight",
            "embedding and head",
        ),
        (
            "base_model.model.model.layers.0.mlp.gate.lora_A.weight",
            "router",
        ),
        (
            "base_model.model.model.layers.0.mlp.experts.lora_A.weight",
            "expert",
        ),
        (
            "base_model.model.model.embed_tokens.lora_embedding_A",
            "an embedding",
        ),
        (
            "base_model.model.lm_head.modules_to_save.weight",
            "as a whole",
        ),
        (
            "base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector",
            "DoRA",
        ),
        ("model.norm.weight", "is not called"),
    ] {
        let dir = copy("names");
        edit_weights(dir.path(), |tensors| {
            tensors.insert(name.to_owned(), (Dtype::F32, vec![1], vec![0; 4]));
        });
        assert_refused(dir.path(), "model_file_malformed", &[WEIGHTS, name, says]);
    }
}

#[test]
fn what_the_configuration_does_not_name_is_not_silently_left_out() {
    let dir = copy("names");
    edit_config(dir.path(), |config| {
        config["target_modules"] = "nothing".into()
    });
    let says = [WEIGHTS, "target_modules", "does not name"];
    assert_refused(dir.path(), "model_file_malformed", &says);
    edit_weights(dir.path(), BTreeMap::clear);
    let says = [CONFIG, "target_modules", "no module"];
    assert_refused(dir.path(), "model_file_malformed", &says);
}

#[test]
fn truncation_at_any_length_is_noticed() {
    let dir = copy("names");
    let path = dir.path().join(WEIGHTS);
    let whole = fs::read(&path).unwrap();
    for length in [0, 7, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        assert_refused(dir.path(), "model_file_malformed", &[WEIGHTS, "truncated"]);
    }
}

#[test]
fn a_failed_load_leaves_the_model_as_it_was() {
    use illumine_models::generate::LanguageModel;
    use illumine_models::load::LoadedModel;
    use illumine_models::tokenizer::ChatTokenizer;
    let device = Device::flex();
    let folder = ModelFolder::open(&fixture("qwen3/grouped_tied")).unwrap();
    let loaded = LoadedModel {
        model: folder.load_model(&device).unwrap(),
        tokenizer: ChatTokenizer::from_folder(&fixture("chat")).unwrap(),
        folder,
    };
    let model = LanguageModel::new(loaded, &device).unwrap();
    model.add_adapter("", &fixture("lora/names")).unwrap_err();
    model
        .add_adapter("x", &fixture("lora/moe_attention"))
        .unwrap_err();
    assert!(model.adapter_names().is_empty());
}
