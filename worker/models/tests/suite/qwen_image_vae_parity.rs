//! Qwen-Image's autoencoder against `diffusers` on random small weights; the fixtures
//! are made by `infra/parity/qwen_image_vae.py`.

use crate::support;

use std::path::{Path, PathBuf};

use burn::module::{Module, Param};
use burn::tensor::{DType, Distribution, Tensor, TensorData};
use illumine_models::device::Device;
use illumine_models::qwen_image::vae::{QwenImageVae, Tiling, VaeConfig};
use illumine_models::save::WeightType;
use illumine_models::verify::verify;

use support::device;

const TOLERANCE: f32 = 1e-4;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/qwen_image/vae")
        .join(name)
}

fn names() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(fixture("")).unwrap();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert!(folders.len() >= 3, "fixtures are missing: {folders:?}");
    folders
}

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec::<f32>().unwrap()
}

#[test]
fn pictures_and_latents_are_those_of_diffusers() {
    for folder in names() {
        let reference = folder.join("reference.safetensors");
        let report = verify(&folder, &reference, &device(), TOLERANCE).unwrap();
        let names: Vec<&str> = report.checks.iter().map(|check| check.name).collect();
        assert_eq!(names, ["decode", "encode"]);
        println!("{}: {:e}", folder.display(), report.max_abs_diff());
        assert!(report.passed, "{}: {report:?}", folder.display());
        assert!(report.checks.iter().all(|check| check.compared > 50));
    }
}

#[test]
fn large_pictures_are_cut_and_blended_as_the_reference_does() {
    let folder = fixture("").with_file_name("vae_tiled");
    let model = QwenImageVae::load(&folder, &device(), DType::F32).unwrap();
    let reference = folder.join("reference.safetensors");
    let mut file = illumine_models::load::SafetensorsFile::open(&reference).unwrap();
    let tiling = Tiling {
        tile: 32,
        stride: 24,
    };
    let mut read = |name: &str| {
        let (shape, values) = file.read(name).unwrap();
        let sides = [shape[0], shape[1], shape[3], shape[4]];
        let data = TensorData::new(values, sides);
        Tensor::<4>::from_data(data, &device()).permute([0, 2, 3, 1])
    };
    let [source, moments, latents, image] =
        ["source", "moments", "latents", "image"].map(&mut read);
    let largest = |a: Tensor<4>, b: Tensor<4>| {
        assert_eq!(a.dims(), b.dims());
        floats((a - b).abs().max())[0]
    };
    let ours = model.encode(source, Some(&tiling)).unwrap();
    let ours = Tensor::cat(vec![ours.mean, ours.log_variance], 3);
    assert!(largest(ours, moments) <= TOLERANCE);
    let ours = model.decode(latents.clone(), Some(&tiling)).unwrap();
    assert!(largest(ours, image.clone()) <= TOLERANCE);
    let whole = model.decode(latents, None).unwrap();
    assert!(largest(whole, image) > 10.0 * TOLERANCE, "tiles show");
}

#[test]
fn what_is_saved_is_loaded_and_films_frames_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let folder = fixture("plain");
    let model = QwenImageVae::load(&folder, &device(), DType::F32).unwrap();
    model.save(dir.path(), WeightType::F32).unwrap();
    let reference = folder.join("reference.safetensors");
    let report = verify(dir.path(), &reference, &device(), TOLERANCE).unwrap();
    assert!(report.passed, "{report:?}");

    let mut ours = file(dir.path());
    let mut theirs = file(&folder);
    let (mut mine, mut its) = (ours.names(), theirs.names());
    mine.sort();
    its.sort();
    assert_eq!(mine, its);
    for name in mine {
        assert_eq!(ours.shape(&name), theirs.shape(&name), "{name}");
        if name == "encoder.conv_in.weight" {
            let ((_, ours), (_, theirs)) = (ours.read(&name).unwrap(), theirs.read(&name).unwrap());
            for (ours, theirs) in ours.chunks(27).zip(theirs.chunks(27)) {
                assert_eq!(ours[18..], theirs[18..]);
                assert_eq!(ours[..18], [0.0; 18]);
            }
        }
    }
}

fn file(folder: &Path) -> illumine_models::load::SafetensorsFile {
    let path = folder.join("diffusion_pytorch_model.safetensors");
    illumine_models::load::SafetensorsFile::open(&path).unwrap()
}

#[test]
fn latents_are_normalised_by_channel_and_back() {
    let model = QwenImageVae::load(&fixture("plain"), &device(), DType::F32).unwrap();
    let latents = Tensor::<4>::ones([1, 1, 1, 4], &device());
    let normal = floats(model.normalise(latents.clone()));
    for (index, value) in normal.iter().enumerate() {
        let (mean, std) = (0.1 * index as f32 - 0.2, 0.8 + 0.1 * index as f32);
        assert!((value - (1.0 - mean) / std).abs() < 1e-6);
    }
    let back = floats(model.denormalise(model.normalise(latents)));
    assert!(back.iter().all(|value| (value - 1.0).abs() < 1e-6));
}

/// Adds `by` to one number of a parameter.
fn nudge<const D: usize>(param: &mut Param<Tensor<D>>, place: usize, by: f32) {
    let tensor = param.val();
    let mut values = floats(tensor.clone());
    values[place] += by;
    let data = TensorData::new(values, tensor.dims());
    *param = Param::from_tensor(Tensor::from_data(data, &tensor.device()));
}

/// The derivatives of the CPU's own operations are those of the loss as it changes.
#[test]
fn derivatives_are_those_of_the_loss() {
    let device = Device::flex().autodiff();
    let model = QwenImageVae::load(&fixture("odd_channels"), &device, DType::F32).unwrap();
    let picture = Tensor::<4>::random([1, 8, 12, 3], Distribution::Uniform(-1.0, 1.0), &device);
    let loss = |model: &QwenImageVae| {
        let latents = model.encode(picture.clone(), None).unwrap().mean;
        let error = model.decode_open(latents) - picture.clone();
        (error.clone() * error).mean()
    };
    let grads = loss(&model).backward();
    let step = 2e-3;
    let change = |alter: &dyn Fn(&mut QwenImageVae, f32)| {
        let value = |by: f32| {
            let mut model = model.clone();
            alter(&mut model, by);
            let plain = QwenImageVae {
                config: model.config.clone(),
                parts: model.parts.valid(),
            };
            let picture = picture.clone().inner();
            let latents = plain.encode(picture.clone(), None).unwrap().mean;
            let error = plain.decode_open(latents) - picture;
            f64::from(floats((error.clone() * error).mean())[0])
        };
        (value(step) - value(-step)) / f64::from(2.0 * step)
    };
    let near = |found: f64, expected: f32, what: &str| {
        let expected = f64::from(expected);
        let allowed = 2e-2 * expected.abs().max(2e-3);
        assert!(
            (found - expected).abs() < allowed,
            "{what}: {found} {expected}"
        );
    };
    // A kernel far from the loss, one that halves, a norm and a bias.
    let conv = &model.parts.encoder.conv_in.weight;
    let grad = floats(conv.val().grad(&grads).unwrap());
    for place in [0, 40, grad.len() - 1] {
        let found = change(&|model: &mut QwenImageVae, by| {
            nudge(&mut model.parts.encoder.conv_in.weight, place, by);
        });
        near(found, grad[place], "conv_in");
    }
    let gamma = &model.parts.decoder.norm_out.gamma;
    let grad = floats(gamma.val().grad(&grads).unwrap());
    for (place, expected) in grad.iter().enumerate() {
        let found = change(&|model: &mut QwenImageVae, by| {
            nudge(&mut model.parts.decoder.norm_out.gamma, place, by);
        });
        near(found, *expected, "norm_out");
    }
}

#[test]
fn what_does_not_fit_is_refused_in_words() {
    let model = QwenImageVae::load(&fixture("plain"), &device(), DType::F32).unwrap();
    let odd = Tensor::<4>::zeros([1, 8, 10, 3], &device());
    let error = model.encode(odd, None).unwrap_err().to_string();
    assert!(
        error.contains("`width`: 10 pixels are no multiple of 4"),
        "{error}"
    );
    let wide = Tensor::<4>::zeros([1, 2, 2, 7], &device());
    let error = model.decode(wide, None).unwrap_err().to_string();
    assert!(error.contains("7 channels of 4"), "{error}");
    assert!(Tiling::default().cuts(256, 257) && !Tiling::default().cuts(256, 256));

    for (change, says) in [
        (r#""latents_std": [1.0, 1.0, 0.0, 1.0]"#, "latents_std"),
        (r#""latents_mean": [1.0]"#, "latents_mean"),
        (r#""temperal_downsample": [true]"#, "temperal_downsample"),
        (r#""_class_name": "AutoencoderKL""#, "AutoencoderKL"),
        (r#""base_dim": 0"#, "base_dim"),
        (r#""attn_scales": [0.5]"#, "attn_scales"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let text = r#"{"_class_name": "AutoencoderKLQwenImage", "z_dim": 4,
                "latents_mean": [0, 0, 0, 0], "latents_std": [1, 1, 1, 1]}"#;
        let mut fields: serde_json::Value = serde_json::from_str(text).unwrap();
        let change: serde_json::Value = serde_json::from_str(&format!("{{{change}}}")).unwrap();
        for (field, value) in change.as_object().unwrap() {
            fields[field] = value.clone();
        }
        std::fs::write(dir.path().join("config.json"), fields.to_string()).unwrap();
        let error = VaeConfig::read(dir.path()).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }

    // A folder of other shapes, and one without its weights.
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(
        fixture("plain").join("config.json"),
        dir.path().join("config.json"),
    )
    .unwrap();
    let load = || {
        QwenImageVae::load(dir.path(), &device(), DType::F32)
            .unwrap_err()
            .to_string()
    };
    assert!(load().contains("diffusion_pytorch_model.safetensors"));
    let weights = "diffusion_pytorch_model.safetensors";
    std::fs::copy(
        fixture("odd_channels").join(weights),
        dir.path().join(weights),
    )
    .unwrap();
    assert!(load().contains("encoder.conv_in.weight"), "{}", load());
}
