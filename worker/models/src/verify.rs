//! Compares a model folder with a reference computed elsewhere.
//!
//! The reference file holds `input_ids` and `attention_mask` `[batch, tokens]`
//! (integers) and `logits` `[batch, tokens, vocab]`, as `infra/parity/qwen3.py`
//! writes them with `transformers`; for a model that looks at pictures also
//! `pixel_values` `[patches, numbers]` and `image_grid_thw` `[pictures, 3]`
//! (`infra/parity/qwen25_vl.py`). References of Qwen-Image's parts have other
//! tensors: [`crate::qwen_image::transformer::verify`].

use std::path::Path;

use burn::tensor::{Int, Tensor, TensorData};
use serde::Serialize;

use crate::device::Device;
use crate::error::{ModelError, Result};
use crate::load::{ModelFolder, SafetensorsFile};
use crate::lora;
use crate::qwen_image::{transformer, vae};
use crate::qwen3::cpu::{
    CpuAdapter, CpuDecoder, Precision, PromptPictures, Scratch, SequenceCache,
};
use crate::qwen3::{Qwen3, padding_mask};
use crate::qwen25_vl::cpu::{prompt_pictures, prompt_positions};
use crate::qwen25_vl::vision::VisionTower;
use crate::qwen25_vl::weights::TEXT;
use crate::qwen25_vl::{self, Grid, Patches, Qwen25VlConfig};

/// The outcome of [`verify`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The device it ran on.
    pub device: String,
    /// Each way of computing the outputs.
    pub checks: Vec<Check>,
    /// The largest difference allowed.
    pub tolerance: f32,
    /// Whether every check is within the tolerance.
    pub passed: bool,
}

/// One way of computing the reference's outputs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// `forward` (all tokens at once, by the module), on the CPU also `prefill`
    /// (all but the last at once) and, of text models, `decode` (token by token).
    pub name: &'static str,
    /// The largest absolute difference of a logit; not a number when ours is not.
    pub max_abs_diff: f32,
    /// Numbers compared: padding is left out.
    pub compared: usize,
}

impl Check {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            max_abs_diff: 0.0,
            compared: 0,
        }
    }

    pub(crate) fn add(&mut self, ours: &[f32], theirs: &[f32]) {
        self.compared += ours.len();
        for (a, b) in ours.iter().zip(theirs) {
            self.max_abs_diff = worse(self.max_abs_diff, (a - b).abs());
        }
    }
}

impl Report {
    fn new(device: &Device, checks: Vec<Check>, tolerance: f32) -> Self {
        let mut report = Self {
            device: format!("{device:?}"),
            checks,
            tolerance,
            passed: false,
        };
        // A difference that is not a number is above every tolerance.
        report.passed = report.max_abs_diff() <= tolerance;
        report
    }

    /// The largest difference of all checks.
    pub fn max_abs_diff(&self) -> f32 {
        self.checks
            .iter()
            .map(|check| check.max_abs_diff)
            .fold(0.0, worse)
    }
}

/// Runs the model in `model_dir` on the inputs in `reference` and compares.
///
/// # Errors
/// Those of loading the model, and of a reference file that lacks a tensor or
/// whose shapes do not fit each other or the model.
pub fn verify(
    model_dir: &Path,
    reference: &Path,
    device: &Device,
    tolerance: f32,
) -> Result<Report> {
    run(model_dir, None, reference, device, tolerance)
}

/// [`verify`] with the adapter in `lora_dir` over the model, see [`lora`];
/// `infra/parity/lora.py` writes its references with `peft`.
///
/// # Errors
/// As [`verify`], and those of [`lora::Adapter::open`].
pub fn verify_adapted(
    model_dir: &Path,
    lora_dir: &Path,
    reference: &Path,
    device: &Device,
    tolerance: f32,
) -> Result<Report> {
    run(model_dir, Some(lora_dir), reference, device, tolerance)
}

fn run(
    model_dir: &Path,
    lora_dir: Option<&Path>,
    reference: &Path,
    device: &Device,
    tolerance: f32,
) -> Result<Report> {
    if let Some(check) = transformer::verify::check(model_dir, reference, device)? {
        return Ok(Report::new(device, vec![check], tolerance));
    }
    if let Some(checks) = vae::verify::checks(model_dir, reference, device)? {
        return Ok(Report::new(device, checks, tolerance));
    }
    let folder = ModelFolder::open(model_dir)?;
    let inputs = Inputs::read(reference, folder.config.vocab_size)?;
    let checks = match &folder.vision {
        Some(vision) => {
            inputs.vision_checks(&folder, &vision.config, lora_dir, device, reference)?
        }
        None => inputs.text_checks(&folder, lora_dir, device, reference)?,
    };
    Ok(Report::new(device, checks, tolerance))
}

struct Inputs {
    batch: usize,
    tokens: usize,
    vocab: usize,
    input_ids: Vec<i64>,
    attention_mask: Vec<i64>,
    logits: Vec<f32>,
}

impl Inputs {
    fn read(path: &Path, vocab: usize) -> Result<Self> {
        let mut file = SafetensorsFile::open(path)?;
        let (shape, input_ids) = file.read_ints("input_ids")?;
        let [batch, tokens] = shape[..] else {
            let reason = format!("`input_ids` has shape {shape:?}, expected [batch, tokens]");
            return Err(ModelError::malformed(path, reason));
        };
        let attention_mask = match file.shape("attention_mask") {
            Some(_) => file.read_ints("attention_mask")?.1,
            None => vec![1; batch * tokens],
        };
        let (logit_shape, logits) = file.read("logits")?;
        if logit_shape != [batch, tokens, vocab] {
            return Err(ModelError::WrongShape {
                path: path.to_owned(),
                name: "logits".to_owned(),
                expected: vec![batch, tokens, vocab],
                found: logit_shape,
            });
        }
        if attention_mask.len() != batch * tokens {
            let reason = "`attention_mask` has another shape than `input_ids`";
            return Err(ModelError::malformed(path, reason));
        }
        if let Some(id) = input_ids.iter().find(|id| !(0..vocab as i64).contains(id)) {
            let reason = format!("`input_ids` holds {id}, outside the vocabulary of {vocab}");
            return Err(ModelError::malformed(path, reason));
        }
        Ok(Self {
            batch,
            tokens,
            vocab,
            input_ids,
            attention_mask,
            logits,
        })
    }

    fn text_checks(
        &self,
        folder: &ModelFolder,
        lora_dir: Option<&Path>,
        device: &Device,
        path: &Path,
    ) -> Result<Vec<Check>> {
        let base = folder.load_model(device)?;
        let adapter = lora_dir.map(|dir| lora::open(dir, &base)).transpose()?;
        let model = match &adapter {
            Some(adapter) => lora::attach(&base, adapter),
            None => base.clone(),
        };
        let mut checks = vec![self.compare("forward", &self.forward(&model, device, path)?)];
        if *device == Device::flex() {
            let decoder = folder.load_decoder(Precision::Exact)?;
            let adapter = adapter.map(|adapter| CpuAdapter::new(&adapter, &folder.config));
            let on_cpu = OnCpu {
                decoder: &decoder,
                adapter: adapter.as_ref(),
                eyes: None,
            };
            let ours = self.decode(&on_cpu)?;
            checks.push(self.compare("decode", &ours));
            checks.push(self.prefill(&on_cpu, Patches::default())?);
        }
        Ok(checks)
    }

    fn vision_checks(
        &self,
        folder: &ModelFolder,
        config: &Qwen25VlConfig,
        lora_dir: Option<&Path>,
        device: &Device,
        path: &Path,
    ) -> Result<Vec<Check>> {
        let base = folder.load_vision_model(device)?;
        let adapter = lora_dir.map(|dir| lora::open(dir, &base)).transpose()?;
        let model = match &adapter {
            Some(adapter) => lora::attach(&base, adapter),
            None => base,
        };
        let inputs = qwen25_vl::Inputs {
            input_ids: self.input_ids.clone(),
            attention_mask: self.attention_mask.clone(),
            tokens: self.tokens,
            patches: read_patches(path)?,
        };
        let logits = model
            .forward(&inputs, device)?
            .into_data()
            .convert::<f32>()
            .try_into_vec::<f32>()
            .map_err(|error| ModelError::malformed(path, error.to_string()))?;
        let mut checks = vec![self.compare("forward", &logits)];
        if *device == Device::flex() {
            let (tower, decoder) = folder.load_vision_decoder(Precision::Exact)?;
            let named = |adapter| CpuAdapter::named(adapter, &config.text, TEXT);
            let cpu_adapter = adapter.as_ref().map(named);
            let on_cpu = OnCpu {
                decoder: &decoder,
                adapter: cpu_adapter.as_ref(),
                eyes: Some((
                    config,
                    &match &adapter {
                        Some(adapter) => lora::attach(&tower, adapter),
                        None => tower,
                    },
                )),
            };
            checks.push(self.prefill(&on_cpu, inputs.patches)?);
        }
        Ok(checks)
    }

    fn forward(&self, model: &Qwen3, device: &Device, path: &Path) -> Result<Vec<f32>> {
        let shape = [self.batch, self.tokens];
        let ints = |values: &[i64]| {
            Tensor::<2, Int>::from_data(TensorData::new(values.to_vec(), shape), device)
        };
        let (positions, mask) = padding_mask(ints(&self.attention_mask));
        model
            .forward(ints(&self.input_ids), Some(positions), Some(mask))
            .into_data()
            .convert::<f32>()
            .try_into_vec::<f32>()
            .map_err(|error| ModelError::malformed(path, error.to_string()))
    }

    /// Token by token with a cache, each row without its padding.
    fn decode(&self, on_cpu: &OnCpu<'_>) -> Result<Vec<f32>> {
        let (decoder, adapter) = (on_cpu.decoder, on_cpu.adapter);
        let mut scratch = Scratch::default();
        let mut ours = vec![0.0; self.logits.len()];
        for row in 0..self.batch {
            let mut cache = SequenceCache::new(decoder.config());
            for place in row * self.tokens..(row + 1) * self.tokens {
                if self.attention_mask[place] == 0 {
                    continue;
                }
                let token = self.input_ids[place] as u32;
                let caches = &mut [&mut cache];
                let logits = decoder.step_adapted(&[token], caches, &[adapter], &mut scratch)?;
                ours[place * self.vocab..][..self.vocab].copy_from_slice(logits);
            }
        }
        Ok(ours)
    }

    /// Each row but its last token read at once; the logits behind the last.
    /// `patches` are the pictures of all rows.
    fn prefill(&self, on_cpu: &OnCpu<'_>, mut patches: Patches) -> Result<Check> {
        let (decoder, adapter) = (on_cpu.decoder, on_cpu.adapter);
        let mut scratch = Scratch::default();
        let mut check = Check::new("prefill");
        for row in 0..self.batch {
            let places = row * self.tokens..(row + 1) * self.tokens;
            let real: Vec<usize> = places
                .filter(|&place| self.attention_mask[place] != 0)
                .collect();
            let Some((&last, before)) = real.split_last() else {
                continue;
            };
            let token = |place: usize| self.input_ids[place] as u32;
            let before: Vec<u32> = before.iter().map(|&place| token(place)).collect();
            let mut cache = SequenceCache::new(decoder.config());
            match on_cpu.eyes {
                None => decoder.read_adapted(&before, &mut cache, adapter, &mut scratch)?,
                Some((config, tower)) => {
                    let own = take_pictures(config, &before, &mut patches);
                    let next = prompt_positions(config, &before, &own)?.next[0];
                    let offset = next - before.len() as i64;
                    cache = SequenceCache::with_rope_offset(decoder.config(), offset);
                    let pictures = prompt_pictures(config, tower, &before, 0, &own)?;
                    let pictures = pictures.unwrap_or_else(|| PromptPictures {
                        places: (0..before.len() as i64).map(|place| [place; 3]).collect(),
                        ..PromptPictures::default()
                    });
                    let cache = &mut cache;
                    decoder.read_pictured(&before, cache, &pictures, adapter, &mut scratch)?;
                }
            }
            let (tokens, caches) = (&[token(last)], &mut [&mut cache]);
            let ours = decoder.step_adapted(tokens, caches, &[adapter], &mut scratch)?;
            check.add(ours, &self.logits[last * self.vocab..][..self.vocab]);
        }
        Ok(check)
    }

    fn compare(&self, name: &'static str, ours: &[f32]) -> Check {
        let rows = ours.chunks(self.vocab).zip(self.logits.chunks(self.vocab));
        let real = rows
            .zip(&self.attention_mask)
            .filter(|(_, mask)| **mask != 0)
            .map(|(rows, _)| rows);
        let mut check = Check::new(name);
        for (ours, theirs) in real {
            check.add(ours, theirs);
        }
        check
    }
}

/// A model in the CPU's own code.
struct OnCpu<'m> {
    decoder: &'m CpuDecoder,
    adapter: Option<&'m CpuAdapter>,
    /// Of a model that looks at pictures.
    eyes: Option<(&'m Qwen25VlConfig, &'m VisionTower)>,
}

/// Takes the pictures that have their places in `prompt` off the front of `patches`.
fn take_pictures(config: &Qwen25VlConfig, prompt: &[u32], patches: &mut Patches) -> Patches {
    let is_picture = |id: &&u32| **id == config.image_token_id;
    let mut places = prompt.iter().filter(is_picture).count();
    let mut count = 0;
    for grid in &patches.image_grid_thw {
        if places == 0 {
            break;
        }
        places = places.saturating_sub(grid.merged(config.vision.spatial_merge_size));
        count += 1;
    }
    let rest = patches.image_grid_thw.split_off(count);
    let image_grid_thw = std::mem::replace(&mut patches.image_grid_thw, rest);
    let numbers: usize = image_grid_thw.iter().map(Grid::patches).sum();
    let numbers = (numbers * config.vision.patch_width()).min(patches.pixel_values.len());
    let rest = patches.pixel_values.split_off(numbers);
    Patches {
        pixel_values: std::mem::replace(&mut patches.pixel_values, rest),
        image_grid_thw,
    }
}

/// The pictures of a reference file; none where it has none.
fn read_patches(path: &Path) -> Result<Patches> {
    let mut file = SafetensorsFile::open(path)?;
    if file.shape("pixel_values").is_none() {
        return Ok(Patches::default());
    }
    let (_, grids) = file.read_ints("image_grid_thw")?;
    let (grids, rest) = grids.as_chunks::<3>();
    let grids: Option<Vec<Grid>> = grids
        .iter()
        .map(|grid| {
            let [t, h, w] = grid.map(|side| usize::try_from(side).ok());
            Some(Grid {
                t: t?,
                h: h?,
                w: w?,
            })
        })
        .collect();
    match (grids, rest) {
        (Some(image_grid_thw), []) => Ok(Patches {
            pixel_values: file.read("pixel_values")?.1,
            image_grid_thw,
        }),
        _ => {
            let reason = "`image_grid_thw` is not [pictures, 3] of sizes";
            Err(ModelError::malformed(path, reason))
        }
    }
}

/// The larger, or not a number if either is not.
fn worse(a: f32, b: f32) -> f32 {
    if a.is_nan() || b.is_nan() {
        f32::NAN
    } else {
        a.max(b)
    }
}
