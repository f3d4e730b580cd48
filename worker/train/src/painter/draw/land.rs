//! What lies below the sky.

use super::canvas::{Canvas, ellipse, polygon, rectangle};
use super::light::Light;
use crate::corpus::Rng;
use crate::painter::SIDE;
use crate::painter::colour::Rgb;
use crate::painter::scene::{Scene, Setting};

const S: f32 = SIDE as f32;

const GRASS: Rgb = Rgb(0.42, 0.64, 0.27);
const ROCK: Rgb = Rgb(0.42, 0.42, 0.52);
const SAND: Rgb = Rgb(0.93, 0.76, 0.48);
const PINE: Rgb = Rgb(0.13, 0.36, 0.22);

/// Where the sky ends.
pub fn horizon(scene: &Scene) -> f32 {
    let middle = match scene.setting {
        Setting::Sea => 66.0,
        Setting::Lake => 62.0,
        Setting::Forest => 76.0,
        Setting::City => 98.0,
        Setting::Mountains => 82.0,
        _ => 74.0,
    };
    middle + Rng::new(scene.seed, 10).range(-5.0, 5.0)
}

/// Everything between the horizon and the lower edge, and what stands far off.
pub fn paint(canvas: &mut Canvas, scene: &Scene, light: &Light, horizon: f32) {
    let mut rng = Rng::new(scene.seed, 11);
    match scene.setting {
        Setting::Mountains => {
            peaks(canvas, &mut rng, light, horizon, 46.0, 0.9);
            peaks(canvas, &mut rng, light, horizon, 30.0, 0.4);
            ground(canvas, light.grass(GRASS), light, horizon);
            hill(
                canvas,
                &mut rng,
                light.grass(GRASS.darker(0.12)),
                100.0,
                7.0,
            );
        }
        Setting::Sea => {
            water(canvas, &mut rng, light, horizon, S, Rgb(0.10, 0.36, 0.62));
            let beach = light.ground(SAND.lighter(0.1));
            hill(canvas, &mut rng, beach, 118.0, 5.0);
        }
        Setting::Lake => {
            peaks(canvas, &mut rng, light, horizon, 22.0, 0.7);
            trees(canvas, &mut rng, light, horizon + 2.0, 5.0..10.0, 0.5);
            water(canvas, &mut rng, light, horizon, S, Rgb(0.22, 0.50, 0.62));
            hill(canvas, &mut rng, light.grass(GRASS), 116.0, 5.0);
        }
        Setting::Forest => {
            trees(canvas, &mut rng, light, horizon - 2.0, 26.0..40.0, 0.9);
            trees(canvas, &mut rng, light, horizon + 4.0, 30.0..48.0, 0.5);
            ground(
                canvas,
                light.grass(GRASS.darker(0.18)),
                light,
                horizon + 2.0,
            );
            sides(canvas, &mut rng, light);
        }
        Setting::Field => {
            hill(
                canvas,
                &mut rng,
                light.far(light.grass(GRASS.darker(0.2)), 0.8),
                horizon - 4.0,
                7.0,
            );
            ground(canvas, light.grass(Rgb(0.55, 0.70, 0.26)), light, horizon);
            rows(canvas, &mut rng, light, horizon);
        }
        Setting::Desert => {
            let dune = light.ground(SAND);
            hill(
                canvas,
                &mut rng,
                light.far(dune.darker(0.1), 0.7),
                horizon - 3.0,
                12.0,
            );
            ground(canvas, dune, light, horizon);
            hill(canvas, &mut rng, dune.darker(0.10), 92.0, 10.0);
            hill(canvas, &mut rng, dune.lighter(0.08), 108.0, 8.0);
        }
        Setting::City => {
            towers(canvas, &mut rng, light, horizon, 0.9, 34.0..66.0);
            towers(canvas, &mut rng, light, horizon, 0.25, 18.0..52.0);
            ground(canvas, light.ground(Rgb(0.45, 0.46, 0.50)), light, horizon);
        }
        Setting::Table | Setting::Pattern(_) => {}
    }
}

/// A plain, lighter towards the horizon.
fn ground(canvas: &mut Canvas, colour: Rgb, light: &Light, top: f32) {
    canvas.fill_linear(
        rectangle(0.0, top, S, S - top + 1.0),
        [(0.0, top), (0.0, S)],
        &[
            (0.0, light.far(colour, 0.6), 1.0),
            (1.0, colour.darker(0.12), 1.0),
        ],
    );
}

/// Rolling ground whose crest waves around `top`.
fn hill(canvas: &mut Canvas, rng: &mut Rng, colour: Rgb, top: f32, swing: f32) {
    let (phase, waves) = (rng.range(0.0, 6.3), rng.range(0.6, 1.5));
    let second = rng.range(0.0, 6.3);
    let mut points = vec![(-1.0, S + 1.0)];
    for step in 0..=32 {
        let x = step as f32 / 32.0;
        let wave = (phase + x * waves * 6.3).sin() * 0.7 + (second + x * waves * 13.0).sin() * 0.3;
        points.push((x * (S + 2.0) - 1.0, top + wave * swing));
    }
    points.push((S + 1.0, S + 1.0));
    canvas.fill_linear(
        polygon(&points),
        [(0.0, top - swing), (0.0, top + 30.0)],
        &[
            (0.0, colour.lighter(0.08), 1.0),
            (1.0, colour.darker(0.10), 1.0),
        ],
    );
}

/// Triangular mountains with bright tops.
fn peaks(canvas: &mut Canvas, rng: &mut Rng, light: &Light, base: f32, height: f32, distance: f32) {
    let mut x = rng.range(-25.0, 0.0);
    while x < S + 10.0 {
        let (width, tall) = (rng.range(26.0, 46.0), height * rng.range(0.65, 1.15));
        let lean = rng.range(0.35, 0.65);
        let top = (x + width * lean, base - tall);
        let rock = light.far(light.ground(ROCK), distance);
        let shade = rock.darker(0.18);
        canvas.fill_linear(
            polygon(&[(x - 6.0, base + 2.0), top, (x + width + 6.0, base + 2.0)]),
            [(0.0, top.1), (0.0, base)],
            &[(0.0, rock, 1.0), (1.0, light.far(rock, 0.7), 1.0)],
        );
        canvas.fill(
            polygon(&[
                top,
                (x + width + 6.0, base + 2.0),
                (top.0 + width * 0.08, base + 2.0),
                (top.0 - width * 0.04, top.1 + tall * 0.5),
            ]),
            shade,
            0.55,
        );
        let cap = 0.26;
        let left = (top.0 - (top.0 - x + 6.0) * cap, top.1 + tall * cap);
        let right = (top.0 + (x + width + 6.0 - top.0) * cap, top.1 + tall * cap);
        let middle = (top.0 + rng.range(-1.5, 1.5), top.1 + tall * cap * 0.72);
        let snow = light.far(Rgb(0.96, 0.97, 1.0).lit(light.ambient), distance * 0.6);
        canvas.fill(polygon(&[top, right, middle, left]), snow, 0.95);
        x += width * rng.range(0.55, 0.85);
    }
}

/// A mirror of the sky with soft ripples.
fn water(canvas: &mut Canvas, rng: &mut Rng, light: &Light, top: f32, bottom: f32, own: Rgb) {
    let own = own.lit(light.ambient);
    let colour = |sky: Rgb| sky.mix(own, 0.55);
    canvas.fill_linear(
        rectangle(0.0, top, S, bottom - top + 1.0),
        [(0.0, top), (0.0, bottom)],
        &[
            (0.0, colour(light.sky[2]), 1.0),
            (0.4, colour(light.sky[1]), 1.0),
            (1.0, own.darker(0.12), 1.0),
        ],
    );
    for row in 0..16 {
        let depth = (row as f32 + rng.unit()) / 16.0;
        let y = top + 2.0 + depth * depth * (bottom - top);
        let (x, length) = (rng.range(-10.0, S), 6.0 + 24.0 * depth);
        let sparkle = light.sky[2].lighter(0.25);
        canvas.line(&[(x, y), (x + length, y)], 0.6 + 0.8 * depth, sparkle, 0.35);
    }
}

fn trees(
    canvas: &mut Canvas,
    rng: &mut Rng,
    light: &Light,
    base: f32,
    heights: std::ops::Range<f32>,
    distance: f32,
) {
    let mut x = rng.range(-6.0, 0.0);
    let step = heights.end * 0.22;
    while x < S + 6.0 {
        let tall = rng.range(heights.start, heights.end);
        let shade = rng.range(0.0, 0.25);
        let colour = light.far(light.leaves(PINE.lighter(0.10).darker(shade)), distance);
        pine(canvas, (x, base), tall, colour);
        x += step * rng.range(0.7, 1.4);
    }
}

/// A conifer of three tiers.
fn pine(canvas: &mut Canvas, (x, base): (f32, f32), tall: f32, colour: Rgb) {
    for tier in 0..3 {
        let tier = tier as f32;
        let top = base - tall + tier * tall * 0.22;
        let foot = base - tall * 0.42 + tier * tall * 0.20;
        let half = tall * (0.13 + 0.055 * tier);
        canvas.fill_linear(
            polygon(&[(x - half, foot), (x, top), (x + half, foot)]),
            [(x - half, 0.0), (x + half, 0.0)],
            &[
                (0.0, colour.lighter(0.10), 1.0),
                (1.0, colour.darker(0.20), 1.0),
            ],
        );
    }
}

/// Near trees that frame the picture.
fn sides(canvas: &mut Canvas, rng: &mut Rng, light: &Light) {
    for x in [rng.range(-2.0, 8.0), S - rng.range(-2.0, 8.0)] {
        let tall = rng.range(70.0, 92.0);
        pine(canvas, (x, 108.0), tall, light.leaves(PINE));
    }
}

/// Furrows that run together at the horizon, with flowers among them.
fn rows(canvas: &mut Canvas, rng: &mut Rng, light: &Light, top: f32) {
    let centre = rng.range(40.0, 88.0);
    let dark = light.grass(Rgb(0.40, 0.56, 0.20));
    for row in -7..=7 {
        let row = row as f32;
        let (near, wide) = (centre + row * 26.0, 2.6);
        canvas.fill(
            polygon(&[
                (centre + row * 5.0, top),
                (near - wide, S + 1.0),
                (near + wide, S + 1.0),
            ]),
            dark,
            0.45,
        );
    }
    let bloom = rng.pick(&[
        Rgb(0.98, 0.86, 0.30),
        Rgb(0.95, 0.95, 0.98),
        Rgb(0.88, 0.45, 0.55),
    ]);
    for _ in 0..26 {
        let depth = rng.unit();
        let place = (rng.range(0.0, S), top + 4.0 + depth * (S - top - 4.0));
        let size = 0.5 + 1.1 * depth;
        let alpha = if light.has_snow() { 0.25 } else { 0.85 };
        canvas.fill(ellipse(place, size, size), light.ground(bloom), alpha);
    }
}

/// Blocks with rows of windows.
fn towers(
    canvas: &mut Canvas,
    rng: &mut Rng,
    light: &Light,
    base: f32,
    distance: f32,
    heights: std::ops::Range<f32>,
) {
    let mut x = rng.range(-8.0, 0.0);
    while x < S {
        let (width, tall) = (rng.range(11.0, 20.0), rng.range(heights.start, heights.end));
        let stone = rng.pick(&[
            Rgb(0.50, 0.54, 0.62),
            Rgb(0.62, 0.56, 0.52),
            Rgb(0.42, 0.48, 0.58),
            Rgb(0.58, 0.60, 0.64),
        ]);
        let wall = light.far(light.thing(stone).lit(light.ambient), distance);
        canvas.fill_linear(
            rectangle(x, base - tall, width, tall + 1.0),
            [(x, 0.0), (x + width, 0.0)],
            &[
                (0.0, wall.lighter(0.12), 1.0),
                (1.0, wall.darker(0.18), 1.0),
            ],
        );
        if light.has_snow() {
            let snow = Rgb(0.95, 0.97, 1.0).lit(light.ambient);
            canvas.fill(rectangle(x, base - tall - 1.5, width, 2.5), snow, 1.0);
        }
        let mut y = base - tall + 4.0;
        while y < base - 4.0 {
            let mut column = x + 2.5;
            while column < x + width - 3.0 {
                let shines = rng.chance(55);
                let alpha = match (light.is_night(), shines) {
                    (true, true) => 1.0 - 0.4 * distance,
                    (true, false) => 0.0,
                    _ => 0.55 - 0.3 * distance,
                };
                canvas.fill(rectangle(column, y, 2.0, 2.6), light.window(), alpha);
                column += 4.0;
            }
            y += 5.5;
        }
        x += width + rng.range(-2.0, 3.0);
    }
}
