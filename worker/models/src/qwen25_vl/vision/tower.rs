//! The whole tower. Follows `Qwen2_5_VisionTransformerPretrainedModel.forward`.

use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData};

use super::block::VisionBlock;
use super::layout::Layout;
use super::merger::PatchMerger;
use super::rotary::vision_rotary;
use crate::device::{Device, read_f32};
use crate::error::Result;
use crate::lora::Linear;
use crate::qwen25_vl::processor::{Grid, Patches};

/// Patches in, vectors for the decoder out.
#[derive(Module, Debug)]
pub struct VisionTower {
    /// `[patch width, hidden]`: the reference's convolution, whose kernels do not
    /// overlap, is this product.
    pub patch_embed: Linear,
    /// The blocks.
    pub blocks: Vec<VisionBlock>,
    /// Squares of patches to vectors.
    pub merger: PatchMerger,
    /// Side of a merged square, in patches.
    pub merge: usize,
    /// Side of an attention window, in squares.
    pub window: usize,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
}

impl VisionTower {
    /// Looks at pictures on the tower's own device: `[merged squares, decoder width]`,
    /// row-major.
    ///
    /// # Errors
    /// [`crate::ModelError::Device`] when the device failed.
    pub fn look(&self, patches: &Patches) -> Result<Vec<f32>> {
        let device = self.patch_embed.weight.val().device();
        let values = patches.pixel_values.clone();
        let [width, _] = self.patch_embed.weight.dims();
        let size = [values.len() / width, width];
        let pixels = Tensor::from_data(TensorData::new(values, size), &device);
        read_f32(self.forward(pixels, &patches.image_grid_thw))
    }

    /// `[patches, patch width]` of pictures one after the other →
    /// `[merged squares, decoder width]`, in the same order.
    ///
    /// Each grid's rows and columns must be multiples of the square's side.
    pub fn forward(&self, pixel_values: Tensor<2>, grids: &[Grid]) -> Tensor<2> {
        let device = pixel_values.device();
        let layout = Layout::new(grids, self.merge, self.window);
        let unit = self.merge * self.merge;

        let x = self.patch_embed.forward(pixel_values);
        let [patches, hidden] = x.dims();
        let x = x
            .reshape([patches / unit, unit, hidden])
            .select(0, indices(&layout.order, &device))
            .reshape([patches, hidden]);
        let heads = self.blocks.first().map_or(1, |block| block.attn.num_heads);
        let head_dim = hidden / heads;
        let rotary = vision_rotary(&layout, self.merge, head_dim, self.rope_theta, &device);
        let x = self
            .blocks
            .iter()
            .fold(x, |x, block| block.forward(x, &rotary, &layout));
        self.merger
            .forward(x)
            .select(0, indices(&layout.places(), &device))
    }
}

fn indices(places: &[usize], device: &Device) -> Tensor<1, Int> {
    let places: Vec<i64> = places.iter().map(|&place| place as i64).collect();
    let length = places.len();
    Tensor::from_data(TensorData::new(places, [length]), device)
}
