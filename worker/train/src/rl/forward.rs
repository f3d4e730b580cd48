//! Log-probabilities and entropies of answers under a policy.

use burn::tensor::activation::log_softmax;
use burn::tensor::{DType, Device, Tensor};
use illumine_models::Qwen3;
use illumine_models::qwen3::training::chosen;

use crate::sft::batch::MicroBatch;
use crate::sft::loss::{Places, for_learnt_of, gathered};

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
    let places = Places::of(batch, device);
    let hidden = model.hidden_states(places.ids, places.positions, places.mask);
    score_states(model, hidden, batch, vocab_size, temperature)
}

/// The same of final states `[rows, width, hidden]` that are there already.
pub fn score_states(
    model: &Qwen3,
    hidden: Tensor<3>,
    batch: &MicroBatch,
    vocab_size: usize,
    temperature: f64,
) -> Scored {
    let device = hidden.device();
    let (mut logps, mut entropies) = (Vec::new(), Vec::new());
    for_learnt_of(model, hidden, batch, vocab_size, |logits, targets| {
        let logits = logits.cast(DType::F32);
        let [logp, entropy] = chosen(&logits, targets, temperature).unwrap_or_else(|| {
            let all = log_softmax(logits / temperature, 2);
            let entropy = (all.clone().exp() * all.clone()).sum_dim(2).neg();
            [gathered(all, targets), entropy.reshape([targets.len()])]
        });
        logps.push(logp);
        entropies.push(entropy);
    });
    let join = |parts: Vec<Tensor<1>>| match parts.is_empty() {
        true => Tensor::zeros([0], &device),
        false => Tensor::cat(parts, 0),
    };
    Scored {
        logp: join(logps),
        entropy: join(entropies),
    }
}
