//! What a prompt asks for, read off its encoder's last state.
//!
//! The encoder is learnt from nothing but the pictures otherwise, and a word that changes
//! a few tokens of a picture teaches it slowly. A linear layer that must tell subject,
//! colour, place, time and weather of the picture that is asked for teaches it at once; the
//! layer itself is thrown away.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};

use super::model::States;
use crate::picture_eval::labels::{Head, Labels};
use crate::picture_eval::training::answers_loss;

/// The linear layer.
#[derive(Module, Debug)]
pub struct Attributes {
    answers: Linear,
}

impl Attributes {
    /// Fresh weights over states of `width`.
    pub fn init(width: usize, device: &Device) -> Self {
        Self {
            answers: LinearConfig::new(width, Head::total()).init(device),
        }
    }

    /// The mean cross-entropy of each known label, summed over questions; `[1]`.
    pub fn loss(&self, prompts: &States, labels: &[Labels], device: &Device) -> Tensor<1> {
        let [rows, tokens, width] = prompts.states.dims();
        let mut last = vec![0.0_f32; rows * tokens];
        for (row, mask) in prompts.mask.chunks(tokens).enumerate() {
            let at = mask.iter().rposition(|&is_token| is_token == 1);
            last[row * tokens + at.unwrap_or(0)] = 1.0;
        }
        let last = Tensor::<3>::from_data(TensorData::new(last, [rows, 1, tokens]), device);
        let states = last.matmul(prompts.states.clone()).reshape([rows, width]);
        answers_loss(self.answers.forward(states), labels, device)
    }
}
