//! A square of patches to one vector of the decoder's width.
//! Follows `Qwen2_5_VLPatchMerger`.

use burn::module::Module;
use burn::nn::RmsNorm;
use burn::tensor::{Tensor, activation::gelu};

use crate::lora::Linear;

/// Norm, then a two-layer perceptron over the patches of a square side by side.
#[derive(Module, Debug)]
pub struct PatchMerger {
    /// Over each patch.
    pub ln_q: RmsNorm,
    /// `[square × hidden, square × hidden]`
    pub up: Linear,
    /// `[square × hidden, out]`
    pub down: Linear,
}

impl PatchMerger {
    /// `[squares × patches of a square, hidden]` → `[squares, out]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let [patches, hidden] = x.dims();
        let [width, _] = self.up.weight.dims();
        let squares = patches * hidden / width;
        let x = self.ln_q.forward(x).reshape([squares, width]);
        self.down.forward(gelu(self.up.forward(x)))
    }
}
