//! Latents to pictures. Follows `QwenImageDecoder3d`.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::config::VaeConfig;
use super::layers::{Conv, Middle, PixelNorm, Residual, double};

/// One of `up_blocks`.
#[derive(Module, Debug)]
pub struct UpBlock {
    pub resnets: Vec<Residual>,
    /// Behind a doubling of the size; at all sizes but the last.
    pub upsample: Option<Conv>,
    /// Whether it also would double time.
    pub time: bool,
}

/// Up from the smallest size.
#[derive(Module, Debug)]
pub struct Decoder {
    pub conv_in: Conv,
    pub mid_block: Middle,
    pub up_blocks: Vec<UpBlock>,
    pub norm_out: PixelNorm,
    pub conv_out: Conv,
}

impl Decoder {
    pub(super) fn init(config: &VaeConfig, device: &Device) -> Self {
        let widths: Vec<usize> = config
            .dim_mult
            .iter()
            .rev()
            .map(|multiple| config.base_dim * multiple)
            .collect();
        let time = config.temperal_downsample.iter().rev();
        let mut input = widths[0];
        let mut up_blocks = Vec::new();
        for (index, &output) in widths.iter().enumerate() {
            let resnets = (0..=config.num_res_blocks)
                .map(|number| {
                    let input = if number == 0 { input } else { output };
                    Residual::init(input, output, device)
                })
                .collect();
            let is_last = index + 1 == widths.len();
            up_blocks.push(UpBlock {
                resnets,
                upsample: (!is_last).then(|| Conv::init(3, output, output / 2, device)),
                time: time.clone().nth(index).copied().unwrap_or(false),
            });
            input = output / 2;
        }
        let width = widths[widths.len() - 1];
        Self {
            conv_in: Conv::init(3, config.z_dim, widths[0], device),
            mid_block: Middle::init(widths[0], device),
            up_blocks,
            norm_out: PixelNorm::init(width, device),
            conv_out: Conv::init(3, width, config.input_channels, device),
        }
    }

    pub(super) fn forward(&self, z: Tensor<4>) -> Tensor<4> {
        let mut x = self.mid_block.forward(self.conv_in.forward(z));
        for block in &self.up_blocks {
            for resnet in &block.resnets {
                x = resnet.forward(x);
            }
            if let Some(conv) = &block.upsample {
                x = conv.forward(double(x));
            }
        }
        self.conv_out.forward(self.norm_out.silu(x))
    }
}
