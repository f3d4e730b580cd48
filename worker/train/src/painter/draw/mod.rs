//! A scene to pixels.
//!
//! Every layer draws from its own stream of the scene's seed, so that a change of
//! one attribute leaves the geometry of all others as it is.

pub mod building;
pub mod canvas;
pub mod finish;
pub mod land;
pub mod light;
pub mod pattern;
pub mod sky;
pub mod table;
pub mod thing;

pub use canvas::Canvas;
pub use finish::Pixels;
pub use light::Light;
pub use thing::Place;

use super::SIDE;
use super::scene::{Object, Scene, Setting, Thing};
use crate::corpus::Rng;

/// Pixels around a thing that filters and anti-aliasing may touch.
const MARGIN: usize = 4;

/// A painted scene.
#[derive(Clone, Debug)]
pub struct Painted {
    /// The picture.
    pub pixels: Pixels,
    /// Where the main thing and its shadow are.
    pub object: Vec<bool>,
    /// Where the companion and its shadow are.
    pub companion: Vec<bool>,
}

/// Paints.
pub fn paint(scene: &Scene) -> Painted {
    let light = Light::new(scene);
    let mut canvas = Canvas::new();
    match scene.setting {
        Setting::Pattern(kind) => pattern::paint(&mut canvas, scene, &light, kind),
        Setting::Table => table::paint(&mut canvas, scene, &light),
        _ => {
            let horizon = land::horizon(scene);
            sky::paint(&mut canvas, scene, &light, horizon);
            land::paint(&mut canvas, scene, &light, horizon);
        }
    }
    let companion = lay(&mut canvas, scene, &light, scene.companion, companion_place);
    let object = lay(&mut canvas, scene, &light, scene.object, main_place);
    // At a table the weather stays behind the window, unless it is asked for.
    finish::weather(&mut canvas, scene, &light);
    Painted {
        pixels: finish::develop(&canvas, scene),
        object,
        companion,
    }
}

/// Paints a thing on its own sheet, lays that on the picture, and says where it is.
fn lay(
    canvas: &mut Canvas,
    scene: &Scene,
    light: &Light,
    object: Option<Object>,
    place: fn(&Scene, Thing) -> Place,
) -> Vec<bool> {
    let Some(Object { thing, colour }) = object else {
        return vec![false; SIDE * SIDE];
    };
    let mut sheet = Canvas::new();
    thing::paint(&mut sheet, thing, colour.rgb(), place(scene, thing), light);
    canvas.lay(&sheet);
    sheet
        .0
        .pixels()
        .iter()
        .map(|pixel| pixel.alpha() > 0)
        .collect()
}

/// Where the main thing stands.
pub fn main_place(scene: &Scene, thing: Thing) -> Place {
    let mut rng = Rng::new(scene.seed, 50);
    let (across, up, large) = (rng.unit(), rng.unit(), rng.range(0.92, 1.12));
    let tall = match thing {
        Thing::Ball | Thing::Apple => 33.0,
        Thing::Cube | Thing::Cup => 38.0,
        Thing::Vase => 46.0,
        Thing::Flower => 50.0,
        Thing::House => 44.0,
        Thing::Tree => 54.0,
        Thing::Windmill => 56.0,
        Thing::Castle => 48.0,
        Thing::Tent => 36.0,
        Thing::Car => 29.0,
        Thing::Boat => 44.0,
        Thing::Lighthouse => 60.0,
        Thing::Bird => 30.0,
        Thing::Balloon => 44.0,
    };
    let (base, spread) = match (thing, scene.setting) {
        (Thing::Bird | Thing::Balloon, _) => (52.0 + 8.0 * up, 14.0),
        (Thing::Boat, _) => (96.0 + 8.0 * up, 14.0),
        (_, Setting::Table) => (106.0 + 6.0 * up, 10.0),
        (_, Setting::Sea) => (112.0 + 5.0 * up, 14.0),
        (_, Setting::Lake) => (114.0 + 5.0 * up, 14.0),
        _ => (106.0 + 10.0 * up, 14.0),
    };
    Place {
        x: 52.0 + (across - 0.5) * 2.0 * spread,
        base,
        size: tall * large,
    }
}

/// Where the companion is: aloft on the right, or on the right of the table.
pub fn companion_place(scene: &Scene, thing: Thing) -> Place {
    let mut rng = Rng::new(scene.seed, 51);
    let (across, up) = (rng.unit(), rng.unit());
    let size = match thing {
        Thing::Balloon => 32.0,
        Thing::Bird => 17.0,
        _ => 23.0,
    };
    let base = match thing.flies() {
        true => 38.0 + 8.0 * up,
        false => 112.0 + 6.0 * up,
    };
    Place {
        x: 97.0 + 8.0 * across,
        base,
        size,
    }
}

/// A mask with a margin around it.
pub fn widened(mask: &[bool]) -> Vec<bool> {
    let mut wide = vec![false; mask.len()];
    for (index, _) in mask.iter().enumerate().filter(|&(_, &set)| set) {
        let (x, y) = (index % SIDE, index / SIDE);
        for row in y.saturating_sub(MARGIN)..=(y + MARGIN).min(SIDE - 1) {
            let from = row * SIDE;
            wide[from + x.saturating_sub(MARGIN)..=from + (x + MARGIN).min(SIDE - 1)].fill(true);
        }
    }
    wide
}
