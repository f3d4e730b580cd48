//! A picture model for tests: gradients by seed, slowly if need be.

use std::sync::Arc;
use std::time::Duration;

use illumine_models::qwen_image::studio::{Studio, StudioConfig};
use illumine_models::qwen_image::{
    DrawRequest, DrawWatch, ImageMode, ImageModelInfo, ImagePipeline,
};
use illumine_models::{ModelError, Result};
use image::{Rgb, RgbImage};

/// Draws `(x, y, seed)` as red, green and blue, in `delay` a step. An edit keeps the
/// picture's red. The prompt `panic` panics, `fail` fails.
pub struct Gradients {
    info: ImageModelInfo,
    delay: Duration,
}

impl Gradients {
    /// A studio of it.
    pub fn studio(mode: ImageMode, delay_ms: u64, config: StudioConfig) -> Studio {
        let open = move || {
            Ok(Arc::new(Self {
                info: ImageModelInfo {
                    name: "gradients".to_owned(),
                    mode,
                    most_pictures: usize::from(mode == ImageMode::Edit),
                    width: 32,
                    height: 16,
                    steps: 4,
                    guidance: 4.0,
                    side_multiple: 8,
                    device: "cpu".to_owned(),
                    weights: 1,
                },
                delay: Duration::from_millis(delay_ms),
            }) as Arc<dyn ImagePipeline>)
        };
        Studio::start(Box::new(open), config).unwrap()
    }
}

impl ImagePipeline for Gradients {
    fn info(&self) -> &ImageModelInfo {
        &self.info
    }

    fn fit(&self, mut request: DrawRequest) -> Result<(DrawRequest, Vec<String>)> {
        let refuse = |field, reason: &str| {
            Err(ModelError::Request {
                field,
                reason: reason.to_owned(),
            })
        };
        if request.prompt.is_empty() {
            return refuse("prompt", "is empty");
        }
        if request.pictures.len() > self.info.most_pictures {
            return refuse("pictures", "are too many");
        }
        if request.steps > 1000 {
            return refuse("steps", "are too many");
        }
        if (request.width, request.height) == (0, 0) {
            let of_picture = request.pictures.first().map(RgbImage::dimensions);
            (request.width, request.height) =
                of_picture.unwrap_or((self.info.width, self.info.height));
        }
        let mut notes = Vec::new();
        if !request.width.is_multiple_of(8) {
            request.width = request.width / 8 * 8;
            notes.push(format!("the width was rounded to {}", request.width));
        }
        Ok((request, notes))
    }

    fn memory(&self, batch: &[DrawRequest]) -> u64 {
        let pixels = |one: &DrawRequest| u64::from(one.width) * u64::from(one.height);
        batch.iter().map(pixels).sum()
    }

    fn draw(
        &self,
        batch: &[DrawRequest],
        watch: &mut dyn DrawWatch,
    ) -> Result<Vec<Option<RgbImage>>> {
        match batch[0].prompt.as_str() {
            "panic" => panic!("the brush broke"),
            "fail" => return Err(ModelError::Engine("out of paint".to_owned())),
            _ => {}
        }
        let steps = batch[0].steps;
        let mut wanted = vec![true; batch.len()];
        for step in 1..=steps {
            for (item, wanted) in wanted.iter_mut().enumerate() {
                *wanted &= !watch.cancelled(item);
            }
            if !wanted.contains(&true) {
                break;
            }
            std::thread::sleep(self.delay);
            for item in (0..batch.len()).filter(|&item| wanted[item]) {
                let preview = || Some(RgbImage::from_pixel(2, 2, Rgb([step as u8, 0, 0])));
                watch.stepped(item, step, steps, &preview);
            }
        }
        let draw = |(one, wanted): (&DrawRequest, &bool)| wanted.then(|| paint(one));
        Ok(batch.iter().zip(&wanted).map(draw).collect())
    }
}

fn paint(request: &DrawRequest) -> RgbImage {
    RgbImage::from_fn(request.width, request.height, |x, y| {
        let red = match request.pictures.first() {
            Some(picture) => picture.get_pixel(x.min(picture.width() - 1), 0).0[0],
            None => x as u8,
        };
        Rgb([red, y as u8, request.seed as u8])
    })
}
