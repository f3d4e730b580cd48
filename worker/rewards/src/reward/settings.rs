//! What each term counts.

use serde::{Deserialize, Serialize};

use super::{LengthLimit, ToolWeights};
use crate::error::{Result, RewardError};

/// The factors of the reward's terms; the default is the paper's
/// (arXiv 2509.13642): `R = 0.2 N + 0.3 N·MLLM + 0.5 LLM`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RewardWeights {
    /// Of N, the rule for the number of pictures.
    pub count: f64,
    /// Of N·MLLM.
    pub mllm: f64,
    /// Of LLM.
    pub llm: f64,
    /// Of the tool reward.
    pub tools: f64,
    /// Of the share of valid tags.
    pub format: f64,
    /// Of the penalty for length, which is never positive.
    pub length: f64,
}

impl Default for RewardWeights {
    fn default() -> Self {
        Self {
            count: 0.2,
            mllm: 0.3,
            llm: 0.5,
            tools: 0.0,
            format: 0.0,
            length: 0.0,
        }
    }
}

impl RewardWeights {
    /// # Errors
    /// [`RewardError::Config`] naming the weight that is negative or no number,
    /// or `weights` if nothing can be earned.
    pub fn validate(&self) -> Result<()> {
        let mut earned = 0.0;
        for (field, value) in [
            ("weights.count", self.count),
            ("weights.mllm", self.mllm),
            ("weights.llm", self.llm),
            ("weights.tools", self.tools),
            ("weights.format", self.format),
        ] {
            earned += weight(field, value)?;
        }
        weight("weights.length", self.length)?;
        if earned > 0.0 {
            return Ok(());
        }
        Err(RewardError::Config {
            field: "weights",
            reason: "at least one term besides length must have a weight".into(),
        })
    }
}

/// Everything that can be set of the reward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RewardSettings {
    pub weights: RewardWeights,
    pub tools: ToolWeights,
    /// Needed when `weights.length` is not 0.
    pub length: Option<LengthLimit>,
}

impl RewardSettings {
    /// # Errors
    /// [`RewardError::Config`] naming the first field that cannot be used.
    pub fn validate(&self) -> Result<()> {
        self.weights.validate()?;
        self.tools.validate()?;
        match &self.length {
            Some(limit) => limit.validate(),
            None if self.weights.length > 0.0 => Err(RewardError::Config {
                field: "length",
                reason: "is needed when `weights.length` is set".into(),
            }),
            None => Ok(()),
        }
    }
}

pub(super) fn weight(field: &'static str, value: f64) -> Result<f64> {
    if value.is_finite() && value >= 0.0 {
        return Ok(value);
    }
    Err(RewardError::Config {
        field,
        reason: format!("is {value}; expected a number of at least 0"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_papers() {
        let settings: RewardSettings = serde_json::from_str("{}").unwrap();
        settings.validate().unwrap();
        let RewardWeights {
            count, mllm, llm, ..
        } = settings.weights;
        assert_eq!((count, mllm, llm), (0.2, 0.3, 0.5));
    }

    #[test]
    fn a_mistake_is_named() {
        for (json, field) in [
            (r#"{"weights": {"count": -1}}"#, "weights.count"),
            (r#"{"weights": {"mllm": -1e-9}}"#, "weights.mllm"),
            (r#"{"weights": {"llm": -1}}"#, "weights.llm"),
            (r#"{"weights": {"tools": -1}}"#, "weights.tools"),
            (r#"{"weights": {"format": -1}}"#, "weights.format"),
            (r#"{"weights": {"length": -1}}"#, "weights.length"),
            (r#"{"weights": {"length": 1}}"#, "`length`"),
            (
                r#"{"weights": {"count": 0, "mllm": 0, "llm": 0}}"#,
                "`weights`",
            ),
            (r#"{"tools": {"search": -1}}"#, "tools.search"),
            (
                r#"{"length": {"max_tokens": 0, "buffer_tokens": 0}}"#,
                "length.max_tokens",
            ),
        ] {
            let settings: RewardSettings = serde_json::from_str(json).unwrap();
            let error = settings.validate().unwrap_err();
            assert_eq!(error.code(), "reward_config_invalid");
            assert!(error.to_string().contains(field), "{json}: {error}");
        }
        let weights = RewardWeights {
            llm: f64::NAN,
            ..RewardWeights::default()
        };
        let error = weights.validate().unwrap_err().to_string();
        assert!(error.contains("weights.llm"), "{error}");
        for unknown in [r#"{"wieghts": {}}"#, r#"{"weights": {"judge": 1}}"#] {
            assert!(serde_json::from_str::<RewardSettings>(unknown).is_err());
        }
    }
}
