//! Log-probabilities and entropies of answers under a policy.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use illumine_models::Qwen3;

use crate::sft::batch::MicroBatch;

/// Logits held at once, in numbers: with a vocabulary of 150,000, 110 tokens a chunk.
const LOGITS_PER_CHUNK: usize = 1 << 24;

/// What a policy says of the learnt tokens of a micro-batch, in the order of its places.
#[derive(Debug)]
pub struct Scored {
    /// `[tokens]`, in nats.
    pub logp: Tensor<1>,
    /// `[tokens]`, of the distribution that each was drawn from, in nats.
    pub entropy: Tensor<1>,
}

/// Scores `batch` with logits divided by `temperature`, as its tokens were drawn.
pub fn score(
    model: &Qwen3,
    batch: &MicroBatch,
    vocab_size: usize,
    temperature: f64,
    device: &Device,
) -> Scored {
    let ids = ints(&batch.ids, [batch.rows, batch.width], device);
    let hidden = model.hidden_states(ids, None, None);
    let [rows, width, size] = hidden.dims();
    let learnt = batch.places.len();
    // Only the places that are learnt meet the vocabulary.
    let hidden = hidden
        .reshape([rows * width, size])
        .select(0, ints(&batch.places, [learnt], device));
    let chunk = (LOGITS_PER_CHUNK / vocab_size.max(1)).max(1);
    let (mut chosen, mut entropies) = (Vec::new(), Vec::new());
    for start in (0..learnt).step_by(chunk) {
        let count = chunk.min(learnt - start);
        let states = hidden.clone().narrow(0, start, count);
        let targets = ints(&batch.targets[start..start + count], [1, count, 1], device);
        let logits = model.logits(states.reshape([1, count, size])) / temperature;
        let all = log_softmax(logits, 2);
        let entropy = (all.clone().exp() * all.clone()).sum_dim(2).neg();
        chosen.push(all.gather(2, targets).reshape([count]));
        entropies.push(entropy.reshape([count]));
    }
    let join = |parts: Vec<Tensor<1>>| match parts.is_empty() {
        true => Tensor::zeros([0], device),
        false => Tensor::cat(parts, 0),
    };
    Scored {
        logp: join(chosen),
        entropy: join(entropies),
    }
}

fn ints<const D: usize>(values: &[i64], shape: [usize; D], device: &Device) -> Tensor<D, Int> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}
