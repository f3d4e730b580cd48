//! The rotary fields of `config.json`.
//!
//! Source: `modeling_rope_utils.py` of the reference. transformers 4 writes
//! `rope_theta` and `rope_scaling` (with `type` or `rope_type`), 5 writes one
//! `rope_parameters`; both are read, the second is written.

use serde::{Deserialize, Serialize};

use crate::error::{ModelError, Result};

/// How the rotary frequencies are stretched for contexts longer than those of
/// the training.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum RopeScaling {
    /// As trained.
    #[default]
    None,
    /// Positions divided by `factor` (Chen et al., arXiv:2306.15595).
    Linear {
        /// How many times longer the context becomes.
        factor: f64,
    },
    /// See [`Yarn`].
    Yarn(Yarn),
}

/// YaRN (Peng et al., arXiv:2309.00071): fast dimensions keep their frequency,
/// slow ones are interpolated, those between are blended.
#[derive(Clone, Debug, PartialEq)]
pub struct Yarn {
    /// How many times longer the context becomes.
    pub factor: f64,
    /// Context of the training, in tokens.
    pub original_max_position_embeddings: usize,
    /// Rotations over the original context from which on a dimension is kept.
    pub beta_fast: f64,
    /// Rotations up to which a dimension is interpolated in full.
    pub beta_slow: f64,
    /// Numerator of the attention factor, where both `mscale` are given.
    pub mscale: Option<f64>,
    /// Its denominator.
    pub mscale_all_dim: Option<f64>,
    /// Multiplies cosines and sines; computed from the others when absent.
    pub attention_factor: Option<f64>,
    /// Whether the bounds of the blend are rounded to whole dimensions.
    pub truncate: bool,
}

impl Yarn {
    /// The factor of cosines and sines (arXiv:2309.00071, eq. 22).
    pub fn attention_factor(&self) -> f64 {
        let mscale = |scale: f64| match self.factor <= 1.0 {
            true => 1.0,
            false => 0.1 * scale * self.factor.ln() + 1.0,
        };
        let given = |value: Option<f64>| value.filter(|value| *value != 0.0);
        match (
            self.attention_factor,
            given(self.mscale),
            given(self.mscale_all_dim),
        ) {
            (Some(factor), ..) => factor,
            (None, Some(scale), Some(all)) => mscale(scale) / mscale(all),
            (None, ..) => mscale(1.0),
        }
    }
}

impl RopeScaling {
    /// Tokens that the stretched frequencies reach; none without a stretch that
    /// says so.
    pub fn context_length(&self) -> Option<usize> {
        match self {
            Self::Yarn(yarn) => {
                Some((yarn.original_max_position_embeddings as f64 * yarn.factor) as usize)
            }
            Self::None | Self::Linear { .. } => None,
        }
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// [`ModelError::Config`] naming the field.
    pub(super) fn validate(&self, theta: f64) -> Result<()> {
        match self {
            Self::None => Ok(()),
            Self::Linear { factor } => at_least("rope_parameters.factor", *factor, 1.0),
            Self::Yarn(yarn) => yarn.validate(theta),
        }
    }
}

impl Yarn {
    fn validate(&self, theta: f64) -> Result<()> {
        if theta <= 1.0 {
            return Err(invalid("rope_theta", "must be above 1 for yarn"));
        }
        at_least("rope_parameters.factor", self.factor, 1.0)?;
        if self.original_max_position_embeddings == 0 {
            let field = "rope_parameters.original_max_position_embeddings";
            return Err(invalid(field, "must be at least 1"));
        }
        let numbers = [
            ("rope_parameters.beta_fast", Some(self.beta_fast)),
            ("rope_parameters.beta_slow", Some(self.beta_slow)),
            ("rope_parameters.attention_factor", self.attention_factor),
        ];
        for (field, number) in numbers {
            if number.is_some_and(|number| !(number.is_finite() && number > 0.0)) {
                return Err(invalid(field, "must be a positive number"));
            }
        }
        if self.beta_fast < self.beta_slow {
            let reason = format!("must not be below beta_slow = {}", self.beta_slow);
            return Err(invalid("rope_parameters.beta_fast", reason));
        }
        let scales = [
            ("rope_parameters.mscale", self.mscale),
            ("rope_parameters.mscale_all_dim", self.mscale_all_dim),
        ];
        for (field, scale) in scales {
            if let Some(scale) = scale {
                at_least(field, scale, 0.0)?;
            }
        }
        Ok(())
    }
}

fn at_least(field: &'static str, value: f64, least: f64) -> Result<()> {
    match value.is_finite() && value >= least {
        true => Ok(()),
        false => Err(invalid(
            field,
            format!("must be a number of at least {least}"),
        )),
    }
}

fn invalid(field: &'static str, reason: impl Into<String>) -> ModelError {
    ModelError::Config {
        field,
        reason: reason.into(),
    }
}

/// `rope_parameters` or `rope_scaling` as written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct RawRope {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rope_theta: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rope_type: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    old_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    factor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    original_max_position_embeddings: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    beta_fast: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    beta_slow: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mscale: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mscale_all_dim: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attention_factor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    truncate: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partial_rotary_factor: Option<f64>,
}

impl RawRope {
    /// The scaling that it describes. `max_position_embeddings` stands in for
    /// the original context where that is absent, as in the reference.
    pub(super) fn scaling(&self, max_position_embeddings: usize) -> Result<RopeScaling> {
        if self.partial_rotary_factor.is_some_and(|part| part != 1.0) {
            let field = "rope_parameters.partial_rotary_factor";
            return Err(invalid(field, "only 1 is supported"));
        }
        let name = self.rope_type.as_ref().or(self.old_type.as_ref());
        let original = self
            .original_max_position_embeddings
            .unwrap_or(max_position_embeddings);
        match name.map_or("default", String::as_str) {
            "default" => Ok(RopeScaling::None),
            "linear" => Ok(RopeScaling::Linear {
                factor: self
                    .factor
                    .ok_or_else(|| invalid("rope_parameters.factor", "is missing for `linear`"))?,
            }),
            "yarn" => Ok(RopeScaling::Yarn(Yarn {
                factor: self
                    .factor
                    .unwrap_or(max_position_embeddings as f64 / original.max(1) as f64),
                original_max_position_embeddings: original,
                beta_fast: self.beta_fast.unwrap_or(32.0),
                beta_slow: self.beta_slow.unwrap_or(1.0),
                mscale: self.mscale,
                mscale_all_dim: self.mscale_all_dim,
                attention_factor: self.attention_factor,
                truncate: self.truncate.unwrap_or(true),
            })),
            other => Err(invalid(
                "rope_parameters.rope_type",
                format!("`{other}` is not supported; known: default, linear, yarn"),
            )),
        }
    }

    /// The inverse of [`Self::scaling`].
    pub(super) fn new(theta: f64, scaling: &RopeScaling) -> Self {
        let named = |name: &str| Self {
            rope_theta: Some(theta),
            rope_type: Some(name.to_owned()),
            ..Self::default()
        };
        match scaling {
            RopeScaling::None => named("default"),
            RopeScaling::Linear { factor } => Self {
                factor: Some(*factor),
                ..named("linear")
            },
            RopeScaling::Yarn(yarn) => Self {
                factor: Some(yarn.factor),
                original_max_position_embeddings: Some(yarn.original_max_position_embeddings),
                beta_fast: Some(yarn.beta_fast),
                beta_slow: Some(yarn.beta_slow),
                mscale: yarn.mscale,
                mscale_all_dim: yarn.mscale_all_dim,
                attention_factor: yarn.attention_factor,
                truncate: Some(yarn.truncate),
                ..named("yarn")
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::qwen3::Qwen3Config;
    use crate::qwen3::rotary::Frequencies;

    fn config(fields: &str) -> Result<Qwen3Config, String> {
        let text = format!(
            r#"{{"vocab_size": 32, "hidden_size": 16, "intermediate_size": 24,
            "num_hidden_layers": 2, "num_attention_heads": 2, {fields}}}"#
        );
        let config: Qwen3Config = serde_json::from_str(&text).map_err(|e| e.to_string())?;
        config.validate().map_err(|error| error.to_string())?;
        Ok(config)
    }

    #[test]
    fn both_spellings_mean_the_same_and_survive_a_round_trip() {
        let new = config(
            r#""rope_parameters": {"rope_type": "yarn", "rope_theta": 1e6, "factor": 4.0,
            "original_max_position_embeddings": 32768}"#,
        )
        .unwrap();
        for name in ["type", "rope_type"] {
            let old = config(&format!(
                r#""rope_theta": 1e6, "max_position_embeddings": 40960, "rope_scaling":
                {{"{name}": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}}"#
            ))
            .unwrap();
            assert_eq!(old.rope_scaling, new.rope_scaling);
            assert_eq!(old.context_length(), 131_072);
            let written = serde_json::to_string(&old).unwrap();
            assert_eq!(serde_json::from_str::<Qwen3Config>(&written).unwrap(), old);
        }
        let plain = config(r#""rope_scaling": null, "rope_theta": 1e6"#).unwrap();
        assert_ne!(Frequencies::new(&plain), Frequencies::new(&new));
        assert_eq!(plain.context_length(), plain.max_position_embeddings);
    }

    #[test]
    fn fast_dimensions_are_kept_and_slow_ones_interpolated() {
        let yarn = config(
            r#""head_dim": 64, "rope_parameters": {"rope_type": "yarn", "rope_theta": 1e6,
            "factor": 4.0, "original_max_position_embeddings": 4096}"#,
        )
        .unwrap();
        let plain = config(r#""head_dim": 64, "rope_theta": 1e6"#).unwrap();
        let (yarn, plain) = (Frequencies::new(&yarn), Frequencies::new(&plain));
        assert_eq!(yarn.inverse[0], plain.inverse[0]);
        assert_eq!(yarn.inverse[31], plain.inverse[31] / 4.0);
        // 0.1 ln 4 + 1
        assert!((yarn.attention_factor - 1.138_629_4).abs() < 1e-6);
    }

    #[test]
    fn what_is_not_supported_or_not_a_number_names_its_field() {
        let cases = [
            (
                r#""rope_scaling": {"type": "dynamic", "factor": 2.0}"#,
                "rope_type",
            ),
            (r#""rope_parameters": {"rope_type": "llama3"}"#, "llama3"),
            (r#""rope_parameters": {"rope_type": "linear"}"#, "factor"),
            (
                r#""rope_parameters": {"partial_rotary_factor": 0.5}"#,
                "partial_rotary_factor",
            ),
            (
                r#""rope_parameters": {"rope_type": "yarn", "factor": 0.5}"#,
                "factor",
            ),
            (
                r#""rope_parameters": {"rope_type": "yarn", "factor": 2.0,
                "original_max_position_embeddings": 0}"#,
                "original_max_position_embeddings",
            ),
            (
                r#""rope_parameters": {"rope_type": "yarn", "factor": 2.0, "beta_fast": 0}"#,
                "beta_fast",
            ),
            (
                r#""rope_parameters": {"rope_type": "yarn", "factor": 2.0, "beta_slow": 64}"#,
                "beta_slow",
            ),
            (
                r#""rope_parameters": {"rope_type": "yarn", "factor": 2.0, "mscale": -1}"#,
                "mscale",
            ),
            (
                r#""rope_parameters": {"rope_type": "yarn", "factor": 2.0, "rope_theta": 1.0}"#,
                "rope_theta",
            ),
        ];
        for (fields, names) in cases {
            let error = config(fields).unwrap_err();
            assert!(error.contains(names), "{fields}: {error}");
        }
    }
}
