//! Latents of painted pictures, made once and kept on disk in parts.
//!
//! | tensor of `part-00000.safetensors` | |
//! |---|---|
//! | `generation` | `[count, tokens, channels]` f16: packed latents of pictures |
//! | `before`, `after` | the same of edits |
//! | `view` | `[count, 64 × 64 × 3]` u8: the source picture as the prompt's encoder sees it |

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use half::f16;
use illumine_models::qwen_image::vae::QwenImageVae;
use illumine_models::qwen25_vl::resample::resize_lanczos;
use image::RgbImage;
use rayon::prelude::*;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};

use super::config::{PATCH, VIEW};
use super::focus::Focus;
use crate::error::{Result, TrainError};
use crate::painter::{Painter, paint, to_image};
use crate::picture_vae::pictures_to_tensor;

/// Pictures of each kind in a file.
const PART: u64 = 512;
/// Pictures that go through the VAE at once.
const BATCH: usize = 16;

/// What was cached, to tell it from another painter's or VAE's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Stamp {
    painter_seed: u64,
    vae_weights: usize,
    latents_mean: Vec<f32>,
}

/// Latents in memory, example `i` of each kind being that of the painter.
#[derive(Clone, Debug, Default)]
pub struct LatentCache {
    /// Tokens of a picture.
    pub tokens: usize,
    /// Numbers of a token.
    pub channels: usize,
    generation: Vec<f16>,
    before: Vec<f16>,
    after: Vec<f16>,
    view: Vec<u8>,
    /// Where things are.
    pub focus: Focus,
}

impl LatentCache {
    /// Reads the parts in `folder`, and first makes those of the first `count` pictures
    /// and edits that are missing.
    ///
    /// # Errors
    /// [`TrainError::Io`], [`TrainError::Checkpoint`], also for a folder of another VAE;
    /// [`TrainError::Model`].
    pub fn prepare(
        folder: &Path,
        painter: &Painter,
        painter_seed: u64,
        vae: &QwenImageVae,
        count: u64,
        device: &Device,
        mut report: impl FnMut(u64),
    ) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|error| TrainError::io(folder, error))?;
        let stamp = Stamp {
            painter_seed,
            vae_weights: vae.num_parameters(),
            latents_mean: vae.config.latents_mean.clone(),
        };
        check_stamp(folder, &stamp)?;
        let mut cache = Self::default();
        for part in 0..count.div_ceil(PART) {
            let path = folder.join(format!("part-{part:05}.safetensors"));
            if !path.is_file() {
                let made = Self::make(painter, vae, part * PART..(part + 1) * PART, device)?;
                made.save(&path)?;
            }
            cache.append(Self::load(&path)?, &path)?;
            report((part + 1) * PART);
        }
        cache.focus = Focus::prepare(folder, painter, cache.len(), cache.tokens)?;
        Ok(cache)
    }

    /// Pictures of each kind.
    pub fn len(&self) -> u64 {
        (self.generation.len() / self.size().max(1)) as u64
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.generation.is_empty()
    }

    /// Packed latents of picture `index`.
    pub fn generation(&self, index: u64) -> &[f16] {
        self.row(&self.generation, index)
    }

    /// Packed latents of the picture before edit `index`.
    pub fn before(&self, index: u64) -> &[f16] {
        self.row(&self.before, index)
    }

    /// Packed latents of the picture after edit `index`.
    pub fn after(&self, index: u64) -> &[f16] {
        self.row(&self.after, index)
    }

    /// The picture before edit `index` in small, rows of RGB.
    pub fn view(&self, index: u64) -> &[u8] {
        let size = VIEW * VIEW * 3;
        &self.view[index as usize * size..(index as usize + 1) * size]
    }

    fn size(&self) -> usize {
        self.tokens * self.channels
    }

    fn row<'a>(&self, values: &'a [f16], index: u64) -> &'a [f16] {
        let size = self.size();
        &values[index as usize * size..(index as usize + 1) * size]
    }

    /// Paints and encodes.
    ///
    /// # Errors
    /// [`TrainError::Model`].
    pub fn make(
        painter: &Painter,
        vae: &QwenImageVae,
        range: std::ops::Range<u64>,
        device: &Device,
    ) -> Result<Self> {
        let indices: Vec<u64> = range.collect();
        let pictures: Vec<[RgbImage; 3]> = indices
            .into_par_iter()
            .map(|index| {
                let edit = painter.edit(index);
                [painter.example(index).scene, edit.before, edit.after]
                    .map(|scene| to_image(&paint(&scene).pixels))
            })
            .collect();
        let mut cache = Self::default();
        for pictures in pictures.chunks(BATCH) {
            for kind in 0..3 {
                let batch: Vec<RgbImage> =
                    pictures.iter().map(|three| three[kind].clone()).collect();
                let packed = encode(vae, &batch, device)?;
                [_, cache.tokens, cache.channels] = packed.dims();
                let values = read(packed)?;
                let values = values.iter().map(|&value| f16::from_f32(value));
                [&mut cache.generation, &mut cache.before, &mut cache.after][kind].extend(values);
            }
            for [_, before, _] in pictures {
                cache.view.extend(view(before));
            }
        }
        Ok(cache)
    }

    fn append(&mut self, other: Self, path: &Path) -> Result<()> {
        if self.is_empty() {
            *self = other;
            return Ok(());
        }
        if (self.tokens, self.channels) != (other.tokens, other.channels) {
            return Err(TrainError::checkpoint(path, "latents of another size"));
        }
        self.generation.extend(other.generation);
        self.before.extend(other.before);
        self.after.extend(other.after);
        self.view.extend(other.view);
        Ok(())
    }

    fn save(&self, path: &Path) -> Result<()> {
        let bytes = |values: &[f16]| -> Vec<u8> {
            values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect()
        };
        let shape = vec![self.len() as usize, self.tokens, self.channels];
        let latents = [
            ("generation", bytes(&self.generation)),
            ("before", bytes(&self.before)),
            ("after", bytes(&self.after)),
        ];
        let failed = |error| TrainError::checkpoint(path, error);
        let mut views = Vec::new();
        for (name, bytes) in &latents {
            let view = TensorView::new(Dtype::F16, shape.clone(), bytes).map_err(failed)?;
            views.push((*name, view));
        }
        let shape = vec![self.len() as usize, VIEW * VIEW * 3];
        let view = TensorView::new(Dtype::U8, shape, &self.view).map_err(failed)?;
        views.push(("view", view));
        let part = path.with_extension("part");
        safetensors::serialize_to_file(views, None, &part).map_err(failed)?;
        std::fs::rename(&part, path).map_err(|error| TrainError::io(path, error))
    }

    fn load(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|error| TrainError::io(path, error))?;
        let failed = |error| TrainError::checkpoint(path, error);
        let tensors = SafeTensors::deserialize(&bytes).map_err(failed)?;
        let mut cache = Self::default();
        let mut latents = |name: &str| -> Result<Vec<f16>> {
            let view = tensors.tensor(name).map_err(failed)?;
            let &[_, tokens, channels] = view.shape() else {
                return Err(TrainError::checkpoint(
                    path,
                    format!("`{name}` is no batch of latents"),
                ));
            };
            (cache.tokens, cache.channels) = (tokens, channels);
            let (pairs, _) = view.data().as_chunks::<2>();
            Ok(pairs.iter().map(|pair| f16::from_le_bytes(*pair)).collect())
        };
        let (generation, before, after) = (
            latents("generation")?,
            latents("before")?,
            latents("after")?,
        );
        let view = tensors.tensor("view").map_err(failed)?.data().to_vec();
        Ok(Self {
            generation,
            before,
            after,
            view,
            ..cache
        })
    }
}

fn check_stamp(folder: &Path, stamp: &Stamp) -> Result<()> {
    let path: PathBuf = folder.join("stamp.json");
    let failed = |error: serde_json::Error| TrainError::checkpoint(&path, error);
    match std::fs::read_to_string(&path) {
        Ok(text) => match serde_json::from_str::<Stamp>(&text).map_err(failed)? == *stamp {
            true => Ok(()),
            false => Err(TrainError::checkpoint(
                &path,
                "the latents here are of another autoencoder or seed; remove the folder",
            )),
        },
        Err(_) => {
            let text = serde_json::to_string_pretty(stamp).map_err(failed)?;
            std::fs::write(&path, text).map_err(|error| TrainError::io(&path, error))
        }
    }
}

/// Packed, normalised latents `[batch, tokens, channels]` of pictures.
///
/// # Errors
/// [`TrainError::Model`].
pub fn encode(vae: &QwenImageVae, pictures: &[RgbImage], device: &Device) -> Result<Tensor<3>> {
    let posterior = vae.encode(pictures_to_tensor(pictures, device), None)?;
    Ok(pack(vae.normalise(posterior.mean)))
}

/// Latents `[batch, rows, columns, channels]` as tokens `[batch, rows/2 × columns/2,
/// 4 × channels]`, channels before rows before columns within one, as
/// `_pack_latents` of the reference.
pub fn pack(latents: Tensor<4>) -> Tensor<3> {
    let [batch, rows, columns, channels] = latents.dims();
    let (rows, columns) = (rows / PATCH, columns / PATCH);
    latents
        .reshape([batch, rows, PATCH, columns, PATCH, channels])
        .permute([0, 1, 3, 5, 2, 4])
        .reshape([batch, rows * columns, channels * PATCH * PATCH])
}

/// The reverse of [`pack`] for square pictures.
pub fn unpack(tokens: Tensor<3>) -> Tensor<4> {
    let [batch, count, width] = tokens.dims();
    let side = count.isqrt();
    let channels = width / (PATCH * PATCH);
    tokens
        .reshape([batch, side, side, channels, PATCH, PATCH])
        .permute([0, 1, 4, 2, 5, 3])
        .reshape([batch, side * PATCH, side * PATCH, channels])
}

/// A picture as small as the prompt's encoder sees it, as the pipeline makes it.
pub fn view(picture: &RgbImage) -> Vec<u8> {
    let from = [picture.width() as usize, picture.height() as usize];
    resize_lanczos(picture.as_raw(), from, [VIEW, VIEW])
}

fn read(tensor: Tensor<3>) -> Result<Vec<f32>> {
    tensor
        .into_data()
        .try_into_vec::<f32>()
        .map_err(|error| TrainError::checkpoint("latents", format!("{error:?}")))
}
