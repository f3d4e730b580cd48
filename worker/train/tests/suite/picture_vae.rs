//! The autoencoder's trainer: it learns, goes on from a checkpoint as if nothing had
//! been, and says what its latents are like.

use illumine_models::device::Device;
use illumine_models::qwen_image::vae::VaeConfig;
use illumine_train::picture_vae::{
    VaeTrainer, VaeTraining, pictures_to_tensor, tensor_to_pictures,
};
use image::{Rgb, RgbImage};

/// A square of one colour on another.
fn picture(number: u64) -> RgbImage {
    let level =
        |salt: u64| (number.wrapping_mul(2_654_435_761).rotate_left(salt as u32) % 256) as u8;
    let back = Rgb([level(3), level(11), level(19)]);
    let front = Rgb([level(7), level(23), level(29)]);
    let (left, top) = (level(5) as u32 % 10, level(13) as u32 % 10);
    RgbImage::from_fn(16, 16, |x, y| {
        let inside = (left..left + 6).contains(&x) && (top..top + 6).contains(&y);
        if inside { front } else { back }
    })
}

fn config(steps: u64) -> VaeTraining {
    VaeTraining {
        model: VaeConfig {
            base_dim: 8,
            z_dim: 4,
            dim_mult: vec![1, 2],
            num_res_blocks: 1,
            temperal_downsample: vec![false],
            latents_mean: vec![0.0; 4],
            latents_std: vec![1.0; 4],
            ..VaeConfig::default()
        },
        batch: 4,
        crop: Some(8),
        crop_share: 0.3,
        steps,
        learning_rate: 5e-3,
        warmup: 5,
        checkpoint_every: 20,
        ..VaeTraining::default()
    }
}

#[test]
fn it_learns_to_give_pictures_back() {
    let device = Device::flex();
    let dir = tempfile::tempdir().unwrap();
    let mut trainer = VaeTrainer::new(config(120), &device).unwrap();
    let mut errors = Vec::new();
    trainer
        .run(&picture, dir.path().join("run").as_path(), |progress| {
            errors.push(progress.absolute);
        })
        .unwrap();
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let (early, late) = (mean(&errors[..10]), mean(&errors[110..]));
    assert!(late < 0.5 * early, "{early} {late}");

    let model = trainer.finish(&picture, 10_000, 32).unwrap();
    let pictures: Vec<RgbImage> = (10_000..10_032).map(picture).collect();
    let latents = model
        .encode(pictures_to_tensor(&pictures, &device), None)
        .unwrap();
    let normal = model.normalise(latents.mean);
    let spread = normal.clone().square().mean().into_scalar::<f32>();
    let mean = normal.mean().into_scalar::<f32>();
    assert!(
        mean.abs() < 1e-3 && (spread - 1.0).abs() < 1e-2,
        "{mean} {spread}"
    );
}

#[test]
fn a_run_that_was_broken_off_goes_on_as_if_it_had_not_been() {
    let device = Device::flex();
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let trace = |trainer: &mut VaeTrainer| {
        let mut trace = Vec::new();
        trainer
            .run(&picture, &run, |progress| {
                trace.push((progress.step, progress.absolute.to_bits()));
            })
            .unwrap();
        trace
    };
    let whole = trace(&mut VaeTrainer::new(config(12), &device).unwrap());
    let mut first = VaeTrainer::new(config(12), &device).unwrap();
    let mut joined = Vec::new();
    for _ in 0..5 {
        let progress = first.update(&picture).unwrap();
        joined.push((progress.step, progress.absolute.to_bits()));
    }
    first.checkpoint(&run).unwrap();
    let mut second = VaeTrainer::resume(&run, 12, &device).unwrap();
    assert_eq!(second.step_number(), 5);
    joined.extend(trace(&mut second));
    assert_eq!(joined, whole);
}

#[test]
fn pictures_are_numbers_and_back() {
    let pictures: Vec<RgbImage> = (0..3).map(picture).collect();
    let tensor = pictures_to_tensor(&pictures, &Device::flex());
    assert_eq!(tensor.dims(), [3, 16, 16, 3]);
    assert_eq!(tensor_to_pictures(tensor).unwrap(), pictures);
}
