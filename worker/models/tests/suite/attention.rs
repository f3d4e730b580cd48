//! Attention with masks against a softmax that is written out, on the device
//! that parity is tested on.
//!
//! In our masks `true` hides. PyTorch's `scaled_dot_product_attention` reads
//! `true` as "may be seen", and burn-tch 0.22 hands it burn's mask as it is;
//! ours adds a bias to the scores, so that every device does the same.

use crate::support;

use burn::tensor::{Bool, Int, Tensor, TensorData};
use illumine_models::qwen3::attention::grouped_attention;
use illumine_models::qwen3::model::{causal_bias, score_bias};
use illumine_models::qwen3::{padding_mask, segment_mask};

use support::device;

const BATCH: usize = 2;
const KV_HEADS: usize = 2;
const GROUPS: usize = 3;
const TOKENS: usize = 5;
const KEYS: usize = 7;
const HEAD_DIM: usize = 4;

/// Queries, keys and values, row-major.
struct Inputs {
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
}

impl Inputs {
    fn new() -> Self {
        let numbers = |count: usize, seed: f32| -> Vec<f32> {
            let number = |i| (i as f32 * 12.9898 + seed).sin() * 2.0;
            (0..count).map(number).collect()
        };
        Self {
            query: numbers(BATCH * KV_HEADS * GROUPS * TOKENS * HEAD_DIM, 1.0),
            key: numbers(BATCH * KV_HEADS * KEYS * HEAD_DIM, 2.0),
            value: numbers(BATCH * KV_HEADS * KEYS * HEAD_DIM, 3.0),
        }
    }

    fn on_device(&self, bias: &Tensor<5>) -> Vec<f32> {
        let tensor = |values: &[f32], heads, length| {
            let shape = [BATCH, heads, length, HEAD_DIM];
            Tensor::<4>::from_data(TensorData::new(values.to_vec(), shape), &device())
        };
        let query = tensor(&self.query, KV_HEADS * GROUPS, TOKENS);
        let (key, value) = (
            tensor(&self.key, KV_HEADS, KEYS),
            tensor(&self.value, KV_HEADS, KEYS),
        );
        let context = grouped_attention(query, key, value, Some(bias));
        context.into_data().try_to_vec::<f32>().unwrap()
    }

    /// `softmax(q·k / √d)` over the keys that may be seen, times the values;
    /// `[batch, tokens, heads, head_dim]`.
    fn written_out(&self, hidden: impl Fn(usize, usize, usize) -> bool) -> Vec<f32> {
        let heads = KV_HEADS * GROUPS;
        let mut out = Vec::new();
        for (batch, token) in (0..BATCH).flat_map(|b| (0..TOKENS).map(move |t| (b, t))) {
            for head in 0..heads {
                let query = &self.query[((batch * heads + head) * TOKENS + token) * HEAD_DIM..];
                let at = |key| ((batch * KV_HEADS + head / GROUPS) * KEYS + key) * HEAD_DIM;
                let weight = |key: usize| {
                    let pairs = query.iter().zip(&self.key[at(key)..][..HEAD_DIM]);
                    let score: f64 = pairs.map(|(q, k)| f64::from(*q) * f64::from(*k)).sum();
                    match hidden(batch, token, key) {
                        true => 0.0,
                        false => (score / (HEAD_DIM as f64).sqrt()).exp(),
                    }
                };
                let total: f64 = (0..KEYS).map(weight).sum();
                out.extend((0..HEAD_DIM).map(|place| {
                    let value = |key| f64::from(self.value[at(key) + place]);
                    ((0..KEYS).map(|key| weight(key) * value(key)).sum::<f64>() / total) as f32
                }));
            }
        }
        out
    }
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let pairs = a.iter().zip(b);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, |most, next| {
        // Not a number must not be lost in a maximum.
        if next <= most { most } else { next }
    })
}

fn mask_of(hidden: impl Fn(usize, usize, usize) -> bool) -> Tensor<4, Bool> {
    let place = |i: usize| (i / (TOKENS * KEYS), i / KEYS % TOKENS, i % KEYS);
    let values: Vec<bool> = (0..BATCH * TOKENS * KEYS)
        .map(place)
        .map(|(batch, token, key)| hidden(batch, token, key))
        .collect();
    Tensor::from_data(TensorData::new(values, [BATCH, 1, TOKENS, KEYS]), &device())
}

#[test]
fn true_hides_a_key() {
    let hidden = |batch, token, key| (batch * 5 + token * 3 + key * 2) % 7 < 3;
    let inputs = Inputs::new();
    let ours = inputs.on_device(&score_bias(mask_of(hidden)));
    let difference = largest_difference(&ours, &inputs.written_out(hidden));
    assert!(difference < 1e-5, "{difference:e}");
    // The other meaning is far away, and so is no mask at all.
    let opposite = inputs.written_out(|batch, token, key| !hidden(batch, token, key));
    assert!(largest_difference(&ours, &opposite) > 0.5);
    let unmasked = inputs.written_out(|_, _, _| false);
    assert!(largest_difference(&ours, &unmasked) > 0.5);
}

#[test]
fn later_tokens_are_hidden_behind_a_cache() {
    let past = KEYS - TOKENS;
    let inputs = Inputs::new();
    let ours = inputs.on_device(&causal_bias(past, TOKENS, &device()));
    let expected = inputs.written_out(|_, token, key| key > past + token);
    let difference = largest_difference(&ours, &expected);
    assert!(difference < 1e-5, "{difference:e}");
}

#[test]
fn a_row_that_sees_nothing_stays_finite() {
    let inputs = Inputs::new();
    let ours = inputs.on_device(&score_bias(mask_of(|_, token, _| token == 1)));
    assert!(ours.iter().all(|number| number.is_finite()), "{ours:?}");
}

/// What a mask `[batch, 1, tokens, tokens]` hides, row-major.
fn bools(mask: Tensor<4, Bool>) -> Vec<bool> {
    mask.into_data().iter::<bool>().collect()
}

fn ints(values: &[i64], shape: [usize; 2]) -> Tensor<2, Int> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &device())
}

#[test]
fn padding_hides_what_is_padded_or_later() {
    let rows = [0, 0, 1, 1, 1, 1, 1, 1];
    let (positions, mask) = padding_mask(ints(&rows, [2, 4]));
    let expected: Vec<bool> = (0..2 * 4 * 4)
        .map(|i| (i / 16, i / 4 % 4, i % 4))
        .map(|(batch, token, key)| key > token || rows[batch * 4 + key] == 0)
        .collect();
    assert_eq!(bools(mask), expected);
    let positions: Vec<i64> = positions.into_data().iter::<i64>().collect();
    assert_eq!(positions, [0, 0, 0, 1, 0, 1, 2, 3]);
}

#[test]
fn segments_hide_one_another() {
    let segments = [0, 0, 1, 1, 1, 2];
    let expected: Vec<bool> = (0..6 * 6)
        .map(|i| (i / 6, i % 6))
        .map(|(token, key)| key > token || segments[token] != segments[key])
        .collect();
    assert_eq!(bools(segment_mask(ints(&segments, [1, 6]))), expected);
}
