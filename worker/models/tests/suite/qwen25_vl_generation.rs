//! Qwen2.5-VL folders as a whole: prompts with pictures and greedy answers equal
//! to those of `transformers`, `verify`, refusals. The fixtures are made by
//! `infra/parity/qwen25_vl.py`.

use crate::support;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use illumine_models::generate::{CancelFlag, FinishReason, GenerationRequest, VisionLanguageModel};
use illumine_models::load::{ModelFolder, SafetensorsFile, load_folder};
use illumine_models::qwen25_vl::{Grid, Part, Patches, Picture, VisionMessage};
use illumine_models::sampling::SamplingParams;
use illumine_models::tokenizer::{ChatTokenizer, Role};
use illumine_models::verify::verify;
use serde_json::Value;

use support::device;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/qwen25_vl")
}

/// The fixture that has all a folder has.
fn whole() -> PathBuf {
    root().join("text_only")
}

fn model(folder: &Path) -> VisionLanguageModel {
    let folder = ModelFolder::open(folder).unwrap();
    let tokenizer = ChatTokenizer::from_folder(&whole()).unwrap();
    VisionLanguageModel::new(folder, tokenizer, &device()).unwrap()
}

fn picture(number: usize) -> Picture {
    Picture::open(&whole().join(format!("picture_{number}.png"))).unwrap()
}

fn go_on(_: &str) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// A conversation of `chats.json`, its pictures in order of appearance.
fn conversation(messages: &Value) -> Vec<VisionMessage> {
    let mut pictures = (0..).map(picture);
    let mut part = |part: &Value| match part["type"].as_str().unwrap() {
        "image" => Part::Picture(pictures.next().unwrap()),
        _ => Part::Text(part["text"].as_str().unwrap().to_owned()),
    };
    let mut message = |message: &Value| VisionMessage {
        role: serde_json::from_value::<Role>(message["role"].clone()).unwrap(),
        content: match &message["content"] {
            Value::String(text) => vec![Part::Text(text.clone())],
            parts => parts.as_array().unwrap().iter().map(&mut part).collect(),
        },
    };
    let messages = messages.as_array().unwrap().iter();
    messages.map(&mut message).collect()
}

fn chats() -> Vec<Value> {
    let text = std::fs::read_to_string(whole().join("chats.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn prompts_with_pictures_equal_transformers() {
    let model = VisionLanguageModel::load(&whole(), &device()).unwrap();
    let chats = chats();
    assert!(chats.len() >= 3);
    for chat in chats {
        let prompt = model.prompt(&conversation(&chat["messages"])).unwrap();
        let ids: Vec<u32> = serde_json::from_value(chat["ids"].clone()).unwrap();
        assert_eq!(prompt.ids, ids);
        let grids: Vec<[usize; 3]> =
            serde_json::from_value(chat["image_grid_thw"].clone()).unwrap();
        let ours = prompt.patches.image_grid_thw.iter();
        assert_eq!(ours.map(|g| [g.t, g.h, g.w]).collect::<Vec<_>>(), grids);
    }
}

#[test]
fn greedy_answers_equal_transformers() {
    let mut compared = 0;
    for entry in std::fs::read_dir(root()).unwrap() {
        let folder = entry.unwrap().path();
        let (ours, expected) = greedy(&model(&folder), &folder, None);
        assert_eq!(ours, expected, "{}", folder.display());
        compared += 1;
    }
    assert!(compared >= 5);
}

/// Two of `infra/parity/lora.py`'s adapters: of decoder and tower, and with the
/// released layout's names.
#[test]
fn greedy_answers_with_an_adapter_equal_those_of_peft() {
    for (base, adapter) in [
        ("several_pictures", "vision_all"),
        ("old_layout_sharded", "vision_old_names"),
    ] {
        let base = root().join(base);
        let tuned = root().join("../lora").join(adapter);
        let model = model(&base);
        model.add_adapter("tuned", &tuned).unwrap();
        for (folder, name) in [
            (&tuned, Some("tuned")),
            (&base, None),
            (&tuned, Some("tuned")),
        ] {
            let (ours, expected) = greedy(&model, folder, name);
            assert_eq!(ours, expected, "{} {name:?}", folder.display());
        }
        let request = GenerationRequest {
            adapter: Some("other".to_owned()),
            ..GenerationRequest::new(vec![1])
        };
        let refused = model.generate(&request, &Patches::default(), &CancelFlag::default(), go_on);
        assert!(refused.unwrap_err().to_string().contains("tuned"));
    }
}

/// What `model` writes after the first row of the reference in `folder`, and what
/// the reference writes.
fn greedy(
    model: &VisionLanguageModel,
    folder: &Path,
    adapter: Option<&str>,
) -> (Vec<i64>, Vec<i64>) {
    let mut file = SafetensorsFile::open(&folder.join("reference.safetensors")).unwrap();
    let (shape, ids) = file.read_ints("input_ids").unwrap();
    let (_, expected) = file.read_ints("generated_ids").unwrap();
    let prompt: Vec<u32> = ids[..shape[1]].iter().map(|&id| id as u32).collect();
    let patches = first_pictures(model, &prompt, &mut file);
    let request = GenerationRequest {
        max_new_tokens: expected.len(),
        adapter: adapter.map(str::to_owned),
        ..GenerationRequest::new(prompt)
    };
    let output = model.generate(&request, &patches, &CancelFlag::default(), go_on);
    let written = output.unwrap().token_ids;
    (written.into_iter().map(i64::from).collect(), expected)
}

/// The pictures of the first row of a reference.
fn first_pictures(model: &VisionLanguageModel, ids: &[u32], file: &mut SafetensorsFile) -> Patches {
    let config = model.config();
    let mut places = ids
        .iter()
        .filter(|&&id| id == config.image_token_id)
        .count();
    let mut patches = Patches::default();
    if places == 0 {
        return patches;
    }
    for grid in file.read_ints("image_grid_thw").unwrap().1.chunks(3) {
        let [t, h, w] = [grid[0], grid[1], grid[2]].map(|side| side as usize);
        let grid = Grid { t, h, w };
        if places > 0 {
            places -= grid.merged(config.vision.spatial_merge_size);
            patches.image_grid_thw.push(grid);
        }
    }
    let count: usize = patches.image_grid_thw.iter().map(Grid::patches).sum();
    patches.pixel_values = file.read("pixel_values").unwrap().1;
    patches
        .pixel_values
        .truncate(count * config.vision.patch_width());
    patches
}

#[test]
fn an_answer_is_sampled_streamed_limited_and_cancelled() {
    let model = model(&whole());
    let prompt = model
        .prompt(&conversation(&chats()[1]["messages"]))
        .unwrap();
    let request = GenerationRequest {
        max_new_tokens: 30,
        sampling: SamplingParams {
            temperature: 1.0,
            seed: Some(3),
            ..SamplingParams::default()
        },
        ..GenerationRequest::new(prompt.ids.clone())
    };
    let run = |request: &GenerationRequest, patches: &Patches| {
        let mut pieces = String::new();
        let output = model.generate(request, patches, &CancelFlag::default(), |piece| {
            pieces += piece;
            ControlFlow::Continue(())
        });
        let output = output.unwrap();
        assert_eq!(output.text, pieces);
        output
    };
    let output = run(&request, &prompt.patches);
    assert_eq!(output.finish_reason, FinishReason::Length);
    assert_eq!(output.completion_tokens, 30);
    assert_eq!(run(&request, &prompt.patches).token_ids, output.token_ids);
    let mut other = prompt.patches.clone();
    other
        .pixel_values
        .iter_mut()
        .for_each(|value| *value = -*value);
    assert_ne!(run(&request, &other).token_ids, output.token_ids, "unseen");
    let stop = GenerationRequest {
        stop_ids: vec![output.token_ids[4]],
        ..request.clone()
    };
    assert_eq!(
        run(&stop, &prompt.patches).finish_reason,
        FinishReason::Stop
    );

    let cancel = CancelFlag::default();
    let broken = model.generate(&request, &prompt.patches, &cancel, |_| {
        cancel.cancel();
        ControlFlow::Continue(())
    });
    let broken = broken.unwrap();
    assert_eq!(broken.finish_reason, FinishReason::Cancelled);
    assert!(broken.completion_tokens < 30);
    let none = model.generate(&request, &prompt.patches, &cancel, go_on);
    assert_eq!(none.unwrap().completion_tokens, 0);
}

#[test]
fn prompts_that_do_not_fit_are_refused_in_words() {
    let model = model(&whole());
    let typed = [VisionMessage::text(Role::User, "a <|image_pad|> of mine")];
    let error = model.prompt(&typed).unwrap_err().to_string();
    assert!(
        error.contains("1 marks of a picture for 0 pictures"),
        "{error}"
    );

    let strip = Picture::from_rgb("strip.png", 300, 1, vec![0; 900]).unwrap();
    let message = VisionMessage {
        role: Role::User,
        content: vec![Part::Picture(strip)],
    };
    let error = model.prompt(&[message]).unwrap_err().to_string();
    assert!(error.contains("strip.png"), "{error}");

    let prompt = model
        .prompt(&conversation(&chats()[1]["messages"]))
        .unwrap();
    let generate = |ids: Vec<u32>, patches: &Patches| {
        let request = GenerationRequest::new(ids);
        let output = model.generate(&request, patches, &CancelFlag::default(), go_on);
        output.unwrap_err().to_string()
    };
    let error = generate(prompt.ids.clone(), &Patches::default());
    assert!(error.contains("more pictures"), "{error}");
    let error = generate(vec![1, 2], &prompt.patches);
    assert!(error.contains("fewer pictures"), "{error}");
    let error = generate(vec![1; 200], &Patches::default());
    assert!(error.contains("context holds 200"), "{error}");
    let image = model.config().image_token_id;
    let error = generate(vec![1, image], &Patches::default());
    assert!(error.contains("ends in a picture"), "{error}");
}

#[test]
fn verify_passes_and_notices_a_difference() {
    for entry in std::fs::read_dir(root()).unwrap() {
        let folder = entry.unwrap().path();
        let reference = folder.join("reference.safetensors");
        let report = verify(&folder, &reference, &device(), 1e-4).unwrap();
        assert!(report.passed, "{}: {report:?}", folder.display());
        assert!(report.checks[0].compared > 100);
    }
    // Another picture in the reference must fail: its bytes are changed in place.
    let folder = root().join("several_pictures");
    let dir = tempfile::tempdir().unwrap();
    let changed = dir.path().join("reference.safetensors");
    let mut bytes = std::fs::read(folder.join("reference.safetensors")).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let index: Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    let start = index["pixel_values"]["data_offsets"][0].as_u64().unwrap() as usize;
    for value in 0..24 {
        let place = 8 + header + start + value * 4;
        bytes[place..place + 4].copy_from_slice(&3.0_f32.to_le_bytes());
    }
    std::fs::write(&changed, bytes).unwrap();
    let report = verify(&folder, &changed, &device(), 1e-4).unwrap();
    assert!(!report.passed, "{report:?}");
}

/// A copy of a fixture with a change to one of its JSON files.
fn changed(file: &str, change: impl FnOnce(&mut Value)) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(whole()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    let path = dir.path().join(file);
    let mut json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut json);
    std::fs::write(path, json.to_string()).unwrap();
    dir
}

#[test]
fn bad_folders_name_file_and_field() {
    let config = "config.json";
    type Change = fn(&mut Value);
    let cases: [(&str, Change, &str); 13] = [
        (config, |c| c["vision_config"]["depth"] = 0.into(), "depth"),
        (
            config,
            |c| c["vision_config"]["num_heads"] = 3.into(),
            "num_heads",
        ),
        (
            config,
            |c| c["vision_config"]["patch_size"] = 999_999.into(),
            "patch_size",
        ),
        (
            config,
            |c| c["vision_config"]["window_size"] = 3.into(),
            "window_size",
        ),
        (
            config,
            |c| c["vision_config"]["out_hidden_size"] = 7.into(),
            "out_hidden_size",
        ),
        (
            config,
            |c| c["vision_config"]["in_chans"] = 4.into(),
            "in_channels",
        ),
        (
            config,
            |c| c["vision_config"]["in_channels"] = 4.into(),
            "in_channels",
        ),
        (
            config,
            |c| c["rope_scaling"]["mrope_section"] = vec![9, 9].into(),
            "mrope_section",
        ),
        (
            config,
            |c| c["rope_scaling"]["type"] = "yarn".into(),
            "rope_type",
        ),
        (config, |c| c["hidden_act"] = "gelu".into(), "hidden_act"),
        (config, |c| c["vocab_size"] = Value::Null, "vocab_size"),
        (
            config,
            |c| c["image_token_id"] = 296.into(),
            "image_token_id",
        ),
        (
            "preprocessor_config.json",
            |c| c["patch_size"] = 4.into(),
            "patch_size",
        ),
    ];
    for (file, change, field) in cases {
        let dir = changed(file, change);
        let error = VisionLanguageModel::load(dir.path(), &device()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(field), "{field}: {text}");
        assert!(text.contains(&dir.path().display().to_string()), "{text}");
        assert_eq!(error.code(), "model_file_malformed", "{text}");
    }
    let dir = changed(config, |c| c["vision_config"]["depth"] = 900_000.into());
    let error = VisionLanguageModel::load(dir.path(), &device()).unwrap_err();
    assert!(
        error.to_string().contains("visual.blocks.1.norm1.weight"),
        "{error}"
    );
    let dir = changed(config, |c| {
        c["vision_config"]["intermediate_size"] = 5.into()
    });
    let error = VisionLanguageModel::load(dir.path(), &device()).unwrap_err();
    assert_eq!(error.code(), "model_tensor_shape", "{error}");
}

#[test]
fn text_and_vision_loaders_refuse_each_others_folders() {
    let error = load_folder(&whole(), &device()).unwrap_err().to_string();
    assert!(
        error.contains("model_type") && error.contains("config.json"),
        "{error}"
    );
    let text = root().parent().unwrap().join("qwen3/ungrouped");
    let folder = ModelFolder::open(&text).unwrap();
    let error = folder.load_vision_model(&device()).unwrap_err().to_string();
    assert!(error.contains("model_type"), "{error}");
}
