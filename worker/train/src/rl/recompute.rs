//! The way back through a policy a layer at a time, for less memory.
//!
//! Source: Chen et al., *Training Deep Nets with Sublinear Memory Cost* (arXiv:1604.06174),
//! §4, with a segment of one layer.
//!
//! ```text
//! forward, without a graph: x₀ ─ layer 0 ─▶ x₁ ─ … ─▶ x_L     only these are kept
//! back: head and its loss ─▶ ∂x_L;  for each layer from the last on: forward again from its
//! x with a graph ─▶ ∂x and the layer's gradients;  at last the embedding
//! ```
//!
//! One forward pass more, and one layer's activations in place of all layers'.

use burn::module::Module;
use burn::tensor::{Device, Gradients, Tensor};
use illumine_models::Qwen3;

use crate::error::Result;
use crate::sft::batch::MicroBatch;
use crate::sft::loss::Places;
use crate::sft::optimizer::GradientSum;

/// Gradients of a micro-batch's loss. `head` makes of the policy and its last layer's states
/// `[rows, width, hidden]` a tensor with the loss's gradient, and what it wants to tell.
///
/// # Errors
/// Those of `head`.
pub fn gradients<T>(
    model: &mut Qwen3,
    batch: &MicroBatch,
    device: &Device,
    head: impl FnOnce(&Qwen3, Tensor<3>) -> Result<(Tensor<1>, T)>,
) -> Result<(GradientSum, T)> {
    let plain = model.valid();
    let places = Places::of(batch, &device.clone().inner());
    let around = plain.around(&places.ids, places.positions, places.mask);
    let mut state = plain.embedded(places.ids);
    let mut inputs = Vec::with_capacity(plain.layers.len());
    for layer in 0..plain.layers.len() {
        inputs.push(state.clone());
        state = plain.layer(layer, state, &around);
    }

    let last = leaf(state);
    let (surrogate, told) = head(model, last.clone())?;
    let mut found = surrogate.backward();
    let mut slope = last.grad_remove(&mut found);
    let mut sum = GradientSum::of(model, found);

    let places = Places::of(batch, device);
    let around = model.around(&places.ids, places.positions, places.mask);
    for (layer, input) in inputs.into_iter().enumerate().rev() {
        // None where no learnt place depends on the states.
        let Some(above) = slope else { break };
        let input = leaf(input);
        let mut found = back(model.layer(layer, input.clone(), &around), above);
        slope = input.grad_remove(&mut found);
        sum.merge(GradientSum::of(model, found));
    }
    // Low-rank changes leave the embedding as it is: there is nothing to go back to.
    let learns_words = model.embed_tokens.weight.val().is_require_grad();
    if let Some(above) = slope.filter(|_| learns_words) {
        let found = back(model.embedded(places.ids), above);
        sum.merge(GradientSum::of(model, found));
    }
    Ok((sum, told))
}

/// A leaf over `states` of the way forward.
fn leaf(states: Tensor<3>) -> Tensor<3> {
    Tensor::from_inner(states).require_grad()
}

/// Gradients of `output` where the loss's own is `slope`.
fn back(output: Tensor<3>, slope: Tensor<3>) -> Gradients {
    (output * Tensor::from_inner(slope)).sum().backward()
}
