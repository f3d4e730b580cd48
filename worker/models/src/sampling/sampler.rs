//! The choice itself. Filters apply in the order of `transformers`: penalty,
//! temperature, top-k, top-p, min-p.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::SamplingParams;
use crate::error::Result;

/// Tokens looked at first when only a part of the vocabulary can matter.
const FIRST_LOOK: usize = 256;

/// A sampler with its random state.
#[derive(Clone, Debug)]
pub struct Sampler {
    params: SamplingParams,
    random: StdRng,
    /// Scratch: logits after penalty and temperature, with their tokens.
    candidates: Vec<(f32, u32)>,
}

impl Sampler {
    /// A sampler at the start of its random sequence.
    ///
    /// # Errors
    /// A parameter out of range.
    pub fn new(params: &SamplingParams) -> Result<Self> {
        params.validate()?;
        let random = match params.seed {
            Some(seed) => StdRng::seed_from_u64(seed),
            None => StdRng::from_os_rng(),
        };
        Ok(Self {
            params: params.clone(),
            random,
            candidates: Vec::new(),
        })
    }

    /// The next token: an index into `logits`. `seen` are the tokens of prompt
    /// and answer so far, for the repetition penalty.
    ///
    /// Logits that are not numbers are never chosen while others are.
    pub fn sample(&mut self, logits: &[f32], seen: &[u32]) -> u32 {
        self.candidates.clear();
        let numbers = logits.iter().zip(0_u32..);
        self.candidates.extend(numbers.map(|(&logit, token)| {
            let logit = if logit.is_nan() {
                f32::NEG_INFINITY
            } else {
                logit
            };
            (logit, token)
        }));
        self.penalise(seen);
        if self.params.temperature == 0.0 {
            return greedy(&self.candidates);
        }
        for (logit, _) in &mut self.candidates {
            *logit /= self.params.temperature;
        }
        let kept = self.filter();
        self.draw(kept)
    }

    fn penalise(&mut self, seen: &[u32]) {
        let penalty = self.params.repetition_penalty;
        if penalty == 1.0 {
            return;
        }
        let mut tokens = seen.to_vec();
        tokens.sort_unstable();
        tokens.dedup();
        for token in tokens {
            if let Some((logit, _)) = self.candidates.get_mut(token as usize) {
                *logit = if *logit > 0.0 {
                    *logit / penalty
                } else {
                    *logit * penalty
                };
            }
        }
    }

    /// Applies top-k, top-p and min-p; the kept candidates are moved to the
    /// front and counted. They are in descending order when any filter is on.
    fn filter(&mut self) -> usize {
        let SamplingParams {
            top_p,
            top_k,
            min_p,
            ..
        } = self.params;
        let mut kept = self.candidates.len();
        if top_k > 0 && top_k < kept {
            sort_first(&mut self.candidates, top_k);
            kept = top_k;
        }
        if top_p < 1.0 {
            kept = self.nucleus(kept, top_p);
        }
        if min_p > 0.0 {
            let (largest, _) = greatest(&self.candidates[..kept]);
            let lowest = largest + min_p.ln();
            sort_first_until(&mut self.candidates[..kept], lowest);
            kept = self.candidates[..kept]
                .partition_point(|(logit, _)| *logit >= lowest)
                .max(1);
        }
        kept
    }

    /// The fewest of the first `kept` candidates whose probabilities reach `top_p`.
    fn nucleus(&mut self, kept: usize, top_p: f32) -> usize {
        let candidates = &mut self.candidates[..kept];
        let (largest, _) = greatest(candidates);
        let total: f64 = candidates
            .iter()
            .map(|(logit, _)| f64::from((logit - largest).exp()))
            .sum();
        // Sorting the whole vocabulary would cost more than the model's step:
        // look at a few of the likeliest, then at more while they do not suffice.
        let mut look = FIRST_LOOK;
        loop {
            let look_at = look.min(kept);
            sort_first(candidates, look_at);
            let mut sum = 0.0;
            for (index, (logit, _)) in candidates[..look_at].iter().enumerate() {
                sum += f64::from((logit - largest).exp());
                if sum >= f64::from(top_p) * total {
                    return index + 1;
                }
            }
            if look_at == kept {
                return kept;
            }
            look *= 8;
        }
    }

    /// Draws one of the first `kept` candidates by probability.
    fn draw(&mut self, kept: usize) -> u32 {
        let candidates = &self.candidates[..kept];
        let (largest, likeliest) = greatest(candidates);
        let weight = |logit: f32| f64::from((logit - largest).exp());
        let total: f64 = candidates.iter().map(|(logit, _)| weight(*logit)).sum();
        let mut rest = self.random.random::<f64>() * total;
        for (logit, token) in candidates {
            rest -= weight(*logit);
            if rest < 0.0 {
                return *token;
            }
        }
        likeliest
    }
}

/// The greatest logit and its token, the lowest token among equals.
fn greatest(candidates: &[(f32, u32)]) -> (f32, u32) {
    let start = (
        f32::NEG_INFINITY,
        candidates.first().map_or(0, |first| first.1),
    );
    candidates.iter().fold(start, |best, candidate| {
        let better = candidate.0 > best.0 || (candidate.0 == best.0 && candidate.1 < best.1);
        if better { *candidate } else { best }
    })
}

fn greedy(candidates: &[(f32, u32)]) -> u32 {
    greatest(candidates).1
}

/// Descending by logit; equal ones by token, so that the order is certain.
fn descending(a: &(f32, u32), b: &(f32, u32)) -> std::cmp::Ordering {
    b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
}

/// Moves the `count` greatest to the front, in descending order.
fn sort_first(candidates: &mut [(f32, u32)], count: usize) {
    if count < candidates.len() {
        candidates.select_nth_unstable_by(count, descending);
    }
    candidates[..count].sort_unstable_by(descending);
}

/// Moves all candidates of at least `lowest` to the front, in descending order.
fn sort_first_until(candidates: &mut [(f32, u32)], lowest: f32) {
    let count = candidates
        .iter()
        .filter(|(logit, _)| *logit >= lowest)
        .count();
    sort_first(candidates, count);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Probabilities 0.5, 0.25, 0.15, 0.1.
    fn logits() -> Vec<f32> {
        [0.15_f32, 0.5, 0.1, 0.25].map(f32::ln).to_vec()
    }

    fn counts(params: SamplingParams, draws: usize) -> BTreeMap<u32, usize> {
        let mut sampler = Sampler::new(&params).unwrap();
        let mut counts = BTreeMap::new();
        for _ in 0..draws {
            *counts.entry(sampler.sample(&logits(), &[])).or_default() += 1;
        }
        counts
    }

    fn hot() -> SamplingParams {
        SamplingParams {
            temperature: 1.0,
            seed: Some(1),
            ..SamplingParams::default()
        }
    }

    fn kept(params: SamplingParams) -> Vec<u32> {
        counts(params, 2000).into_keys().collect()
    }

    #[test]
    fn zero_temperature_takes_the_likeliest() {
        assert_eq!(kept(SamplingParams::default()), [1]);
    }

    #[test]
    fn equal_logits_go_to_the_lowest_token() {
        let mut sampler = Sampler::new(&SamplingParams::default()).unwrap();
        assert_eq!(sampler.sample(&[0.0, 3.0, 3.0], &[]), 1);
    }

    #[test]
    fn draws_follow_the_probabilities() {
        let counts = counts(hot(), 20_000);
        for (token, probability) in [(0, 0.15), (1, 0.5), (2, 0.1), (3, 0.25)] {
            let share = counts[&token] as f64 / 20_000.0;
            assert!((share - probability).abs() < 0.015, "{token}: {share}");
        }
    }

    #[test]
    fn temperature_sharpens() {
        let cold = counts(
            SamplingParams {
                temperature: 0.5,
                ..hot()
            },
            20_000,
        );
        // 0.25 / (0.25 + 0.0625 + 0.0225 + 0.01)
        let share = cold[&1] as f64 / 20_000.0;
        assert!((share - 0.7246).abs() < 0.015, "{share}");
    }

    #[test]
    fn each_filter_keeps_what_it_should() {
        assert_eq!(kept(SamplingParams { top_k: 2, ..hot() }), [1, 3]);
        assert_eq!(
            kept(SamplingParams {
                top_p: 0.5,
                ..hot()
            }),
            [1]
        );
        assert_eq!(
            kept(SamplingParams {
                top_p: 0.76,
                ..hot()
            }),
            [0, 1, 3]
        );
        assert_eq!(
            kept(SamplingParams {
                min_p: 0.4,
                ..hot()
            }),
            [1, 3]
        );
        assert_eq!(
            kept(SamplingParams {
                min_p: 1.0,
                ..hot()
            }),
            [1]
        );
        assert_eq!(kept(hot()), [0, 1, 2, 3]);
    }

    #[test]
    fn filters_compose() {
        let params = SamplingParams {
            top_k: 3,
            top_p: 0.8,
            min_p: 0.45,
            ..hot()
        };
        assert_eq!(kept(params), [1, 3]);
    }

    #[test]
    fn a_seed_repeats_and_another_differs() {
        let draw = |seed| {
            let params = SamplingParams {
                seed: Some(seed),
                ..hot()
            };
            let mut sampler = Sampler::new(&params).unwrap();
            (0..64)
                .map(|_| sampler.sample(&logits(), &[]))
                .collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn the_penalty_lowers_what_was_seen() {
        let params = SamplingParams {
            repetition_penalty: 2.0,
            ..SamplingParams::default()
        };
        let mut sampler = Sampler::new(&params).unwrap();
        assert_eq!(sampler.sample(&[3.0, 2.0, -1.0], &[0, 0]), 1);
        assert_eq!(
            sampler.sample(&[-3.0, -2.0], &[1, 77]),
            0,
            "negative logits sink"
        );
    }

    #[test]
    fn what_is_not_a_number_is_not_chosen() {
        let mut sampler = Sampler::new(&hot()).unwrap();
        for _ in 0..100 {
            let token = sampler.sample(&[f32::NAN, 1.0, f32::NEG_INFINITY], &[]);
            assert_eq!(token, 1);
        }
    }

    proptest! {
        /// Against the definition over a fully sorted vocabulary.
        #[test]
        fn nucleus_is_the_shortest_prefix(
            logits in proptest::collection::vec(-8.0_f32..8.0, 1..900),
            top_p in 0.05_f32..0.99,
        ) {
            let params = SamplingParams { temperature: 1.0, top_p, ..SamplingParams::default() };
            let mut sampler = Sampler::new(&params).unwrap();
            sampler.candidates = logits.iter().copied().zip(0..).collect();
            let kept = sampler.filter();
            let mut sorted: Vec<f64> = logits.iter().map(|&l| f64::from(l).exp()).collect();
            sorted.sort_by(|a, b| b.total_cmp(a));
            let total: f64 = sorted.iter().sum();
            let mass = |count: usize| sorted[..count].iter().sum::<f64>() / total;
            prop_assert!(mass(kept) >= f64::from(top_p) - 1e-5);
            prop_assert!(mass(kept - 1) < f64::from(top_p) + 1e-5);
        }
    }
}
