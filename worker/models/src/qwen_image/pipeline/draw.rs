//! Requests to pictures.

use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::AvgPoolOptions;
use burn::tensor::{Tensor, TensorData};
use image::RgbImage;

use super::super::prompt::PromptEncoder;
use super::super::request::{DrawRequest, DrawWatch, ImageModelInfo, ImagePipeline};
use super::super::transformer::ImageShape;
use super::latents::{PATCH, noise, pack, unpack};
use super::run::{Batch, Run};
use super::sizes::{dimensions, resized, to_picture, to_tensor};
use super::{QwenImage, fit, memory};
use crate::device::read_f32;
use crate::error::{ModelError, Result};
use crate::qwen25_vl::Picture;

/// Longest side of a preview's latents.
const PREVIEW_SIDE: usize = 32;

/// The pictures of one request, as the model's parts read them.
struct Sources {
    /// For the prompt's encoder.
    seen: Vec<Picture>,
    /// Packed latents of all, `[1, tokens, channels]`; none without pictures.
    latents: Option<Tensor<3>>,
    shapes: Vec<ImageShape>,
}

impl ImagePipeline for QwenImage {
    fn info(&self) -> &ImageModelInfo {
        &self.info
    }

    fn fit(&self, request: DrawRequest) -> Result<(DrawRequest, Vec<String>)> {
        fit::fit(self, request)
    }

    fn memory(&self, batch: &[DrawRequest]) -> u64 {
        memory::estimate(self, batch)
    }

    fn draw(
        &self,
        batch: &[DrawRequest],
        watch: &mut dyn DrawWatch,
    ) -> Result<Vec<Option<RgbImage>>> {
        let drawn = self.latents(batch, None, watch)?;
        // One by one, so that decoding takes the memory of one.
        let pictures = drawn.into_iter().zip(batch).map(|(latents, request)| {
            let Some(latents) = latents else {
                return Ok(None);
            };
            let decoded = self.decode(latents, [request.width, request.height])?;
            self.to_picture(decoded).map(Some)
        });
        pictures.collect()
    }
}

impl QwenImage {
    /// The denoised packed latents `[1, tokens, channels]` of fitted, alike requests;
    /// `None` for one that was cancelled.
    ///
    /// `noise`, where it is given, stands for that of the seeds: packed latents
    /// `[tokens, channels]` of each request, row-major.
    ///
    /// # Errors
    /// Those of the model's parts; [`ModelError::Request`] for noise that does not fit.
    pub fn latents(
        &self,
        batch: &[DrawRequest],
        noise: Option<&[Vec<f32>]>,
        watch: &mut dyn DrawWatch,
    ) -> Result<Vec<Option<Tensor<3>>>> {
        let mut finished: Vec<Option<Tensor<3>>> = batch.iter().map(|_| None).collect();
        let wanted = |item: &usize| !watch.cancelled(*item);
        let mut alive: Vec<usize> = (0..batch.len()).filter(wanted).collect();
        let Some(first) = alive.first().and_then(|&item| batch.get(item)) else {
            return Ok(finished);
        };
        let (steps, size) = (first.steps, [first.width, first.height]);
        let requests: Vec<(&DrawRequest, Option<&Vec<f32>>)> = alive
            .iter()
            .map(|&item| (&batch[item], noise.and_then(|noise| noise.get(item))))
            .collect();
        let mut run = self.start(&requests)?;
        for step in 1..=steps {
            let rows: Vec<usize> = (0..alive.len())
                .filter(|&row| !watch.cancelled(alive[row]))
                .collect();
            if rows.is_empty() {
                return Ok(finished);
            }
            if rows.len() < alive.len() {
                run.keep(&rows);
                alive = rows.iter().map(|&row| alive[row]).collect();
            }
            run.step()?;
            for (row, &item) in alive.iter().enumerate() {
                let preview = || self.preview(run.clean(row), size);
                watch.stepped(item, step, steps, &preview);
            }
        }
        for (row, &item) in alive.iter().enumerate() {
            finished[item] = Some(run.latents().narrow(0, row, 1));
        }
        Ok(finished)
    }

    /// The picture `[1, 3, height, width]`, about −1..1, of packed latents
    /// `[1, tokens, channels]`.
    ///
    /// # Errors
    /// Those of the VAE.
    pub fn decode(&self, latents: Tensor<3>, size: [u32; 2]) -> Result<Tensor<4>> {
        self.codec.decode(unpack(latents, self.grid(size)))
    }

    /// Rows and columns of tokens of a picture of `[width, height]` pixels.
    fn grid(&self, [width, height]: [u32; 2]) -> [usize; 2] {
        let side = self.codec.scale() * PATCH;
        [height as usize / side, width as usize / side]
    }

    /// Everything before the first step.
    fn start(&self, requests: &[(&DrawRequest, Option<&Vec<f32>>)]) -> Result<Run<'_>> {
        let first = requests[0].0;
        let grid = self.grid([first.width, first.height]);
        let [rows, columns] = grid;
        let mut shapes = vec![ImageShape::new(rows, columns)];
        let (mut latents, mut beside) = (Vec::new(), Vec::new());
        let mut prompts = Vec::new();
        let mut negatives: Vec<Tensor<3>> = Vec::new();
        for (index, (request, noise)) in requests.iter().enumerate() {
            let sources = self.sources(&request.pictures)?;
            prompts.push(self.prompt_encoder.encode(&request.prompt, &sources.seen)?);
            if first.guidance > 1.0 {
                let before = requests[..index].iter().position(|(other, _)| {
                    other.pictures.is_empty() && other.negative_prompt == request.negative_prompt
                });
                negatives.push(match before {
                    Some(before) if sources.seen.is_empty() => negatives[before].clone(),
                    _ => self
                        .prompt_encoder
                        .encode(&request.negative_prompt, &sources.seen)?,
                });
            }
            if index == 0 {
                shapes.extend(sources.shapes);
            }
            beside.extend(sources.latents);
            latents.push(self.noise(request, *noise, grid)?);
        }
        let conditions = |states: Vec<Tensor<3>>| {
            let batch = PromptEncoder::batch(states);
            self.transformer
                .conditions(batch.states, batch.mask.as_deref(), &shapes)
        };
        let prompt = conditions(prompts)?;
        let negative = (!negatives.is_empty()).then(|| conditions(negatives));
        let schedule = self.scheduler.schedule(first.steps, rows * columns)?;
        let batch = Batch {
            latents: Tensor::cat(latents, 0),
            beside: (!beside.is_empty()).then(|| Tensor::cat(beside, 0)),
            prompt,
            negative: negative.transpose()?,
            guidance: requests.iter().map(|(one, _)| one.guidance).collect(),
        };
        Ok(Run::new(&self.transformer, schedule, batch))
    }

    fn noise(
        &self,
        request: &DrawRequest,
        given: Option<&Vec<f32>>,
        [rows, columns]: [usize; 2],
    ) -> Result<Tensor<3>> {
        let channels = self.codec.channels();
        let Some(given) = given else {
            let shape = [channels, rows * PATCH, columns * PATCH];
            return Ok(pack(noise(request.seed, shape, &self.device)));
        };
        let shape = [1, rows * columns, channels * PATCH * PATCH];
        if given.len() != shape.iter().product::<usize>() {
            let reason = format!("has {} numbers; {shape:?} are expected", given.len());
            return Err(ModelError::Request {
                field: "noise",
                reason,
            });
        }
        let data = TensorData::new(given.clone(), shape);
        Ok(Tensor::from_data(data, &self.device))
    }

    fn sources(&self, pictures: &[RgbImage]) -> Result<Sources> {
        let mut sources = Sources {
            seen: Vec::new(),
            latents: None,
            shapes: Vec::new(),
        };
        let mut latents = Vec::new();
        for (number, picture) in pictures.iter().enumerate() {
            let (width, height) = picture.dimensions();
            let size = dimensions(self.index.area(), width, height);
            let rgb = resized(picture, size);
            let encoded = self.codec.encode(to_tensor(&rgb, size, &self.device))?;
            let [_, _, rows, columns] = encoded.dims();
            sources
                .shapes
                .push(ImageShape::new(rows / PATCH, columns / PATCH));
            latents.push(pack(encoded));

            let seen_size = dimensions(self.index.condition_area(), width, height);
            let seen = match seen_size == size {
                true => rgb,
                false => resized(picture, seen_size),
            };
            let name = format!("picture {}", number + 1);
            sources
                .seen
                .push(Picture::from_rgb(name, seen_size[0], seen_size[1], seen)?);
        }
        sources.latents = (!latents.is_empty()).then(|| Tensor::cat(latents, 1));
        Ok(sources)
    }

    /// A small picture of packed latents; none when it cannot be drawn.
    fn preview(&self, latents: Tensor<3>, size: [u32; 2]) -> Option<RgbImage> {
        let latents = unpack(latents, self.grid(size));
        let [_, _, height, width] = latents.dims();
        let shrink = height.max(width).div_ceil(PREVIEW_SIDE);
        // As small as that allows, and no side below one latent.
        let kernel = [shrink.min(height), shrink.min(width)];
        let small = match shrink {
            1 => latents,
            _ => avg_pool2d(latents, AvgPoolOptions::new(kernel).with_stride(kernel)),
        };
        let decoded = self.codec.decode(small);
        decoded.and_then(|decoded| self.to_picture(decoded)).ok()
    }

    fn to_picture(&self, decoded: Tensor<4>) -> Result<RgbImage> {
        let [_, _, height, width] = decoded.dims();
        let values = read_f32(decoded)?;
        to_picture(&values, width as u32, height as u32).ok_or_else(|| ModelError::Device {
            name: format!("{:?}", self.device),
            reason: "the decoded picture has another size than its latents".to_owned(),
        })
    }
}
