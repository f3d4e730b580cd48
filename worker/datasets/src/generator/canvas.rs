//! Flat shapes on a small square, by whole numbers alone: the same on every machine.

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};

/// Pixels along a side.
pub(super) const SIDE: i32 = 96;

/// Red, green and blue.
pub(super) type Colour = [u8; 3];

/// What is drawn on.
pub(super) struct Canvas(RgbImage);

impl Canvas {
    pub(super) fn new(colour: Colour) -> Self {
        Self(RgbImage::from_pixel(SIDE as u32, SIDE as u32, Rgb(colour)))
    }

    /// Corners are left, top, right, bottom; the last two are outside.
    pub(super) fn rectangle(&mut self, [left, top, right, bottom]: [i32; 4], colour: Colour) {
        self.fill(colour, |x, y| {
            (left..right).contains(&x) && (top..bottom).contains(&y)
        });
    }

    /// By its centre and its two half axes.
    pub(super) fn ellipse(&mut self, [x0, y0, a, b]: [i32; 4], colour: Colour) {
        self.fill(colour, |x, y| {
            let (dx, dy) = (x - x0, y - y0);
            dx * dx * b * b + dy * dy * a * a <= a * a * b * b
        });
    }

    /// The upper half of an ellipse.
    pub(super) fn dome(&mut self, [x0, y0, a, b]: [i32; 4], colour: Colour) {
        self.fill(colour, |x, y| {
            let (dx, dy) = (x - x0, y - y0);
            dy <= 0 && dx * dx * b * b + dy * dy * a * a <= a * a * b * b
        });
    }

    /// By its corners, in either direction.
    pub(super) fn triangle(&mut self, corners: [[i32; 2]; 3], colour: Colour) {
        let [a, b, c] = corners;
        let side = |p: [i32; 2], q: [i32; 2], x: i32, y: i32| {
            (q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0])
        };
        self.fill(colour, |x, y| {
            let sides = [side(a, b, x, y), side(b, c, x, y), side(c, a, x, y)];
            sides.iter().all(|&side| side >= 0) || sides.iter().all(|&side| side <= 0)
        });
    }

    fn fill(&mut self, colour: Colour, inside: impl Fn(i32, i32) -> bool) {
        for (x, y, pixel) in self.0.enumerate_pixels_mut() {
            if inside(x as i32, y as i32) {
                *pixel = Rgb(colour);
            }
        }
    }

    /// The picture as a PNG file.
    pub(super) fn png(&self) -> image::ImageResult<Vec<u8>> {
        let mut bytes = Cursor::new(Vec::new());
        self.0.write_to(&mut bytes, ImageFormat::Png)?;
        Ok(bytes.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_cover_what_they_should() {
        let mut canvas = Canvas::new([0; 3]);
        canvas.rectangle([0, 0, 10, 10], [1; 3]);
        canvas.ellipse([50, 50, 5, 10], [2; 3]);
        canvas.dome([20, 80, 5, 10], [4; 3]);
        canvas.triangle([[70, 10], [90, 10], [70, 30]], [3; 3]);
        let at = |x, y| canvas.0.get_pixel(x, y).0[0];
        assert_eq!((at(9, 9), at(10, 9)), (1, 0));
        assert_eq!((at(50, 60), at(55, 50), at(55, 60)), (2, 2, 0));
        assert_eq!((at(20, 70), at(20, 80), at(20, 81)), (4, 4, 0));
        assert_eq!((at(71, 12), at(89, 29)), (3, 0));
        let png = canvas.png().unwrap();
        let decoded = image::load_from_memory(&png).unwrap().to_rgb8();
        assert_eq!(decoded, canvas.0);
    }
}
