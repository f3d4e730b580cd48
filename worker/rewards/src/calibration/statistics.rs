//! Measures of agreement between labels and scores.

use serde::{Deserialize, Serialize};

/// Agreement over pairs of a label and a score, both from 1 to 5. A measure
/// that the pairs do not define is absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// Pairs compared.
    pub count: usize,
    /// Share of pairs that are equal once rounded to whole grades.
    pub exact: Option<f64>,
    /// Share of pairs that lie at most 1 apart, unrounded.
    pub within_one: Option<f64>,
    /// Mean of the score minus the label: above 0 the judge is lenient.
    pub bias: Option<f64>,
    /// Mean distance, unrounded.
    pub mean_absolute_error: Option<f64>,
    /// Pearson's correlation; absent when either side is constant.
    pub pearson: Option<f64>,
    /// Spearman's: Pearson's of the ranks, ties sharing their mean rank.
    pub spearman: Option<f64>,
    /// Cohen's kappa with quadratic weights (Cohen 1968) of the whole grades 1
    /// to 5: 1 is agreement, 0 is that of chance; absent when chance alone agrees
    /// wholly.
    pub quadratic_weighted_kappa: Option<f64>,
}

/// Decimal grades such as 3.1 and 4.1 are 1 apart but for rounding.
const SLACK: f64 = 1e-9;

/// Compares pairs of a label and a score.
#[must_use]
pub fn agreement(pairs: &[(f64, f64)]) -> Agreement {
    let mean = |value: &dyn Fn(f64, f64) -> f64| {
        let sum: f64 = pairs
            .iter()
            .map(|(label, score)| value(*label, *score))
            .sum();
        (!pairs.is_empty()).then(|| sum / pairs.len() as f64)
    };
    let share = |met: bool| if met { 1.0 } else { 0.0 };
    let (labels, scores): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    Agreement {
        count: pairs.len(),
        exact: mean(&|label, score| share(grade(label) == grade(score))),
        within_one: mean(&|label, score| share((label - score).abs() <= 1.0 + SLACK)),
        bias: mean(&|label, score| score - label),
        mean_absolute_error: mean(&|label, score| (label - score).abs()),
        pearson: pearson(&labels, &scores),
        spearman: pearson(&ranks(&labels), &ranks(&scores)),
        quadratic_weighted_kappa: kappa(pairs),
    }
}

/// A whole grade, 0 for 1 to 4 for 5; halves go up.
fn grade(value: f64) -> usize {
    (value.round().clamp(1.0, 5.0) - 1.0) as usize
}

fn pearson(left: &[f64], right: &[f64]) -> Option<f64> {
    let count = left.len() as f64;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / count;
    let (left_mean, right_mean) = (mean(left), mean(right));
    let (mut both, mut left_square, mut right_square) = (0.0, 0.0, 0.0);
    for (left, right) in left.iter().zip(right) {
        let (left, right) = (left - left_mean, right - right_mean);
        both += left * right;
        left_square += left * left;
        right_square += right * right;
    }
    let spread = (left_square * right_square).sqrt();
    // A constant side may leave a trace of rounding.
    (spread > 1e-12).then(|| (both / spread).clamp(-1.0, 1.0))
}

/// Ranks from 1; equal values share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|left, right| values[*left].total_cmp(&values[*right]));
    let mut ranks = vec![0.0; values.len()];
    for tied in order.chunk_by(|left, right| values[*left] == values[*right]) {
        let below = order
            .iter()
            .filter(|index| values[**index] < values[tied[0]]);
        let rank = below.count() as f64 + (tied.len() as f64 + 1.0) / 2.0;
        for index in tied {
            ranks[*index] = rank;
        }
    }
    ranks
}

/// `1 − Σ w o / Σ w e` with `w = (i − j)²`, `o` the observed and `e` the expected
/// share of each pair of grades.
fn kappa(pairs: &[(f64, f64)]) -> Option<f64> {
    let mut observed = 0.0;
    let (mut labels, mut scores) = ([0.0; 5], [0.0; 5]);
    for (label, score) in pairs {
        let (label, score) = (grade(*label), grade(*score));
        observed += weight(label, score);
        labels[label] += 1.0;
        scores[score] += 1.0;
    }
    let mut expected = 0.0;
    for (label, labelled) in labels.iter().enumerate() {
        for (score, scored) in scores.iter().enumerate() {
            expected += weight(label, score) * labelled * scored / pairs.len() as f64;
        }
    }
    (expected > 0.0).then(|| 1.0 - observed / expected)
}

fn weight(left: usize, right: usize) -> f64 {
    let distance = left.abs_diff(right) as f64;
    distance * distance
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(value: Option<f64>, expected: f64) {
        let value = value.unwrap();
        assert!((value - expected).abs() < 1e-6, "{value} is not {expected}");
    }

    #[test]
    fn known_values() {
        // Worked out from the definitions by another program.
        let labels = [1.0, 2.0, 3.0, 4.0, 5.0, 3.0, 2.0, 5.0];
        let scores = [1.0, 3.0, 3.0, 5.0, 5.0, 1.0, 2.0, 4.0];
        let pairs: Vec<_> = labels.into_iter().zip(scores).collect();
        let agreement = agreement(&pairs);
        assert_eq!(agreement.count, 8);
        close(agreement.exact, 0.5);
        close(agreement.within_one, 0.875);
        close(agreement.bias, -0.125);
        close(agreement.mean_absolute_error, 0.625);
        close(agreement.pearson, 0.794_472_030_8);
        close(agreement.spearman, 0.777_777_777_8);
        close(agreement.quadratic_weighted_kappa, 0.787_878_787_9);
    }

    #[test]
    fn a_judge_against_the_labels_is_below_chance() {
        let pairs = [(1.0, 5.0), (5.0, 1.0), (2.0, 4.0), (4.0, 2.0)];
        let agreement = agreement(&pairs);
        close(agreement.pearson, -1.0);
        close(agreement.spearman, -1.0);
        close(agreement.quadratic_weighted_kappa, -1.0);
        close(agreement.within_one, 0.0);
    }

    #[test]
    fn halves_are_compared_as_they_are_and_graded_rounded() {
        let agreement = agreement(&[(3.0, 3.4), (3.0, 3.5), (3.0, 4.1)]);
        close(agreement.exact, 1.0 / 3.0);
        close(agreement.within_one, 2.0 / 3.0);
        close(agreement.mean_absolute_error, 2.0 / 3.0);
    }

    #[test]
    fn what_is_not_defined_is_absent() {
        let none = agreement(&[]);
        assert_eq!((none.count, none.exact, none.pearson), (0, None, None));
        assert_eq!(none.quadratic_weighted_kappa, None);
        let constant = agreement(&[(3.0, 3.0), (3.0, 3.0)]);
        close(constant.exact, 1.0);
        assert_eq!((constant.pearson, constant.spearman), (None, None));
        assert_eq!(constant.quadratic_weighted_kappa, None);
    }
}
