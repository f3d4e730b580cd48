//! The whole transformer, from packed latents to their velocity.

use burn::module::Module;
use burn::nn::{LinearConfig, RmsNorm, RmsNormConfig};
use burn::tensor::{DType, Int, Tensor, TensorData, activation::silu};

use super::block::{Step, TransformerBlock};
use super::config::TransformerConfig;
use super::modulation::{AdaLayerNormContinuous, NORM_EPS};
use super::rope::{ImageShape, Rope, positions};
use super::timestep::TimestepProjEmbeddings;
use crate::device::Device;
use crate::error::{ModelError, Result};
use crate::lora::Linear;

/// Added to the score of hidden text. Finite, so that a row with every key hidden
/// stays finite too.
const HIDDEN: f32 = -1e30;

/// The denoiser. Fields are named as in the Diffusers folder; nested sequences
/// (`img_mod.1`, `net.0.proj`) are flattened, see [`super::weights`].
#[derive(Module, Debug)]
pub struct QwenImageTransformer {
    /// The timestep's vector.
    pub time_text_embed: TimestepProjEmbeddings,
    /// Over the prompt's states.
    pub txt_norm: RmsNorm,
    /// `[in_channels, inner]`
    pub img_in: Linear,
    /// `[joint_attention_dim, inner]`
    pub txt_in: Linear,
    /// The blocks.
    pub transformer_blocks: Vec<TransformerBlock>,
    /// After the last block.
    pub norm_out: AdaLayerNormContinuous,
    /// `[inner, patch² × out_channels]`
    pub proj_out: Linear,
    #[module(skip)]
    pub config: TransformerConfig,
}

/// What stays the same from step to step of a batch: the prompt's states, and
/// where the tokens stand.
#[derive(Clone, Debug)]
pub struct Conditions {
    /// `[batch, text tokens, joint_attention_dim]`
    text: Tensor<3>,
    rope: Rope,
    /// `[batch, 1, 1, text + image tokens]`
    bias: Option<Tensor<4>>,
    /// Tokens of the picture that is drawn, then of the pictures beside it.
    runs: Vec<usize>,
}

impl Conditions {
    /// Those of some rows of the batch.
    pub fn keep(&self, rows: &Tensor<1, Int>) -> Self {
        Self {
            text: self.text.clone().select(0, rows.clone()),
            bias: self.bias.clone().map(|bias| bias.select(0, rows.clone())),
            rope: self.rope.clone(),
            runs: self.runs.clone(),
        }
    }
}

impl QwenImageTransformer {
    /// Fresh weights on `device` (an autodiff device for training).
    pub fn init(config: &TransformerConfig, device: &Device) -> Self {
        let inner = config.inner_dim();
        let linear = |input, output| LinearConfig::new(input, output).init(device).into();
        let blocks = 0..config.num_layers;
        Self {
            time_text_embed: TimestepProjEmbeddings::init(inner, device),
            txt_norm: RmsNormConfig::new(config.joint_attention_dim)
                .with_epsilon(NORM_EPS)
                .init(device),
            img_in: linear(config.in_channels, inner),
            txt_in: linear(config.joint_attention_dim, inner),
            transformer_blocks: blocks
                .map(|_| TransformerBlock::init(config, device))
                .collect(),
            norm_out: AdaLayerNormContinuous::init(inner, device),
            proj_out: linear(inner, config.out_width()),
            config: config.clone(),
        }
    }

    /// What a batch of prompts asks for.
    ///
    /// - `encoder_hidden_states` `[batch, text tokens, joint_attention_dim]`;
    /// - `mask`: for each text token, row-major, whether it may be seen (1) or is
    ///   padding (0); all may when absent. Padding moves no other token;
    /// - `img_shapes`: the picture that is drawn, then those beside it, which all
    ///   rows of the batch have alike.
    ///
    /// # Errors
    /// [`ModelError::Request`] when the sizes do not fit each other or the model.
    pub fn conditions(
        &self,
        encoder_hidden_states: Tensor<3>,
        mask: Option<&[i64]>,
        img_shapes: &[ImageShape],
    ) -> Result<Conditions> {
        let [batch, text_tokens, width] = encoder_hidden_states.dims();
        let device = encoder_hidden_states.device();
        let expected = self.config.joint_attention_dim;
        if width != expected {
            let reason = format!("has states of {width} numbers; the model reads {expected}");
            return Err(refuse("encoder_hidden_states", reason));
        }
        if img_shapes.iter().any(|shape| shape.tokens() == 0) || img_shapes.is_empty() {
            return Err(refuse(
                "img_shapes",
                "has a picture without tokens, or none",
            ));
        }
        let runs: Vec<usize> = match self.config.zero_cond_t {
            true => {
                let tokens = |shapes: &[ImageShape]| shapes.iter().map(ImageShape::tokens).sum();
                vec![tokens(&img_shapes[..1]), tokens(&img_shapes[1..])]
            }
            false => vec![img_shapes.iter().map(ImageShape::tokens).sum()],
        };
        let positions = positions(img_shapes, text_tokens);
        let bias = match mask {
            Some(mask) if mask.len() != batch * text_tokens => {
                let (found, expected) = (mask.len(), batch * text_tokens);
                let reason = format!("has {found} numbers for {expected} tokens");
                return Err(refuse("encoder_hidden_states_mask", reason));
            }
            Some(mask) if mask.contains(&0) => {
                let tokens = positions.len();
                let mut bias = vec![0.0; batch * tokens];
                for (row, mask) in bias.chunks_mut(tokens).zip(mask.chunks(text_tokens)) {
                    for (bias, _) in row.iter_mut().zip(mask).filter(|(_, seen)| **seen == 0) {
                        *bias = HIDDEN;
                    }
                }
                let data = TensorData::new(bias, [batch, 1, 1, tokens]);
                let dtype = encoder_hidden_states.dtype();
                Some(Tensor::from_data(data, (&device, dtype)))
            }
            _ => None,
        };
        Ok(Conditions {
            rope: Rope::new(&positions, self.config.axes_dims_rope, &device),
            text: encoder_hidden_states,
            bias,
            runs,
        })
    }

    /// Velocity `[batch, image tokens, patch² × out_channels]` of packed latents
    /// `[batch, image tokens, in_channels]` at the times `timestep` `[batch]` in
    /// 0..1 (1 is noise). Pictures beside the one that is drawn have places in the
    /// result too, which mean nothing.
    ///
    /// Differentiable when the model is on an autodiff device.
    ///
    /// # Errors
    /// [`ModelError::Request`] when the latents do not fit conditions and model.
    pub fn forward(
        &self,
        hidden_states: Tensor<3>,
        timestep: Tensor<1>,
        conditions: &Conditions,
    ) -> Result<Tensor<3>> {
        self.check(&hidden_states, &timestep, conditions)?;
        let dtype = self.img_in.weight.val().dtype();
        let image = self.img_in.forward(hidden_states.cast(dtype));
        let text = self.txt_norm.forward(conditions.text.clone().cast(dtype));
        let text = self.txt_in.forward(text);
        // Rounded to the model's numbers, as in the reference.
        let timestep = timestep.cast(dtype);
        let timestep = match self.config.zero_cond_t {
            true => Tensor::cat(vec![timestep.clone(), timestep.zeros_like()], 0),
            false => timestep,
        };
        let condition = silu(self.time_text_embed.forward(timestep, dtype));
        let now = condition.clone().narrow(0, 0, image.dims()[0]);
        let bias = conditions.bias.clone().map(|bias| bias.cast(dtype));
        let step = Step {
            condition,
            runs: &conditions.runs,
            rope: &conditions.rope,
            bias: bias.as_ref(),
        };
        let streams = (image, text);
        let blocks = self.transformer_blocks.iter();
        let (image, _) = blocks.fold(streams, |(image, text), block| {
            block.forward(image, text, &step)
        });
        Ok(self.proj_out.forward(self.norm_out.forward(image, now)))
    }

    /// The number type of its weights.
    pub fn dtype(&self) -> DType {
        self.img_in.weight.val().dtype()
    }

    fn check(&self, x: &Tensor<3>, timestep: &Tensor<1>, conditions: &Conditions) -> Result<()> {
        let expected = [
            conditions.text.dims()[0],
            conditions.runs.iter().sum(),
            self.config.in_channels,
        ];
        if x.dims() != expected {
            let reason = format!("has shape {:?}; {expected:?} is expected", x.dims());
            return Err(refuse("hidden_states", reason));
        }
        if timestep.dims() != [expected[0]] {
            let reason = format!("has {} times for {} rows", timestep.dims()[0], expected[0]);
            return Err(refuse("timestep", reason));
        }
        Ok(())
    }
}

fn refuse(field: &'static str, reason: impl Into<String>) -> ModelError {
    ModelError::Request {
        field,
        reason: reason.into(),
    }
}
