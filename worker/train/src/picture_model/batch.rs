//! What one update learns from: noisy latents, times and prompts.

use std::f32::consts::TAU;

use burn::tensor::{Device, Tensor, TensorData};
use half::f16;
use illumine_models::qwen_image::prompt::Template;
use illumine_models::qwen25_vl::{ImageProcessor, Inputs, Patches, Picture};
use illumine_models::tokenizer::ChatTokenizer;

use super::cache::LatentCache;
use super::config::{PictureTraining, SHIFT, VECTOR, VIEW};
use super::folders;
use super::vocabulary;
use crate::corpus::Rng;
use crate::error::Result;
use crate::painter::{Edit, Painter};
use crate::picture_eval::labels::Labels;

/// Longer prompts are cut.
const MAX_TOKENS: usize = 72;
/// Updates whose prompts are sorted by length together, so that little is padding.
const WINDOW: u64 = 8;
/// What an empty prompt is, in training and in the recipe.
pub const NEGATIVE_PROMPT: &str = " ";

/// Pictures or edits that go through the model together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Prompts, padded on the right, with the pictures that they speak of.
    pub prompts: Inputs,
    /// `[batch, tokens, channels]`: what is to be drawn.
    pub clean: Tensor<3>,
    /// The same of noise.
    pub noise: Tensor<3>,
    /// The pictures that are changed.
    pub beside: Option<Tensor<3>>,
    /// `[batch]`: the share of noise, 0 to 1.
    pub times: Tensor<1>,
    /// `[batch, tokens, 1]`: the share of each token that things cover.
    pub focus: Tensor<3>,
    /// What each picture shows; nothing where the prompt was left out.
    pub labels: Vec<Labels>,
}

/// The kinds of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Pictures from words.
    Generation,
    /// Pictures from pictures and words.
    Edit,
}

impl Kind {
    /// The chat of its prompts.
    pub fn template(self) -> Template {
        match self {
            Self::Generation => Template::Generation,
            Self::Edit => Template::Edit,
        }
    }
}

/// Prompts and pictures as the encoder reads them.
#[derive(Debug)]
pub struct Prompts {
    tokenizer: ChatTokenizer,
    processor: ImageProcessor,
}

impl Prompts {
    /// With the tokenizer of a run.
    ///
    /// # Errors
    /// [`crate::TrainError::Model`] when the processor's numbers do not fit each other.
    pub fn new(tokenizer: ChatTokenizer) -> Result<Self> {
        let processor = ImageProcessor::new(folders::processor_config())?;
        Ok(Self {
            tokenizer,
            processor,
        })
    }

    /// Ids of one prompt in its chat.
    ///
    /// # Errors
    /// [`crate::TrainError::Model`].
    pub fn ids(&self, kind: Kind, prompt: &str) -> Result<Vec<i64>> {
        let vectors = (VIEW / VECTOR).pow(2);
        let mut ids = vocabulary::ids(&self.tokenizer, kind.template(), prompt, vectors)?;
        if ids.len() > MAX_TOKENS {
            // The end of the chat stays.
            let end = ids.split_off(ids.len() - 1);
            ids.truncate(MAX_TOKENS - 1);
            ids.extend(end);
        }
        Ok(ids)
    }

    /// Rows of ids as one batch, with `views` of 64 × 64 RGB for those with a picture.
    ///
    /// # Errors
    /// [`crate::TrainError::Model`].
    pub fn inputs(&self, rows: &[Vec<i64>], views: &[&[u8]]) -> Result<Inputs> {
        let tokens = rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut inputs = Inputs {
            tokens,
            ..Inputs::default()
        };
        for row in rows {
            let padding = tokens - row.len();
            inputs.input_ids.extend(row);
            inputs
                .attention_mask
                .extend(std::iter::repeat_n(1, row.len()));
            let pad = i64::from(vocabulary::PAD_ID);
            inputs.input_ids.extend(std::iter::repeat_n(pad, padding));
            inputs
                .attention_mask
                .extend(std::iter::repeat_n(0, padding));
        }
        if !views.is_empty() {
            let pictures = views
                .iter()
                .map(|view| Picture::from_rgb("source", VIEW, VIEW, view.to_vec()));
            let pictures: Vec<Picture> = pictures.collect::<illumine_models::Result<_>>()?;
            inputs.patches = self.processor.process(&pictures)?;
        } else {
            inputs.patches = Patches::default();
        }
        Ok(inputs)
    }
}

/// The batches of a run: number `step` is a function of seed and `step` alone.
#[derive(Debug)]
pub struct Batches<'a> {
    config: &'a PictureTraining,
    painter: &'a Painter,
    cache: &'a LatentCache,
    prompts: &'a Prompts,
    kind: Kind,
    window: Option<(u64, Vec<Vec<Row>>)>,
}

/// An example, the ids of its prompt, and what that asks for.
#[derive(Clone, Debug)]
struct Row {
    index: u64,
    ids: Vec<i64>,
    labels: Labels,
}

impl<'a> Batches<'a> {
    /// Of one kind.
    pub fn new(
        config: &'a PictureTraining,
        painter: &'a Painter,
        cache: &'a LatentCache,
        prompts: &'a Prompts,
        kind: Kind,
    ) -> Self {
        Self {
            config,
            painter,
            cache,
            prompts,
            kind,
            window: None,
        }
    }

    /// Number `step`.
    ///
    /// # Errors
    /// [`crate::TrainError::Model`].
    pub fn batch(&mut self, step: u64, device: &Device) -> Result<Batch> {
        let number = step / WINDOW;
        if self.window.as_ref().is_none_or(|(at, _)| *at != number) {
            self.window = Some((number, self.fill(number)?));
        }
        let rows = match &mut self.window {
            Some((_, window)) => window[(step % WINDOW) as usize].clone(),
            None => Vec::new(),
        };
        self.build(step, &rows, device)
    }

    /// The rows of a window's updates, each of prompts of about the same length.
    fn fill(&self, number: u64) -> Result<Vec<Vec<Row>>> {
        let mut rng = Rng::new(self.config.seed ^ self.salt(), number);
        let size = match self.kind {
            Kind::Generation => self.config.generation_batch,
            Kind::Edit => self.config.edit_batch,
        };
        let mut rows = Vec::with_capacity(size * WINDOW as usize);
        for _ in 0..size * WINDOW as usize {
            let mut index = rng.below(self.cache.len() as usize) as u64;
            if rng.chance(self.config.hard_examples) && !self.is_hard(index) {
                index = rng.below(self.cache.len() as usize) as u64;
            }
            let variant = rng.bits();
            let (prompt, labels) = match self.kind {
                _ if rng.chance(self.config.dropped_prompts) => {
                    (NEGATIVE_PROMPT.to_owned(), Labels::UNKNOWN)
                }
                Kind::Generation => {
                    let scene = self.painter.example(index).scene;
                    (self.painter.caption(index, variant), Labels::of(&scene))
                }
                Kind::Edit => {
                    let scene = self.painter.edit(index).after;
                    (self.painter.instruction(index, variant), Labels::of(&scene))
                }
            };
            rows.push(Row {
                index,
                ids: self.prompts.ids(self.kind, &prompt)?,
                labels,
            });
        }
        rows.sort_by_key(|row| row.ids.len());
        let mut batches: Vec<Vec<Row>> = rows.chunks(size).map(<[Row]>::to_vec).collect();
        rng.shuffle(&mut batches);
        Ok(batches)
    }

    /// Whether what is learnt last is in an example: a thing, or its change.
    fn is_hard(&self, index: u64) -> bool {
        match self.kind {
            Kind::Generation => self.painter.example(index).scene.object.is_some(),
            Kind::Edit => matches!(
                self.painter.edit(index).edit,
                Edit::Add(_) | Edit::Recolour(_)
            ),
        }
    }

    fn build(&self, step: u64, rows: &[Row], device: &Device) -> Result<Batch> {
        let mut rng = Rng::new(self.config.seed ^ self.salt() ^ NOISE, step);
        let shape = [rows.len(), self.cache.tokens, self.cache.channels];
        let latents = |of: fn(&LatentCache, u64) -> &[f16]| {
            let values = rows.iter().flat_map(|row| of(self.cache, row.index));
            let values: Vec<f32> = values.map(|value| value.to_f32()).collect();
            Tensor::<3>::from_data(TensorData::new(values, shape), device)
        };
        let times: Vec<f32> = rows.iter().map(|_| time(&mut rng)).collect();
        let noise = normal(&mut rng, shape.iter().product());
        let (clean, beside) = match self.kind {
            Kind::Generation => (latents(LatentCache::generation), None),
            Kind::Edit => (
                latents(LatentCache::after),
                Some(latents(LatentCache::before)),
            ),
        };
        let views: Vec<&[u8]> = match self.kind {
            Kind::Generation => Vec::new(),
            Kind::Edit => rows.iter().map(|row| self.cache.view(row.index)).collect(),
        };
        let focus: Vec<f32> = rows
            .iter()
            .flat_map(|row| match self.kind {
                Kind::Generation => self.cache.focus.generation(row.index),
                Kind::Edit => self.cache.focus.after(row.index),
            })
            .map(|&share| f32::from(share) / 255.0)
            .collect();
        let covered = TensorData::new(focus, [shape[0], shape[1], 1]);
        let ids: Vec<Vec<i64>> = rows.iter().map(|row| row.ids.clone()).collect();
        Ok(Batch {
            prompts: self.prompts.inputs(&ids, &views)?,
            clean,
            noise: Tensor::from_data(TensorData::new(noise, shape), device),
            beside,
            times: Tensor::from_data(TensorData::new(times, [rows.len()]), device),
            focus: Tensor::from_data(covered, device),
            labels: rows.iter().map(|row| row.labels).collect(),
        })
    }

    fn salt(&self) -> u64 {
        match self.kind {
            Kind::Generation => 0x6E00_0000,
            Kind::Edit => 0xED00_0000,
        }
    }
}

/// Keeps the stream of noise apart from that of examples.
const NOISE: u64 = 0x0153_0000_0000;

/// Percent of times at which next to nothing but the prompt says what is to be drawn.
const NOISY: usize = 40;

/// Logit-normal, then shifted as at work; or evenly among the first steps of drawing, which
/// that seldom hits, and where a prompt's words are learnt.
fn time(rng: &mut Rng) -> f32 {
    if rng.chance(NOISY) {
        return rng.range(0.72, 1.0);
    }
    let middle = 1.0 / (1.0 + (-normal(rng, 1)[0]).exp());
    let shift = SHIFT as f32;
    shift * middle / (1.0 + (shift - 1.0) * middle)
}

/// Standard normal numbers (Box and Muller 1958).
pub fn normal(rng: &mut Rng, count: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(count + 1);
    while values.len() < count {
        let radius = (-2.0 * (1.0 - rng.unit()).ln()).sqrt();
        let (sin, cos) = (rng.unit() * TAU).sin_cos();
        values.extend([radius * cos, radius * sin]);
    }
    values.truncate(count);
    values
}
