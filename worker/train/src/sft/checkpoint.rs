//! A checkpoint: a model folder in the Hugging Face layout, with two files more.
//!
//! | file | |
//! |---|---|
//! | `config.json`, `model.safetensors` | as `transformers` reads them |
//! | `tokenizer.json`, `tokenizer_config.json` | copied by the caller's tokenizer |
//! | `optimizer.safetensors` | `first.NAME` and `second.NAME`, matrices as the trainer holds them |
//! | `trainer_state.json` | the place in the run and its configuration |

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use illumine_models::qwen3::weights::weight_specs;
use illumine_models::{Qwen3, Qwen3Config, save};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};

use super::config::SftConfig;
use super::optimizer::{ModelAdamW, Moments};
use crate::error::{Result, TrainError};
use crate::lora;

const OPTIMIZER: &str = "optimizer.safetensors";
pub(crate) const STATE: &str = "trainer_state.json";

/// Where a run stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunState {
    /// Updates done.
    pub step: u64,
    /// The next example of the source; with the seed, all there is of randomness.
    pub next_example: u64,
    /// Tokens trained on.
    pub tokens: u64,
    /// Time spent in training.
    pub seconds: f64,
}

#[derive(Serialize, Deserialize)]
struct StateFile {
    run: RunState,
    optimizer_time: Vec<usize>,
    config: SftConfig,
}

/// `<run>/checkpoints/step-000010`
pub fn folder(run: &Path, step: u64) -> PathBuf {
    run.join("checkpoints").join(format!("step-{step:06}"))
}

/// The finished checkpoint with the highest step.
pub fn latest(run: &Path) -> Option<PathBuf> {
    all(run).pop()
}

/// Finished checkpoints, oldest first.
fn all(run: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(run.join("checkpoints"))
        .into_iter()
        .flatten()
        .flatten();
    let mut folders: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("step-") && path.extension().is_none() && path.join(STATE).is_file()
        })
        .collect();
    folders.sort();
    folders
}

/// Removes all but the newest `keep` and the `best`.
///
/// # Errors
/// [`TrainError::Io`].
pub fn prune(run: &Path, keep: usize, best: Option<&Path>) -> Result<()> {
    let folders = all(run);
    let old = folders.iter().rev().skip(keep);
    for old in old.filter(|old| best != Some(old.as_path())) {
        std::fs::remove_dir_all(old).map_err(|error| TrainError::io(old, error))?;
    }
    Ok(())
}

/// Writes a checkpoint; it appears whole or not at all.
///
/// # Errors
/// [`TrainError::Io`], [`TrainError::Checkpoint`], [`TrainError::Model`].
pub fn save(
    run: &Path,
    model: &Qwen3,
    model_config: &Qwen3Config,
    optimizer: &ModelAdamW,
    state: &RunState,
    config: &SftConfig,
) -> Result<PathBuf> {
    let target = folder(run, state.step);
    let part = target.with_extension("part");
    for leftover in [&part, &target] {
        if leftover.exists() {
            std::fs::remove_dir_all(leftover).map_err(|error| TrainError::io(leftover, error))?;
        }
    }
    save::save_folder(model, model_config, &part)?;
    let names = lora::trained_names(model, model_config);
    save_moments(&part.join(OPTIMIZER), &names, optimizer)?;
    let times = optimizer.moments.iter();
    let file = StateFile {
        run: state.clone(),
        optimizer_time: times.map(|m| m.as_ref().map_or(0, |m| m.time)).collect(),
        config: config.clone(),
    };
    let path = part.join(STATE);
    let text = serde_json::to_string_pretty(&file)
        .map_err(|error| TrainError::checkpoint(&path, error))?;
    std::fs::write(&path, text).map_err(|error| TrainError::io(&path, error))?;
    std::fs::rename(&part, &target).map_err(|error| TrainError::io(&target, error))?;
    Ok(target)
}

/// Writes the optimizer's state by the names of what it learns.
pub(crate) fn save_moments(path: &Path, names: &[String], optimizer: &ModelAdamW) -> Result<()> {
    let mut buffers = Vec::new();
    for (name, moments) in names.iter().zip(&optimizer.moments) {
        let Some(moments) = moments else { continue };
        for (kind, tensor) in [("first", &moments.first), ("second", &moments.second)] {
            let values: Vec<f32> = tensor
                .to_data()
                .convert::<f32>()
                .try_into_vec::<f32>()
                .map_err(|error| TrainError::checkpoint(path, format!("{error:?}")))?;
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            buffers.push((format!("{kind}.{name}"), tensor.dims(), bytes));
        }
    }
    let mut views = Vec::with_capacity(buffers.len());
    for (name, shape, bytes) in &buffers {
        let view = TensorView::new(Dtype::F32, shape.to_vec(), bytes)
            .map_err(|error| TrainError::checkpoint(path, error))?;
        views.push((name.as_str(), view));
    }
    safetensors::serialize_to_file(views, None, path)
        .map_err(|error| TrainError::checkpoint(path, error))
}

/// Reads the optimizer's state and the place in the run; the weights are read
/// as any model folder's.
///
/// # Errors
/// [`TrainError::Io`], [`TrainError::Checkpoint`].
pub fn load(
    folder: &Path,
    model_config: &Qwen3Config,
    optimizer: &mut ModelAdamW,
    device: &Device,
) -> Result<RunState> {
    let path = folder.join(STATE);
    let text = std::fs::read_to_string(&path).map_err(|error| TrainError::io(&path, error))?;
    let file: StateFile =
        serde_json::from_str(&text).map_err(|error| TrainError::checkpoint(&path, error))?;

    let times = &file.optimizer_time;
    let names: Vec<String> = weight_specs(model_config)
        .into_iter()
        .map(|spec| spec.name)
        .collect();
    optimizer.moments = load_moments(&folder.join(OPTIMIZER), &names, times, device)?;
    Ok(file.run)
}

/// Reads what [`save_moments`] wrote; `times` are the updates of each weight.
pub(crate) fn load_moments(
    path: &Path,
    names: &[String],
    times: &[usize],
    device: &Device,
) -> Result<Vec<Option<Moments>>> {
    let bytes = std::fs::read(path).map_err(|error| TrainError::io(path, error))?;
    let tensors =
        SafeTensors::deserialize(&bytes).map_err(|error| TrainError::checkpoint(path, error))?;
    let by_name: HashMap<String, TensorView<'_>> = tensors.tensors().into_iter().collect();
    let read = |name: String| -> Result<Option<Tensor<2>>> {
        let Some(view) = by_name.get(&name) else {
            return Ok(None);
        };
        let shape: [usize; 2] = view
            .shape()
            .try_into()
            .map_err(|_| TrainError::checkpoint(path, format!("`{name}` is not a matrix")))?;
        let values: Vec<f32> = view
            .data()
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        Ok(Some(Tensor::from_data(
            TensorData::new(values, shape),
            device,
        )))
    };
    let mut all = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let first = read(format!("first.{name}"))?;
        let second = read(format!("second.{name}"))?;
        let time = times.get(index).copied().unwrap_or(0);
        all.push(first.zip(second).map(|(first, second)| Moments {
            time,
            first,
            second,
        }));
    }
    Ok(all)
}
