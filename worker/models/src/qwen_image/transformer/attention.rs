//! Joint attention of text and picture.
//!
//! Follows `QwenDoubleStreamAttnProcessor2_0`: projections and query and key norms
//! of each stream's own, then one attention over both, text first. A hidden token
//! is one whose score is made small by an added bias: the boolean masks of burn's
//! own attention mean the opposite on LibTorch.

use burn::module::Module;
use burn::nn::{LinearConfig, RmsNorm, RmsNormConfig};
use burn::tensor::module::attention;
use burn::tensor::{Tensor, ops::AttentionModuleOptions};

use super::config::TransformerConfig;
use super::cpu::{self, Apart};
use super::modulation::NORM_EPS;
use super::rope::{Rope, Tables};
use crate::device::Device;
use crate::lora::Linear;
use crate::norm::rms_norm;

/// Attention over both streams.
#[derive(Module, Debug)]
pub struct JointAttention {
    /// Queries of the picture, `[inner, inner]`; so are all projections.
    pub to_q: Linear,
    /// Keys of the picture.
    pub to_k: Linear,
    /// Values of the picture.
    pub to_v: Linear,
    /// Queries of the text.
    pub add_q_proj: Linear,
    /// Keys of the text.
    pub add_k_proj: Linear,
    /// Values of the text.
    pub add_v_proj: Linear,
    /// The picture's outcome (`to_out.0`).
    pub to_out: Linear,
    /// The text's outcome.
    pub to_add_out: Linear,
    /// Over one query head of the picture.
    pub norm_q: RmsNorm,
    /// Over one key head of the picture.
    pub norm_k: RmsNorm,
    /// Over one query head of the text.
    pub norm_added_q: RmsNorm,
    /// Over one key head of the text.
    pub norm_added_k: RmsNorm,
    heads: usize,
}

impl JointAttention {
    /// Fresh weights.
    pub fn init(config: &TransformerConfig, device: &Device) -> Self {
        let inner = config.inner_dim();
        let linear = || LinearConfig::new(inner, inner).init(device).into();
        let norm = || {
            RmsNormConfig::new(config.attention_head_dim)
                .with_epsilon(NORM_EPS)
                .init(device)
        };
        Self {
            to_q: linear(),
            to_k: linear(),
            to_v: linear(),
            add_q_proj: linear(),
            add_k_proj: linear(),
            add_v_proj: linear(),
            to_out: linear(),
            to_add_out: linear(),
            norm_q: norm(),
            norm_k: norm(),
            norm_added_q: norm(),
            norm_added_k: norm(),
            heads: config.num_attention_heads,
        }
    }

    /// `image` `[batch, image tokens, inner]` and `text` `[batch, text tokens,
    /// inner]` → their contexts, of the same shapes, before [`Self::to_out`] and
    /// [`Self::to_add_out`]. `bias` `[batch, 1, 1, tokens]` is added to the
    /// scores of each key, text before picture.
    pub fn forward(
        &self,
        image: Tensor<3>,
        text: Tensor<3>,
        rope: &Rope,
        bias: Option<&Tensor<4>>,
    ) -> (Tensor<3>, Tensor<3>) {
        if let Some(contexts) = self.on_cpu(&image, &text, rope, bias) {
            return contexts;
        }
        let (text_tokens, image_tokens) = (text.dims()[1], image.dims()[1]);
        let split = |x: Tensor<3>| {
            let [batch, tokens, inner] = x.dims();
            x.reshape([batch, tokens, self.heads, inner / self.heads])
        };
        let join = |text: Tensor<4>, image: Tensor<4>| Tensor::cat(vec![text, image], 1);
        if cpu::training::serves(&image) {
            let [of_text, of_image] = rope.parts(text_tokens);
            let turn = cpu::training::normed_and_turned;
            let part = |of: &Linear, x: &Tensor<3>, norm: &RmsNorm, tables: &Tables| {
                let x = split(of.forward(x.clone()));
                turn(x, norm.gamma.val(), tables.clone(), NORM_EPS)
            };
            let query = join(
                part(&self.add_q_proj, &text, &self.norm_added_q, &of_text),
                part(&self.to_q, &image, &self.norm_q, &of_image),
            );
            let key = join(
                part(&self.add_k_proj, &text, &self.norm_added_k, &of_text),
                part(&self.to_k, &image, &self.norm_k, &of_image),
            );
            let value = join(
                split(self.add_v_proj.forward(text)),
                split(self.to_v.forward(image)),
            );
            let [batch, tokens, heads, head_dim] = value.dims();
            let bias = bias.map(|bias| bias.clone().into_data());
            let bias = bias.and_then(|bias| bias.try_into_vec::<f32>().ok());
            let joint = cpu::training::attend([query, key, value], bias).reshape([
                batch,
                tokens,
                heads * head_dim,
            ]);
            let text = joint.clone().narrow(1, 0, text_tokens);
            return (joint.narrow(1, text_tokens, image_tokens), text);
        }

        let query = join(
            rms_norm(
                &self.norm_added_q,
                split(self.add_q_proj.forward(text.clone())),
            ),
            rms_norm(&self.norm_q, split(self.to_q.forward(image.clone()))),
        );
        let key = join(
            rms_norm(
                &self.norm_added_k,
                split(self.add_k_proj.forward(text.clone())),
            ),
            rms_norm(&self.norm_k, split(self.to_k.forward(image.clone()))),
        );
        let value = join(
            split(self.add_v_proj.forward(text)),
            split(self.to_v.forward(image)),
        );
        let [batch, tokens, heads, head_dim] = value.dims();
        let joint = attention(
            rope.apply(query).swap_dims(1, 2),
            rope.apply(key).swap_dims(1, 2),
            value.swap_dims(1, 2),
            None,
            bias.map(|bias| bias.clone().expand([batch, 1, tokens, tokens])),
            AttentionModuleOptions::default(),
        );
        let joint = joint
            .swap_dims(1, 2)
            .reshape([batch, tokens, heads * head_dim]);
        let text = joint.clone().narrow(1, 0, text_tokens);
        let image = joint.narrow(1, text_tokens, image_tokens);
        (image, text)
    }

    /// [`Self::forward`] by the CPU's own kernels, where they serve.
    fn on_cpu(
        &self,
        image: &Tensor<3>,
        text: &Tensor<3>,
        rope: &Rope,
        bias: Option<&Tensor<4>>,
    ) -> Option<(Tensor<3>, Tensor<3>)> {
        let stream = |x: &Tensor<3>, parts: [&Linear; 3], norms: [&RmsNorm; 2]| {
            let [query, key, value] = parts.map(|part| part.apart(x));
            let (query, key, value) = (query?, key?, value?);
            Some(cpu::Stream {
                projected: [query.0, key.0, value.0],
                biases: [query.1, key.1, value.1],
                norms: norms.map(|norm| norm.gamma.val()),
                epsilon: NORM_EPS,
            })
        };
        let of_text = stream(
            text,
            [&self.add_q_proj, &self.add_k_proj, &self.add_v_proj],
            [&self.norm_added_q, &self.norm_added_k],
        )?;
        let of_image = stream(
            image,
            [&self.to_q, &self.to_k, &self.to_v],
            [&self.norm_q, &self.norm_k],
        )?;
        let tables = rope.tables();
        let [text, image] = cpu::attend(of_text, of_image, self.heads, tables, bias.cloned());
        Some((image, text))
    }
}
