//! Things, soft and simple, each mostly of its one colour.

use std::f32::consts::{PI, TAU};

use tiny_skia::{Path, PathBuilder};

use super::building;
use super::canvas::{Canvas, ellipse, polygon, rectangle, smooth};
use super::light::Light;
use crate::painter::colour::Rgb;
use crate::painter::scene::Thing;

/// Where a thing stands: the middle of its foot, and its height, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Place {
    pub x: f32,
    pub base: f32,
    pub size: f32,
}

impl Place {
    /// A point at `across` and `up` sizes from the foot.
    pub fn at(self, across: f32, up: f32) -> (f32, f32) {
        (self.x + across * self.size, self.base - up * self.size)
    }
}

/// The thing in that colour, with its shadow.
pub fn paint(canvas: &mut Canvas, thing: Thing, colour: Rgb, place: Place, light: &Light) {
    let own = light.thing(colour);
    shadow(canvas, thing, place);
    match thing {
        Thing::Ball => ball(canvas, own, place),
        Thing::Cube => cube(canvas, own, place),
        Thing::Vase => vase(canvas, own, place, light),
        Thing::Cup => cup(canvas, own, place),
        Thing::Apple => apple(canvas, own, place, light),
        Thing::Flower => flower(canvas, own, place, light),
        Thing::Tree => tree(canvas, own, place, light),
        Thing::Bird => bird(canvas, own, place),
        Thing::Balloon => balloon(canvas, own, place, light),
        Thing::Boat => boat(canvas, own, place, light),
        Thing::Car => car(canvas, own, place, light),
        Thing::House => building::house(canvas, own, place, light),
        Thing::Windmill => building::windmill(canvas, own, place, light),
        Thing::Castle => building::castle(canvas, own, place, light),
        Thing::Tent => building::tent(canvas, own, place),
        Thing::Lighthouse => building::lighthouse(canvas, own, place, light),
    }
}

fn shadow(canvas: &mut Canvas, thing: Thing, place: Place) {
    let width = match thing {
        Thing::Bird | Thing::Balloon => return,
        Thing::Flower | Thing::Lighthouse | Thing::Tree => 0.30,
        Thing::Boat | Thing::Car | Thing::Tent | Thing::House | Thing::Castle => 0.72,
        _ => 0.52,
    };
    let dark = Rgb(0.05, 0.06, 0.12);
    canvas.puff(
        place.at(0.06, 0.0),
        place.size * width,
        place.size * 0.09,
        dark,
        0.42,
    );
}

/// Filled from a lit left side to a shaded right one.
pub(super) fn solid(canvas: &mut Canvas, path: Option<Path>, colour: Rgb, place: Place, half: f32) {
    canvas.fill_linear(
        path,
        [place.at(-half, 0.0), place.at(half, 0.0)],
        &[
            (0.0, colour.lighter(0.16), 1.0),
            (0.45, colour, 1.0),
            (1.0, colour.darker(0.28), 1.0),
        ],
    );
}

/// Filled as a ball is.
fn round(canvas: &mut Canvas, path: Option<Path>, colour: Rgb, centre: (f32, f32), radius: f32) {
    let lit = (centre.0 - radius * 0.35, centre.1 - radius * 0.4);
    canvas.fill_radial(
        path,
        lit,
        radius * 1.6,
        &[
            (0.0, colour.lighter(0.45), 1.0),
            (0.35, colour, 1.0),
            (1.0, colour.darker(0.38), 1.0),
        ],
    );
}

fn ball(canvas: &mut Canvas, colour: Rgb, place: Place) {
    let radius = place.size * 0.5;
    let centre = place.at(0.0, 0.5);
    round(
        canvas,
        ellipse(centre, radius, radius),
        colour,
        centre,
        radius,
    );
}

fn cube(canvas: &mut Canvas, colour: Rgb, place: Place) {
    let front = polygon(&[
        place.at(-0.45, 0.0),
        place.at(-0.45, 0.72),
        place.at(0.22, 0.72),
        place.at(0.22, 0.0),
    ]);
    let top = polygon(&[
        place.at(-0.45, 0.72),
        place.at(-0.20, 0.96),
        place.at(0.47, 0.96),
        place.at(0.22, 0.72),
    ]);
    let side = polygon(&[
        place.at(0.22, 0.0),
        place.at(0.22, 0.72),
        place.at(0.47, 0.96),
        place.at(0.47, 0.22),
    ]);
    canvas.fill(front, colour, 1.0);
    canvas.fill(top, colour.lighter(0.28), 1.0);
    canvas.fill(side, colour.darker(0.30), 1.0);
}

fn vase(canvas: &mut Canvas, colour: Rgb, place: Place, light: &Light) {
    let leaf = light.thing(Rgb(0.24, 0.50, 0.22));
    for (across, up) in [(-0.22, 1.05), (0.0, 1.15), (0.22, 1.05)] {
        canvas.line(&[place.at(0.0, 0.75), place.at(across, up)], 1.4, leaf, 1.0);
        canvas.fill(
            ellipse(place.at(across, up), 2.2, 3.2),
            leaf.lighter(0.15),
            1.0,
        );
    }
    let outline = smooth(&[
        place.at(-0.26, 0.0),
        place.at(-0.50, 0.34),
        place.at(-0.30, 0.66),
        place.at(-0.06, 0.70),
        place.at(-0.22, 0.92),
        place.at(0.22, 0.92),
        place.at(0.06, 0.70),
        place.at(0.30, 0.66),
        place.at(0.50, 0.34),
        place.at(0.26, 0.0),
    ]);
    solid(canvas, outline, colour, place, 0.45);
    canvas.fill(
        ellipse(place.at(0.0, 0.86), place.size * 0.15, place.size * 0.03),
        colour.darker(0.5),
        1.0,
    );
    canvas.glow(
        place.at(-0.17, 0.42),
        place.size * 0.14,
        colour.lighter(0.7),
        0.6,
    );
}

fn cup(canvas: &mut Canvas, colour: Rgb, place: Place) {
    let handle = ellipse(place.at(0.42, 0.46), place.size * 0.17, place.size * 0.20);
    canvas.stroke(handle, place.size * 0.09, colour.darker(0.15), 1.0);
    let body = polygon(&[
        place.at(-0.42, 0.78),
        place.at(0.42, 0.78),
        place.at(0.30, 0.04),
        place.at(0.22, 0.0),
        place.at(-0.22, 0.0),
        place.at(-0.30, 0.04),
    ]);
    solid(canvas, body, colour, place, 0.42);
    let rim =
        |across: f32, up: f32| ellipse(place.at(0.0, 0.78), place.size * across, place.size * up);
    canvas.fill(rim(0.42, 0.10), colour.lighter(0.22), 1.0);
    canvas.fill(rim(0.36, 0.075), Rgb(0.30, 0.18, 0.10), 1.0);
}

fn apple(canvas: &mut Canvas, colour: Rgb, place: Place, light: &Light) {
    let outline = smooth(&[
        place.at(-0.10, 0.0),
        place.at(-0.52, 0.02),
        place.at(-0.58, 0.52),
        place.at(-0.40, 0.88),
        place.at(0.0, 0.72),
        place.at(0.40, 0.88),
        place.at(0.58, 0.52),
        place.at(0.52, 0.02),
        place.at(0.10, 0.0),
    ]);
    round(
        canvas,
        outline,
        colour,
        place.at(0.0, 0.42),
        place.size * 0.48,
    );
    let stem = light.thing(Rgb(0.36, 0.22, 0.12));
    canvas.line(&[place.at(0.0, 0.72), place.at(0.05, 0.96)], 2.0, stem, 1.0);
    let leaf = smooth(&[
        place.at(0.04, 0.86),
        place.at(0.20, 1.06),
        place.at(0.40, 1.0),
        place.at(0.22, 0.82),
    ]);
    canvas.fill(leaf, light.thing(Rgb(0.30, 0.60, 0.22)), 1.0);
}

fn flower(canvas: &mut Canvas, colour: Rgb, place: Place, light: &Light) {
    let stem = light.thing(Rgb(0.20, 0.48, 0.20));
    canvas.line(
        &[
            place.at(0.04, 0.0),
            place.at(-0.02, 0.35),
            place.at(0.0, 0.68),
        ],
        place.size * 0.06,
        stem,
        1.0,
    );
    for side in [-1.0, 1.0] {
        let leaf = smooth(&[
            place.at(0.0, 0.14),
            place.at(0.16 * side, 0.40),
            place.at(0.36 * side, 0.36),
            place.at(0.20 * side, 0.16),
        ]);
        canvas.fill(leaf, stem.lighter(0.10), 1.0);
    }
    for petal in 0..6 {
        let angle = petal as f32 / 6.0 * TAU + 0.3;
        let centre = place.at(0.19 * angle.cos(), 0.72 + 0.19 * angle.sin());
        let radius = place.size * 0.155;
        round(
            canvas,
            ellipse(centre, radius, radius),
            colour,
            centre,
            radius * 1.3,
        );
    }
    let heart = match colour.0 > 0.6 && colour.1 > 0.55 && colour.2 < 0.4 {
        true => Rgb(0.48, 0.26, 0.10),
        false => Rgb(0.98, 0.80, 0.22),
    };
    let radius = place.size * 0.105;
    canvas.fill(
        ellipse(place.at(0.0, 0.72), radius, radius),
        light.thing(heart),
        1.0,
    );
}

fn tree(canvas: &mut Canvas, colour: Rgb, place: Place, light: &Light) {
    let bark = light.thing(Rgb(0.38, 0.25, 0.16));
    let trunk = polygon(&[
        place.at(-0.09, 0.0),
        place.at(-0.045, 0.45),
        place.at(0.045, 0.45),
        place.at(0.09, 0.0),
    ]);
    solid(canvas, trunk, bark, place, 0.09);
    for (across, up, radius) in [
        (-0.20, 0.52, 0.20),
        (0.20, 0.52, 0.20),
        (-0.12, 0.70, 0.21),
        (0.13, 0.70, 0.20),
        (0.0, 0.82, 0.18),
        (0.0, 0.58, 0.22),
    ] {
        let (centre, radius) = (place.at(across, up), radius * place.size);
        round(
            canvas,
            ellipse(centre, radius, radius),
            colour,
            centre,
            radius * 1.15,
        );
    }
}

fn bird(canvas: &mut Canvas, colour: Rgb, place: Place) {
    let wing = |side: f32| {
        smooth(&[
            place.at(0.0, 0.48),
            place.at(0.30 * side, 0.86),
            place.at(0.86 * side, 1.02),
            place.at(0.98 * side, 0.84),
            place.at(0.60 * side, 0.62),
            place.at(0.14 * side, 0.30),
        ])
    };
    canvas.fill(wing(1.0), colour.darker(0.16), 1.0);
    canvas.fill(wing(-1.0), colour.lighter(0.08), 1.0);
    let tail = polygon(&[
        place.at(-0.05, 0.40),
        place.at(-0.52, 0.16),
        place.at(-0.44, 0.04),
        place.at(0.02, 0.26),
    ]);
    canvas.fill(tail, colour.darker(0.22), 1.0);
    let body = place.at(0.05, 0.42);
    canvas.fill(
        ellipse(body, place.size * 0.34, place.size * 0.17),
        colour,
        1.0,
    );
    let head = place.at(0.36, 0.54);
    canvas.fill(
        ellipse(head, place.size * 0.14, place.size * 0.14),
        colour,
        1.0,
    );
    let beak = polygon(&[
        place.at(0.46, 0.58),
        place.at(0.64, 0.50),
        place.at(0.46, 0.46),
    ]);
    canvas.fill(beak, Rgb(0.95, 0.68, 0.18), 1.0);
    canvas.fill(
        ellipse(place.at(0.40, 0.57), 1.0, 1.0),
        Rgb(0.05, 0.05, 0.08),
        1.0,
    );
}

fn balloon(canvas: &mut Canvas, colour: Rgb, place: Place, light: &Light) {
    let rope = light.thing(Rgb(0.30, 0.22, 0.18));
    for side in [-1.0, 1.0] {
        canvas.line(
            &[place.at(0.16 * side, 0.34), place.at(0.07 * side, 0.14)],
            0.8,
            rope,
            1.0,
        );
    }
    let basket = rectangle(
        place.at(-0.09, 0.14).0,
        place.at(0.0, 0.14).1,
        place.size * 0.18,
        place.size * 0.14,
    );
    solid(
        canvas,
        basket,
        light.thing(Rgb(0.55, 0.36, 0.20)),
        place,
        0.1,
    );
    let envelope = smooth(&[
        place.at(-0.10, 0.28),
        place.at(-0.40, 0.50),
        place.at(-0.44, 0.86),
        place.at(-0.20, 1.04),
        place.at(0.20, 1.04),
        place.at(0.44, 0.86),
        place.at(0.40, 0.50),
        place.at(0.10, 0.28),
    ]);
    round(
        canvas,
        envelope,
        colour,
        place.at(0.0, 0.68),
        place.size * 0.38,
    );
    let band = smooth(&[
        place.at(-0.06, 0.30),
        place.at(-0.14, 0.66),
        place.at(-0.05, 1.02),
        place.at(0.05, 1.02),
        place.at(0.14, 0.66),
        place.at(0.06, 0.30),
    ]);
    canvas.fill(band, colour.lighter(0.5), 0.55);
}

fn boat(canvas: &mut Canvas, colour: Rgb, place: Place, light: &Light) {
    let mast = light.thing(Rgb(0.42, 0.28, 0.18));
    canvas.line(
        &[place.at(0.0, 0.1), place.at(0.0, 1.0)],
        place.size * 0.035,
        mast,
        1.0,
    );
    let sail = |side: f32, foot: f32| {
        polygon(&[
            place.at(0.03 * side, 0.97),
            place.at(foot * side, 0.30),
            place.at(0.03 * side, 0.30),
        ])
    };
    solid(canvas, sail(1.0, 0.46), colour.lighter(0.06), place, 0.6);
    canvas.fill(sail(-1.0, 0.32), colour.lighter(0.22), 1.0);
    let hull = polygon(&[
        place.at(-0.58, 0.22),
        place.at(0.60, 0.22),
        place.at(0.42, 0.0),
        place.at(-0.42, 0.0),
    ]);
    solid(canvas, hull, colour, place, 0.6);
    canvas.line(
        &[place.at(-0.55, 0.205), place.at(0.57, 0.205)],
        place.size * 0.04,
        light.thing(Rgb(0.95, 0.93, 0.88)),
        1.0,
    );
    // What the water shows of it.
    for (up, share) in [(-0.06, 0.42), (-0.12, 0.30), (-0.18, 0.16)] {
        canvas.line(
            &[place.at(-share, up), place.at(share, up)],
            1.4,
            colour,
            0.35,
        );
    }
}

fn car(canvas: &mut Canvas, colour: Rgb, place: Place, light: &Light) {
    let cabin = smooth(&[
        place.at(-0.62, 0.44),
        place.at(-0.42, 0.96),
        place.at(0.30, 0.96),
        place.at(0.62, 0.44),
    ]);
    solid(canvas, cabin, colour.lighter(0.06), place, 0.9);
    let glass = light.thing(Rgb(0.72, 0.86, 0.94));
    for (left, right) in [(-0.38, -0.04), (0.03, 0.36)] {
        let pane = polygon(&[
            place.at(left, 0.52),
            place.at(left + 0.06, 0.76),
            place.at(right - 0.06, 0.76),
            place.at(right, 0.52),
        ]);
        canvas.fill(pane, glass, 1.0);
    }
    let body = smooth(&[
        place.at(-0.92, 0.08),
        place.at(-0.98, 0.50),
        place.at(-0.40, 0.56),
        place.at(0.40, 0.56),
        place.at(1.0, 0.48),
        place.at(0.98, 0.08),
    ]);
    solid(canvas, body, colour, place, 0.95);
    let lamp = light.thing(Rgb(1.0, 0.93, 0.60));
    canvas.fill(ellipse(place.at(0.80, 0.36), 1.6, 1.6), lamp, 1.0);
    for side in [-0.48, 0.50] {
        let hub = place.at(side, 0.12);
        canvas.fill(
            ellipse(hub, place.size * 0.19, place.size * 0.19),
            Rgb(0.08, 0.08, 0.10),
            1.0,
        );
        canvas.fill(
            ellipse(hub, place.size * 0.09, place.size * 0.09),
            light.thing(Rgb(0.72, 0.74, 0.78)),
            1.0,
        );
    }
}

/// Points of a circle's arc, for towers' tops and sails.
pub(super) fn arc(centre: (f32, f32), radius: f32, from: f32, to: f32) -> Option<Path> {
    let mut builder = PathBuilder::new();
    for step in 0..=16 {
        let angle = (from + (to - from) * step as f32 / 16.0) * PI;
        let (x, y) = (
            centre.0 + radius * angle.cos(),
            centre.1 - radius * angle.sin(),
        );
        match step {
            0 => builder.move_to(x, y),
            _ => builder.line_to(x, y),
        }
    }
    builder.close();
    builder.finish()
}
