//! A table at a window, for still lifes.

use tiny_skia::{Path, PathBuilder};

use super::canvas::{Canvas, everything, rectangle};
use super::light::Light;
use super::sky;
use crate::corpus::Rng;
use crate::painter::SIDE;
use crate::painter::colour::Rgb;
use crate::painter::scene::Scene;

const S: f32 = SIDE as f32;
/// Where the table's edge meets the wall.
const EDGE: f32 = 88.0;

/// Wall, window and table.
pub fn paint(canvas: &mut Canvas, scene: &Scene, light: &Light) {
    let mut rng = Rng::new(scene.seed, 20);
    let wall = rng
        .pick(&[
            Rgb(0.86, 0.82, 0.74),
            Rgb(0.76, 0.82, 0.82),
            Rgb(0.82, 0.78, 0.84),
            Rgb(0.80, 0.84, 0.76),
        ])
        .lit(light.ambient);
    let wood = rng
        .pick(&[
            Rgb(0.62, 0.42, 0.27),
            Rgb(0.50, 0.34, 0.24),
            Rgb(0.72, 0.55, 0.38),
        ])
        .lit(light.ambient.mix(Rgb(1.0, 1.0, 1.0), 0.2));

    // The sky is painted over the whole and the wall around the window over it.
    sky::paint(canvas, scene, light, 62.0);
    let (x, y) = (rng.range(70.0, 80.0), rng.range(8.0, 13.0));
    let (width, height) = (40.0, 46.0);
    canvas.fill_linear(
        around((0.0, 0.0, S, S), (x, y, width, height)),
        [(S, 0.0), (0.0, S * 0.7)],
        &[
            (0.0, wall.lighter(0.10), 1.0),
            (1.0, wall.darker(0.16), 1.0),
        ],
    );
    let frame = Rgb(0.93, 0.91, 0.88).lit(light.ambient);
    for (left, top, wide, tall) in [
        (x - 2.0, y - 2.0, width + 4.0, 3.0),
        (x - 2.0, y + height - 1.0, width + 4.0, 3.5),
        (x - 2.0, y, 3.0, height),
        (x + width - 1.0, y, 3.0, height),
        (x + width / 2.0 - 1.0, y, 2.0, height),
        (x, y + height / 2.0 - 1.0, width, 2.0),
    ] {
        canvas.fill(rectangle(left, top, wide, tall), frame, 1.0);
    }
    canvas.fill_linear(
        rectangle(0.0, EDGE, S, S - EDGE),
        [(0.0, EDGE), (0.0, S)],
        &[
            (0.0, wood.lighter(0.16), 1.0),
            (1.0, wood.darker(0.18), 1.0),
        ],
    );
    for _ in 0..7 {
        let y = rng.range(EDGE + 3.0, S);
        let x = rng.range(-30.0, S);
        let length = rng.range(20.0, 70.0);
        canvas.line(&[(x, y), (x + length, y)], 0.8, wood.darker(0.2), 0.35);
    }
    // The lower edge of the wall in shade.
    canvas.fill_linear(
        everything(),
        [(0.0, EDGE - 7.0), (0.0, EDGE)],
        &[
            (0.0, Rgb(0.0, 0.0, 0.0), 0.0),
            (0.98, Rgb(0.0, 0.0, 0.0), 0.12),
            (1.0, Rgb(0.0, 0.0, 0.0), 0.0),
        ],
    );
}

/// What is in the outer rectangle and not in the inner one; each is left, top,
/// width and height. The inner one is wound the other way.
fn around(outer: (f32, f32, f32, f32), inner: (f32, f32, f32, f32)) -> Option<Path> {
    let mut builder = PathBuilder::new();
    for ((x, y, width, height), back) in [(outer, false), (inner, true)] {
        let mut corners = [
            (x, y),
            (x + width, y),
            (x + width, y + height),
            (x, y + height),
        ];
        if back {
            corners.reverse();
        }
        builder.move_to(corners[0].0, corners[0].1);
        for (x, y) in &corners[1..] {
            builder.line_to(*x, *y);
        }
        builder.close();
    }
    builder.finish()
}
