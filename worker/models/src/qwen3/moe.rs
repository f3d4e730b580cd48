//! The sparse feed-forward block of Qwen3-MoE.
//!
//! Source: Qwen3 Technical Report (arXiv:2505.09388), §2, and
//! `Qwen3MoeTopKRouter`, `Qwen3MoeExperts` of the reference: softmax over all
//! experts, then the `k` largest, which `norm_topk_prob` makes sum to one.

use burn::module::Module;
use burn::tensor::{DType, Device, Int, Tensor, TensorData, activation::softmax};

use super::config::{MoeConfig, Qwen3Config};
use super::mlp::Mlp;
use super::weights::projection;
use crate::lora::Linear;

/// A router and its experts, of which each token is shown to a few.
#[derive(Module, Debug)]
pub struct SparseMoe {
    /// The router, `[hidden, experts]`.
    pub gate: Linear,
    /// Each a SwiGLU block of width `moe_intermediate_size`.
    pub experts: Vec<Mlp>,
    experts_per_token: usize,
    normalise: bool,
}

/// Which rows go to which expert.
struct Assignment {
    /// For each expert that is chosen at all, in order: its number and how many
    /// tokens it gets.
    counts: Vec<(usize, usize)>,
    /// The tokens, expert after expert, `[tokens × k]`.
    tokens: Vec<i64>,
    /// Where the `j`-th choice of token `t` lies in `tokens`, at `t·k + j`.
    places: Vec<i64>,
}

impl SparseMoe {
    /// Fresh weights.
    pub fn init(config: &Qwen3Config, moe: &MoeConfig, device: &Device) -> Self {
        let expert = |_| Mlp::with_width(config, moe.moe_intermediate_size, device);
        Self {
            gate: projection(config, config.hidden_size, moe.num_experts, device),
            experts: (0..moe.num_experts).map(expert).collect(),
            experts_per_token: moe.num_experts_per_tok,
            normalise: moe.norm_topk_prob,
        }
    }

    /// `[batch, tokens, hidden]` → the same shape. Waits for the router's choice
    /// to arrive from the device.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, tokens, hidden] = x.dims();
        let k = self.experts_per_token;
        let rows = x.reshape([batch * tokens, hidden]);
        let device = rows.device();
        let (shares, chosen) = self.route(rows.clone());
        let assignment = Assignment::new(&chosen, k, self.experts.len());

        let mut start = 0;
        let mut outputs = Vec::with_capacity(assignment.counts.len());
        for &(expert, count) in &assignment.counts {
            let tokens = &assignment.tokens[start..start + count];
            let rows = rows.clone().select(0, indices(tokens, &device));
            outputs.push(self.experts[expert].forward(rows.unsqueeze()));
            start += count;
        }
        let by_expert = Tensor::cat(outputs, 1).squeeze_dim::<2>(0);
        let by_token = by_expert.select(0, indices(&assignment.places, &device));
        (by_token.reshape([batch * tokens, k, hidden]) * shares.unsqueeze_dim(2))
            .sum_dim(1)
            .reshape([batch, tokens, hidden])
    }

    /// The shares of the chosen experts, `[rows, k]`, and their numbers, row by
    /// row.
    fn route(&self, rows: Tensor<2>) -> (Tensor<2>, Vec<i64>) {
        let dtype = rows.dtype();
        let probabilities = softmax(self.gate.forward(rows).cast(DType::F32), 1);
        let (_, chosen) = probabilities
            .clone()
            .detach()
            .topk_with_indices(self.experts_per_token, 1);
        // Gathered, not taken from the sort, so that gradients reach the router.
        let shares = probabilities.gather(1, chosen.clone());
        let shares = match self.normalise {
            true => shares.clone() / shares.sum_dim(1),
            false => shares,
        };
        let chosen = chosen.into_data().convert::<i64>();
        (shares.cast(dtype), chosen.iter::<i64>().collect())
    }
}

impl Assignment {
    fn new(chosen: &[i64], k: usize, num_experts: usize) -> Self {
        let mut counts = vec![0; num_experts];
        for &expert in chosen {
            counts[expert as usize] += 1;
        }
        let mut next: Vec<usize> = counts
            .iter()
            .scan(0, |sum, count| {
                let start = *sum;
                *sum += count;
                Some(start)
            })
            .collect();
        let mut tokens = vec![0; chosen.len()];
        let mut places = vec![0; chosen.len()];
        for (choice, &expert) in chosen.iter().enumerate() {
            let place = &mut next[expert as usize];
            tokens[*place] = (choice / k) as i64;
            places[choice] = *place as i64;
            *place += 1;
        }
        let counts = counts.into_iter().enumerate();
        Self {
            counts: counts.filter(|(_, count)| *count > 0).collect(),
            tokens,
            places,
        }
    }
}

fn indices(values: &[i64], device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_grouped_by_expert_and_found_again() {
        let chosen = [3, 0, 0, 2, 3, 2];
        let assignment = Assignment::new(&chosen, 2, 5);
        assert_eq!(assignment.counts, [(0, 2), (2, 2), (3, 2)]);
        assert_eq!(assignment.tokens, [0, 1, 1, 2, 0, 2]);
        for (choice, place) in assignment.places.iter().enumerate() {
            assert_eq!(assignment.tokens[*place as usize], choice as i64 / 2);
        }
    }
}
