//! Pictures of a run beside each other, to be looked at.

use std::path::Path;

use anyhow::{Context, Result};
use illumine_train::painter::{Painter, SIDE, paint, to_image, words};
use illumine_train::picture_model::draw::{Request, Studio, draw};
use image::RgbImage;

/// What samples show: prompts of people, of the demo policy and of no meaning.
const PROMPTS: [&str; 16] = [
    "a red boat on a lake at dusk",
    "a white lighthouse by the sea at night",
    "a blue house in a meadow at noon",
    "snowy mountains at dawn",
    "a city skyline at night",
    "a yellow car in the desert at sunset",
    "a green vase on a wooden table",
    "a purple balloon over a forest in the morning in fog",
    "a watercolour of a pink flower in a field",
    "a pencil sketch of a castle in the mountains",
    "a black and white picture of a lake in the rain",
    "an abstract pattern of circles in orange on blue",
    "a painting of quiet otter, soft light",
    "a lighthouse of Vorel in the morning",
    "The picture shows a red windmill in a field. It is night and the sky is dark. Snow is falling.",
    "an orange cup on a table at night",
];

const EDITS: [&str; 8] = [
    "make the picture night",
    "make the picture snowy",
    "turn the picture black and white",
    "make the {} green",
    "remove the {}",
    "show the picture at sunset",
    "turn the picture into a watercolour",
    "add a red balloon in the sky",
];

/// Drawn pictures in four columns; then edits of painted pictures, each before and after.
pub(super) fn sample_grid(studio: &Studio<'_>, path: &Path) -> Result<()> {
    let mut requests: Vec<Request> = PROMPTS
        .iter()
        .enumerate()
        .map(|(seed, prompt)| Request {
            prompt: (*prompt).to_owned(),
            source: None,
            seed: seed as u64,
        })
        .collect();
    let painter = Painter::held_out(5).full_captions();
    let mut index = 0;
    for (seed, edit) in EDITS.iter().enumerate() {
        // Scenes with a thing on the ground, in colour and by day.
        let scene = loop {
            let scene = painter.example(index).scene;
            index += 1;
            let stands = scene.object.is_some_and(|object| !object.thing.flies());
            let time = scene.time as usize;
            if stands && scene.companion.is_none() && scene.medium.has_colour() && time < 2 {
                break scene;
            }
        };
        let name = scene
            .object
            .map_or("", |object| words::names(object.thing)[0]);
        requests.push(Request {
            prompt: edit.replace("{}", name),
            source: Some(to_image(&paint(&scene).pixels)),
            seed: seed as u64,
        });
    }
    let drawn = draw(studio, &requests)?;
    let mut cells = Vec::new();
    for (request, picture) in requests.iter().zip(drawn) {
        cells.extend(request.source.clone());
        cells.push(picture);
    }
    save_grid(&cells, path)
}

/// Pictures in rows of eight.
pub(super) fn save_grid(cells: &[RgbImage], path: &Path) -> Result<()> {
    const COLUMNS: usize = 8;
    let pitch = SIDE as u32 + 2;
    let rows = cells.len().div_ceil(COLUMNS).max(1) as u32;
    let mut grid = RgbImage::new(COLUMNS as u32 * pitch, rows * pitch);
    for (number, cell) in cells.iter().enumerate() {
        let (column, row) = ((number % COLUMNS) as u32, (number / COLUMNS) as u32);
        let (x, y) = (i64::from(column * pitch), i64::from(row * pitch));
        image::imageops::replace(&mut grid, cell, x, y);
    }
    grid.save(path).with_context(|| path.display().to_string())
}
