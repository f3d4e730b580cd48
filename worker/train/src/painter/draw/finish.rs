//! What falls from the sky, how light the whole is, and what it is made with.

use super::canvas::{Canvas, ellipse, everything};
use super::light::Light;
use crate::corpus::Rng;
use crate::painter::SIDE;
use crate::painter::colour::{Rgb, WHITE};
use crate::painter::scene::{Medium, Scene, Time, Tone, Weather};

const S: f32 = SIDE as f32;

/// Rain, snow, fog and falling leaves, before everything.
pub fn weather(canvas: &mut Canvas, scene: &Scene, light: &Light) {
    let mut rng = Rng::new(scene.seed, 40);
    match scene.weather {
        Weather::Clear => {}
        Weather::Rain => {
            let drop = Rgb(0.80, 0.86, 0.95).lit(light.ambient.lighter(0.4));
            for _ in 0..100 {
                let (x, y) = (rng.range(0.0, S + 10.0), rng.range(-8.0, S));
                let length = rng.range(5.0, 9.0);
                canvas.line(&[(x, y), (x - length * 0.3, y + length)], 0.8, drop, 0.50);
            }
        }
        Weather::Snow => {
            for _ in 0..85 {
                let place = (rng.range(0.0, S), rng.range(0.0, S));
                let size = rng.range(0.8, 1.8);
                canvas.fill(ellipse(place, size, size), WHITE, rng.range(0.75, 1.0));
            }
        }
        Weather::Fog => {
            let fog = light.haze.lighter(0.22);
            canvas.fill_linear(
                everything(),
                [(0.0, 0.0), (0.0, S)],
                &[(0.0, fog, 0.18), (0.55, fog, 0.58), (1.0, fog, 0.30)],
            );
            for _ in 0..6 {
                let place = (rng.range(0.0, S), rng.range(50.0, 112.0));
                canvas.puff(place, rng.range(30.0, 60.0), rng.range(4.0, 8.0), fog, 0.40);
            }
        }
    }
    if scene.autumn {
        let mut rng = Rng::new(scene.seed, 41);
        for _ in 0..40 {
            let place = (rng.range(0.0, S), rng.range(0.0, S));
            let colour = rng.pick(&[
                Rgb(0.86, 0.40, 0.08),
                Rgb(0.75, 0.22, 0.08),
                Rgb(0.94, 0.66, 0.16),
            ]);
            canvas.fill(
                ellipse(place, rng.range(1.2, 2.2), 1.1),
                light.thing(colour),
                0.9,
            );
        }
    }
}

/// Red, green and blue of every pixel, row by row, 0 to 1.
pub type Pixels = Vec<[f32; 3]>;

/// Out of the canvas and through tone and medium.
pub fn develop(canvas: &Canvas, scene: &Scene) -> Pixels {
    let pixels: Pixels = canvas
        .0
        .pixels()
        .iter()
        .map(|pixel| {
            [pixel.red(), pixel.green(), pixel.blue()].map(|value| f32::from(value) / 255.0)
        })
        .collect();
    let pixels = match scene.tone {
        Tone::Plain => pixels,
        Tone::Darker => each(pixels, |value| value * 0.55),
        Tone::Brighter => each(pixels, |value| 1.0 - (1.0 - value) * 0.58),
    };
    match scene.medium {
        Medium::Painting => pixels,
        Medium::BlackAndWhite => pixels.into_iter().map(|pixel| [luma(pixel); 3]).collect(),
        Medium::Sketch => sketch(&pixels, scene.time),
        Medium::Watercolour => watercolour(pixels, scene.seed),
    }
}

fn each(pixels: Pixels, change: impl Fn(f32) -> f32) -> Pixels {
    pixels.into_iter().map(|pixel| pixel.map(&change)).collect()
}

/// ITU-R BT.601.
fn luma([r, g, b]: [f32; 3]) -> f32 {
    0.299 * r + 0.587 * g + 0.114 * b
}

/// Grey lines where light changes, on paper with some of the shade.
fn sketch(pixels: &Pixels, time: Time) -> Pixels {
    let shade: Vec<f32> = pixels.iter().map(|&pixel| luma(pixel)).collect();
    let at = |x: isize, y: isize| {
        let clamp = |value: isize| value.clamp(0, SIDE as isize - 1) as usize;
        shade[clamp(y) * SIDE + clamp(x)]
    };
    let paper = if time == Time::Night { 0.74 } else { 0.97 };
    (0..SIDE * SIDE)
        .map(|index| {
            let (x, y) = ((index % SIDE) as isize, (index / SIDE) as isize);
            let dx = at(x + 1, y) - at(x - 1, y);
            let dy = at(x, y + 1) - at(x, y - 1);
            let edge = ((dx * dx + dy * dy).sqrt() - 0.03).max(0.0) * 2.4;
            let hatch = if (x + y) % 4 == 0 { 0.16 } else { 0.0 };
            let tint = 0.34 * (1.0 - shade[index]) + hatch * (1.0 - shade[index]);
            let value = (paper - tint - 0.62 * edge.min(1.0)).clamp(0.10, 1.0);
            [value, value * 0.985, value * 0.95]
        })
        .collect()
}

/// Softer, paler, and uneven as pigment on paper is.
fn watercolour(pixels: Pixels, seed: u64) -> Pixels {
    let mut rng = Rng::new(seed, 42);
    // Slow changes from a coarse lattice.
    const LATTICE: usize = 9;
    let lattice: Vec<f32> = (0..LATTICE * LATTICE)
        .map(|_| rng.range(-0.10, 0.10))
        .collect();
    let cell = S / (LATTICE - 1) as f32;
    let wash = |x: f32, y: f32| {
        let (column, row) = ((x / cell) as usize, (y / cell) as usize);
        let (fx, fy) = (x / cell - column as f32, y / cell - row as f32);
        let at = |dx: usize, dy: usize| {
            lattice[(row + dy).min(LATTICE - 1) * LATTICE + (column + dx).min(LATTICE - 1)]
        };
        let top = at(0, 0) * (1.0 - fx) + at(1, 0) * fx;
        let bottom = at(0, 1) * (1.0 - fx) + at(1, 1) * fx;
        top * (1.0 - fy) + bottom * fy
    };
    blur(&pixels, 1)
        .into_iter()
        .enumerate()
        .map(|(index, pixel)| {
            let (x, y) = (index % SIDE, index / SIDE);
            let border = x.min(y).min(SIDE - 1 - x).min(SIDE - 1 - y) as f32;
            let paper = (1.0 - (border - 2.0) / 7.0).clamp(0.0, 1.0) * 0.9;
            let wet = wash(x as f32, y as f32);
            pixel.map(|value| {
                let pale = value * 0.80 + 0.19 + wet;
                (pale + (0.98 - pale) * paper).clamp(0.0, 1.0)
            })
        })
        .collect()
}

/// The mean over squares of `2 × radius + 1` pixels.
pub fn blur(pixels: &Pixels, radius: usize) -> Pixels {
    let pass = |pixels: &Pixels, stride: usize, other: usize| -> Pixels {
        let mut out = pixels.clone();
        for line in 0..SIDE {
            for at in 0..SIDE {
                let (from, to) = (at.saturating_sub(radius), (at + radius).min(SIDE - 1));
                let mut sum = [0.0; 3];
                for near in from..=to {
                    let pixel = pixels[line * other + near * stride];
                    for (sum, value) in sum.iter_mut().zip(pixel) {
                        *sum += value;
                    }
                }
                out[line * other + at * stride] = sum.map(|value| value / (to - from + 1) as f32);
            }
        }
        out
    };
    pass(&pass(pixels, 1, SIDE), SIDE, 1)
}
