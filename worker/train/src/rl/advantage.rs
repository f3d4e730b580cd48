//! How much better than its group a sample is.

use serde::{Deserialize, Serialize};

/// Added to a deviation that is divided by, as in verl's
/// `compute_grpo_outcome_advantage`.
const EPSILON: f64 = 1e-6;

/// What a group's rewards are divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Their standard deviation (DeepSeekMath, arXiv:2402.03300, §4.1.2).
    #[default]
    Deviation,
    /// Nothing (Dr. GRPO, arXiv:2503.20783, §3.2): an easy or a hard prompt weighs no more
    /// than others.
    None,
}

/// The advantages of one group, samples of the same prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Advantages {
    /// One a sample, in order; absent for a sample that has no reward.
    pub values: Vec<Option<f64>>,
    /// Whether the group teaches nothing: fewer than two samples with a reward, or all
    /// rewards the same.
    pub flat: bool,
}

/// Advantages from the rewards of a group; a sample without one, because a judge or a tool
/// was out of order, neither learns nor counts in the mean.
///
/// With mean `m` and deviation `s` (of a sample: divided by `n − 1`) over those that have a
/// reward: `(r − m) / (s + 1e-6)`, or `r − m`. A flat group has advantages of zero, never a
/// division by nothing.
pub fn advantages(rewards: &[Option<f64>], scale: Scale) -> Advantages {
    let known: Vec<f64> = rewards.iter().flatten().copied().collect();
    let count = known.len() as f64;
    let mean = known.iter().sum::<f64>() / count.max(1.0);
    let squares: f64 = known.iter().map(|reward| (reward - mean).powi(2)).sum();
    let flat = known.len() < 2 || squares.sqrt() < 1e-9;
    let divisor = match scale {
        Scale::Deviation => (squares / (count - 1.0).max(1.0)).sqrt() + EPSILON,
        Scale::None => 1.0,
    };
    let advantage = |reward: f64| match flat {
        true => 0.0,
        false => (reward - mean) / divisor,
    };
    Advantages {
        values: rewards.iter().map(|reward| reward.map(advantage)).collect(),
        flat,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(values: &[Option<f64>], expected: &[Option<f64>]) {
        assert_eq!(values.len(), expected.len());
        for (value, expected) in values.iter().zip(expected) {
            match (value, expected) {
                (Some(value), Some(expected)) => {
                    assert!((value - expected).abs() < 1e-5, "{values:?}");
                }
                pair => assert_eq!(pair, (&None, &None)),
            }
        }
    }

    #[test]
    fn a_group_is_measured_by_its_own_mean_and_deviation() {
        let group = [Some(0.0), Some(1.0), Some(0.5), Some(0.5)];
        let scaled = advantages(&group, Scale::Deviation);
        let one = 0.5 / (0.5_f64 / 3.0).sqrt();
        near(
            &scaled.values,
            &[Some(-one), Some(one), Some(0.0), Some(0.0)],
        );
        assert!(!scaled.flat);
        let plain = advantages(&group, Scale::None);
        near(
            &plain.values,
            &[Some(-0.5), Some(0.5), Some(0.0), Some(0.0)],
        );
    }

    #[test]
    fn what_has_no_reward_is_left_out_of_the_mean() {
        let group = [Some(0.2), None, Some(0.4)];
        near(
            &advantages(&group, Scale::None).values,
            &[Some(-0.1), None, Some(0.1)],
        );
    }

    #[test]
    fn a_flat_group_teaches_nothing_and_divides_by_nothing() {
        for group in [
            vec![Some(0.7); 5],
            vec![Some(0.3)],
            vec![None, Some(0.3)],
            vec![None, None],
            Vec::new(),
        ] {
            for scale in [Scale::Deviation, Scale::None] {
                let advantages = advantages(&group, scale);
                assert!(advantages.flat, "{group:?}");
                let zero = |value: &Option<f64>| value.is_none_or(|value| value == 0.0);
                assert!(advantages.values.iter().all(zero), "{group:?}");
            }
        }
    }
}
