//! Pictures of a model in training: Euler steps with guidance, as the pipelines do.

use burn::tensor::{Device, Tensor, TensorData};
use illumine_models::qwen_image::vae::QwenImageVae;
use illumine_models::qwen25_vl::Qwen25VlConfig;
use image::RgbImage;

use super::batch::{Kind, NEGATIVE_PROMPT, Prompts, normal};
use super::cache::{encode, unpack, view};
use super::config::scheduler;
use super::model::PictureModel;
use crate::corpus::Rng;
use crate::error::Result;
use crate::picture_vae::tensor_to_pictures;

/// Pictures that are drawn at once.
const BATCH: usize = 16;

/// A picture to draw.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is asked for.
    pub prompt: String,
    /// The picture to change; none to draw a new one.
    pub source: Option<RgbImage>,
    /// Of the noise.
    pub seed: u64,
}

/// Everything that draws.
#[derive(Debug)]
pub struct Studio<'a> {
    /// On a plain device.
    pub model: &'a PictureModel,
    /// The prompt encoder's shapes.
    pub encoder: &'a Qwen25VlConfig,
    /// Prompts to ids.
    pub prompts: &'a Prompts,
    /// Latents to pictures.
    pub vae: &'a QwenImageVae,
    /// Where.
    pub device: &'a Device,
    /// Denoising steps.
    pub steps: usize,
    /// `true_cfg_scale`; 1 is none.
    pub guidance: f32,
}

/// The pictures of `requests`, in order.
///
/// # Errors
/// [`crate::TrainError::Model`].
pub fn draw(studio: &Studio<'_>, requests: &[Request]) -> Result<Vec<RgbImage>> {
    let mut pictures: Vec<Option<RgbImage>> = vec![None; requests.len()];
    for kind in [Kind::Generation, Kind::Edit] {
        let is_of_kind = |request: &Request| request.source.is_some() == (kind == Kind::Edit);
        let numbers: Vec<usize> = (0..requests.len())
            .filter(|&number| is_of_kind(&requests[number]))
            .collect();
        for numbers in numbers.chunks(BATCH) {
            let batch: Vec<&Request> = numbers.iter().map(|&number| &requests[number]).collect();
            for (&number, picture) in numbers.iter().zip(run(studio, kind, &batch)?) {
                pictures[number] = Some(picture);
            }
        }
    }
    Ok(pictures.into_iter().flatten().collect())
}

fn run(studio: &Studio<'_>, kind: Kind, batch: &[&Request]) -> Result<Vec<RgbImage>> {
    let Studio {
        model, vae, device, ..
    } = studio;
    let sources: Vec<RgbImage> = batch
        .iter()
        .filter_map(|request| request.source.clone())
        .collect();
    let views: Vec<Vec<u8>> = sources.iter().map(view).collect();
    let views: Vec<&[u8]> = views.iter().map(Vec::as_slice).collect();
    let states = |prompt: &dyn Fn(&Request) -> String| {
        let rows = batch
            .iter()
            .map(|request| studio.prompts.ids(kind, &prompt(request)));
        let rows: Vec<Vec<i64>> = rows.collect::<Result<_>>()?;
        model.states(
            studio.encoder,
            &studio.prompts.inputs(&rows, &views)?,
            device,
        )
    };
    let prompts = states(&|request| request.prompt.clone())?;
    let negative = match studio.guidance > 1.0 {
        true => Some(states(&|_| NEGATIVE_PROMPT.to_owned())?),
        false => None,
    };
    let beside = match kind {
        Kind::Generation => None,
        Kind::Edit => Some(encode(vae, &sources, device)?),
    };
    let side = crate::painter::SIDE / vae.config.factor() / super::config::PATCH;
    let channels = model.transformer.config.in_channels;
    let noise = batch.iter().flat_map(|request| {
        let mut rng = Rng::new(request.seed, 0);
        normal(&mut rng, side * side * channels)
    });
    let shape = [batch.len(), side * side, channels];
    let noise = TensorData::new(noise.collect::<Vec<f32>>(), shape);
    let mut latents = Tensor::<3>::from_data(noise, *device);

    let schedule = scheduler().schedule(studio.steps, side * side)?;
    for step in 0..schedule.len() {
        let times = Tensor::<1>::full([batch.len()], schedule.time(step), *device);
        let velocity =
            |prompts| model.velocity(latents.clone(), beside.as_ref(), times.clone(), prompts);
        let mut change = velocity(&prompts)?;
        if let Some(negative) = &negative {
            change = guided(change, velocity(negative)?, studio.guidance);
        }
        latents = latents + change * schedule.dt(step);
    }
    tensor_to_pictures(vae.decode(vae.denormalise(unpack(latents)), None)?)
}

/// As `QwenImagePipeline`: guidance turns the velocity of each token and leaves its
/// length.
fn guided(prompt: Tensor<3>, negative: Tensor<3>, scale: f32) -> Tensor<3> {
    let combined = negative.clone() + (prompt.clone() - negative) * scale;
    let length = |x: &Tensor<3>| x.clone().square().sum_dim(2).sqrt();
    let ratio = length(&prompt) / length(&combined).clamp_min(1e-12);
    combined * ratio
}
