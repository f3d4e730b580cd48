//! A request as it will be drawn, or why not.

use super::super::request::{DrawRequest, ImageMode};
use super::super::scheduler::MAX_STEPS;
use super::QwenImage;
use super::index::PipelineClass;
use super::sizes::dimensions;
use crate::error::{ModelError, Result};

/// Longest side of a picture that is drawn, in pixels.
const MAX_SIDE: u32 = 4096;
/// Longest side over shortest of a picture to edit.
const MAX_ASPECT: u32 = 20;
/// Most guidance.
const MAX_GUIDANCE: f32 = 100.0;

/// See [`super::super::request::ImagePipeline::fit`].
pub(super) fn fit(
    model: &QwenImage,
    mut request: DrawRequest,
) -> Result<(DrawRequest, Vec<String>)> {
    let mut notes = Vec::new();
    check_pictures(model, &request)?;
    if request.prompt.trim().is_empty() {
        return Err(refuse("prompt", "is empty; say what to draw"));
    }
    if !(1..=MAX_STEPS).contains(&request.steps) {
        let reason = format!("is {}; 1 to {MAX_STEPS} is possible", request.steps);
        return Err(refuse("steps", reason));
    }
    if !(0.0..=MAX_GUIDANCE).contains(&request.guidance) {
        let reason = format!("is {}; 0 to {MAX_GUIDANCE} is possible", request.guidance);
        return Err(refuse("guidance", reason));
    }
    let prompts = [
        ("prompt", &mut request.prompt),
        ("negative prompt", &mut request.negative_prompt),
    ];
    for (name, prompt) in prompts {
        if let Some((words, left_out)) = model.prompt_encoder.cut(prompt)? {
            *prompt = words;
            notes.push(format!(
                "the {name} is longer than the model reads: its last {left_out} tokens were left out"
            ));
        }
    }
    if request.width == 0 && request.height == 0 {
        [request.width, request.height] = own_size(model, &request);
    }
    let multiple = model.info.side_multiple;
    let sides = [
        ("width", &mut request.width),
        ("height", &mut request.height),
    ];
    for (field, side) in sides {
        if !(1..=MAX_SIDE).contains(side) {
            let reason = format!("is {side} pixels; {multiple} to {MAX_SIDE} is possible");
            return Err(refuse(field, reason));
        }
        let rounded = (*side / multiple * multiple).max(multiple);
        if rounded != *side {
            notes.push(format!(
                "the {field} of {side} pixels was rounded to {rounded}, a multiple of {multiple}"
            ));
            *side = rounded;
        }
    }
    Ok((request, notes))
}

fn check_pictures(model: &QwenImage, request: &DrawRequest) -> Result<()> {
    let (count, most) = (request.pictures.len(), model.info.most_pictures);
    let why = match model.info.mode {
        ImageMode::Generation if count > 0 => {
            "this model draws from words alone; leave the pictures out, or ask an edit model"
        }
        ImageMode::Edit if count == 0 => "this model edits; give it a picture",
        ImageMode::Edit if count > most => {
            let reason = format!("are {count}; this model takes up to {most}");
            return Err(refuse("pictures", reason));
        }
        _ => "",
    };
    if !why.is_empty() {
        return Err(refuse("pictures", why));
    }
    for picture in &request.pictures {
        let (width, height) = picture.dimensions();
        let (short, long) = (width.min(height), width.max(height));
        if short == 0 || long / short >= MAX_ASPECT {
            let reason = format!(
                "{width}×{height}: one side must be less than {MAX_ASPECT} times the other; crop it"
            );
            return Err(refuse("pictures", reason));
        }
    }
    Ok(())
}

/// The picture's own size at the model's area, as the reference chooses: that of the
/// first picture, with several of the last.
fn own_size(model: &QwenImage, request: &DrawRequest) -> [u32; 2] {
    let picture = match model.index.class {
        PipelineClass::EditPlus => request.pictures.last(),
        PipelineClass::Edit | PipelineClass::Generation => request.pictures.first(),
    };
    match picture {
        Some(picture) => {
            let (width, height) = picture.dimensions();
            dimensions(model.index.area(), width, height).map(|side| side as u32)
        }
        None => [model.info.width, model.info.height],
    }
}

fn refuse(field: &'static str, reason: impl Into<String>) -> ModelError {
    ModelError::Request {
        field,
        reason: reason.into(),
    }
}
