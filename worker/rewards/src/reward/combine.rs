//! From the parts to the reward.

use super::breakdown::{TermName, TermPart};
use super::settings::RewardWeights;
use crate::error::{Result, RewardError};

/// The value of each part; nothing where a part does not apply.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Parts {
    /// N, 0 to 1.
    pub count: f64,
    /// MLLM, 0 to 1, not yet multiplied with N.
    pub mllm: Option<f64>,
    /// LLM, 0 to 1.
    pub llm: Option<f64>,
    /// `r_tool`, 0 to 1.
    pub tools: Option<f64>,
    /// F, 0 to 1.
    pub format: Option<f64>,
    /// L, −1 to 0.
    pub length: Option<f64>,
}

/// The reward and its terms.
#[derive(Clone, Debug, PartialEq)]
pub struct Combined {
    pub reward: f64,
    /// Terms with a weight that apply; their contributions sum to the reward.
    pub terms: Vec<TermPart>,
    /// Terms with a weight that do not apply: the others bear their weight.
    pub absent: Vec<TermName>,
}

/// The module's formula.
///
/// # Errors
/// [`RewardError::Number`] for a part out of its range, NaN included;
/// [`RewardError::NothingToReward`] if no term with a weight applies.
pub fn combine(weights: &RewardWeights, parts: &Parts) -> Result<Combined> {
    let count = RewardError::check("count", parts.count, 0.0, 1.0)?;
    let mllm = within("mllm", parts.mllm, 0.0, 1.0)?;
    let terms = [
        (TermName::Count, weights.count, Some(count)),
        (TermName::Mllm, weights.mllm, mllm.map(|mllm| count * mllm)),
        (
            TermName::Llm,
            weights.llm,
            within("llm", parts.llm, 0.0, 1.0)?,
        ),
        (
            TermName::Tools,
            weights.tools,
            within("tools", parts.tools, 0.0, 1.0)?,
        ),
        (
            TermName::Format,
            weights.format,
            within("format", parts.format, 0.0, 1.0)?,
        ),
    ];
    let length = within("length", parts.length, -1.0, 0.0)?;

    let whole: f64 = terms.iter().map(|(_, weight, _)| weight).sum();
    let applying = terms.iter().filter(|(_, _, value)| value.is_some());
    let borne: f64 = applying.map(|(_, weight, _)| weight).sum();
    let mut combined = Combined {
        reward: 0.0,
        terms: Vec::new(),
        absent: Vec::new(),
    };
    for (name, weight, value) in terms.into_iter().filter(|(_, weight, _)| *weight > 0.0) {
        match value {
            // Exact when every term applies: the quotient is 1.
            Some(value) => combined.add(name, weight * (whole / borne), value),
            None => combined.absent.push(name),
        }
    }
    if combined.terms.is_empty() {
        let absent = combined.absent.iter().map(|name| name.as_str());
        let absent = absent.collect::<Vec<_>>().join(", ");
        return Err(RewardError::NothingToReward(format!(
            "only {absent} has a weight"
        )));
    }
    if let Some(length) = length.filter(|_| weights.length > 0.0) {
        combined.add(TermName::Length, weights.length, length);
    }
    if !combined.reward.is_finite() {
        return Err(RewardError::Number {
            field: "reward",
            value: combined.reward,
            low: f64::MIN,
            high: f64::MAX,
        });
    }
    Ok(combined)
}

impl Combined {
    fn add(&mut self, name: TermName, weight: f64, value: f64) {
        self.reward += weight * value;
        self.terms.push(TermPart {
            name,
            weight,
            value,
            contribution: weight * value,
        });
    }
}

fn within(field: &'static str, value: Option<f64>, low: f64, high: f64) -> Result<Option<f64>> {
    value
        .map(|value| RewardError::check(field, value, low, high))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(count: f64, mllm: Option<f64>, llm: Option<f64>) -> Parts {
        Parts {
            count,
            mllm,
            llm,
            ..Parts::default()
        }
    }

    #[test]
    fn the_papers_formula() {
        let weights = RewardWeights::default();
        for (count, mllm, llm, expected) in [
            (1.0, 1.0, 1.0, 1.0),
            (0.0, 1.0, 1.0, 0.5),
            (0.5, 0.8, 0.6, 0.1 + 0.12 + 0.3),
            (1.0, 0.0, 0.0, 0.2),
            (0.0, 0.0, 0.0, 0.0),
        ] {
            let combined = combine(&weights, &parts(count, Some(mllm), Some(llm))).unwrap();
            assert!((combined.reward - expected).abs() < 1e-12, "{combined:?}");
            assert_eq!(combined.absent, []);
            let sum: f64 = combined.terms.iter().map(|term| term.contribution).sum();
            assert!((sum - combined.reward).abs() < 1e-12);
        }
    }

    #[test]
    fn the_weight_of_an_absent_term_is_borne_by_the_others() {
        let weights = RewardWeights::default();
        let only_rule = combine(&weights, &parts(0.5, None, None)).unwrap();
        assert!((only_rule.reward - 0.5).abs() < 1e-12);
        assert_eq!(only_rule.absent, [TermName::Mllm, TermName::Llm]);
        // (0.2 · 1 + 0.5 · 0.4) / 0.7
        let no_mllm = combine(&weights, &parts(1.0, None, Some(0.4))).unwrap();
        assert!((no_mllm.reward - 0.4 / 0.7).abs() < 1e-12);
        // The whole stays what the weights sum to.
        let doubled = RewardWeights {
            tools: 1.0,
            ..weights
        };
        let full = combine(&doubled, &parts(1.0, None, None)).unwrap();
        assert!((full.reward - 2.0).abs() < 1e-12);
    }

    #[test]
    fn further_terms_count_when_they_have_a_weight() {
        let weights = RewardWeights {
            tools: 0.4,
            format: 0.1,
            length: 0.5,
            ..RewardWeights::default()
        };
        let parts = Parts {
            tools: Some(0.5),
            format: Some(1.0),
            length: Some(-0.2),
            ..parts(1.0, Some(1.0), Some(1.0))
        };
        let combined = combine(&weights, &parts).unwrap();
        assert!((combined.reward - (1.0 + 0.2 + 0.1 - 0.1)).abs() < 1e-12);
        let unweighted = combine(&RewardWeights::default(), &parts).unwrap();
        assert!((unweighted.reward - 1.0).abs() < 1e-12);
        assert_eq!(unweighted.terms.len(), 3);
    }

    #[test]
    fn a_part_that_is_no_number_is_an_error_that_names_it() {
        let fine = Parts {
            mllm: Some(1.0),
            ..Parts::default()
        };
        for (bad, field) in [
            (
                Parts {
                    count: f64::NAN,
                    ..fine
                },
                "count",
            ),
            (
                Parts {
                    mllm: Some(f64::NAN),
                    ..fine
                },
                "mllm",
            ),
            (
                Parts {
                    llm: Some(f64::INFINITY),
                    ..fine
                },
                "llm",
            ),
            (
                Parts {
                    tools: Some(1.5),
                    ..fine
                },
                "tools",
            ),
            (
                Parts {
                    format: Some(-0.1),
                    ..fine
                },
                "format",
            ),
            (
                Parts {
                    length: Some(0.1),
                    ..fine
                },
                "length",
            ),
        ] {
            let error = combine(&RewardWeights::default(), &bad).unwrap_err();
            assert_eq!(error.code(), "reward_number_invalid");
            assert!(error.to_string().contains(&format!("`{field}`")), "{error}");
        }
    }

    #[test]
    fn nothing_to_reward_is_an_error() {
        let weights = RewardWeights {
            count: 0.0,
            mllm: 0.0,
            ..RewardWeights::default()
        };
        let error = combine(&weights, &Parts::default()).unwrap_err();
        assert_eq!(error.code(), "reward_nothing_applies");
        assert!(error.to_string().contains("llm"), "{error}");
    }
}
