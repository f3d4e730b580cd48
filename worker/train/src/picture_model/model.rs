//! The modules that are trained together.

use burn::module::Module;
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};
use illumine_models::qwen_image::transformer::weights::Part;
use illumine_models::qwen_image::transformer::{ImageShape, QwenImageTransformer};
use illumine_models::qwen25_vl::text::TextDecoder;
use illumine_models::qwen25_vl::vision::VisionTower;
use illumine_models::qwen25_vl::{Inputs, Qwen25Vl, Qwen25VlConfig};

use super::batch::Batch;
use super::config::ModelSizes;
use super::vocabulary::DROPPED_TOKENS;
use crate::error::Result;

/// Transformer and prompt encoder.
#[derive(Module, Debug)]
pub struct PictureModel {
    /// The denoiser.
    pub transformer: QwenImageTransformer,
    /// Words of the prompt's encoder.
    pub language_model: TextDecoder,
    /// Its eyes.
    pub visual: VisionTower,
}

/// What a batch of prompts is to the transformer.
#[derive(Clone, Debug)]
pub struct States {
    /// `[batch, tokens, text width]`
    pub states: Tensor<3>,
    /// `[batch, tokens]`, row-major: 1 on tokens, 0 on padding.
    pub mask: Vec<i64>,
}

/// Of a batch, `[1]` each.
#[derive(Clone, Debug)]
pub struct Loss {
    /// To be told.
    pub plain: Tensor<1>,
    /// To be lowered.
    pub weighted: Tensor<1>,
}

impl PictureModel {
    /// Fresh weights for latents of `z_dim` channels. Blocks begin as the identity, as
    /// in adaLN-Zero (Peebles and Xie, arXiv:2212.09748, §3.2).
    pub fn init(sizes: &ModelSizes, z_dim: usize, device: &Device) -> Self {
        let mut transformer = QwenImageTransformer::init(&sizes.transformer(z_dim), device);
        for (name, part) in transformer.parts() {
            let is_zero = [".img_mod.1", ".txt_mod.1", "norm_out.linear", "proj_out"]
                .iter()
                .any(|end| name.ends_with(end));
            if let (true, Part::Linear(linear, [input, output])) = (is_zero, part) {
                linear.weight = Initializer::Zeros.init([input, output], device);
                linear.bias = Some(Initializer::Zeros.init([output], device));
            }
        }
        let encoder = Qwen25Vl::init(&sizes.prompt_encoder(), device);
        Self {
            transformer,
            language_model: encoder.language_model,
            visual: encoder.visual,
        }
    }

    /// The prompt's encoder as a model of its own; the weights are shared.
    pub fn encoder(&self, config: &Qwen25VlConfig) -> Qwen25Vl {
        Qwen25Vl {
            visual: self.visual.clone(),
            language_model: self.language_model.clone(),
            config: config.clone(),
        }
    }

    /// States of prompts, without those of the chat's beginning.
    ///
    /// # Errors
    /// [`crate::TrainError::Model`] when ids or pictures do not fit the model.
    pub fn states(
        &self,
        config: &Qwen25VlConfig,
        inputs: &Inputs,
        device: &Device,
    ) -> Result<States> {
        let states = self.encoder(config).hidden_states(inputs, device)?;
        let kept = inputs.tokens - DROPPED_TOKENS;
        let rows = inputs.attention_mask.chunks(inputs.tokens);
        Ok(States {
            states: states.narrow(1, DROPPED_TOKENS, kept),
            mask: rows
                .flat_map(|row| &row[DROPPED_TOKENS..])
                .copied()
                .collect(),
        })
    }

    /// The velocity of latents `[batch, tokens, channels]` at `times` `[batch]`, with
    /// the latents of the pictures `beside` them.
    ///
    /// # Errors
    /// [`crate::TrainError::Model`] when sizes do not fit.
    pub fn velocity(
        &self,
        latents: Tensor<3>,
        beside: Option<&Tensor<3>>,
        times: Tensor<1>,
        prompts: &States,
    ) -> Result<Tensor<3>> {
        let tokens = latents.dims()[1];
        let side = tokens.isqrt();
        let shape = ImageShape::new(side, side);
        let (input, shapes) = match beside {
            Some(beside) => (
                Tensor::cat(vec![latents, beside.clone()], 1),
                vec![shape; 2],
            ),
            None => (latents, vec![shape]),
        };
        let conditions =
            self.transformer
                .conditions(prompts.states.clone(), Some(&prompts.mask), &shapes)?;
        let velocity = self.transformer.forward(input, times, &conditions)?;
        Ok(velocity.narrow(1, 0, tokens))
    }

    /// Mean squared error of the velocity from picture to noise (arXiv:2403.03206,
    /// eq. 13 with the weights of rectified flow), plain and with more weight on
    /// things: `1 + focus × covered × (1 − t)`. Early in drawing, where a thing is yet to
    /// find its place, a weight would make it appear everywhere. With the states of the
    /// prompts.
    ///
    /// # Errors
    /// As [`Self::velocity`].
    pub fn loss(
        &self,
        config: &Qwen25VlConfig,
        batch: &Batch,
        focus: f64,
        device: &Device,
    ) -> Result<(Loss, States)> {
        let prompts = self.states(config, &batch.prompts, device)?;
        let rows = batch.times.dims()[0];
        let share = batch.times.clone().reshape([rows, 1, 1]);
        let target = batch.noise.clone() - batch.clean.clone();
        let noisy = batch.clean.clone() + target.clone() * share.clone();
        let velocity =
            self.velocity(noisy, batch.beside.as_ref(), batch.times.clone(), &prompts)?;
        let squares = (velocity - target).square();
        let weights = batch.focus.clone() * (-share + 1.0) * focus + 1.0;
        let loss = Loss {
            plain: squares.clone().detach().mean(),
            weighted: (squares * weights).mean(),
        };
        Ok((loss, prompts))
    }
}
