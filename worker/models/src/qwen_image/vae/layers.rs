//! What encoder and decoder are made of. Pictures are
//! `[batch, rows, columns, channels]`.
//!
//! Follows `QwenImageResidualBlock`, `QwenImageAttentionBlock`, `QwenImageMidBlock` and
//! `QwenImageResample`.

use burn::module::{Initializer, Module, Param};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};

use crate::nhwc::{Window, conv2d, norm_silu};

/// A convolution: in the reference over time, rows and columns.
#[derive(Module, Debug)]
pub struct Conv {
    /// `[side, side, in, out]`.
    pub weight: Param<Tensor<4>>,
    /// `[out]`
    pub bias: Param<Tensor<1>>,
    /// The window steps by two: half the size.
    pub halves: bool,
}

impl Conv {
    /// A fresh one with a window of `side` by `side`.
    pub(super) fn init(side: usize, input: usize, output: usize, device: &Device) -> Self {
        let spread = 1.0 / ((side * side * input) as f64).sqrt();
        let uniform = Initializer::Uniform {
            min: -spread,
            max: spread,
        };
        Self {
            weight: uniform.init([side, side, input, output], device),
            bias: uniform.init([output], device),
            halves: false,
        }
    }

    /// A fresh one that gives nothing yet: at the end of a residual branch, so that a
    /// fresh network is nearly linear and learns at once (Zhang et al., *Fixup*,
    /// arXiv:1901.09321).
    pub(super) fn silent(side: usize, input: usize, output: usize, device: &Device) -> Self {
        Self {
            weight: Initializer::Zeros.init([side, side, input, output], device),
            bias: Initializer::Zeros.init([output], device),
            halves: false,
        }
    }

    pub(super) fn halving(input: usize, output: usize, device: &Device) -> Self {
        Self {
            halves: true,
            ..Self::init(3, input, output, device)
        }
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let side = self.weight.dims()[0];
        let window = match self.halves {
            false => Window::around(side / 2),
            // `ZeroPad2d((0, 1, 0, 1))`.
            true => Window {
                stride: 2,
                above: 0,
                below: 1,
                left: 0,
                right: 1,
            },
        };
        conv2d(x, self.weight.val(), self.bias.val(), window)
    }
}

/// Scales of a norm over the channels of each pixel.
#[derive(Module, Debug)]
pub struct PixelNorm {
    /// `[channels]`
    pub gamma: Param<Tensor<1>>,
}

impl PixelNorm {
    pub(super) fn init(channels: usize, device: &Device) -> Self {
        Self {
            gamma: Initializer::Ones.init([channels], device),
        }
    }

    pub(super) fn silu(&self, x: Tensor<4>) -> Tensor<4> {
        norm_silu(x, self.gamma.val(), true)
    }
}

/// `x + conv(silu(norm(conv(silu(norm(x))))))`.
#[derive(Module, Debug)]
pub struct Residual {
    pub norm1: PixelNorm,
    pub conv1: Conv,
    pub norm2: PixelNorm,
    pub conv2: Conv,
    /// Where the channels change.
    pub conv_shortcut: Option<Conv>,
}

impl Residual {
    pub(super) fn init(input: usize, output: usize, device: &Device) -> Self {
        Self {
            norm1: PixelNorm::init(input, device),
            conv1: Conv::init(3, input, output, device),
            norm2: PixelNorm::init(output, device),
            conv2: Conv::silent(3, output, output, device),
            conv_shortcut: (input != output).then(|| Conv::init(1, input, output, device)),
        }
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let inner = self.conv1.forward(self.norm1.silu(x.clone()));
        let inner = self.conv2.forward(self.norm2.silu(inner));
        match &self.conv_shortcut {
            Some(conv) => inner + conv.forward(x),
            None => inner + x,
        }
    }
}

/// Attention of one head over all pixels.
#[derive(Module, Debug)]
pub struct Attention {
    pub norm: PixelNorm,
    /// `[1, 1, channels, 3 × channels]`.
    pub to_qkv: Conv,
    pub proj: Conv,
}

impl Attention {
    pub(super) fn init(channels: usize, device: &Device) -> Self {
        Self {
            norm: PixelNorm::init(channels, device),
            to_qkv: Conv::init(1, channels, 3 * channels, device),
            proj: Conv::silent(1, channels, channels, device),
        }
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, rows, columns, channels] = x.dims();
        let normed = norm_silu(x.clone(), self.norm.gamma.val(), false);
        let qkv = self
            .to_qkv
            .forward(normed)
            .reshape([batch, rows * columns, 3 * channels]);
        let part = |number: usize| qkv.clone().narrow(2, number * channels, channels);
        let scores = part(0).matmul(part(1).swap_dims(1, 2)) / (channels as f32).sqrt();
        let context = softmax(scores, 2).matmul(part(2));
        x + self
            .proj
            .forward(context.reshape([batch, rows, columns, channels]))
    }
}

/// The smallest size: a residual block, attention and another block.
#[derive(Module, Debug)]
pub struct Middle {
    pub first: Residual,
    pub attention: Attention,
    pub second: Residual,
}

impl Middle {
    pub(super) fn init(channels: usize, device: &Device) -> Self {
        Self {
            first: Residual::init(channels, channels, device),
            attention: Attention::init(channels, device),
            second: Residual::init(channels, channels, device),
        }
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.attention.forward(self.first.forward(x));
        self.second.forward(x)
    }
}

/// Each pixel as a square of four.
pub(super) fn double(x: Tensor<4>) -> Tensor<4> {
    let [batch, rows, columns, channels] = x.dims();
    let pairs = x.reshape([batch * rows, 1, columns, 1, channels]);
    let squares = pairs.repeat(&[1, 2, 1, 2, 1]);
    squares.reshape([batch, 2 * rows, 2 * columns, channels])
}
