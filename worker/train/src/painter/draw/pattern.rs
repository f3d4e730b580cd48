//! Abstract patterns of two colours.

use std::f32::consts::TAU;

use super::canvas::{Canvas, ellipse, everything, polygon, rectangle};
use super::light::Light;
use super::sky;
use crate::corpus::Rng;
use crate::painter::SIDE;
use crate::painter::colour::Rgb;
use crate::painter::scene::{Pattern, Scene, Time};

const S: f32 = SIDE as f32;

/// The whole picture.
pub fn paint(canvas: &mut Canvas, scene: &Scene, light: &Light, pattern: Pattern) {
    let mut rng = Rng::new(scene.seed, 30);
    let [first, second] = scene.colours.map(|colour| light.thing(colour.rgb()));
    canvas.fill_linear(
        everything(),
        [(0.0, 0.0), (S, S)],
        &[
            (0.0, second.lighter(0.12), 1.0),
            (1.0, second.darker(0.06), 1.0),
        ],
    );
    match pattern {
        Pattern::Stripes => stripes(canvas, &mut rng, first),
        Pattern::Waves => waves(canvas, &mut rng, first),
        Pattern::Circles => circles(canvas, &mut rng, first),
        Pattern::Grid => grid(canvas, &mut rng, first),
        Pattern::Gradient => {
            let angle = rng.range(0.0, TAU);
            let (dx, dy) = (angle.cos() * 62.0, angle.sin() * 62.0);
            canvas.fill_linear(
                everything(),
                [(64.0 - dx, 64.0 - dy), (64.0 + dx, 64.0 + dy)],
                &[(0.0, first, 1.0), (1.0, second, 1.0)],
            );
            let centre = (rng.range(24.0, 104.0), rng.range(24.0, 104.0));
            canvas.glow(centre, 46.0, first.lighter(0.5), 0.5);
        }
    }
    if scene.time == Time::Night {
        sky::stars(canvas, scene.seed, S, 0.8);
    }
}

fn shaded(canvas: &mut Canvas, path: Option<tiny_skia::Path>, colour: Rgb) {
    canvas.fill_linear(
        path,
        [(0.0, 0.0), (S, S)],
        &[
            (0.0, colour.lighter(0.14), 1.0),
            (1.0, colour.darker(0.10), 1.0),
        ],
    );
}

fn stripes(canvas: &mut Canvas, rng: &mut Rng, colour: Rgb) {
    let slant = rng.pick(&[-70.0, -40.0, 0.0, 40.0, 70.0]);
    let pitch = rng.range(17.0, 28.0);
    let mut x = -90.0 + rng.range(0.0, pitch);
    while x < S + 90.0 {
        shaded(
            canvas,
            polygon(&[
                (x, -1.0),
                (x + pitch / 2.0, -1.0),
                (x + pitch / 2.0 + slant, S + 1.0),
                (x + slant, S + 1.0),
            ]),
            colour,
        );
        x += pitch;
    }
}

fn waves(canvas: &mut Canvas, rng: &mut Rng, colour: Rgb) {
    let (pitch, swing) = (rng.range(20.0, 30.0), rng.range(5.0, 9.0));
    let (phase, length) = (rng.range(0.0, TAU), rng.range(1.0, 2.2));
    let mut y = -pitch + rng.range(0.0, pitch);
    while y < S + pitch {
        let crest = |x: f32| (phase + x / S * length * TAU).sin() * swing;
        let edge = (0..=32).map(|step| step as f32 / 32.0 * (S + 20.0) - 10.0);
        let mut points: Vec<(f32, f32)> = edge.clone().map(|x| (x, y + crest(x))).collect();
        points.extend(edge.rev().map(|x| (x, y + pitch / 2.0 + crest(x))));
        shaded(canvas, polygon(&points), colour);
        y += pitch;
    }
}

fn circles(canvas: &mut Canvas, rng: &mut Rng, colour: Rgb) {
    let pitch = rng.range(28.0, 40.0);
    let (dx, dy) = (rng.range(0.0, pitch), rng.range(0.0, pitch));
    for row in -1..5 {
        for column in -1..5 {
            let shift = if row % 2 == 0 { 0.0 } else { pitch / 2.0 };
            let centre = (
                column as f32 * pitch + dx + shift,
                row as f32 * pitch * 0.87 + dy,
            );
            let radius = pitch * rng.range(0.26, 0.38);
            shaded(canvas, ellipse(centre, radius, radius), colour);
            let shine = (centre.0 - radius * 0.3, centre.1 - radius * 0.3);
            canvas.glow(shine, radius * 0.6, colour.lighter(0.6), 0.5);
        }
    }
}

fn grid(canvas: &mut Canvas, rng: &mut Rng, colour: Rgb) {
    let pitch = rng.range(18.0, 28.0);
    let (dx, dy) = (rng.range(0.0, pitch), rng.range(0.0, pitch));
    let wide = pitch * rng.range(0.24, 0.34);
    for line in -1..9 {
        let at = line as f32 * pitch;
        shaded(canvas, rectangle(at + dx, 0.0, wide, S), colour);
        shaded(canvas, rectangle(0.0, at + dy, S, wide), colour);
    }
}
