//! Adapters against `peft` on random small weights; the fixtures are made by
//! `infra/parity/lora.py`.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use burn::tensor::{Int, Tensor, TensorData};
use illumine_models::Qwen3;
use illumine_models::device::Device;
use illumine_models::generate::{CancelFlag, GenerationRequest, LanguageModel};
use illumine_models::load::{LoadedModel, ModelFolder, SafetensorsFile};
use illumine_models::lora;
use illumine_models::qwen3::cpu::{CpuAdapter, CpuDecoder, Precision, Scratch, SequenceCache};
use illumine_models::tokenizer::ChatTokenizer;
use illumine_models::verify::{verify, verify_adapted};

const TOLERANCE: f32 = 1e-4;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn adapters() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(fixture("lora"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    assert!(folders.len() >= 8, "fixtures are missing: {folders:?}");
    folders
}

/// The folder of an adapter's base.
fn base_of(adapter: &Path) -> PathBuf {
    let text = std::fs::read_to_string(adapter.join("adapter_config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&text).unwrap();
    fixture(config["base_model_name_or_path"].as_str().unwrap())
}

/// The first row of a reference, which has no padding.
struct Row {
    ids: Vec<i64>,
    logits: Vec<f32>,
    generated: Vec<i64>,
}

fn first_row(folder: &Path) -> Row {
    let mut file = SafetensorsFile::open(&folder.join("reference.safetensors")).unwrap();
    let (shape, mut ids) = file.read_ints("input_ids").unwrap();
    let (logit_shape, mut logits) = file.read("logits").unwrap();
    ids.truncate(shape[1]);
    logits.truncate(shape[1] * logit_shape[2]);
    Row {
        ids,
        logits,
        generated: file.read_ints("generated_ids").unwrap().1,
    }
}

fn max_abs_diff(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    let differences = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max)
}

fn forward(model: &Qwen3, ids: &[i64]) -> Vec<f32> {
    let ids = TensorData::new(ids.to_vec(), [1, ids.len()]);
    let ids = Tensor::<2, Int>::from_data(ids, &Device::flex());
    let logits = model.forward(ids, None, None);
    logits.into_data().try_into_vec::<f32>().unwrap()
}

fn decode(decoder: &CpuDecoder, adapter: Option<&CpuAdapter>, ids: &[i64]) -> Vec<f32> {
    let mut cache = SequenceCache::new(decoder.config());
    let mut scratch = Scratch::default();
    let mut all = Vec::new();
    for &id in ids {
        let caches = &mut [&mut cache];
        let logits = decoder.step_adapted(&[id as u32], caches, &[adapter], &mut scratch);
        all.extend_from_slice(logits.unwrap());
    }
    all
}

#[test]
fn logits_equal_those_of_peft_by_every_way_of_computing_them() {
    for adapter in adapters() {
        let (what, base) = (adapter.display(), base_of(&adapter));
        let reference = adapter.join("reference.safetensors");
        let device = Device::flex();
        let report = verify_adapted(&base, &adapter, &reference, &device, TOLERANCE).unwrap();
        let names: Vec<&str> = report.checks.iter().map(|check| check.name).collect();
        match base.to_string_lossy().contains("qwen25_vl") {
            true => assert_eq!(names, ["forward", "prefill"]),
            false => assert_eq!(names, ["forward", "decode", "prefill"]),
        }
        println!("{what}: {:e}", report.max_abs_diff());
        assert!(report.passed, "{what}: {report:?}");
        // The base alone is far from them.
        let alone = verify(&base, &reference, &device, TOLERANCE).unwrap();
        assert!(alone.max_abs_diff() > 0.1, "{what}: it changes nothing");
    }
}

#[test]
fn one_model_switches_back_and_forth() {
    let base = fixture("qwen3/grouped_tied");
    let folder = ModelFolder::open(&base).unwrap();
    let model = folder.load_model(&Device::flex()).unwrap();
    let decoder = CpuDecoder::new(&model, &folder.config).unwrap();
    let load = |name: &str| {
        let path = fixture(&format!("lora/{name}"));
        let adapter = lora::open(&path, &model).unwrap();
        let module = lora::attach(&model, &adapter);
        let cpu = CpuAdapter::new(&adapter, &folder.config);
        (module, Some(cpu), first_row(&path))
    };
    let mut all = [
        load("names"),
        load("second_layer"),
        (model.clone(), None, first_row(&base)),
    ];
    for _ in 0..2 {
        for (module, cpu, row) in &all {
            let by_module = max_abs_diff(&forward(module, &row.ids), &row.logits);
            let by_decoder = decode(&decoder, cpu.as_ref(), &row.ids);
            let by_decoder = max_abs_diff(&by_decoder, &row.logits);
            assert!(by_module <= TOLERANCE, "{by_module:e}");
            assert!(by_decoder <= TOLERANCE, "{by_decoder:e}");
        }
        all.reverse();
    }
}

/// The base's numbers are rounded, the adapter's are not: the error is about that
/// of the base (see `qwen3_parity.rs`).
#[test]
fn adapters_go_with_rounded_bases() {
    for name in ["names", "patterns", "regex_rslora", "moe_experts"] {
        let path = fixture(&format!("lora/{name}"));
        let folder = ModelFolder::open(&base_of(&path)).unwrap();
        let model = folder.load_model(&Device::flex()).unwrap();
        let adapter = lora::open(&path, &model).unwrap();
        let adapter = CpuAdapter::new(&adapter, &folder.config);
        let row = first_row(&path);
        for (precision, bound) in [(Precision::Bf16, 0.03), (Precision::Int8, 0.12)] {
            let decoder = CpuDecoder::with_precision(&model, &folder.config, precision).unwrap();
            let error = |adapter| {
                let ours = decode(&decoder, adapter, &row.ids);
                let pairs = ours.iter().zip(&row.logits);
                let squares: f32 = pairs.map(|(a, b)| (a - b).powi(2)).sum();
                (squares / row.logits.iter().map(|x| x * x).sum::<f32>()).sqrt()
            };
            let (with, without) = (error(Some(&adapter)), error(None));
            assert!(with < bound, "{name} {precision:?}: {with}");
            assert!(without > 3.0 * with, "{name} {precision:?}: {without}");
        }
    }
}

#[test]
fn greedy_answers_equal_those_of_peft_and_of_the_base() {
    let device = Device::flex();
    for name in ["names", "regex_rslora", "patterns", "moe_attention"] {
        let path = fixture(&format!("lora/{name}"));
        let base = base_of(&path);
        let mut folder = ModelFolder::open(&base).unwrap();
        folder.eos_token_ids.clear();
        let loaded = LoadedModel {
            model: folder.load_model(&device).unwrap(),
            tokenizer: ChatTokenizer::from_folder(&fixture("chat")).unwrap(),
            folder,
        };
        let model = LanguageModel::new(loaded, &device).unwrap();
        model.add_adapter("tuned", &path).unwrap();
        assert_eq!(model.adapter_names(), ["tuned"]);
        for (adapter, row) in [
            (Some("tuned"), first_row(&path)),
            (None, first_row(&base)),
            (Some("tuned"), first_row(&path)),
        ] {
            let ids = row.ids.iter().map(|&id| id as u32).collect();
            let request = GenerationRequest {
                max_new_tokens: row.generated.len(),
                adapter: adapter.map(str::to_owned),
                ..GenerationRequest::new(ids)
            };
            let cancel = CancelFlag::default();
            let output = model
                .generate(&request, &cancel, |_| ControlFlow::Continue(()))
                .unwrap();
            let written: Vec<i64> = output.token_ids.iter().map(|&id| i64::from(id)).collect();
            assert_eq!(written, row.generated, "{name} {adapter:?}");
        }
    }
}

#[test]
fn rows_with_different_adapters_get_the_bits_that_each_gets_alone() {
    let cases = [
        ("qwen3/grouped_tied", ["names", "second_layer"]),
        ("qwen3/moe", ["moe_attention", "moe_experts"]),
    ];
    for (base, names) in cases {
        let folder = ModelFolder::open(&fixture(base)).unwrap();
        let model = folder.load_model(&Device::flex()).unwrap();
        let [first, second] = names.map(|name| {
            let adapter = lora::open(&fixture(&format!("lora/{name}")), &model).unwrap();
            CpuAdapter::new(&adapter, &folder.config)
        });
        let adapters = [Some(&second), None, Some(&first), Some(&second), None];
        let vocab = folder.config.vocab_size;
        let ids: Vec<i64> = (0..9).map(|i| i * 7 % 40).collect();
        for precision in Precision::ALL {
            let decoder = CpuDecoder::with_precision(&model, &folder.config, precision).unwrap();
            let alone = adapters.map(|adapter| decode(&decoder, adapter, &ids));
            assert_ne!(alone[0], alone[1]);
            assert_ne!(alone[1], alone[2]);
            let mut caches = adapters.map(|_| SequenceCache::new(&folder.config));
            let mut scratch = Scratch::default();
            for (step, &id) in ids.iter().enumerate() {
                let tokens = [id as u32; 5];
                let mut caches: Vec<_> = caches.iter_mut().collect();
                let together = decoder.step_adapted(&tokens, &mut caches, &adapters, &mut scratch);
                for (row, logits) in together.unwrap().chunks(vocab).enumerate() {
                    let alone = &alone[row][step * vocab..][..vocab];
                    assert_eq!(
                        logits, alone,
                        "{base} {precision:?}: row {row}, step {step}"
                    );
                }
            }
            let mut caches: Vec<_> = caches.iter_mut().collect();
            let error = decoder.step_adapted(&[1; 5], &mut caches, &[None], &mut scratch);
            assert_eq!(error.unwrap_err().code(), "model_request_invalid");
        }
    }
}
