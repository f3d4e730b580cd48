//! Writes a model folder in the Hugging Face layout.

use std::path::Path;

use burn::tensor::{Tensor, TensorData};
use safetensors::tensor::{Dtype, TensorView};
use serde::Serialize;

use crate::error::{ModelError, Result};
use crate::load::transpose;
use crate::qwen3::weights::{Slot, weight_specs};
use crate::qwen3::{Qwen3, Qwen3Config};

/// The number type of the weights on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeightType {
    /// Four bytes a weight, exact.
    #[default]
    F32,
    /// Two bytes a weight, rounded to nearest even; what released checkpoints use.
    Bf16,
}

/// Writes `config.json` and `model.safetensors` (f32) into `dir`, which is made
/// when it does not exist. `transformers` loads the folder as it is.
///
/// Each file appears whole or not at all: it is written beside its place and
/// renamed.
///
/// # Errors
/// [`ModelError::Io`]; [`ModelError::Malformed`] when the weights cannot be read
/// back from the device.
pub fn save_folder(model: &Qwen3, config: &Qwen3Config, dir: &Path) -> Result<()> {
    save_folder_as(model, config, dir, WeightType::F32)
}

/// [`save_folder`] with a choice of the weights' type.
///
/// # Errors
/// As [`save_folder`].
pub fn save_folder_as(
    model: &Qwen3,
    config: &Qwen3Config,
    dir: &Path,
    weight_type: WeightType,
) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(|source| ModelError::io(dir, source))?;
    save_weights(model, config, &dir.join("model.safetensors"), weight_type)?;
    save_config(config, &dir.join("config.json"), weight_type)
}

fn save_config(config: &Qwen3Config, path: &Path, weight_type: WeightType) -> Result<()> {
    let malformed = |error: serde_json::Error| ModelError::malformed(path, error.to_string());
    let mut json = serde_json::to_value(config).map_err(malformed)?;
    if let Some(fields) = json.as_object_mut() {
        let name = match weight_type {
            WeightType::F32 => "float32",
            WeightType::Bf16 => "bfloat16",
        };
        // transformers 4 reads the first, 5 the second.
        fields.insert("torch_dtype".to_owned(), name.into());
        fields.insert("dtype".to_owned(), name.into());
        fields.retain(|_, value| !value.is_null());
    }
    write_json(path, &json)
}

fn save_weights(
    model: &Qwen3,
    config: &Qwen3Config,
    path: &Path,
    weight_type: WeightType,
) -> Result<()> {
    let mut model = model.clone();
    let mut tensors = Vec::new();
    for (spec, slot) in weight_specs(config).into_iter().zip(model.slots()) {
        let values = match slot {
            Slot::Projection(param) => {
                let values = read_back(param.val(), path)?;
                // `[in, out]` here, `[out, in]` in the file.
                transpose(&values, spec.shape[1], spec.shape[0])
            }
            Slot::Embedding(param) => read_back(param.val(), path)?,
            Slot::Scale(param) => read_back(param.val(), path)?,
        };
        let expected: usize = spec.shape.iter().product();
        if values.len() != expected {
            let reason = format!("`{}` does not have the configuration's shape", spec.name);
            return Err(ModelError::malformed(path, reason));
        }
        tensors.push(StoredTensor::new(
            spec.name,
            &spec.shape,
            &values,
            weight_type,
        ));
    }
    save_tensors(path, &tensors, weight_type)
}

/// A tensor as a safetensors file holds it.
#[derive(Clone, Debug)]
pub(crate) struct StoredTensor {
    name: String,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl StoredTensor {
    /// `values`, row-major, rounded to `weight_type`.
    pub(crate) fn new(
        name: String,
        shape: &[usize],
        values: &[f32],
        weight_type: WeightType,
    ) -> Self {
        Self {
            name,
            shape: shape.to_vec(),
            bytes: encode(values, weight_type),
        }
    }
}

/// Writes one safetensors file, whole or not at all; `tensors` were rounded to
/// `weight_type`.
pub(crate) fn save_tensors(
    path: &Path,
    tensors: &[StoredTensor],
    weight_type: WeightType,
) -> Result<()> {
    let dtype = match weight_type {
        WeightType::F32 => Dtype::F32,
        WeightType::Bf16 => Dtype::BF16,
    };
    let mut views = Vec::with_capacity(tensors.len());
    for StoredTensor { name, shape, bytes } in tensors {
        let view = TensorView::new(dtype, shape.clone(), bytes)
            .map_err(|error| ModelError::malformed(path, format!("`{name}`: {error}")))?;
        views.push((name.as_str(), view));
    }
    // transformers refuses a file whose metadata does not name its framework.
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    write_whole(path, |part| {
        safetensors::serialize_to_file(views, Some(metadata), part)
            .map_err(|error| std::io::Error::other(error.to_string()))
    })
}

/// Writes `value` as a JSON file, whole or not at all.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| ModelError::malformed(path, error.to_string()))?;
    write_whole(path, |part| std::fs::write(part, text.as_bytes()))
}

fn read_back<const D: usize>(tensor: Tensor<D>, path: &Path) -> Result<Vec<f32>> {
    let data: TensorData = tensor.into_data();
    data.convert::<f32>()
        .try_into_vec::<f32>()
        .map_err(|error| ModelError::malformed(path, format!("{error:?}")))
}

fn encode(values: &[f32], weight_type: WeightType) -> Vec<u8> {
    match weight_type {
        WeightType::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        WeightType::Bf16 => values
            .iter()
            .flat_map(|&v| half::bf16::from_f32(v).to_le_bytes())
            .collect(),
    }
}

/// Lets `write` fill a neighbouring file, then renames it to `path`.
fn write_whole(path: &Path, write: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    write(&part)
        .and_then(|()| std::fs::rename(&part, path))
        .map_err(|source| ModelError::io(path, source))
}
