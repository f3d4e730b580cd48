//! Shares right on held-out captions and edits.

use std::fmt;

use burn::tensor::{DType, Device};
use illumine_models::qwen_image::{DrawRequest, DrawWatch, ImagePipeline, QwenImage};
use image::RgbImage;
use std::path::Path;

use super::classifier::{Classifier, count};
use super::labels::{Head, Labels};
use crate::error::Result;
use crate::painter::scene::{Medium, Time, Tone, Weather};
use crate::painter::words;
use crate::painter::{Edit, EditExample, Painter, SIDE, paint, to_image};
use crate::picture_model::batch::NEGATIVE_PROMPT;

/// Examples of the held-out side.
const SEED: u64 = 0x1E1D;
/// Pictures that are drawn together.
const BATCH: usize = 8;
/// The most that an edited picture may differ from its parent where nothing was to
/// change: mean absolute difference of levels in 0..1.
pub const KEPT: f64 = 0.04;
/// The same against the painter's own picture after an edit of the whole.
pub const KEPT_WHOLE: f64 = 0.10;

/// Counts of right answers.
#[derive(Clone, Debug, Default)]
pub struct Shares(Vec<(&'static str, usize, usize)>);

impl Shares {
    /// Adds an answer to `name`.
    pub fn add(&mut self, name: &'static str, is_right: bool) {
        match self.0.iter_mut().find(|(known, ..)| *known == name) {
            Some((_, right, total)) => {
                *right += usize::from(is_right);
                *total += 1;
            }
            None => self.0.push((name, usize::from(is_right), 1)),
        }
    }

    /// Right among those asked, 0 to 1; 0 where nothing was.
    pub fn share(&self, name: &str) -> f64 {
        let found = self.0.iter().find(|(known, ..)| *known == name);
        found.map_or(0.0, |(_, right, total)| {
            *right as f64 / (*total).max(1) as f64
        })
    }
}

impl fmt::Display for Shares {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, right, total) in &self.0 {
            let percent = 100.0 * *right as f64 / (*total).max(1) as f64;
            writeln!(
                formatter,
                "  {name:22} {percent:5.1} %  ({right} of {total})"
            )?;
        }
        Ok(())
    }
}

/// The accuracy of the classifier on true pictures of the held-out side.
///
/// # Errors
/// [`crate::TrainError::Checkpoint`].
pub fn on_true_pictures(classifier: &Classifier, number: u64, device: &Device) -> Result<Shares> {
    let painter = Painter::held_out(SEED);
    let (mut pictures, mut labels) = (Vec::new(), Vec::new());
    for index in 0..number {
        let edit = painter.edit(index);
        for scene in [painter.example(index).scene, edit.after] {
            pictures.push(to_image(&paint(&scene).pixels));
            labels.push(Labels::of(&scene));
        }
    }
    let seen = classifier.look(&pictures, device)?;
    let counts = count(&seen, &labels);
    let rows = Head::ALL.iter().zip(counts);
    Ok(Shares(
        rows.map(|(head, (right, total))| (head.name(), right, total))
            .collect(),
    ))
}

/// The two pipelines under test.
#[derive(Debug)]
pub struct Pipelines {
    generation: QwenImage,
    edit: QwenImage,
}

impl Pipelines {
    /// Loads those that [`crate::picture_model::folders::save`] wrote.
    ///
    /// # Errors
    /// [`crate::TrainError::Model`].
    pub fn load(folder: &Path, device: &Device) -> Result<Self> {
        Ok(Self {
            generation: QwenImage::load(folder, device, DType::F32)?,
            edit: QwenImage::load(&folder.join("edit"), device, DType::F32)?,
        })
    }

    /// Pictures for prompts, by the folder's own recipe.
    ///
    /// # Errors
    /// [`crate::TrainError::Model`].
    pub fn generate(&self, prompts: &[String]) -> Result<Vec<RgbImage>> {
        let asked = prompts.iter().map(|prompt| (prompt.as_str(), None));
        draw(&self.generation, asked)
    }

    /// Pictures changed as told.
    ///
    /// # Errors
    /// [`crate::TrainError::Model`].
    pub fn edit(&self, sources: &[RgbImage], instructions: &[String]) -> Result<Vec<RgbImage>> {
        let asked = instructions
            .iter()
            .map(String::as_str)
            .zip(sources.iter().map(Some));
        draw(&self.edit, asked)
    }
}

struct Unwatched;

impl DrawWatch for Unwatched {
    fn cancelled(&self, _item: usize) -> bool {
        false
    }

    fn stepped(
        &mut self,
        _item: usize,
        _step: usize,
        _steps: usize,
        _preview: &dyn Fn() -> Option<RgbImage>,
    ) {
    }
}

fn draw<'a>(
    pipeline: &QwenImage,
    asked: impl Iterator<Item = (&'a str, Option<&'a RgbImage>)>,
) -> Result<Vec<RgbImage>> {
    let info = pipeline.info();
    let requests = asked
        .enumerate()
        .map(|(number, (prompt, picture))| DrawRequest {
            prompt: prompt.to_owned(),
            negative_prompt: NEGATIVE_PROMPT.to_owned(),
            width: SIDE as u32,
            height: SIDE as u32,
            steps: info.steps,
            guidance: info.guidance,
            seed: number as u64,
            pictures: picture.cloned().into_iter().collect(),
        });
    let fitted: Vec<DrawRequest> = requests
        .map(|request| pipeline.fit(request).map(|(request, _)| request))
        .collect::<illumine_models::Result<_>>()?;
    let mut pictures = Vec::with_capacity(fitted.len());
    for batch in fitted.chunks(BATCH) {
        pictures.extend(pipeline.draw(batch, &mut Unwatched)?.into_iter().flatten());
    }
    Ok(pictures)
}

/// What of captions is right in their pictures.
#[derive(Clone, Debug, Default)]
pub struct CaptionReport {
    /// By what was asked.
    pub questions: Shares,
    /// The subject, by thing.
    pub things: Shares,
}

impl fmt::Display for CaptionReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { questions, things } = self;
        write!(formatter, "{questions}subject, by thing\n{things}")
    }
}

/// Draws `number` held-out captions and counts what is right; `keep` sees each caption
/// with its picture.
///
/// # Errors
/// [`crate::TrainError::Model`].
pub fn on_captions(
    pipelines: &Pipelines,
    classifier: &Classifier,
    number: u64,
    device: &Device,
    mut keep: impl FnMut(&str, &RgbImage),
) -> Result<CaptionReport> {
    let painter = Painter::held_out(SEED);
    let examples: Vec<_> = (0..number).map(|index| painter.example(index)).collect();
    let captions: Vec<String> = examples.iter().map(|one| one.caption.clone()).collect();
    let pictures = pipelines.generate(&captions)?;
    let seen = classifier.look(&pictures, device)?;
    let mut report = CaptionReport::default();
    for ((example, seen), picture) in examples.iter().zip(&seen).zip(&pictures) {
        keep(&example.caption, picture);
        let asked = Labels::asked(&example.scene);
        let is_right = |head: Head| asked.get(head).map(|label| seen[head as usize] == label);
        let subject = match example.scene.object {
            Some(_) => Head::Thing,
            None => Head::Setting,
        };
        let questions = [
            ("subject", subject),
            ("colour", Head::Colour),
            ("time of day", Head::Time),
            ("place", Head::Setting),
            ("weather", Head::Weather),
            ("medium", Head::Medium),
        ];
        for (name, head) in questions {
            if let Some(is_right) = is_right(head) {
                report.questions.add(name, is_right);
            }
        }
        if let (Some(object), Some(is_right)) = (example.scene.object, is_right(subject)) {
            report.things.add(words::names(object.thing)[0], is_right);
        }
    }
    Ok(report)
}

/// How edits went.
#[derive(Clone, Debug, Default)]
pub struct EditReport {
    /// The asked change is seen, by kind of edit.
    pub changed: Shares,
    /// The rest is kept, by kind of edit.
    pub kept: Shares,
    /// Both.
    pub both: Shares,
}

impl fmt::Display for EditReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            changed,
            kept,
            both,
        } = self;
        write!(formatter, "changed\n{changed}kept\n{kept}both\n{both}")
    }
}

/// Edits `number` held-out pictures; `keep` sees the instruction with the picture
/// before and after.
///
/// # Errors
/// [`crate::TrainError::Model`].
pub fn on_edits(
    pipelines: &Pipelines,
    classifier: &Classifier,
    number: u64,
    device: &Device,
    mut keep: impl FnMut(&str, &RgbImage, &RgbImage),
) -> Result<EditReport> {
    let painter = Painter::held_out(SEED);
    let examples: Vec<EditExample> = (0..number).map(|index| painter.edit(index)).collect();
    let before: Vec<_> = examples.iter().map(|one| paint(&one.before)).collect();
    let sources: Vec<RgbImage> = before.iter().map(|one| to_image(&one.pixels)).collect();
    let words: Vec<String> = examples.iter().map(|one| one.instruction.clone()).collect();
    let drawn = pipelines.edit(&sources, &words)?;
    let seen = classifier.look(&drawn, device)?;
    let mut report = EditReport::default();
    for (index, example) in examples.iter().enumerate() {
        let (source, outcome) = (&sources[index], &drawn[index]);
        keep(&example.instruction, source, outcome);
        let after = paint(&example.after);
        let changed = is_changed(example, &seen[index], source, outcome);
        let kept = match example.edit.is_local() {
            true => {
                let mask = example.edit.mask(&before[index], &after);
                difference(source, outcome, |pixel| !mask[pixel]) < KEPT
            }
            false => difference(&to_image(&after.pixels), outcome, |_| true) < KEPT_WHOLE,
        };
        for name in ["all edits", kind(example.edit)] {
            report.changed.add(name, changed);
            report.kept.add(name, kept);
            report.both.add(name, changed && kept);
        }
    }
    Ok(report)
}

fn kind(edit: Edit) -> &'static str {
    match edit {
        Edit::Time(_) => "time of day",
        Edit::Weather(Weather::Snow) => "snow",
        Edit::Weather(_) | Edit::Sunny => "weather",
        Edit::Autumn => "autumn",
        Edit::Tone(_) => "darker, brighter",
        Edit::Medium(Medium::BlackAndWhite) => "black and white",
        Edit::Medium(_) => "sketch, watercolour",
        Edit::Recolour(_) => "recolour",
        Edit::Add(_) => "add",
        Edit::Remove(_) => "remove",
    }
}

/// Whether the outcome shows what was asked for.
fn is_changed(
    example: &EditExample,
    seen: &[usize; 9],
    source: &RgbImage,
    outcome: &RgbImage,
) -> bool {
    let wanted = Labels::of(&example.after);
    // What the picture does not tell is not held against it.
    let is = |head: Head| {
        wanted
            .get(head)
            .is_none_or(|label| seen[head as usize] == label)
    };
    match example.edit {
        Edit::Time(Time::Night) if wanted.get(Head::Time).is_none() => {
            brightness(outcome) < brightness(source)
        }
        Edit::Time(_) => is(Head::Time),
        Edit::Weather(_) => is(Head::Weather),
        Edit::Sunny => is(Head::Weather) && is(Head::Time),
        Edit::Autumn => is(Head::Autumn),
        Edit::Tone(Tone::Darker) => brightness(outcome) < 0.85 * brightness(source),
        Edit::Tone(_) => {
            let dark = |picture| 1.0 - brightness(picture);
            dark(outcome) < 0.85 * dark(source)
        }
        Edit::Medium(_) => is(Head::Medium),
        Edit::Recolour(_) => is(Head::Thing) && is(Head::Colour),
        Edit::Add(_) | Edit::Remove(_) => {
            let heads = match example.before.companion == example.after.companion {
                true => [Head::Thing, Head::Colour],
                false => [Head::Companion, Head::CompanionColour],
            };
            heads.into_iter().all(is)
        }
    }
}

fn brightness(picture: &RgbImage) -> f64 {
    let sum: f64 = picture.as_raw().iter().map(|&level| f64::from(level)).sum();
    sum / 255.0 / picture.as_raw().len() as f64
}

/// Mean absolute difference of levels in 0..1 over some of the pixels.
pub fn difference(a: &RgbImage, b: &RgbImage, counts: impl Fn(usize) -> bool) -> f64 {
    let (mut sum, mut levels) = (0.0, 0_usize);
    for (pixel, (a, b)) in a.pixels().zip(b.pixels()).enumerate() {
        if !counts(pixel) {
            continue;
        }
        for (&a, &b) in a.0.iter().zip(&b.0) {
            sum += f64::from(a.abs_diff(b)) / 255.0;
            levels += 1;
        }
    }
    sum / levels.max(1) as f64
}
