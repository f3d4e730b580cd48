//! A transformer's folder against a reference file of `diffusers`.
//!
//! The file holds `hidden_states` `[batch, image tokens, in_channels]`,
//! `encoder_hidden_states` `[batch, text tokens, joint_attention_dim]`, optionally
//! `encoder_hidden_states_mask` `[batch, text tokens]` (integers), `timestep`
//! `[batch]` in 0..1, `img_shapes` `[pictures, 3]` (integers) and `sample`
//! `[batch, image tokens, patch² × out_channels]`, as
//! `infra/parity/qwen_image.py` writes them.

use std::path::Path;

use burn::tensor::{DType, Tensor, TensorData};
use serde::Deserialize;

use super::config::CLASS;
use super::model::QwenImageTransformer;
use super::rope::ImageShape;
use crate::device::{Device, read_f32};
use crate::error::{ModelError, Result};
use crate::load::{SafetensorsFile, read_json_if_there};
use crate::verify::Check;

/// Compares, where `model_dir` is a transformer's folder, or a pipeline's with
/// one and `reference` is for it; nothing otherwise.
///
/// # Errors
/// As [`outputs`].
pub(crate) fn check(model_dir: &Path, reference: &Path, device: &Device) -> Result<Option<Check>> {
    let nested = model_dir.join("transformer");
    let is_pipeline = model_dir.join("model_index.json").is_file() && nested.is_dir();
    let dir = if is_pipeline {
        nested
    } else {
        model_dir.to_owned()
    };
    let is_transformer = read_json_if_there::<Class>(&dir.join("config.json"))?
        .is_some_and(|config| config.class_name.as_deref() == Some(CLASS));
    if !is_transformer || SafetensorsFile::open(reference)?.shape("sample").is_none() {
        return Ok(None);
    }
    let (ours, theirs) = outputs(&dir, reference, device)?;
    let mut check = Check::new("forward");
    check.add(&ours, &theirs);
    Ok(Some(check))
}

#[derive(Deserialize)]
struct Class {
    #[serde(rename = "_class_name")]
    class_name: Option<String>,
}

/// Our values of `sample` and the reference's.
///
/// # Errors
/// Those of loading the model, and of a reference that lacks a tensor or whose
/// shapes do not fit each other or the model.
pub fn outputs(
    model_dir: &Path,
    reference: &Path,
    device: &Device,
) -> Result<(Vec<f32>, Vec<f32>)> {
    let model = QwenImageTransformer::load(model_dir, device, DType::F32)?;
    run(&model, reference, device)
}

/// [`outputs`] of a model that is in memory.
///
/// # Errors
/// As [`outputs`].
pub fn run(
    model: &QwenImageTransformer,
    reference: &Path,
    device: &Device,
) -> Result<(Vec<f32>, Vec<f32>)> {
    let mut file = SafetensorsFile::open(reference)?;
    let hidden_states = tensor::<3>(&mut file, reference, "hidden_states", device)?;
    let text = tensor::<3>(&mut file, reference, "encoder_hidden_states", device)?;
    let timestep = tensor::<1>(&mut file, reference, "timestep", device)?;
    let mask = match file.shape("encoder_hidden_states_mask") {
        Some(_) => Some(file.read_ints("encoder_hidden_states_mask")?.1),
        None => None,
    };
    let (_, shapes) = file.read_ints("img_shapes")?;
    let (shapes, rest) = shapes.as_chunks::<3>();
    let shapes: Option<Vec<ImageShape>> = shapes
        .iter()
        .map(|shape| {
            let [frames, height, width] = shape.map(|side| usize::try_from(side).ok());
            Some(ImageShape {
                frames: frames?,
                height: height?,
                width: width?,
            })
        })
        .collect();
    let (Some(shapes), []) = (shapes, rest) else {
        let reason = "`img_shapes` is not [pictures, 3] of sizes";
        return Err(ModelError::malformed(reference, reason));
    };
    let conditions = model.conditions(text, mask.as_deref(), &shapes)?;
    let ours = model.forward(hidden_states, timestep, &conditions)?;
    let expected = ours.dims().to_vec();
    let (found, theirs) = file.read("sample")?;
    if found != expected {
        return Err(ModelError::WrongShape {
            path: reference.to_owned(),
            name: "sample".to_owned(),
            expected,
            found,
        });
    }
    Ok((read_f32(ours)?, theirs))
}

fn tensor<const D: usize>(
    file: &mut SafetensorsFile,
    path: &Path,
    name: &str,
    device: &Device,
) -> Result<Tensor<D>> {
    let (shape, values) = file.read(name)?;
    let sides: [usize; D] = shape.as_slice().try_into().map_err(|_| {
        let reason = format!("`{name}` has shape {shape:?}; {D} dimensions are expected");
        ModelError::malformed(path, reason)
    })?;
    Ok(Tensor::from_data(TensorData::new(values, sides), device))
}
