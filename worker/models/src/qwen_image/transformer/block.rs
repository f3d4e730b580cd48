//! One block of two streams. Follows `QwenImageTransformerBlock`.

use burn::module::Module;
use burn::nn::LinearConfig;
use burn::tensor::{Tensor, activation::gelu_approximate};

use super::attention::JointAttention;
use super::config::TransformerConfig;
use super::cpu::{self, Apart};
use super::modulation::StreamModulation;
use super::rope::Rope;
use crate::device::Device;
use crate::lora::Linear;

/// Width of the feed-forward over the streams'.
const WIDENING: usize = 4;

/// Two projections with GELU (tanh) between them.
#[derive(Module, Debug)]
pub struct FeedForward {
    /// `[inner, 4 × inner]` (`net.0.proj`).
    pub up: Linear,
    /// `[4 × inner, inner]` (`net.2`).
    pub down: Linear,
}

impl FeedForward {
    fn init(inner: usize, device: &Device) -> Self {
        let wide = WIDENING * inner;
        Self {
            up: LinearConfig::new(inner, wide).init(device).into(),
            down: LinearConfig::new(wide, inner).init(device).into(),
        }
    }

    /// What [`Self::down`] is applied to.
    fn inside(&self, x: Tensor<3>) -> Tensor<3> {
        match self.up.apart(&x) {
            Some((product, bias)) => cpu::gelu(product, bias),
            None => match self.up.forward(x) {
                up if cpu::training::serves(&up) => cpu::training::gelu(up),
                up => gelu_approximate(up),
            },
        }
    }
}

/// Both streams attend together and go on apart.
#[derive(Module, Debug)]
pub struct TransformerBlock {
    /// `[inner, 6 × inner]` (`img_mod.1`).
    pub img_mod: Linear,
    /// `[inner, 6 × inner]` (`txt_mod.1`).
    pub txt_mod: Linear,
    /// Joint attention.
    pub attn: JointAttention,
    /// Of the picture.
    pub img_mlp: FeedForward,
    /// Of the text.
    pub txt_mlp: FeedForward,
}

/// What all blocks of a step share.
#[derive(Clone, Debug)]
pub struct Step<'a> {
    /// The timestep's vector after SiLU, `[runs × batch, inner]`.
    pub condition: Tensor<2>,
    /// Tokens of the picture stream that are modulated alike.
    pub runs: &'a [usize],
    /// Positions of both streams.
    pub rope: &'a Rope,
    /// `[batch, 1, 1, tokens]`, of padded text.
    pub bias: Option<&'a Tensor<4>>,
}

impl TransformerBlock {
    /// Fresh weights.
    pub fn init(config: &TransformerConfig, device: &Device) -> Self {
        let inner = config.inner_dim();
        let modulation = || LinearConfig::new(inner, 6 * inner).init(device).into();
        Self {
            img_mod: modulation(),
            txt_mod: modulation(),
            attn: JointAttention::init(config, device),
            img_mlp: FeedForward::init(inner, device),
            txt_mlp: FeedForward::init(inner, device),
        }
    }

    /// `image` `[batch, image tokens, inner]` and `text` `[batch, text tokens,
    /// inner]` → the same shapes.
    pub fn forward(
        &self,
        image: Tensor<3>,
        text: Tensor<3>,
        step: &Step<'_>,
    ) -> (Tensor<3>, Tensor<3>) {
        let batch = image.dims()[0];
        let condition = &step.condition;
        // Text is always modulated at the step's time, the first run's.
        let now = condition.clone().narrow(0, 0, batch);
        let of_image = self.img_mod.forward(condition.clone());
        let of_text = self.txt_mod.forward(now);
        let [image_attn, image_mlp] = StreamModulation::pair(of_image, step.runs);
        let [text_attn, text_mlp] = StreamModulation::pair(of_text, &[text.dims()[1]]);

        let (image_out, text_out) = self.attn.forward(
            image_attn.enter(image.clone()),
            text_attn.enter(text.clone()),
            step.rope,
            step.bias,
        );
        let image = image_attn.leave(image, image_out, &self.attn.to_out);
        let text = text_attn.leave(text, text_out, &self.attn.to_add_out);

        let image_out = self.img_mlp.inside(image_mlp.enter(image.clone()));
        let text_out = self.txt_mlp.inside(text_mlp.enter(text.clone()));
        let image = image_mlp.leave(image, image_out, &self.img_mlp.down);
        let text = text_mlp.leave(text, text_out, &self.txt_mlp.down);
        (image, text)
    }
}
