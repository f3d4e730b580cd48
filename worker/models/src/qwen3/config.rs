//! `config.json` of a Qwen3 checkpoint.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::model::Qwen3;
use crate::error::{ModelError, Result};

/// The fields of `config.json` that shape the model, under their own names.
///
/// Unknown fields are ignored on reading. Two spellings of the rotary base are
/// read, `rope_theta` and `rope_parameters.rope_theta`; both are written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Raw", into = "Raw")]
pub struct Qwen3Config {
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the feed-forward block.
    pub intermediate_size: usize,
    /// Number of decoder layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; divides `num_attention_heads`.
    pub num_key_value_heads: usize,
    /// Width of one head; `hidden_size / num_attention_heads` when absent.
    pub head_dim: usize,
    /// Added to the mean square in every RMSNorm.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Whether the output projection is the embedding.
    pub tie_word_embeddings: bool,
    /// Longest sequence, in tokens.
    pub max_position_embeddings: usize,
    /// Standard deviation of freshly initialised weights.
    pub initializer_range: f64,
    /// Tokens that end a generation.
    pub eos_token_id: Vec<u32>,
    /// Token that begins a sequence, where the model has one.
    pub bos_token_id: Option<u32>,
    /// Token that fills a batch, where the model has one.
    pub pad_token_id: Option<u32>,
}

impl Default for Qwen3Config {
    /// The defaults of `transformers.Qwen3Config`, which `config.json` may leave out.
    fn default() -> Self {
        Self {
            vocab_size: 151_936,
            hidden_size: 4096,
            intermediate_size: 22_016,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: 32,
            head_dim: 128,
            rms_norm_eps: 1e-6,
            rope_theta: 10_000.0,
            tie_word_embeddings: false,
            max_position_embeddings: 32_768,
            initializer_range: 0.02,
            eos_token_id: Vec::new(),
            bos_token_id: None,
            pad_token_id: None,
        }
    }
}

impl Qwen3Config {
    /// A freshly initialised model: projections and embedding from
    /// N(0, `initializer_range`²), norms at one. Seed with [`Device::seed`].
    pub fn init(&self, device: &Device) -> Qwen3 {
        Qwen3::init(self, device)
    }

    /// Query heads that share one key head.
    pub fn groups(&self) -> usize {
        self.num_attention_heads / self.num_key_value_heads
    }

    /// Number of weights, a tied head counted once.
    pub fn num_parameters(&self) -> usize {
        super::weights::weight_specs(self)
            .iter()
            .map(|spec| spec.shape.iter().product::<usize>())
            .sum()
    }

    /// Checks that the fields fit each other.
    ///
    /// # Errors
    /// [`ModelError::Config`] naming the first field that does not.
    pub fn validate(&self) -> Result<()> {
        let positive = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("head_dim", self.head_dim),
            ("max_position_embeddings", self.max_position_embeddings),
        ];
        for (field, value) in positive {
            if value == 0 {
                return Err(invalid(field, "must be at least 1"));
            }
        }
        if !self
            .num_attention_heads
            .is_multiple_of(self.num_key_value_heads)
        {
            return Err(invalid(
                "num_key_value_heads",
                format!(
                    "{} does not divide num_attention_heads = {}",
                    self.num_key_value_heads, self.num_attention_heads
                ),
            ));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(invalid("head_dim", "must be even for rotary embeddings"));
        }
        if !(self.rms_norm_eps.is_finite() && self.rms_norm_eps > 0.0) {
            return Err(invalid("rms_norm_eps", "must be a positive number"));
        }
        if !(self.rope_theta.is_finite() && self.rope_theta > 0.0) {
            return Err(invalid("rope_theta", "must be a positive number"));
        }
        Ok(())
    }
}

fn invalid(field: &'static str, reason: impl Into<String>) -> ModelError {
    ModelError::Config {
        field,
        reason: reason.into(),
    }
}

/// `config.json` as `transformers` writes it, in its several versions.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Raw {
    #[serde(default = "architectures")]
    architectures: Vec<String>,
    #[serde(default = "model_type")]
    model_type: String,
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    rms_norm_eps: Option<f64>,
    rope_theta: Option<f64>,
    rope_parameters: Option<RopeParameters>,
    #[serde(default)]
    tie_word_embeddings: bool,
    max_position_embeddings: Option<usize>,
    initializer_range: Option<f64>,
    eos_token_id: Option<OneOrMany>,
    bos_token_id: Option<u32>,
    pad_token_id: Option<u32>,
    #[serde(default = "hidden_act")]
    hidden_act: String,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    attention_dropout: f64,
    #[serde(default)]
    use_sliding_window: bool,
    #[serde(default = "torch_dtype")]
    torch_dtype: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct RopeParameters {
    #[serde(skip_serializing_if = "Option::is_none")]
    rope_theta: Option<f64>,
    #[serde(default = "rope_type")]
    rope_type: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(u32),
    Many(Vec<u32>),
}

fn architectures() -> Vec<String> {
    vec!["Qwen3ForCausalLM".to_owned()]
}
fn model_type() -> String {
    "qwen3".to_owned()
}
fn hidden_act() -> String {
    "silu".to_owned()
}
fn torch_dtype() -> String {
    "float32".to_owned()
}
fn rope_type() -> String {
    "default".to_owned()
}

impl From<Raw> for Qwen3Config {
    fn from(raw: Raw) -> Self {
        let default = Self::default();
        let rope_theta = raw
            .rope_parameters
            .and_then(|rope| rope.rope_theta)
            .or(raw.rope_theta);
        Self {
            vocab_size: raw.vocab_size,
            hidden_size: raw.hidden_size,
            intermediate_size: raw.intermediate_size,
            num_hidden_layers: raw.num_hidden_layers,
            num_attention_heads: raw.num_attention_heads,
            num_key_value_heads: raw.num_key_value_heads.unwrap_or(raw.num_attention_heads),
            head_dim: raw
                .head_dim
                .unwrap_or_else(|| raw.hidden_size / raw.num_attention_heads.max(1)),
            rms_norm_eps: raw.rms_norm_eps.unwrap_or(default.rms_norm_eps),
            rope_theta: rope_theta.unwrap_or(default.rope_theta),
            tie_word_embeddings: raw.tie_word_embeddings,
            max_position_embeddings: raw
                .max_position_embeddings
                .unwrap_or(default.max_position_embeddings),
            initializer_range: raw.initializer_range.unwrap_or(default.initializer_range),
            eos_token_id: match raw.eos_token_id {
                None => Vec::new(),
                Some(OneOrMany::One(id)) => vec![id],
                Some(OneOrMany::Many(ids)) => ids,
            },
            bos_token_id: raw.bos_token_id,
            pad_token_id: raw.pad_token_id,
        }
    }
}

impl From<Qwen3Config> for Raw {
    fn from(config: Qwen3Config) -> Self {
        Self {
            architectures: architectures(),
            model_type: model_type(),
            vocab_size: config.vocab_size,
            hidden_size: config.hidden_size,
            intermediate_size: config.intermediate_size,
            num_hidden_layers: config.num_hidden_layers,
            num_attention_heads: config.num_attention_heads,
            num_key_value_heads: Some(config.num_key_value_heads),
            head_dim: Some(config.head_dim),
            rms_norm_eps: Some(config.rms_norm_eps),
            rope_theta: Some(config.rope_theta),
            rope_parameters: Some(RopeParameters {
                rope_theta: Some(config.rope_theta),
                rope_type: rope_type(),
            }),
            tie_word_embeddings: config.tie_word_embeddings,
            max_position_embeddings: Some(config.max_position_embeddings),
            initializer_range: Some(config.initializer_range),
            eos_token_id: match config.eos_token_id.as_slice() {
                [] => None,
                [id] => Some(OneOrMany::One(*id)),
                ids => Some(OneOrMany::Many(ids.to_vec())),
            },
            bos_token_id: config.bos_token_id,
            pad_token_id: config.pad_token_id,
            hidden_act: hidden_act(),
            attention_bias: false,
            attention_dropout: 0.0,
            use_sliding_window: false,
            torch_dtype: torch_dtype(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = r#"{"vocab_size": 32, "hidden_size": 16, "intermediate_size": 24,
        "num_hidden_layers": 2, "num_attention_heads": 4}"#;

    #[test]
    fn absent_fields_take_the_reference_defaults() {
        let config: Qwen3Config = serde_json::from_str(MINIMAL).unwrap();
        assert_eq!(config.head_dim, 4);
        assert_eq!(config.num_key_value_heads, 4);
        assert_eq!(config.rope_theta, 10_000.0);
        assert!(!config.tie_word_embeddings);
        config.validate().unwrap();
    }

    #[test]
    fn rope_theta_is_read_from_either_place() {
        let base = MINIMAL.trim_end_matches('}');
        let old: Qwen3Config =
            serde_json::from_str(&format!("{base}, \"rope_theta\": 5000000}}")).unwrap();
        let new: Qwen3Config = serde_json::from_str(&format!(
            "{base}, \"rope_parameters\": {{\"rope_theta\": 5000000, \"rope_type\": \"default\"}}}}"
        ))
        .unwrap();
        assert_eq!(old.rope_theta, 5e6);
        assert_eq!(new, old);
    }

    #[test]
    fn eos_may_be_one_or_many_and_survives_a_round_trip() {
        let base = MINIMAL.trim_end_matches('}');
        for (text, ids) in [("7", vec![7]), ("[7, 9]", vec![7, 9])] {
            let config: Qwen3Config =
                serde_json::from_str(&format!("{base}, \"eos_token_id\": {text}}}")).unwrap();
            assert_eq!(config.eos_token_id, ids);
            let written = serde_json::to_string(&config).unwrap();
            assert_eq!(
                serde_json::from_str::<Qwen3Config>(&written).unwrap(),
                config
            );
        }
    }

    #[test]
    fn contradictions_name_the_field() {
        let good: Qwen3Config = serde_json::from_str(MINIMAL).unwrap();
        let cases: [(&str, Qwen3Config); 4] = [
            (
                "vocab_size",
                Qwen3Config {
                    vocab_size: 0,
                    ..good.clone()
                },
            ),
            (
                "num_key_value_heads",
                Qwen3Config {
                    num_key_value_heads: 3,
                    ..good.clone()
                },
            ),
            (
                "head_dim",
                Qwen3Config {
                    head_dim: 5,
                    ..good.clone()
                },
            ),
            (
                "rope_theta",
                Qwen3Config {
                    rope_theta: 0.0,
                    ..good
                },
            ),
        ];
        for (field, config) in cases {
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(field), "{error}");
        }
    }
}
