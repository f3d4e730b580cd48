//! Houses, towers and tents.

use std::f32::consts::PI;

use super::canvas::{Canvas, polygon, rectangle};
use super::light::Light;
use super::thing::{Place, arc, solid};
use crate::painter::colour::Rgb;

/// A block of `width` × `height` sizes on the ground.
fn block(place: Place, across: f32, width: f32, up: f32, height: f32) -> Option<tiny_skia::Path> {
    let (x, y) = place.at(across - width / 2.0, up + height);
    rectangle(x, y, width * place.size, height * place.size)
}

fn snow_on(canvas: &mut Canvas, light: &Light, points: &[(f32, f32)], width: f32) {
    if light.has_snow() {
        canvas.line(points, width, light.thing(Rgb(0.96, 0.97, 1.0)), 1.0);
    }
}

/// Walls in the colour under a dark roof.
pub fn house(canvas: &mut Canvas, colour: Rgb, place: Place, light: &Light) {
    solid(
        canvas,
        block(place, 0.0, 0.92, 0.0, 0.56),
        colour,
        place,
        0.46,
    );
    let roof = light.thing(Rgb(0.36, 0.24, 0.22));
    solid(
        canvas,
        block(place, 0.26, 0.12, 0.62, 0.34),
        roof,
        place,
        0.4,
    );
    let gable = [
        place.at(-0.58, 0.54),
        place.at(0.0, 0.98),
        place.at(0.58, 0.54),
    ];
    solid(canvas, polygon(&gable), roof, place, 0.58);
    snow_on(canvas, light, &gable, place.size * 0.06);
    canvas.fill(block(place, 0.0, 0.17, 0.0, 0.32), roof.darker(0.3), 1.0);
    for across in [-0.29, 0.29] {
        canvas.fill(
            block(place, across, 0.19, 0.20, 0.18),
            light.thing(Rgb(0.95, 0.94, 0.90)),
            1.0,
        );
        canvas.fill(block(place, across, 0.14, 0.22, 0.14), light.window(), 1.0);
    }
}

/// A tower in the colour with four pale sails.
pub fn windmill(canvas: &mut Canvas, colour: Rgb, place: Place, light: &Light) {
    let tower = polygon(&[
        place.at(-0.27, 0.0),
        place.at(-0.16, 0.66),
        place.at(0.16, 0.66),
        place.at(0.27, 0.0),
    ]);
    solid(canvas, tower, colour, place, 0.27);
    let cap = light.thing(Rgb(0.34, 0.24, 0.22));
    canvas.fill(
        arc(place.at(0.0, 0.65), place.size * 0.17, 0.0, 1.0),
        cap,
        1.0,
    );
    canvas.fill(block(place, 0.0, 0.13, 0.0, 0.22), cap, 1.0);
    canvas.fill(block(place, 0.0, 0.09, 0.36, 0.10), light.window(), 1.0);
    let hub = place.at(0.0, 0.68);
    let sail = light.thing(Rgb(0.94, 0.92, 0.86));
    for quarter in 0..4 {
        let angle = PI * (0.25 + 0.5 * quarter as f32);
        let (dx, dy) = (angle.cos() * place.size, -angle.sin() * place.size);
        let point = |along: f32, aside: f32| {
            (
                hub.0 + dx * along - dy * aside,
                hub.1 + dy * along + dx * aside,
            )
        };
        canvas.line(&[hub, point(0.42, 0.0)], 1.2, cap, 1.0);
        let blade = polygon(&[
            point(0.10, 0.0),
            point(0.42, 0.0),
            point(0.42, 0.10),
            point(0.10, 0.08),
        ]);
        canvas.fill(blade, sail, 0.95);
    }
}

/// Walls and towers with battlements.
pub fn castle(canvas: &mut Canvas, colour: Rgb, place: Place, light: &Light) {
    let tower = |canvas: &mut Canvas, across: f32, height: f32| {
        let width = 0.25;
        let own = Place {
            x: place.at(across, 0.0).0,
            ..place
        };
        solid(
            canvas,
            block(place, across, width, 0.0, height),
            colour,
            own,
            width / 2.0,
        );
        for tooth in [-0.105, 0.0, 0.105] {
            solid(
                canvas,
                block(place, across + tooth, 0.065, height - 0.01, 0.075),
                colour,
                own,
                width / 2.0,
            );
        }
        let top = [
            place.at(across - 0.12, height + 0.07),
            place.at(across + 0.12, height + 0.07),
        ];
        snow_on(canvas, light, &top, place.size * 0.05);
        canvas.fill(
            block(place, across, 0.06, height - 0.22, 0.11),
            light.window(),
            1.0,
        );
    };
    solid(
        canvas,
        block(place, 0.0, 0.95, 0.0, 0.44),
        colour.darker(0.08),
        place,
        0.48,
    );
    tower(canvas, 0.0, 0.80);
    tower(canvas, -0.44, 0.62);
    tower(canvas, 0.44, 0.62);
    let gate = light.thing(Rgb(0.22, 0.15, 0.12));
    canvas.fill(block(place, 0.0, 0.17, 0.0, 0.16), gate, 1.0);
    canvas.fill(
        arc(place.at(0.0, 0.16), place.size * 0.085, 0.0, 1.0),
        gate,
        1.0,
    );
    canvas.line(&[place.at(0.0, 0.86), place.at(0.0, 1.02)], 1.0, gate, 1.0);
    let flag = polygon(&[
        place.at(0.0, 1.02),
        place.at(0.16, 0.97),
        place.at(0.0, 0.92),
    ]);
    canvas.fill(flag, colour.lighter(0.3), 1.0);
}

/// Two slopes of cloth and a dark entrance.
pub fn tent(canvas: &mut Canvas, colour: Rgb, place: Place) {
    let left = polygon(&[
        place.at(-0.66, 0.0),
        place.at(-0.08, 0.84),
        place.at(0.30, 0.0),
    ]);
    let right = polygon(&[
        place.at(0.30, 0.0),
        place.at(-0.08, 0.84),
        place.at(0.44, 0.66),
        place.at(0.74, 0.05),
    ]);
    canvas.fill(right, colour.darker(0.26), 1.0);
    solid(canvas, left, colour.lighter(0.06), place, 0.66);
    let door = polygon(&[
        place.at(-0.30, 0.0),
        place.at(-0.09, 0.56),
        place.at(0.06, 0.0),
    ]);
    canvas.fill(door, Rgb(0.14, 0.11, 0.12), 0.92);
}

/// A tower in bands of the colour and white, with its light.
pub fn lighthouse(canvas: &mut Canvas, colour: Rgb, place: Place, light: &Light) {
    let half = |up: f32| 0.175 - 0.085 * up / 0.78;
    let band = |from: f32, to: f32| {
        polygon(&[
            place.at(-half(from), from),
            place.at(-half(to), to),
            place.at(half(to), to),
            place.at(half(from), from),
        ])
    };
    solid(canvas, band(0.0, 0.78), colour, place, 0.17);
    let white = light.thing(Rgb(0.95, 0.95, 0.93));
    for from in [0.24, 0.54] {
        solid(canvas, band(from, from + 0.10), white, place, 0.17);
    }
    let dark = light.thing(Rgb(0.22, 0.22, 0.26));
    canvas.fill(block(place, 0.0, 0.30, 0.77, 0.035), dark, 1.0);
    let lamp = Rgb(1.0, 0.92, 0.55);
    canvas.fill(block(place, 0.0, 0.15, 0.80, 0.11), lamp, 1.0);
    if light.is_night() {
        canvas.glow(place.at(0.0, 0.85), place.size * 0.42, lamp, 0.75);
    }
    solid(
        canvas,
        arc(place.at(0.0, 0.90), place.size * 0.10, 0.0, 1.0),
        colour,
        place,
        0.12,
    );
}
