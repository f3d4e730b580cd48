//! One block of the tower: pre-norm attention and feed-forward, each with a
//! residual. Follows `Qwen2_5_VLVisionBlock`.

use burn::module::Module;
use burn::nn::RmsNorm;
use burn::tensor::Tensor;

use super::attention::VisionAttention;
use super::layout::Layout;
use crate::norm::rms_norm;
use crate::qwen3::mlp::Mlp;
use crate::qwen3::rotary::Rotary;

/// A transformer block over patches.
#[derive(Module, Debug)]
pub struct VisionBlock {
    /// Before attention.
    pub norm1: RmsNorm,
    /// Within windows or frames.
    pub attn: VisionAttention,
    /// Before the feed-forward.
    pub norm2: RmsNorm,
    /// SwiGLU with biases.
    pub mlp: Mlp,
    /// Attends over whole frames.
    pub full_attention: bool,
}

impl VisionBlock {
    /// `[patches, hidden]` → the same shape.
    pub fn forward(&self, x: Tensor<2>, rotary: &Rotary, layout: &Layout) -> Tensor<2> {
        let runs = match self.full_attention {
            true => &layout.frames,
            false => &layout.windows,
        };
        let normed = rms_norm(&self.norm1, x.clone());
        let x = x + self.attn.forward(normed, rotary, runs);
        let normed = rms_norm(&self.norm2, x.clone()).unsqueeze();
        x + self.mlp.forward(normed).squeeze_dim(0)
    }
}
