//! Latents of pictures as rows of tokens, and their noise.

use burn::tensor::{DType, Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::device::Device;

/// Side of the squares of latents that make one token, fixed in the reference.
pub const PATCH: usize = 2;

/// Latents `[batch, channels, height, width]`, of even sides, as tokens
/// `[batch, height/2 × width/2, 4 × channels]` (`_pack_latents`).
pub fn pack(latents: Tensor<4>) -> Tensor<3> {
    let [batch, channels, height, width] = latents.dims();
    let (rows, columns) = (height / PATCH, width / PATCH);
    latents
        .reshape([batch, channels, rows, PATCH, columns, PATCH])
        .permute([0, 2, 4, 1, 3, 5])
        .reshape([batch, rows * columns, channels * PATCH * PATCH])
}

/// The reverse of [`pack`], for a picture of `rows` × `columns` tokens.
pub fn unpack(tokens: Tensor<3>, [rows, columns]: [usize; 2]) -> Tensor<4> {
    let [batch, _, width] = tokens.dims();
    let channels = width / (PATCH * PATCH);
    tokens
        .reshape([batch, rows, columns, channels, PATCH, PATCH])
        .permute([0, 3, 1, 4, 2, 5])
        .reshape([batch, channels, rows * PATCH, columns * PATCH])
}

/// Standard normal latents `[1, channels, height, width]` of a seed, in f32; the
/// same on every device.
pub fn noise(seed: u64, [channels, height, width]: [usize; 3], device: &Device) -> Tensor<4> {
    let mut random = StdRng::seed_from_u64(seed);
    let count = channels * height * width;
    let mut values = Vec::with_capacity(count + 1);
    while values.len() < count {
        // Box and Muller (1958); the first number must not be zero.
        let (u, v): (f64, f64) = (1.0 - random.random::<f64>(), random.random());
        let radius = (-2.0 * u.ln()).sqrt();
        let (sin, cos) = (v * std::f64::consts::TAU).sin_cos();
        values.extend([(radius * cos) as f32, (radius * sin) as f32]);
    }
    values.truncate(count);
    let data = TensorData::new(values, [1, channels, height, width]);
    Tensor::from_data(data, (device, DType::F32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_into_vec::<f32>().unwrap()
    }

    #[test]
    fn unpacking_is_the_reverse_of_packing() {
        let latents = noise(3, [3, 4, 6], &Device::flex());
        let tokens = pack(latents.clone());
        assert_eq!(tokens.dims(), [1, 6, 12]);
        assert_eq!(
            values(unpack(tokens.clone(), [2, 3])),
            values(latents.clone())
        );
        // The first token holds the four corner latents of each channel.
        let corner = values(latents.slice([0..1, 1..2, 0..2, 0..2]));
        assert_eq!(values(tokens)[4..8], corner);
    }

    #[test]
    fn noise_is_normal_and_its_seed_decides() {
        let draw = |seed| values(noise(seed, [4, 64, 63], &Device::flex()));
        let drawn = draw(7);
        assert_eq!(drawn, draw(7));
        assert_ne!(drawn, draw(8));
        let count = drawn.len() as f32;
        let mean = drawn.iter().sum::<f32>() / count;
        let variance = drawn.iter().map(|x| x * x).sum::<f32>() / count;
        assert!(
            mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05,
            "{mean} {variance}"
        );
        let beyond = drawn.iter().filter(|x| x.abs() > 1.96).count() as f32 / count;
        assert!((beyond - 0.05).abs() < 0.01, "{beyond}");
    }
}
