//! An autoencoder's folder against a reference file of `diffusers`.
//!
//! The file holds `latents` `[batch, z_dim, 1, rows, columns]` and `image`
//! `[batch, 3, 1, height, width]`, what they decode to; optionally `source`, like
//! `image`, and `moments` `[batch, 2 × z_dim, 1, rows, columns]`, what it encodes to
//! (mean and logarithm of variance). `infra/parity/qwen_image_vae.py` writes them.

use std::path::Path;

use burn::tensor::{DType, Tensor, TensorData};
use serde::Deserialize;

use super::config::CLASS;
use super::model::QwenImageVae;
use super::tiles::Tiling;
use crate::device::{Device, read_f32};
use crate::error::{ModelError, Result};
use crate::load::{SafetensorsFile, read_json_if_there};
use crate::verify::Check;

/// Compares, where `model_dir` is an autoencoder's folder, or a pipeline's with one
/// and `reference` is for it; nothing otherwise.
///
/// # Errors
/// Those of loading the model, and of a reference that lacks a tensor or whose shapes
/// do not fit each other or the model.
pub(crate) fn checks(
    model_dir: &Path,
    reference: &Path,
    device: &Device,
) -> Result<Option<Vec<Check>>> {
    let nested = model_dir.join("vae");
    let is_pipeline = model_dir.join("model_index.json").is_file() && nested.is_dir();
    let dir = if is_pipeline { &nested } else { model_dir };
    let is_vae = read_json_if_there::<Class>(&dir.join("config.json"))?
        .is_some_and(|config| config.class_name.as_deref() == Some(CLASS));
    let mut file = SafetensorsFile::open(reference)?;
    if !is_vae || file.shape("image").is_none() {
        return Ok(None);
    }
    let model = QwenImageVae::load(dir, device, DType::F32)?;
    let tiling = Tiling::default();
    let mut decode = Check::new("decode");
    let latents = frames(&mut file, "latents", reference, device)?;
    let ours = model.decode(latents, Some(&tiling))?;
    compare(&mut decode, ours, &mut file, "image", reference)?;
    let mut checks = vec![decode];
    if file.shape("source").is_some() {
        let mut encode = Check::new("encode");
        let pictures = frames(&mut file, "source", reference, device)?;
        let ours = model.encode(pictures, Some(&tiling))?;
        let ours = Tensor::cat(vec![ours.mean, ours.log_variance], 3);
        compare(&mut encode, ours, &mut file, "moments", reference)?;
        checks.push(encode);
    }
    Ok(Some(checks))
}

#[derive(Deserialize)]
struct Class {
    #[serde(rename = "_class_name")]
    class_name: Option<String>,
}

/// A tensor of single frames, its channels last.
fn frames(
    file: &mut SafetensorsFile,
    name: &str,
    path: &Path,
    device: &Device,
) -> Result<Tensor<4>> {
    let (shape, values) = file.read(name)?;
    let &[batch, channels, 1, rows, columns] = shape.as_slice() else {
        let reason = format!("`{name}` is {shape:?}, not [batch, channels, 1, rows, columns]");
        return Err(ModelError::malformed(path, reason));
    };
    let data = TensorData::new(values, [batch, channels, rows, columns]);
    Ok(Tensor::<4>::from_data(data, device).permute([0, 2, 3, 1]))
}

fn compare(
    check: &mut Check,
    ours: Tensor<4>,
    file: &mut SafetensorsFile,
    name: &str,
    path: &Path,
) -> Result<()> {
    let [batch, rows, columns, channels] = ours.dims();
    let (shape, theirs) = file.read(name)?;
    if shape != [batch, channels, 1, rows, columns] {
        return Err(ModelError::WrongShape {
            path: path.to_owned(),
            name: name.to_owned(),
            expected: vec![batch, channels, 1, rows, columns],
            found: shape,
        });
    }
    check.add(&read_f32(ours.permute([0, 3, 1, 2]))?, &theirs);
    Ok(())
}
