//! Smooth shapes on a raster, by `tiny-skia`.

use tiny_skia::{
    FillRule, GradientStop, LineCap, LinearGradient, Paint, Path, PathBuilder, Pixmap, Point,
    RadialGradient, Shader, SpreadMode, Stroke, Transform,
};

use crate::painter::SIDE;
use crate::painter::colour::Rgb;

/// A picture in the making; a new one is transparent.
#[derive(Clone, Debug)]
pub struct Canvas(pub Pixmap);

/// The colour at a place of a gradient, 0 to 1, and its opacity.
pub type Stop = (f32, Rgb, f32);

fn color(colour: Rgb, alpha: f32) -> tiny_skia::Color {
    let Rgb(r, g, b) = colour;
    let [r, g, b, a] = [r, g, b, alpha].map(|value| value.clamp(0.0, 1.0));
    tiny_skia::Color::from_rgba(r, g, b, a).unwrap_or(tiny_skia::Color::BLACK)
}

fn stops(stops: &[Stop]) -> Vec<GradientStop> {
    let stop = |&(at, colour, alpha): &Stop| GradientStop::new(at, color(colour, alpha));
    stops.iter().map(stop).collect()
}

fn paint(shader: Shader<'_>) -> Paint<'_> {
    Paint {
        shader,
        anti_alias: true,
        ..Paint::default()
    }
}

impl Canvas {
    /// Nothing yet.
    #[allow(clippy::expect_used)]
    pub fn new() -> Self {
        Self(Pixmap::new(SIDE as u32, SIDE as u32).expect("SIDE is not zero"))
    }

    /// Fills with one colour.
    pub fn fill(&mut self, path: Option<Path>, colour: Rgb, alpha: f32) {
        self.fill_with(path, Shader::SolidColor(color(colour, alpha)));
    }

    /// Fills with a gradient from one point to another.
    pub fn fill_linear(
        &mut self,
        path: Option<Path>,
        [from, to]: [(f32, f32); 2],
        colours: &[Stop],
    ) {
        let shader = LinearGradient::new(
            from.into(),
            to.into(),
            stops(colours),
            SpreadMode::Pad,
            Transform::identity(),
        );
        if let Some(shader) = shader {
            self.fill_with(path, shader);
        }
    }

    /// Fills with a gradient from a centre outwards.
    pub fn fill_radial(
        &mut self,
        path: Option<Path>,
        centre: (f32, f32),
        radius: f32,
        colours: &[Stop],
    ) {
        let centre = Point::from(centre);
        let shader = RadialGradient::new(
            centre,
            centre,
            radius,
            stops(colours),
            SpreadMode::Pad,
            Transform::identity(),
        );
        if let Some(shader) = shader {
            self.fill_with(path, shader);
        }
    }

    /// A soft round light.
    pub fn glow(&mut self, centre: (f32, f32), radius: f32, colour: Rgb, alpha: f32) {
        self.fill_radial(
            ellipse(centre, radius, radius),
            centre,
            radius,
            &[
                (0.0, colour, alpha),
                (0.5, colour, alpha * 0.4),
                (1.0, colour, 0.0),
            ],
        );
    }

    /// A soft ellipse: a puff of cloud, a shadow.
    pub fn puff(&mut self, centre: (f32, f32), rx: f32, ry: f32, colour: Rgb, alpha: f32) {
        let (x, y) = centre;
        let squeeze = Transform::from_row(1.0, 0.0, 0.0, ry / rx, 0.0, y * (1.0 - ry / rx));
        let shader = RadialGradient::new(
            centre.into(),
            centre.into(),
            rx,
            stops(&[
                (0.0, colour, alpha),
                (0.55, colour, alpha * 0.75),
                (1.0, colour, 0.0),
            ]),
            SpreadMode::Pad,
            squeeze,
        );
        if let Some(shader) = shader {
            self.fill_with(ellipse((x, y), rx, ry), shader);
        }
    }

    /// A line of round ends through the points.
    pub fn line(&mut self, points: &[(f32, f32)], width: f32, colour: Rgb, alpha: f32) {
        let mut builder = PathBuilder::new();
        for (index, &(x, y)) in points.iter().enumerate() {
            match index {
                0 => builder.move_to(x, y),
                _ => builder.line_to(x, y),
            }
        }
        self.stroke(builder.finish(), width, colour, alpha);
    }

    /// The outline of a path.
    pub fn stroke(&mut self, path: Option<Path>, width: f32, colour: Rgb, alpha: f32) {
        let Some(path) = path else { return };
        let stroke = Stroke {
            width,
            line_cap: LineCap::Round,
            ..Stroke::default()
        };
        self.0.stroke_path(
            &path,
            &paint(Shader::SolidColor(color(colour, alpha))),
            &stroke,
            Transform::identity(),
            None,
        );
    }

    /// Puts another picture on top.
    pub fn lay(&mut self, other: &Self) {
        self.0.draw_pixmap(
            0,
            0,
            other.0.as_ref(),
            &tiny_skia::PixmapPaint::default(),
            Transform::identity(),
            None,
        );
    }

    fn fill_with(&mut self, path: Option<Path>, shader: Shader<'_>) {
        let Some(path) = path else { return };
        self.0.fill_path(
            &path,
            &paint(shader),
            FillRule::Winding,
            Transform::identity(),
            None,
        );
    }
}

impl Default for Canvas {
    fn default() -> Self {
        Self::new()
    }
}

/// Straight edges.
pub fn polygon(points: &[(f32, f32)]) -> Option<Path> {
    let mut builder = PathBuilder::new();
    for (index, &(x, y)) in points.iter().enumerate() {
        match index {
            0 => builder.move_to(x, y),
            _ => builder.line_to(x, y),
        }
    }
    builder.close();
    builder.finish()
}

/// A closed curve through the middles of the edges of a polygon, which it rounds.
pub fn smooth(points: &[(f32, f32)]) -> Option<Path> {
    let middle = |a: (f32, f32), b: (f32, f32)| ((a.0 + b.0) / 2.0, (a.1 + b.1) / 2.0);
    let (&first, &last) = (points.first()?, points.last()?);
    let mut builder = PathBuilder::new();
    let start = middle(last, first);
    builder.move_to(start.0, start.1);
    for (index, &point) in points.iter().enumerate() {
        let next = points.get(index + 1).copied().unwrap_or(first);
        let end = middle(point, next);
        builder.quad_to(point.0, point.1, end.0, end.1);
    }
    builder.close();
    builder.finish()
}

/// From its left upper corner.
pub fn rectangle(x: f32, y: f32, width: f32, height: f32) -> Option<Path> {
    tiny_skia::Rect::from_xywh(x, y, width, height).map(PathBuilder::from_rect)
}

/// From its centre.
pub fn ellipse((x, y): (f32, f32), rx: f32, ry: f32) -> Option<Path> {
    tiny_skia::Rect::from_xywh(x - rx, y - ry, 2.0 * rx, 2.0 * ry).and_then(PathBuilder::from_oval)
}

/// The whole picture.
pub fn everything() -> Option<Path> {
    rectangle(0.0, 0.0, SIDE as f32, SIDE as f32)
}
