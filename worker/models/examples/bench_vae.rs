//! Times Qwen-Image's autoencoder.
//!
//! `bench_vae FOLDER SIDE RUNS` decodes and encodes a picture of `SIDE` × `SIDE`
//! pixels with a `vae/` folder and prints one line of JSON: the least times, and the
//! first numbers of the picture to compare. `RAYON_NUM_THREADS` sets the threads.
//! `infra/bench/qwen_image_vae.py` runs it beside PyTorch on the same weights.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use burn::tensor::{DType, Device, Tensor, TensorData};
use illumine_models::qwen_image::vae::QwenImageVae;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what: &str| arguments.next().ok_or(format!("{what} is needed"));
    let folder = next("an autoencoder's folder")?;
    let side: usize = next("SIDE")?.parse()?;
    let runs: usize = next("RUNS")?.parse()?;
    let device = Device::flex();
    let model = QwenImageVae::load(Path::new(&folder), &device, DType::F32)?;
    let small = side / model.config.factor();
    let latents = waves([1, model.config.z_dim, small, small], &device);
    let (mut decode, mut encode) = (f64::MAX, f64::MAX);
    let mut first = Vec::new();
    for _ in 0..=runs {
        let begun = Instant::now();
        let picture = model.decode(latents.clone(), None)?;
        let values = picture.clone().slice([0..1, 0..1, 0..2, 0..3]);
        first = values.into_data().try_into_vec::<f32>()?;
        decode = decode.min(begun.elapsed().as_secs_f64() * 1e3);
        let begun = Instant::now();
        let mean = model.encode(picture, None)?.mean;
        std::hint::black_box(mean.into_data());
        encode = encode.min(begun.elapsed().as_secs_f64() * 1e3);
    }
    println!("{{\"decode_ms\": {decode:.1}, \"encode_ms\": {encode:.1}, \"first\": {first:?}}}");
    Ok(())
}

/// Numbers in −1..1 that Python can make too, made with the channels first.
fn waves([batch, channels, rows, columns]: [usize; 4], device: &Device) -> Tensor<4> {
    let count = batch * channels * rows * columns;
    let values: Vec<f32> = (0..count).map(|i| (i as f32 * 0.37).sin()).collect();
    let data = TensorData::new(values, [batch, channels, rows, columns]);
    Tensor::<4>::from_data(data, device).permute([0, 2, 3, 1])
}
