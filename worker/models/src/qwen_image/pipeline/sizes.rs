//! Pictures to edit, brought to the sizes that the model works at.

use burn::tensor::{DType, Tensor, TensorData};
use image::RgbImage;

use crate::device::Device;
use crate::qwen25_vl::resample::resize_lanczos;

/// Sides are multiples of this.
const MULTIPLE: f64 = 32.0;

/// Width and height of about `area` pixels with the aspect of `width` × `height`
/// (`calculate_dimensions` of the reference).
pub fn dimensions(area: u32, width: u32, height: u32) -> [usize; 2] {
    let ratio = f64::from(width) / f64::from(height);
    let wide = (f64::from(area) * ratio).sqrt();
    // Python rounds halves to even; no side vanishes.
    let side = |side: f64| ((side / MULTIPLE).round_ties_even().max(1.0) * MULTIPLE) as usize;
    [side(wide), side(wide / ratio)]
}

/// `picture`, resized as Pillow does with `LANCZOS`; rows of RGB from the top.
pub fn resized(picture: &RgbImage, to: [usize; 2]) -> Vec<u8> {
    let from = [picture.width() as usize, picture.height() as usize];
    resize_lanczos(picture.as_raw(), from, to)
}

/// RGB as the VAE reads it, `[1, 3, height, width]` in −1..1.
pub fn to_tensor(rgb: &[u8], [width, height]: [usize; 2], device: &Device) -> Tensor<4> {
    let levels: Vec<f32> = rgb.iter().map(|&level| f32::from(level) / 255.0).collect();
    let data = TensorData::new(levels, [1, height, width, 3]);
    let picture = Tensor::<4>::from_data(data, (device, DType::F32));
    picture.permute([0, 3, 1, 2]) * 2.0 - 1.0
}

/// One picture `[3, height, width]` in −1..1, row-major, as 8-bit RGB.
pub fn to_picture(values: &[f32], width: u32, height: u32) -> Option<RgbImage> {
    let plane = width as usize * height as usize;
    let level = |value: f32| ((value / 2.0 + 0.5).clamp(0.0, 1.0) * 255.0).round_ties_even() as u8;
    let pixels =
        (0..plane).flat_map(|at| [0, 1, 2].map(|colour| level(values[colour * plane + at])));
    match values.len() == 3 * plane {
        true => RgbImage::from_raw(width, height, pixels.collect()),
        false => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_the_reference_gives_them() {
        // Printed by `calculate_dimensions` of diffusers 0.42.1.
        for (area, width, height, expected) in [
            (1 << 20, 1024, 1024, [1024, 1024]),
            (1 << 20, 1920, 1080, [1376, 768]),
            (384 * 384, 600, 800, [320, 448]),
            (128 * 128, 200, 133, [160, 96]),
            (128 * 128, 48, 48, [128, 128]),
        ] {
            assert_eq!(
                dimensions(area, width, height),
                expected,
                "{width}×{height}"
            );
        }
        assert_eq!(dimensions(128 * 128, 1, 400), [32, 2560]);
    }

    #[test]
    fn levels_survive_the_way_there_and_back() {
        let rgb: Vec<u8> = (0..=255).cycle().take(3 * 16 * 18).collect();
        let tensor = to_tensor(&rgb, [16, 18], &Device::flex());
        let values = tensor.into_data().try_into_vec::<f32>().unwrap();
        let picture = to_picture(&values, 16, 18).unwrap();
        assert_eq!(picture.as_raw(), &rgb);
        assert!(to_picture(&values, 16, 17).is_none());
    }
}
