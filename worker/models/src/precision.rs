//! What rounding the weights does to the logits.
//!
//! A text is read token by token with exact weights, then with each rounded
//! kind, and the logits are compared.

use std::path::Path;

use serde::Serialize;

use crate::error::{ModelError, Result};
use crate::load::ModelFolder;
use crate::qwen3::cpu::{Precision, Scratch, SequenceCache};
use crate::tokenizer::ChatTokenizer;

/// The outcome of [`measure`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PrecisionReport {
    /// Tokens that were read.
    pub tokens: usize,
    /// Root mean square of the exact logits about their row's mean: the measure
    /// of the differences.
    pub spread: f64,
    /// Bytes that one step with exact weights reads.
    pub exact_weight_bytes: usize,
    /// Each rounded kind.
    pub kinds: Vec<PrecisionError>,
}

/// One kind of weights against the exact ones.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PrecisionError {
    /// `bf16` or `int8`.
    pub weights: &'static str,
    /// Bytes that one step reads.
    pub weight_bytes: usize,
    /// Largest absolute difference of a logit.
    pub max_abs_diff: f64,
    /// Mean absolute difference.
    pub mean_abs_diff: f64,
    /// Root mean square of the differences as a share of the spread.
    pub relative: f64,
    /// Share of places with the same likeliest token.
    pub top1_agreement: f64,
}

/// Compares on the first `max_tokens` tokens of `text`, with the model in `dir`.
///
/// # Errors
/// Those of loading; [`ModelError::Request`] for a text without tokens.
pub fn measure(dir: &Path, text: &str, max_tokens: usize) -> Result<PrecisionReport> {
    let folder = ModelFolder::open(dir)?;
    let mut tokens = ChatTokenizer::from_folder(dir)?.encode(text)?;
    tokens.truncate(max_tokens.min(folder.config.context_length()));
    compare(&folder, &tokens)
}

fn compare(folder: &ModelFolder, tokens: &[u32]) -> Result<PrecisionReport> {
    if tokens.is_empty() {
        return Err(ModelError::Request {
            field: "text",
            reason: "has no token".to_owned(),
        });
    }
    let vocab = folder.config.vocab_size;
    // One decoder at a time: each is a copy of the weights.
    let run = |precision| -> Result<(Vec<f32>, usize)> {
        let decoder = folder.load_decoder(precision)?;
        let mut cache = SequenceCache::new(decoder.config());
        let mut scratch = Scratch::default();
        let mut all = Vec::with_capacity(tokens.len() * vocab);
        for &token in tokens {
            all.extend_from_slice(decoder.step(&[token], &mut [&mut cache], &mut scratch)?);
        }
        Ok((all, decoder.weight_bytes()))
    };
    let (exact, exact_weight_bytes) = run(Precision::Exact)?;
    let spread = spread(&exact, vocab);
    let mut kinds = Vec::new();
    for precision in [Precision::Bf16, Precision::Int8] {
        let (rounded, weight_bytes) = run(precision)?;
        let difference = Difference::new(&exact, &rounded, vocab);
        kinds.push(PrecisionError {
            weights: precision.name(),
            weight_bytes,
            max_abs_diff: difference.largest,
            mean_abs_diff: difference.mean,
            relative: difference.root_mean_square / spread,
            top1_agreement: difference.agreement,
        });
    }
    Ok(PrecisionReport {
        tokens: tokens.len(),
        spread,
        exact_weight_bytes,
        kinds,
    })
}

/// Root mean square about each row's mean.
fn spread(logits: &[f32], vocab: usize) -> f64 {
    let rows = logits.chunks_exact(vocab).map(|row| {
        let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / vocab as f64;
        row.iter()
            .map(|&x| (f64::from(x) - mean).powi(2))
            .sum::<f64>()
    });
    (rows.sum::<f64>() / logits.len() as f64).sqrt()
}

struct Difference {
    largest: f64,
    mean: f64,
    root_mean_square: f64,
    agreement: f64,
}

impl Difference {
    fn new(exact: &[f32], rounded: &[f32], vocab: usize) -> Self {
        let (mut largest, mut sum, mut squares) = (0.0_f64, 0.0, 0.0);
        for (a, b) in exact.iter().zip(rounded) {
            let difference = (f64::from(*a) - f64::from(*b)).abs();
            // Not `max`, which passes over what is not a number.
            if difference > largest || difference.is_nan() {
                largest = difference;
            }
            sum += difference;
            squares += difference * difference;
        }
        let best = |row: &[f32]| {
            let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
            best.map(|(token, _)| token)
        };
        let rows = exact.chunks_exact(vocab).zip(rounded.chunks_exact(vocab));
        let same = rows.filter(|(a, b)| best(a) == best(b)).count();
        let count = exact.len() as f64;
        Self {
            largest,
            mean: sum / count,
            root_mean_square: (squares / count).sqrt(),
            agreement: (same * vocab) as f64 / count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_counted_row_by_row() {
        let exact = [1.0, 3.0, 0.0, -2.0];
        let rounded = [1.5, 3.0, -3.0, -2.0];
        let difference = Difference::new(&exact, &rounded, 2);
        assert_eq!(difference.largest, 3.0);
        assert_eq!(difference.mean, 3.5 / 4.0);
        assert_eq!(difference.agreement, 0.5);
        assert!((difference.root_mean_square - (9.25_f64 / 4.0).sqrt()).abs() < 1e-12);
        assert_eq!(spread(&exact, 2), 1.0);
    }
}
