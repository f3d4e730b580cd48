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
    pub(super) use crate::nhwc::tracked::tests::same;
}
