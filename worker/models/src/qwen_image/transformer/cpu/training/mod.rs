//! The parts of a block between its products with their derivatives, for training on
//! the CPU: each forward and each backward is one pass, where the recorded operations
//! of the backend are five to ten, and its functions of one number the C library's.
//!
//! Sums over rows are taken in a fixed order: results do not depend on the number of
//! threads.

mod attention;
mod gelu;
mod norm;
mod turn;

pub(in super::super) use attention::attend;
pub(in super::super) use gelu::gelu;
pub(in super::super) use norm::modulated_norm;
pub(in super::super) use turn::normed_and_turned;

use burn::tensor::Tensor;

use crate::nhwc::tracked::{Place, place};

/// Whether these can stand for recorded operations on `x`.
pub(in super::super) fn serves<const D: usize>(x: &Tensor<D>) -> bool {
    place(x) == Place::CpuAutodiff
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tensor};

    /// Values and derivatives by each input of two functions under random weights.
    pub(super) fn same<const N: usize, const D: usize>(
        inputs: [(&[usize], f64); N],
        ours: impl Fn(&[Tensor<4>; N]) -> Tensor<D>,
        theirs: impl Fn(&[Tensor<4>; N]) -> Tensor<D>,
    ) {
        let device = Device::flex().autodiff();
        let random = |shape: &[usize], spread: f64| {
            let shape: [usize; 4] = shape.try_into().unwrap();
            Tensor::<4>::random(shape, Distribution::Normal(0.1, spread), &device).require_grad()
        };
        let inputs = inputs.map(|(shape, spread)| random(shape, spread));
        let run = |function: &dyn Fn(&[Tensor<4>; N]) -> Tensor<D>, weights: &Tensor<D>| {
            let out = function(&inputs);
            let gradients = (out.clone() * weights.clone()).sum().backward();
            let mut values = vec![out.into_data().try_into_vec::<f32>().unwrap()];
            for input in &inputs {
                let gradient = input.grad(&gradients).unwrap();
                values.push(gradient.into_data().try_into_vec::<f32>().unwrap());
            }
            values
        };
        let weights = ours(&inputs)
            .inner()
            .random_like(Distribution::Normal(0.0, 1.0));
        let weights = Tensor::from_inner(weights);
        let (ours, theirs) = (run(&ours, &weights), run(&theirs, &weights));
        for (number, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            assert_eq!(ours.len(), theirs.len());
            let most = theirs.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
            for (a, b) in ours.iter().zip(theirs) {
                assert!((a - b).abs() < 2e-5 * (1.0 + most), "{number}: {a} {b}");
            }
        }
    }
}
