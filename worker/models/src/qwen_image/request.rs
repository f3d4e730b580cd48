//! What a picture model is asked, and how the asker follows and stops it.

use image::RgbImage;

use crate::Result;

/// What a model folder is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageMode {
    /// A picture from a prompt.
    Generation,
    /// A picture from a prompt and one or more pictures.
    Edit,
}

/// A loaded picture model, as a server describes it.
#[derive(Clone, Debug)]
pub struct ImageModelInfo {
    /// The folder's name.
    pub name: String,
    pub mode: ImageMode,
    /// Pictures that one request may bring: 0 for generation.
    pub most_pictures: usize,
    /// What a request that names none gets.
    pub width: u32,
    pub height: u32,
    pub steps: usize,
    /// True classifier-free guidance; 1 is none.
    pub guidance: f32,
    /// Sides are multiples of this, in pixels.
    pub side_multiple: u32,
    /// Device and dtype, for people.
    pub device: String,
    /// Bytes of its weights in memory.
    pub weights: u64,
}

/// One picture to draw.
#[derive(Clone, Debug, PartialEq)]
pub struct DrawRequest {
    pub prompt: String,
    /// Guidance needs one; Qwen-Image's own recipe uses a single space.
    pub negative_prompt: String,
    /// Pixels; when both are 0, [`ImagePipeline::fit`] chooses: the model's own size,
    /// or one of the aspect of the picture to edit.
    pub width: u32,
    pub height: u32,
    /// Denoising steps.
    pub steps: usize,
    /// `true_cfg_scale` of `diffusers`; at 1 or below the negative prompt is not used.
    pub guidance: f32,
    /// Of the initial noise: the same request with the same seed is the same picture,
    /// whoever shares its batch.
    pub seed: u64,
    /// The pictures to edit, in the order that the prompt speaks of; none for generation.
    pub pictures: Vec<RgbImage>,
}

/// Follows a batch while it is drawn; called between denoising steps.
pub trait DrawWatch {
    /// Whether request `item` of the batch is no longer wanted. Asked before each step.
    fn cancelled(&self, item: usize) -> bool;

    /// Request `item` has done `step` of `steps`. `preview` draws a small picture of
    /// where it stands, at a cost: call it only when somebody looks.
    fn stepped(
        &mut self,
        item: usize,
        step: usize,
        steps: usize,
        preview: &dyn Fn() -> Option<RgbImage>,
    );
}

/// A picture model that draws batches. Only one thread draws at a time; others may ask
/// what fits.
pub trait ImagePipeline: Send + Sync {
    fn info(&self) -> &ImageModelInfo;

    /// The request as it will be drawn, with what was changed in words (a side rounded
    /// to a multiple, a prompt cut to what the encoder reads).
    ///
    /// # Errors
    /// [`crate::ModelError::Request`] with the field and what helps.
    fn fit(&self, request: DrawRequest) -> Result<(DrawRequest, Vec<String>)>;

    /// Whether two fitted requests can be steps of the same batch.
    fn alike(&self, one: &DrawRequest, other: &DrawRequest) -> bool {
        one.width == other.width
            && one.height == other.height
            && one.steps == other.steps
            && (one.guidance > 1.0) == (other.guidance > 1.0)
            && one.pictures.len() == other.pictures.len()
            && std::iter::zip(&one.pictures, &other.pictures)
                .all(|(a, b)| a.dimensions() == b.dimensions())
    }

    /// Bytes beyond the weights that drawing these at once takes, estimated before work.
    fn memory(&self, batch: &[DrawRequest]) -> u64;

    /// Draws fitted, alike requests. One answer a request, in order; `None` for one
    /// that was cancelled.
    ///
    /// # Errors
    /// [`crate::ModelError`] when the batch as a whole failed.
    fn draw(
        &self,
        batch: &[DrawRequest],
        watch: &mut dyn DrawWatch,
    ) -> Result<Vec<Option<RgbImage>>>;
}
