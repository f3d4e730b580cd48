//! Times steps of a Qwen-Image transformer.
//!
//! `bench_qwen_image FOLDER SIDE TEXT_TOKENS STEPS [DEVICE] [DTYPE]` draws one
//! picture of `SIDE` × `SIDE` packed tokens (`diffusers`' `transformer/` folder) and
//! prints one line of JSON: the least and the median time of a step, and the first
//! numbers of the velocity to compare. `RAYON_NUM_THREADS` sets the threads.
//! `infra/bench/qwen_image_step.py` runs it beside PyTorch on the same weights.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use burn::tensor::{DType, Tensor, TensorData};
use illumine_models::device::{Device, parse_device};
use illumine_models::qwen_image::transformer::{ImageShape, QwenImageTransformer};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what: &str| arguments.next().ok_or(format!("{what} is needed"));
    let folder = next("a transformer's folder")?;
    let side: usize = next("SIDE")?.parse()?;
    let text_tokens: usize = next("TEXT_TOKENS")?.parse()?;
    let steps: usize = next("STEPS")?.parse()?;
    let device = parse_device(&arguments.next().unwrap_or_else(|| "flex".to_owned()))?;
    let dtype = match arguments.next().as_deref() {
        None | Some("f32") => DType::F32,
        Some("bf16") => DType::BF16,
        Some(other) => return Err(format!("DTYPE `{other}`; use f32 or bf16").into()),
    };
    let model = QwenImageTransformer::load(Path::new(&folder), &device, dtype)?;
    let config = &model.config;
    let text = waves([1, text_tokens, config.joint_attention_dim], &device);
    let latents = waves([1, side * side, config.in_channels], &device);
    let conditions = model.conditions(text, None, &[ImageShape::new(side, side)])?;
    let mut times = Vec::with_capacity(steps);
    let mut first = Vec::new();
    for _ in 0..=steps {
        let started = Instant::now();
        let time = Tensor::<1>::from_floats([0.5], &device);
        let velocity = model.forward(latents.clone(), time, &conditions)?;
        first = velocity
            .slice([0..1, 0..1, 0..4])
            .into_data()
            .convert::<f32>()
            .try_into_vec::<f32>()?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    // The first step also warms up.
    times.remove(0);
    times.sort_by(f64::total_cmp);
    let (least, median) = (times[0], times[times.len() / 2]);
    println!("{{\"least_ms\": {least:.2}, \"median_ms\": {median:.2}, \"first\": {first:?}}}");
    Ok(())
}

/// Numbers in −1..1 that Python can make too.
fn waves(shape: [usize; 3], device: &Device) -> Tensor<3> {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|i| (i as f32 * 0.37).sin()).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}
