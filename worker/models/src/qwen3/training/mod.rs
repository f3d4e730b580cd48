//! The parts of a layer between its products, with their derivatives, on the CPU: each is
//! one pass forwards and one backwards, where the backend's recorded operations are five to
//! twenty that each write all their numbers to memory.
//!
//! Attention keeps no score: a block of queries at a time meets the keys that it sees, and
//! on the way back its scores are computed again (Dao et al., *FlashAttention*,
//! arXiv:2205.14135, algorithms 1 and 4), so that memory grows with the number of tokens and
//! not with its square.
//!
//! Each function answers `None` where it cannot stand for the backend's operations: on other
//! devices, and for other numbers than f32. Sums are taken in a fixed order: results do not
//! depend on the number of threads.

mod attention;
mod chosen;
mod gate;
mod norm;
mod turn;

use std::sync::Arc;

use burn::tensor::Tensor;

pub(super) use attention::attend;
pub use chosen::chosen;
pub(crate) use gate::swiglu;
pub(crate) use norm::rms_norm;
pub(super) use turn::normed_and_turned;

use super::rotary::Frequencies;
use crate::nhwc::tracked::{Place, place};

/// Rows that a thread takes at a time.
const ROWS: usize = 64;

/// Whether these can stand for the backend's operations on `x`.
pub(super) fn serves<const D: usize>(x: &Tensor<D>) -> bool {
    place(x) != Place::Elsewhere
}

/// Cosines and sines of the positions from 0 on, `[tokens × head_dim/2]`.
#[derive(Clone, Debug)]
pub struct Turns(Arc<[Vec<f32>; 2]>);

impl Turns {
    pub(super) fn new(tokens: usize, frequencies: &Frequencies) -> Self {
        let angles =
            || (0..tokens).flat_map(|at| frequencies.inverse.iter().map(move |f| at as f32 * f));
        let factor = frequencies.attention_factor;
        Self(Arc::new([
            angles().map(|angle| angle.cos() * factor).collect(),
            angles().map(|angle| angle.sin() * factor).collect(),
        ]))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tensor};

    /// Values and derivatives by each input of two functions under random weights, with and
    /// without derivatives.
    pub(super) fn same<const N: usize, const D: usize>(
        inputs: [(&[usize], f64); N],
        ours: impl Fn(&[Tensor<4>; N]) -> Tensor<D>,
        theirs: impl Fn(&[Tensor<4>; N]) -> Tensor<D>,
    ) {
        crate::nhwc::tracked::tests::same(inputs, &ours, theirs);
        let random = |(shape, spread): (&[usize], f64)| {
            let shape: [usize; 4] = shape.try_into().unwrap();
            let spread = Distribution::Normal(0.1, spread);
            Tensor::<4>::random(shape, spread, &Device::flex())
        };
        let plain = inputs.map(random);
        let recorded = plain.clone().map(Tensor::from_inner);
        assert_eq!(
            ours(&plain).into_data(),
            ours(&recorded).inner().into_data()
        );
    }
}
