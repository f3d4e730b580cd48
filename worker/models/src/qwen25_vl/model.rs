//! Text and pictures to logits. Follows `Qwen2_5_VLForConditionalGeneration`.

use burn::module::Module;
use burn::tensor::{Bool, Int, Tensor, TensorData};

use super::config::{Qwen25VlConfig, VisionConfig};
use super::processor::{Grid, Patches};
use super::text::mrope::multimodal_rotary;
use super::text::{Positions, TextDecoder};
use super::vision::VisionTower;
use crate::device::Device;
use crate::error::{ModelError, Result};
use crate::qwen3::model::{causal_bias, score_bias};
use crate::qwen3::rotary::Rotary;
use crate::qwen3::{KvCache, padding_mask, token_ids};

/// The whole model.
#[derive(Clone, Debug)]
pub struct Qwen25Vl {
    /// Pictures to vectors.
    pub visual: VisionTower,
    /// Vectors to logits.
    pub language_model: TextDecoder,
    /// The shapes.
    pub config: Qwen25VlConfig,
}

/// A batch of prompts with their pictures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inputs {
    /// `[batch, tokens]`, row-major; a picture stands in as many places of
    /// `image_token_id` as it has merged squares.
    pub input_ids: Vec<i64>,
    /// `[batch, tokens]`: 1 on tokens, 0 on padding.
    pub attention_mask: Vec<i64>,
    /// Tokens in a row.
    pub tokens: usize,
    /// The pictures of all rows, in order.
    pub patches: Patches,
}

impl Inputs {
    /// Where the tokens stand.
    ///
    /// # Errors
    /// [`ModelError::Request`] when patches do not fit their grids, or grids
    /// their places in the prompts.
    pub fn positions(&self, config: &Qwen25VlConfig) -> Result<Positions> {
        let Self {
            input_ids,
            attention_mask,
            tokens,
            patches,
        } = self;
        let whole = *tokens > 0 && input_ids.len().is_multiple_of(*tokens);
        if !whole || attention_mask.len() != input_ids.len() {
            let reason = "is no whole number of rows, or `attention_mask` has another size";
            return Err(refuse("input_ids", reason));
        }
        patches.check(&config.vision)?;
        let grids = &patches.image_grid_thw;
        Positions::new(config, input_ids, attention_mask, *tokens, grids)
    }
}

impl Patches {
    /// Whether the numbers are those that the grids ask for.
    pub(crate) fn check(&self, vision: &VisionConfig) -> Result<()> {
        let grids = &self.image_grid_thw;
        let numbers = self.pixel_values.len();
        let merge = vision.spatial_merge_size;
        let mut patches = 0_usize;
        for Grid { t, h, w } in grids {
            let own = t.checked_mul(*h).and_then(|rows| rows.checked_mul(*w));
            let fits = [h, w].iter().all(|side| side.is_multiple_of(merge));
            let sum = own.filter(|&own| own > 0 && fits);
            let sum = sum.and_then(|own| patches.checked_add(own));
            patches = sum.ok_or_else(|| {
                let reason =
                    format!("{t}×{h}×{w} is not a grid of squares of {merge}×{merge} patches");
                refuse("image_grid_thw", reason)
            })?;
        }
        if patches.checked_mul(vision.patch_width()) == Some(numbers) {
            return Ok(());
        }
        let reason = format!(
            "has {numbers} numbers; its grids ask for {patches} patches of {}",
            vision.patch_width()
        );
        Err(refuse("pixel_values", reason))
    }

    /// Those of all pictures but the first `count`, once they were checked.
    pub(crate) fn without_first(&self, count: usize, vision: &VisionConfig) -> Self {
        let (gone, left) = self.image_grid_thw.split_at(count);
        let patches: usize = gone.iter().map(|grid| grid.t * grid.h * grid.w).sum();
        Self {
            pixel_values: self.pixel_values[patches * vision.patch_width()..].to_vec(),
            image_grid_thw: left.to_vec(),
        }
    }
}

impl Qwen25Vl {
    /// Number of weights, a tied head counted once.
    pub fn num_parameters(&self) -> usize {
        self.visual.num_params() + self.language_model.num_params()
    }

    /// Logits `[batch, tokens, vocab]`; those at padding mean nothing.
    ///
    /// # Errors
    /// [`ModelError::Request`] when ids are outside the vocabulary, when patches
    /// do not fit their grids, or grids their places in the prompts.
    pub fn forward(&self, inputs: &Inputs, device: &Device) -> Result<Tensor<3>> {
        Ok(self
            .language_model
            .logits(self.hidden_states(inputs, device)?))
    }

    /// Final states `[batch, tokens, hidden]`, after the last norm; those at
    /// padding mean nothing.
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub fn hidden_states(&self, inputs: &Inputs, device: &Device) -> Result<Tensor<3>> {
        let tokens = inputs.tokens.max(1);
        let positions = self.positions(inputs)?;
        let x = self.embed(inputs, device)?;
        let shape = [inputs.input_ids.len() / tokens, tokens];
        let mask = TensorData::new(inputs.attention_mask.clone(), shape);
        let (_, mask) = padding_mask(Tensor::<2, Int>::from_data(mask, device));
        let rotary = self.rotary(&positions, device);
        let bias = score_bias(mask);
        Ok(self.language_model.forward(x, &rotary, Some(&bias), None))
    }

    /// Where the tokens of `inputs` stand.
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub fn positions(&self, inputs: &Inputs) -> Result<Positions> {
        inputs.positions(&self.config)
    }

    /// Embeddings `[batch, tokens, hidden]`, a picture's vectors in its places.
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub fn embed(&self, inputs: &Inputs, device: &Device) -> Result<Tensor<3>> {
        let (text, vision) = (&self.config.text, &self.config.vision);
        let vocabulary = 0..text.vocab_size as i64;
        let (ids, tokens) = (&inputs.input_ids, inputs.tokens.max(1));
        if let Some(id) = ids.iter().find(|id| !vocabulary.contains(id)) {
            let size = text.vocab_size;
            let reason = format!("token {id} is outside the vocabulary of {size}");
            return Err(refuse("input_ids", reason));
        }
        let shape = [ids.len() / tokens, tokens];
        let known = Tensor::<2, Int>::from_data(TensorData::new(ids.clone(), shape), device);
        let x = self.language_model.embed_tokens.forward(known);
        let grids = &inputs.patches.image_grid_thw;
        if grids.is_empty() {
            return Ok(x);
        }
        let values = inputs.patches.pixel_values.clone();
        let size = [values.len() / vision.patch_width(), vision.patch_width()];
        let options = (device, self.visual.patch_embed.weight.val().dtype());
        let pixels = Tensor::from_data(TensorData::new(values, size), options);
        let pictures = self.visual.forward(pixels, grids);

        // Each place takes its own row, or the next vector of the pictures.
        let [batch, tokens, hidden] = x.dims();
        let mut vectors = batch * tokens..;
        let image = i64::from(self.config.image_token_id);
        let places = ids.iter().zip(&inputs.attention_mask).enumerate();
        let rows: Vec<i64> = places
            .map(|(place, (&id, &mask))| match id == image && mask != 0 {
                true => vectors.next().unwrap_or(place) as i64,
                false => place as i64,
            })
            .collect();
        let rows = TensorData::new(rows, [batch * tokens]);
        let rows = Tensor::<1, Int>::from_data(rows, device);
        Ok(
            Tensor::cat(vec![x.reshape([batch * tokens, hidden]), pictures], 0)
                .select(0, rows)
                .reshape([batch, tokens, hidden]),
        )
    }

    /// Final states of the embeddings `[batch, tokens, hidden]` of new tokens that
    /// follow what `cache` holds; it then holds them too. `mask`
    /// `[batch, 1, tokens, cached + tokens]`, true hides; causal when absent.
    pub fn forward_cached(
        &self,
        x: Tensor<3>,
        positions: &Positions,
        mask: Option<Tensor<4, Bool>>,
        cache: &mut KvCache,
    ) -> Tensor<3> {
        let (device, [_, tokens, _]) = (x.device(), x.dims());
        // One new token sees every earlier one.
        let causal = || (tokens > 1).then(|| causal_bias(cache.len(), tokens, &device));
        let bias = mask.map_or_else(causal, |mask| Some(score_bias(mask)));
        let rotary = self.rotary(positions, &device);
        self.language_model
            .forward(x, &rotary, bias.as_ref(), Some(cache))
    }

    /// Logits `[rows, 1, vocab]` of what follows one token of text of each row, which
    /// stands at `positions`; see [`Self::forward_cached`].
    pub fn step(
        &self,
        tokens: &[u32],
        positions: &[i64],
        mask: Option<Tensor<4, Bool>>,
        cache: &mut KvCache,
    ) -> Tensor<3> {
        let ids = token_ids(tokens, &self.device()).swap_dims(0, 1);
        let x = self.language_model.embed_tokens.forward(ids);
        let hidden = self.forward_cached(x, &Positions::of_rows(positions), mask, cache);
        self.language_model.logits(hidden)
    }

    /// Where the weights are.
    pub fn device(&self) -> Device {
        self.language_model.embed_tokens.weight.val().device()
    }

    fn rotary(&self, positions: &Positions, device: &Device) -> Rotary {
        let text = &self.config.text;
        let sections = &self.config.mrope_section;
        multimodal_rotary(positions, sections, text.head_dim, text.rope_theta, device)
    }
}

fn refuse(field: &'static str, reason: impl Into<String>) -> ModelError {
    ModelError::Request {
        field,
        reason: reason.into(),
    }
}
