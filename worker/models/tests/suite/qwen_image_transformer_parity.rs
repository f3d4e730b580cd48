//! Qwen-Image's transformer and scheduler against `diffusers` on random small
//! weights; the fixtures are made by `infra/parity/qwen_image.py`.

use crate::support;

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Tensor, TensorData};
use illumine_models::load::SafetensorsFile;
use illumine_models::qwen_image::scheduler::SchedulerConfig;
use illumine_models::qwen_image::transformer::{ImageShape, QwenImageTransformer, verify};
use illumine_models::save::WeightType;
use serde::Deserialize;

use support::device;

const TOLERANCE: f32 = 1e-4;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/qwen_image")
}

fn fixture(name: &str) -> PathBuf {
    fixtures().join("transformer").join(name)
}

fn folders() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(fixtures().join("transformer")).unwrap();
    let folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    assert!(folders.len() >= 6, "fixtures are missing: {folders:?}");
    folders
}

fn load(folder: &Path) -> QwenImageTransformer {
    QwenImageTransformer::load(folder, &device(), DType::F32).unwrap()
}

fn difference(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    assert!(ours.iter().all(|value| value.is_finite()));
    let pairs = ours.iter().zip(theirs);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn velocities_of_every_kind_of_batch() {
    for folder in folders() {
        let reference = folder.join("reference.safetensors");
        let (ours, theirs) = verify::outputs(&folder, &reference, &device()).unwrap();
        let difference = difference(&ours, &theirs);
        let what = folder.display();
        println!("{what}: {difference:e}");
        let largest = theirs
            .iter()
            .fold(0.0_f32, |most, value| most.max(value.abs()));
        assert!(largest > 0.5, "{what}: the reference is flat");
        assert!(difference <= TOLERANCE, "{what}: {difference:e}");
    }
}

#[test]
fn models_verify_knows_a_transformer_folder() {
    let folder = fixture("edit");
    let reference = folder.join("reference.safetensors");
    let report = illumine_models::verify::verify(&folder, &reference, &device(), 1e-4).unwrap();
    assert!(
        report.passed && report.checks[0].compared > 100,
        "{report:?}"
    );
    let other = fixture("batch").join("reference.safetensors");
    let error = illumine_models::verify::verify(&folder, &other, &device(), 1e-4);
    assert!(error.is_ok_and(|report| !report.passed));
}

#[test]
fn bf16_weights_stay_near() {
    let folder = fixture("edit");
    let model = QwenImageTransformer::load(&folder, &device(), DType::BF16).unwrap();
    assert_eq!(model.dtype(), DType::BF16);
    let reference = folder.join("reference.safetensors");
    let (ours, theirs) = verify::run(&model, &reference, &device()).unwrap();
    let largest = theirs
        .iter()
        .fold(0.0_f32, |most, value| most.max(value.abs()));
    let difference = difference(&ours, &theirs);
    assert!(difference < 0.05 * largest, "{difference} of {largest}");
    assert!(difference > 0.0, "nothing was rounded");
}

#[test]
fn saved_folders_load_again_with_every_weight() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["one", "edit_plus"] {
        let model = load(&fixture(name));
        model.save(dir.path(), WeightType::F32).unwrap();
        let reference = fixture(name).join("reference.safetensors");
        let (before, _) = verify::run(&model, &reference, &device()).unwrap();
        let (after, _) = verify::outputs(dir.path(), &reference, &device()).unwrap();
        assert_eq!(before, after, "{name}");
    }
    let saved = SafetensorsFile::open(&dir.path().join("diffusion_pytorch_model.safetensors"));
    let file = fixture("edit_plus").join("diffusion_pytorch_model.safetensors");
    assert_eq!(
        saved.unwrap().names(),
        SafetensorsFile::open(&file).unwrap().names()
    );
}

#[test]
fn every_parameter_gets_a_gradient() {
    let device = device().autodiff();
    let folder = fixture("edit");
    let mut model = QwenImageTransformer::load(&folder, &device, DType::F32).unwrap();
    let reference = folder.join("reference.safetensors");
    let mut file = SafetensorsFile::open(&reference).unwrap();
    let mut tensor = |name: &str| {
        let (shape, values) = file.read(name).unwrap();
        let shape: [usize; 3] = shape.try_into().unwrap();
        Tensor::<3>::from_data(TensorData::new(values, shape), &device)
    };
    let shapes = [ImageShape::new(3, 4), ImageShape::new(5, 2)];
    let text = tensor("encoder_hidden_states");
    let conditions = model.conditions(text, None, &shapes).unwrap();
    let times = Tensor::from_floats([0.7, 0.2], &device);
    let velocity = model
        .forward(tensor("hidden_states"), times, &conditions)
        .unwrap();
    let gradients = velocity.square().mean().backward();
    // The last block's text stream leads nowhere.
    let unused = |name: &str| {
        name.starts_with("transformer_blocks.1.")
            && (name.contains("txt_mlp")
                || name.contains("to_add_out")
                || name.contains("add_q")
                || name.contains("norm_added_q"))
    };
    let mut checked = 0;
    for (name, part) in model.parts() {
        use illumine_models::qwen_image::transformer::weights::Part;
        let found = match part {
            Part::Linear(linear, _) => {
                let bias = linear.bias.as_ref().unwrap();
                linear.weight.val().grad(&gradients).is_some()
                    && bias.val().grad(&gradients).is_some()
            }
            Part::Norm(norm, _) => norm.gamma.val().grad(&gradients).is_some(),
        };
        assert!(found || unused(&name), "{name} has no gradient");
        checked += 1;
    }
    assert!(checked > 40);
}

#[test]
fn adapters_of_several_trainers_are_merged() {
    let folder = fixtures().join("lora");
    let reference = fixture("one").join("reference.safetensors");
    let mut samples = SafetensorsFile::open(&folder.join("samples.safetensors")).unwrap();
    let (before, _) = verify::run(&load(&fixture("one")), &reference, &device()).unwrap();
    for name in ["diffusers", "lightning", "flat"] {
        let path = folder.join(format!("{name}.safetensors"));
        let mut model = load(&fixture("one"));
        assert_eq!(model.merge_lora(&path, 1.0).unwrap(), 7, "{name}");
        let (ours, _) = verify::run(&model, &reference, &device()).unwrap();
        let theirs = samples.read(name).unwrap().1;
        assert!(difference(&before, &theirs) > 0.1, "{name} changes nothing");
        let difference = difference(&ours, &theirs);
        assert!(difference <= TOLERANCE, "{name}: {difference:e}");

        // Taken away again.
        model.merge_lora(&path, -1.0).unwrap();
        let (after, _) = verify::run(&model, &reference, &device()).unwrap();
        assert!(self::difference(&before, &after) <= TOLERANCE, "{name}");
    }
}

#[test]
fn an_adapter_for_another_model_changes_nothing() {
    let reference = fixture("edit").join("reference.safetensors");
    let mut model = load(&fixture("edit"));
    let (before, _) = verify::run(&model, &reference, &device()).unwrap();
    let path = fixtures().join("lora/lightning.safetensors");
    let error = model.merge_lora(&path, 1.0).unwrap_err();
    assert_eq!(error.code(), "model_tensor_shape", "{error}");
    let (after, _) = verify::run(&model, &reference, &device()).unwrap();
    assert_eq!(before, after);
    let weights = fixture("edit").join("diffusion_pytorch_model.safetensors");
    let error = model.merge_lora(&weights, 1.0).unwrap_err().to_string();
    assert!(
        error.contains("lora_A") && error.contains("img_in"),
        "{error}"
    );
}

#[test]
fn what_does_not_fit_is_said() {
    let model = load(&fixture("edit"));
    let device = device();
    let text = |width| Tensor::<3>::zeros([1, 2, width], &device);
    let shapes = [ImageShape::new(2, 2)];
    let field = |error: illumine_models::ModelError| error.to_string();
    let error = field(model.conditions(text(11), None, &shapes).unwrap_err());
    assert!(error.contains("encoder_hidden_states"), "{error}");
    let error = field(model.conditions(text(10), Some(&[1]), &shapes).unwrap_err());
    assert!(error.contains("encoder_hidden_states_mask"), "{error}");
    let error = field(model.conditions(text(10), None, &[]).unwrap_err());
    assert!(error.contains("img_shapes"), "{error}");
    let conditions = model.conditions(text(10), None, &shapes).unwrap();
    let times = Tensor::from_floats([0.5], &device);
    let latents = Tensor::zeros([1, 5, 16], &device);
    let error = field(model.forward(latents, times, &conditions).unwrap_err());
    assert!(
        error.contains("hidden_states") && error.contains('5'),
        "{error}"
    );
}

#[derive(Deserialize)]
struct Case {
    config: SchedulerConfig,
    steps: usize,
    image_tokens: usize,
    sigmas: Vec<f32>,
    timesteps: Vec<f32>,
}

#[test]
fn schedules_of_several_sizes_and_numbers_of_steps() {
    let text = std::fs::read(fixtures().join("schedules.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_slice(&text).unwrap();
    assert!(cases.len() >= 30);
    for case in cases {
        let ours = case.config.schedule(case.steps, case.image_tokens).unwrap();
        let what = format!("{:?} {} {}", case.config, case.steps, case.image_tokens);
        assert!(difference(&ours.sigmas, &case.sigmas) <= 1e-6, "{what}");
        assert!(
            difference(&ours.timesteps, &case.timesteps) <= 1e-3,
            "{what}"
        );
    }
}
