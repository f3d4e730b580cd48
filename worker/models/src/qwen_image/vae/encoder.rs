//! Pictures to latents. Follows `QwenImageEncoder3d`.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::config::VaeConfig;
use super::layers::{Conv, Middle, PixelNorm, Residual};

/// One of `down_blocks`.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)]
pub enum DownBlock {
    Residual(Residual),
    Halve(Halving),
}

/// Half the size.
#[derive(Module, Debug)]
pub struct Halving {
    pub conv: Conv,
    /// Whether it also would halve time.
    pub time: bool,
}

/// Down to the smallest size.
#[derive(Module, Debug)]
pub struct Encoder {
    pub conv_in: Conv,
    pub down_blocks: Vec<DownBlock>,
    pub mid_block: Middle,
    pub norm_out: PixelNorm,
    pub conv_out: Conv,
}

impl Encoder {
    pub(super) fn init(config: &VaeConfig, device: &Device) -> Self {
        let mut down_blocks = Vec::new();
        let mut input = config.base_dim;
        for (index, multiple) in config.dim_mult.iter().enumerate() {
            let output = config.base_dim * multiple;
            for _ in 0..config.num_res_blocks {
                down_blocks.push(DownBlock::Residual(Residual::init(input, output, device)));
                input = output;
            }
            if let Some(&time) = config.temperal_downsample.get(index) {
                let conv = Conv::halving(output, output, device);
                down_blocks.push(DownBlock::Halve(Halving { conv, time }));
            }
        }
        Self {
            conv_in: Conv::init(3, config.input_channels, config.base_dim, device),
            down_blocks,
            mid_block: Middle::init(input, device),
            norm_out: PixelNorm::init(input, device),
            conv_out: Conv::init(3, input, 2 * config.z_dim, device),
        }
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let mut x = self.conv_in.forward(x);
        for block in &self.down_blocks {
            x = match block {
                DownBlock::Residual(block) => block.forward(x),
                DownBlock::Halve(block) => block.conv.forward(x),
            };
        }
        let x = self.mid_block.forward(x);
        self.conv_out.forward(self.norm_out.silu(x))
    }
}
