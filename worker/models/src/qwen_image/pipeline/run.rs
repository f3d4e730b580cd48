//! The denoising of one batch, step by step.

use burn::tensor::{Int, Tensor, TensorData};

use super::super::scheduler::Schedule;
use super::super::transformer::{Conditions, QwenImageTransformer};
use crate::error::{ModelError, Result};

/// Where a batch stands.
pub struct Run<'a> {
    transformer: &'a QwenImageTransformer,
    schedule: Schedule,
    step: usize,
    batch: Batch,
    /// The velocity of the last step.
    velocity: Option<Tensor<3>>,
}

/// Rows that are drawn together.
pub struct Batch {
    /// Packed latents of the pictures, `[batch, tokens, channels]` in f32; at first
    /// noise.
    pub latents: Tensor<3>,
    /// Packed latents of the pictures beside them, `[batch, other tokens, channels]`.
    pub beside: Option<Tensor<3>>,
    /// What the prompts ask for.
    pub prompt: Conditions,
    /// What the negative prompts ask for, where there is guidance.
    pub negative: Option<Conditions>,
    /// `true_cfg_scale`, one a row.
    pub guidance: Vec<f32>,
}

impl<'a> Run<'a> {
    /// Before the first step.
    pub fn new(transformer: &'a QwenImageTransformer, schedule: Schedule, batch: Batch) -> Self {
        Self {
            transformer,
            schedule,
            step: 0,
            batch,
            velocity: None,
        }
    }

    /// Whether all steps are done.
    pub fn is_done(&self) -> bool {
        self.step == self.schedule.len()
    }

    /// Does the next step, and waits for the device.
    ///
    /// # Errors
    /// Those of the transformer, and [`ModelError::Device`].
    pub fn step(&mut self) -> Result<()> {
        let tokens = self.batch.latents.dims()[1];
        let input = match &self.batch.beside {
            Some(beside) => Tensor::cat(vec![self.batch.latents.clone(), beside.clone()], 1),
            None => self.batch.latents.clone(),
        };
        let (device, rows) = (input.device(), input.dims()[0]);
        let time = Tensor::<1>::full([rows], self.schedule.time(self.step), &device);
        let velocity = |conditions: &Conditions| -> Result<Tensor<3>> {
            let velocity = self
                .transformer
                .forward(input.clone(), time.clone(), conditions)?;
            let velocity = velocity.narrow(1, 0, tokens);
            Ok(velocity.cast(self.batch.latents.dtype()))
        };
        let mut change = velocity(&self.batch.prompt)?;
        if let Some(negative) = &self.batch.negative {
            change = guided(change, velocity(negative)?, &self.batch.guidance);
        }
        let dt = self.schedule.dt(self.step);
        self.batch.latents = self.batch.latents.clone() + change.clone() * dt;
        self.velocity = Some(change);
        self.step += 1;
        device.sync().map_err(|error| ModelError::Device {
            name: format!("{device:?}"),
            reason: error.to_string(),
        })
    }

    /// Goes on with some of the rows, in this order.
    pub fn keep(&mut self, rows: &[usize]) {
        let device = self.batch.latents.device();
        let numbers: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
        let indices = TensorData::new(numbers, [rows.len()]);
        let indices = Tensor::<1, Int>::from_data(indices, &device);
        let select = |tensor: &Tensor<3>| tensor.clone().select(0, indices.clone());
        let batch = &self.batch;
        self.batch = Batch {
            latents: select(&batch.latents),
            beside: batch.beside.as_ref().map(select),
            prompt: batch.prompt.keep(&indices),
            negative: batch.negative.as_ref().map(|one| one.keep(&indices)),
            guidance: rows.iter().map(|&row| batch.guidance[row]).collect(),
        };
        self.velocity = self.velocity.as_ref().map(select);
    }

    /// The packed latents `[batch, tokens, channels]`.
    pub fn latents(&self) -> Tensor<3> {
        self.batch.latents.clone()
    }

    /// The picture to which the last velocity of `row` points, as packed latents
    /// `[1, tokens, channels]`: `x − σ v`.
    pub fn clean(&self, row: usize) -> Tensor<3> {
        let one = |tensor: &Tensor<3>| tensor.clone().narrow(0, row, 1);
        let latents = one(&self.batch.latents);
        match &self.velocity {
            Some(velocity) => latents - one(velocity) * self.schedule.sigmas[self.step],
            None => latents,
        }
    }
}

/// True classifier-free guidance (arXiv:2207.12598, eq. 6), brought back to the
/// length of the prompt's own velocity, token by token, as in the pipelines.
fn guided(prompt: Tensor<3>, negative: Tensor<3>, scales: &[f32]) -> Tensor<3> {
    let data = TensorData::new(scales.to_vec(), [scales.len(), 1, 1]);
    let scale = Tensor::<3>::from_data(data, (&prompt.device(), prompt.dtype()));
    let combined = negative.clone() + scale * (prompt.clone() - negative);
    let length = |x: &Tensor<3>| x.clone().square().sum_dim(2).sqrt();
    // A velocity of zero stays one.
    let ratio = length(&prompt) / length(&combined).clamp_min(f32::MIN_POSITIVE);
    combined * ratio
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn guidance_turns_a_velocity_and_keeps_its_length() {
        let device = Device::flex();
        let tensor =
            |numbers: [f32; 4]| Tensor::<1>::from_floats(numbers, &device).reshape([2, 1, 2]);
        let prompt = tensor([3.0, 4.0, 0.0, 2.0]);
        let negative = tensor([3.0, 0.0, 0.0, 2.0]);
        let result = guided(prompt, negative, &[2.0, 5.0]);
        let values = result.into_data().try_into_vec::<f32>().unwrap();
        // 3, 8 at length 5; where the two agree nothing changes.
        let unit = 5.0 / 73.0_f32.sqrt();
        for (a, b) in values.iter().zip([3.0 * unit, 8.0 * unit, 0.0, 2.0]) {
            assert!((a - b).abs() < 1e-5, "{values:?}");
        }
    }

    #[test]
    fn a_velocity_of_zero_gives_no_nan() {
        let zero = Tensor::<3>::zeros([1, 1, 2], &Device::flex());
        let result = guided(zero.clone(), zero, &[4.0]);
        let values = result.into_data().try_into_vec::<f32>().unwrap();
        assert_eq!(values, [0.0, 0.0]);
    }
}
