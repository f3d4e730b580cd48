//! Cross-entropy of the learnt tokens.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use illumine_models::Qwen3;
use illumine_models::qwen3::segment_mask;
use illumine_models::qwen3::training::chosen;

use super::batch::MicroBatch;

/// Logits held at once, in numbers: with a vocabulary of 150,000, 110 tokens a
/// chunk.
const LOGITS_PER_CHUNK: usize = 1 << 24;

fn ints<const D: usize>(values: &[i64], shape: [usize; D], device: &Device) -> Tensor<D, Int> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

/// A micro-batch as the model takes it.
pub(crate) struct Places {
    /// `[rows, width]`
    pub ids: Tensor<2, Int>,
    /// The same shape; absent where a row is one example.
    pub positions: Option<Tensor<2, Int>>,
    /// `[rows, 1, width, width]`, true hides; absent likewise.
    pub mask: Option<Tensor<4, Bool>>,
}

impl Places {
    pub fn of(batch: &MicroBatch, device: &Device) -> Self {
        let shape = [batch.rows, batch.width];
        let packed = batch.packed.as_ref();
        Self {
            ids: ints(&batch.ids, shape, device),
            positions: packed.map(|packed| ints(&packed.positions, shape, device)),
            mask: packed.map(|packed| segment_mask(ints(&packed.segments, shape, device))),
        }
    }
}

/// Logits `[1, chunk, vocab]` and targets of the learnt places of `batch`, in their order, a
/// chunk at a time: only they meet the vocabulary.
pub(crate) fn for_learnt(
    model: &Qwen3,
    batch: &MicroBatch,
    vocab_size: usize,
    device: &Device,
    chunk_of: impl FnMut(Tensor<3>, &[i64]),
) {
    let places = Places::of(batch, device);
    let hidden = model.hidden_states(places.ids, places.positions, places.mask);
    for_learnt_of(model, hidden, batch, vocab_size, chunk_of);
}

/// The same of final states `[rows, width, hidden]` that are there already.
pub(crate) fn for_learnt_of(
    model: &Qwen3,
    hidden: Tensor<3>,
    batch: &MicroBatch,
    vocab_size: usize,
    mut chunk_of: impl FnMut(Tensor<3>, &[i64]),
) {
    let device = &hidden.device();
    let [rows, width, size] = hidden.dims();
    let learnt = batch.places.len();
    let hidden = hidden
        .reshape([rows * width, size])
        .select(0, ints(&batch.places, [learnt], device));
    let chunk = (LOGITS_PER_CHUNK / vocab_size.max(1)).max(1);
    for start in (0..learnt).step_by(chunk) {
        let count = chunk.min(learnt - start);
        let states = hidden.clone().narrow(0, start, count);
        let targets = &batch.targets[start..start + count];
        let logits = model.logits(states.reshape([1, count, size]));
        chunk_of(logits, targets);
    }
}

/// Of `all` `[1, count, vocab]` the numbers of the targets, `[count]`.
pub(crate) fn gathered(all: Tensor<3>, targets: &[i64]) -> Tensor<1> {
    let count = targets.len();
    let places = ints(targets, [1, count, 1], &all.device());
    all.gather(2, places).reshape([count])
}

/// Sum of `-log p(target)` over the learnt tokens of `batch`, in nats: shape `[1]`.
pub fn summed_cross_entropy(
    model: &Qwen3,
    batch: &MicroBatch,
    vocab_size: usize,
    device: &Device,
) -> Tensor<1> {
    let mut total: Option<Tensor<1>> = None;
    for_learnt(model, batch, vocab_size, device, |logits, targets| {
        let logp = match chosen(&logits, targets, 1.0) {
            Some([logp, _]) => logp,
            None => gathered(log_softmax(logits, 2), targets),
        };
        let sum = logp.sum().neg();
        total = Some(match total.take() {
            Some(total) => total + sum,
            None => sum,
        });
    });
    total.unwrap_or_else(|| Tensor::zeros([1], device))
}
