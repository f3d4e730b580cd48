//! Optimizer and averages as a safetensors file.

use std::collections::HashMap;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use super::{Average, ModuleAdamW, Moments};
use crate::error::{Result, TrainError};

/// Writes flat tensors by name.
///
/// # Errors
/// [`TrainError::Checkpoint`].
pub fn save_tensors(path: &Path, tensors: &[(String, Tensor<1>)]) -> Result<()> {
    let mut buffers = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let values: Vec<f32> = tensor
            .to_data()
            .convert::<f32>()
            .try_into_vec::<f32>()
            .map_err(|error| TrainError::checkpoint(path, format!("{error:?}")))?;
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        buffers.push((name.as_str(), values.len(), bytes));
    }
    let mut views = Vec::with_capacity(buffers.len());
    for (name, count, bytes) in &buffers {
        let view = TensorView::new(Dtype::F32, vec![*count], bytes)
            .map_err(|error| TrainError::checkpoint(path, error))?;
        views.push((*name, view));
    }
    safetensors::serialize_to_file(views, None, path)
        .map_err(|error| TrainError::checkpoint(path, error))
}

/// Reads what [`save_tensors`] wrote.
///
/// # Errors
/// [`TrainError::Io`], [`TrainError::Checkpoint`].
pub fn load_tensors(path: &Path, device: &Device) -> Result<HashMap<String, Tensor<1>>> {
    let bytes = std::fs::read(path).map_err(|error| TrainError::io(path, error))?;
    let tensors =
        SafeTensors::deserialize(&bytes).map_err(|error| TrainError::checkpoint(path, error))?;
    let read = |(name, view): (String, TensorView<'_>)| {
        let (chunks, _) = view.data().as_chunks::<4>();
        let values: Vec<f32> = chunks.iter().map(|b| f32::from_le_bytes(*b)).collect();
        let count = values.len();
        let data = TensorData::new(values, [count]);
        (name, Tensor::from_data(data, device))
    };
    Ok(tensors.tensors().into_iter().map(read).collect())
}

/// Puts the finished folder `part` in the place of `folder`. At every moment one of
/// the two versions is whole: a run that is killed in between finds the old one with
/// [`recover_folder`].
///
/// # Errors
/// [`TrainError::Io`].
pub fn replace_folder(part: &Path, folder: &Path) -> Result<()> {
    let old = folder.with_extension("old");
    let io = |path: &Path, error| TrainError::io(path, error);
    if folder.exists() {
        if old.exists() {
            std::fs::remove_dir_all(&old).map_err(|error| io(&old, error))?;
        }
        std::fs::rename(folder, &old).map_err(|error| io(folder, error))?;
    }
    std::fs::rename(part, folder).map_err(|error| io(folder, error))?;
    if old.exists() {
        std::fs::remove_dir_all(&old).map_err(|error| io(&old, error))?;
    }
    Ok(())
}

/// Brings back what [`replace_folder`] had put aside when it was killed. Whether there
/// is a folder.
///
/// # Errors
/// [`TrainError::Io`].
pub fn recover_folder(folder: &Path) -> Result<bool> {
    let old = folder.with_extension("old");
    if !folder.exists() && old.exists() {
        std::fs::rename(&old, folder).map_err(|error| TrainError::io(&old, error))?;
    }
    Ok(folder.is_dir())
}

impl ModuleAdamW {
    /// The state by name.
    pub fn tensors(&self) -> Vec<(String, Tensor<1>)> {
        let mut tensors = Vec::new();
        for (index, moments) in self.moments.iter().enumerate() {
            if let Some(moments) = moments {
                tensors.push((format!("first.{index}"), moments.first.clone()));
                tensors.push((format!("second.{index}"), moments.second.clone()));
            }
        }
        tensors
    }

    /// Updates that each parameter has seen.
    pub fn times(&self) -> Vec<usize> {
        let moments = self.moments.iter();
        moments
            .map(|moments| moments.as_ref().map_or(0, |moments| moments.time))
            .collect()
    }

    /// Takes the state up again.
    pub fn restore(&mut self, times: &[usize], tensors: &mut HashMap<String, Tensor<1>>) {
        let mut moments = |(index, &time): (usize, &usize)| {
            Some(Moments {
                time,
                first: tensors.remove(&format!("first.{index}"))?,
                second: tensors.remove(&format!("second.{index}"))?,
            })
        };
        self.moments = times.iter().enumerate().map(&mut moments).collect();
    }
}

impl Average {
    /// The averages by name.
    pub fn tensors(&self) -> Vec<(String, Tensor<1>)> {
        let values = self.values.iter().enumerate();
        values
            .map(|(index, value)| (format!("average.{index}"), value.clone()))
            .collect()
    }

    /// How many weights were averaged.
    pub const fn updates(&self) -> usize {
        self.updates
    }

    /// Takes the averages up again.
    pub fn restore(&mut self, updates: usize, tensors: &mut HashMap<String, Tensor<1>>) {
        self.updates = updates;
        self.values = (0..)
            .map_while(|index| tensors.remove(&format!("average.{index}")))
            .collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_replaced_whole_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, part) = (dir.path().join("run"), dir.path().join("run.part"));
        assert!(!recover_folder(&folder).unwrap());
        for version in ["one", "two"] {
            std::fs::create_dir(&part).unwrap();
            std::fs::write(part.join("version"), version).unwrap();
            replace_folder(&part, &folder).unwrap();
            assert_eq!(
                std::fs::read_to_string(folder.join("version")).unwrap(),
                version
            );
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        }
        // Killed between the two renames.
        std::fs::rename(&folder, folder.with_extension("old")).unwrap();
        assert!(recover_folder(&folder).unwrap());
        assert_eq!(
            std::fs::read_to_string(folder.join("version")).unwrap(),
            "two"
        );
    }
}
