//! Sky, sun, moon, stars and clouds.

use super::canvas::{Canvas, ellipse, rectangle};
use super::light::Light;
use crate::corpus::Rng;
use crate::painter::SIDE;
use crate::painter::colour::{Rgb, WHITE};
use crate::painter::scene::{Scene, Time, Weather};

/// From the top of the picture down to the horizon.
pub fn paint(canvas: &mut Canvas, scene: &Scene, light: &Light, horizon: f32) {
    let side = SIDE as f32;
    canvas.fill_linear(
        rectangle(0.0, 0.0, side, horizon + 2.0),
        [(0.0, 0.0), (0.0, horizon)],
        &[
            (0.0, light.sky[0], 1.0),
            (0.6, light.sky[1], 1.0),
            (1.0, light.sky[2], 1.0),
        ],
    );
    let mut rng = Rng::new(scene.seed, 1);
    let x = rng.range(14.0, side - 14.0);
    let height = rng.unit();
    let seen = match scene.weather {
        Weather::Clear => 1.0,
        Weather::Snow => 0.45,
        Weather::Rain => 0.0,
        Weather::Fog => 0.35,
    };
    match scene.time {
        Time::Night => {
            stars(canvas, scene.seed, horizon, seen);
            let centre = (x, 14.0 + 12.0 * height);
            let pale = Rgb(0.97, 0.95, 0.84);
            canvas.glow(centre, 26.0, Rgb(0.62, 0.68, 0.85), 0.5 * seen);
            canvas.fill(ellipse(centre, 6.5, 6.5), pale, seen);
            canvas.glow(
                (centre.0 + 2.0, centre.1 + 1.0),
                4.0,
                light.sky[1],
                0.35 * seen,
            );
        }
        Time::Noon => {
            let centre = (x, 12.0 + 12.0 * height);
            canvas.glow(centre, 30.0, Rgb(1.0, 0.98, 0.80), 0.8 * seen);
            canvas.fill(ellipse(centre, 7.5, 7.5), Rgb(1.0, 0.97, 0.72), seen);
        }
        Time::Dawn | Time::Dusk => {
            let centre = (x, horizon - 5.0 - 9.0 * height);
            let (halo, disc) = match scene.time {
                Time::Dawn => (Rgb(1.0, 0.90, 0.70), Rgb(1.0, 0.95, 0.80)),
                _ => (Rgb(1.0, 0.60, 0.20), Rgb(1.0, 0.80, 0.35)),
            };
            canvas.glow(centre, 48.0, halo, 0.75 * seen.max(0.3));
            canvas.fill(ellipse(centre, 9.0, 9.0), disc, seen);
        }
    }
    clouds(canvas, scene, light, horizon);
}

/// Points of light down to `horizon`.
pub fn stars(canvas: &mut Canvas, seed: u64, horizon: f32, seen: f32) {
    let mut rng = Rng::new(seed, 2);
    for _ in 0..46 {
        let place = (rng.range(0.0, SIDE as f32), rng.range(0.0, horizon * 0.9));
        let size = rng.range(0.5, 1.1);
        let alpha = rng.range(0.5, 1.0) * seen;
        canvas.fill(ellipse(place, size, size), WHITE, alpha);
    }
}

fn clouds(canvas: &mut Canvas, scene: &Scene, light: &Light, horizon: f32) {
    let mut rng = Rng::new(scene.seed, 3);
    let (shade, alpha) = match (scene.weather, scene.time) {
        (Weather::Rain, _) => (light.sky[0].mix(Rgb(0.35, 0.38, 0.43), 0.5), 0.75),
        (_, Time::Night) => (light.sky[2].lighter(0.08), 0.35),
        (_, Time::Dusk) => (Rgb(0.98, 0.55, 0.45), 0.55),
        (_, Time::Dawn) => (Rgb(1.0, 0.88, 0.88), 0.65),
        (_, Time::Noon) => (WHITE, 0.80),
    };
    let number = rng.between(1, 4);
    for index in 0..7 {
        let centre = (rng.range(0.0, SIDE as f32), rng.range(0.12, 0.72) * horizon);
        let (width, flat) = (rng.range(11.0, 20.0), rng.range(0.25, 0.40));
        let wanted = if scene.weather == Weather::Rain {
            7
        } else {
            number
        };
        for _ in 0..4 {
            let (dx, dy) = (rng.range(-0.8, 0.8) * width, rng.range(-0.2, 0.15) * width);
            let size = width * rng.range(0.6, 1.0);
            if index < wanted {
                canvas.puff(
                    (centre.0 + dx, centre.1 + dy),
                    size,
                    size * flat,
                    shade,
                    alpha,
                );
            }
        }
    }
}
