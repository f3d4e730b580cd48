//! Log-probabilities of tokens.

/// The model's log-probability of a chosen token and of the likeliest ones,
/// before temperature, filters and constraints.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprob {
    /// The token.
    pub token: u32,
    /// Its natural log-probability.
    pub logprob: f32,
    /// The likeliest tokens, in descending order.
    pub top: Vec<(u32, f32)>,
}

/// `log softmax(logits)` at `token` and at the `count` greatest.
pub(super) fn logprobs(logits: &[f32], token: u32, count: usize) -> TokenLogprob {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits
        .iter()
        .map(|logit| f64::from(logit - largest).exp())
        .sum();
    let normaliser = largest + sum.ln() as f32;
    let chosen = logits.get(token as usize).copied();
    TokenLogprob {
        token,
        logprob: chosen.unwrap_or(f32::NEG_INFINITY) - normaliser,
        top: greatest(logits, count)
            .into_iter()
            .map(|(token, logit)| (token, logit - normaliser))
            .collect(),
    }
}

/// The `count` greatest, in descending order, the lower token first among equals.
fn greatest(logits: &[f32], count: usize) -> Vec<(u32, f32)> {
    let mut top: Vec<(u32, f32)> = Vec::with_capacity(count + 1);
    for (token, &logit) in (0_u32..).zip(logits) {
        let place = top.partition_point(|(_, held)| *held >= logit);
        if place < count {
            top.insert(place, (token, logit));
            top.truncate(count);
        }
    }
    top
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one_and_the_likeliest_come_first() {
        let logits = [1.0, -2.0, 3.5, 3.5, 0.0];
        let all = logprobs(&logits, 4, 5);
        let sum: f32 = all.top.iter().map(|(_, logprob)| logprob.exp()).sum();
        assert!((sum - 1.0).abs() < 1e-6);
        let order: Vec<u32> = all.top.iter().map(|(token, _)| *token).collect();
        assert_eq!(order, [2, 3, 0, 4, 1]);
        assert_eq!(all.logprob, all.top[3].1);
        assert_eq!(logprobs(&logits, 1, 2).top, all.top[..2]);
        assert!(logprobs(&logits, 1, 0).top.is_empty());
    }
}
