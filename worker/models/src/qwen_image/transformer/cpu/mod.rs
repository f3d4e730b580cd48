//! What stands between the products of a block, on the pure-Rust CPU without
//! autodiff: norms, turning, attention, activation and gates, each one pass over
//! memory on all threads, with the projections' biases added on the way.
//!
//! The module's operations one by one spend more time here than in the products:
//! `burn-flex` computes an activation on one thread with the C library's functions,
//! and keeps the scores of attention in rows of 64.

mod attention;
mod rows;
pub(super) mod training;

pub(super) use attention::{Stream, attend};
pub(super) use rows::{gelu, leave, modulated_norm};

use burn::tensor::{DType, Tensor, TensorData};

use crate::device::Device;
use crate::lora::Linear;

/// Whether these kernels can stand for operations on `x`.
pub(super) fn serves<const D: usize>(x: &Tensor<D>) -> bool {
    // Devices are equal whether or not they record for a backward pass.
    let device = x.device();
    x.dtype() == DType::F32 && device == Device::flex() && !device.is_autodiff()
}

/// A projection whose bias is added later.
pub(super) trait Apart {
    /// The product without the bias, and the bias; none where [`serves`] says no.
    fn apart(&self, x: &Tensor<3>) -> Option<(Tensor<3>, Tensor<1>)>;
}

impl Apart for Linear {
    fn apart(&self, x: &Tensor<3>) -> Option<(Tensor<3>, Tensor<1>)> {
        let bias = self.bias.as_ref()?;
        if !serves(x) || self.lora.is_some() {
            return None;
        }
        let product = burn::tensor::module::linear(x.clone(), self.weight.val(), None);
        Some((product, bias.val()))
    }
}

/// The values of a tensor of [`serves`], moved where nobody else has them.
///
/// # Panics
/// Never: its values are f32.
#[expect(clippy::expect_used, reason = "`serves` has looked")]
fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_into_vec::<f32>().expect("f32 on the CPU")
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}
