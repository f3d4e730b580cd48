//! `config.json` of a Qwen3 checkpoint.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::model::Qwen3;
use super::rope::{RawRope, RopeScaling};
use crate::error::{ModelError, Result};

/// The fields of `config.json` that shape the model, under their own names.
///
/// Unknown fields are ignored on reading. Two spellings of the rotary fields are
/// read, see [`super::rope`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
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
    /// How they are stretched for long contexts.
    pub rope_scaling: RopeScaling,
    /// Whether the output projection is the embedding.
    pub tie_word_embeddings: bool,
    /// Longest sequence, in tokens; see [`Self::context_length`].
    pub max_position_embeddings: usize,
    /// Standard deviation of freshly initialised weights.
    pub initializer_range: f64,
    /// The experts, in a Qwen3-MoE.
    pub moe: Option<MoeConfig>,
    /// Tokens that end a generation.
    pub eos_token_id: Vec<u32>,
    /// Token that begins a sequence, where the model has one.
    pub bos_token_id: Option<u32>,
    /// Token that fills a batch, where the model has one.
    pub pad_token_id: Option<u32>,
}

/// The fields of a Qwen3-MoE.
#[derive(Clone, Debug, PartialEq)]
pub struct MoeConfig {
    /// Experts of a sparse layer.
    pub num_experts: usize,
    /// Experts that each token is shown to.
    pub num_experts_per_tok: usize,
    /// Width inside one expert.
    pub moe_intermediate_size: usize,
    /// Whether the chosen experts' shares are made to sum to one.
    pub norm_topk_prob: bool,
    /// Every how manieth layer is sparse.
    pub decoder_sparse_step: usize,
    /// Layers that are dense all the same, counted from 0.
    pub mlp_only_layers: Vec<usize>,
}

impl Default for MoeConfig {
    /// The defaults of `transformers.Qwen3MoeConfig`.
    fn default() -> Self {
        Self {
            num_experts: 128,
            num_experts_per_tok: 8,
            moe_intermediate_size: 768,
            norm_topk_prob: false,
            decoder_sparse_step: 1,
            mlp_only_layers: Vec::new(),
        }
    }
}

impl MoeConfig {
    fn validate(&self) -> Result<()> {
        let positive = [
            ("num_experts_per_tok", self.num_experts_per_tok),
            ("moe_intermediate_size", self.moe_intermediate_size),
            ("decoder_sparse_step", self.decoder_sparse_step),
        ];
        for (field, value) in positive {
            check_size(field, value)?;
        }
        if self.num_experts > MAX_EXPERTS {
            let reason = format!("{} is above {MAX_EXPERTS}", self.num_experts);
            return Err(invalid("num_experts", reason));
        }
        // Without any expert every layer is dense, as in the reference.
        if self.num_experts > 0 && self.num_experts_per_tok > self.num_experts {
            let reason = format!(
                "{} is above num_experts = {}",
                self.num_experts_per_tok, self.num_experts
            );
            return Err(invalid("num_experts_per_tok", reason));
        }
        Ok(())
    }
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
            rope_scaling: RopeScaling::None,
            tie_word_embeddings: false,
            max_position_embeddings: 32_768,
            initializer_range: 0.02,
            moe: None,
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

    /// The experts of layer `index`, where it has some.
    pub fn sparse(&self, index: usize) -> Option<&MoeConfig> {
        self.moe.as_ref().filter(|moe| {
            moe.num_experts > 0
                && (index + 1).is_multiple_of(moe.decoder_sparse_step)
                && !moe.mlp_only_layers.contains(&index)
        })
    }

    /// Longest sequence, in tokens. Released checkpoints leave
    /// `max_position_embeddings` as it is when YaRN is switched on.
    pub fn context_length(&self) -> usize {
        let stretched = self.rope_scaling.context_length().unwrap_or(0);
        self.max_position_embeddings.max(stretched)
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
            check_size(field, value)?;
        }
        if self.num_hidden_layers > MAX_LAYERS {
            let reason = format!("{} is above {MAX_LAYERS}", self.num_hidden_layers);
            return Err(invalid("num_hidden_layers", reason));
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
        if let Some(moe) = &self.moe {
            moe.validate()?;
        }
        self.rope_scaling.validate(self.rope_theta)
    }
}

/// More than any model has. What the fields allow is made before the weights
/// are read, so a damaged file must not ask for the impossible.
const MAX_LAYERS: usize = 4096;
const MAX_EXPERTS: usize = 4096;
/// Two such sizes can be multiplied.
const MAX_SIZE: usize = 1 << 31;

fn check_size(field: &'static str, value: usize) -> Result<()> {
    match value {
        0 => Err(invalid(field, "must be at least 1")),
        1..=MAX_SIZE => Ok(()),
        _ => Err(invalid(field, format!("{value} is above {MAX_SIZE}"))),
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
    #[serde(default)]
    architectures: Vec<String>,
    #[serde(default)]
    model_type: Option<String>,
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_experts: Option<usize>,
    /// As `transformers` 5 writes it; a file may have both.
    #[serde(skip_serializing_if = "Option::is_none")]
    num_local_experts: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_experts_per_tok: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    moe_intermediate_size: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    norm_topk_prob: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decoder_sparse_step: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mlp_only_layers: Option<Vec<usize>>,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    rms_norm_eps: Option<f64>,
    rope_theta: Option<f64>,
    rope_parameters: Option<RawRope>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rope_scaling: Option<RawRope>,
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
#[serde(untagged)]
enum OneOrMany {
    One(u32),
    Many(Vec<u32>),
}

/// `model_type` and `architectures` of the two families.
const DENSE: (&str, &str) = ("qwen3", "Qwen3ForCausalLM");
const SPARSE: (&str, &str) = ("qwen3_moe", "Qwen3MoeForCausalLM");

fn hidden_act() -> String {
    "silu".to_owned()
}
fn torch_dtype() -> String {
    "float32".to_owned()
}

impl Raw {
    fn is_sparse(&self) -> bool {
        match &self.model_type {
            Some(name) => name == SPARSE.0,
            None => self.architectures.iter().any(|name| name == SPARSE.1),
        }
    }

    fn moe(&self) -> MoeConfig {
        let default = MoeConfig::default();
        MoeConfig {
            num_experts: self
                .num_experts
                .or(self.num_local_experts)
                .unwrap_or(default.num_experts),
            num_experts_per_tok: self
                .num_experts_per_tok
                .unwrap_or(default.num_experts_per_tok),
            moe_intermediate_size: self
                .moe_intermediate_size
                .unwrap_or(default.moe_intermediate_size),
            norm_topk_prob: self.norm_topk_prob.unwrap_or(default.norm_topk_prob),
            decoder_sparse_step: self
                .decoder_sparse_step
                .unwrap_or(default.decoder_sparse_step),
            mlp_only_layers: self.mlp_only_layers.clone().unwrap_or_default(),
        }
    }
}

impl TryFrom<Raw> for Qwen3Config {
    type Error = ModelError;

    fn try_from(raw: Raw) -> Result<Self> {
        let default = Self::default();
        let max_position_embeddings = raw
            .max_position_embeddings
            .unwrap_or(default.max_position_embeddings);
        let moe = raw.is_sparse().then(|| raw.moe());
        // Where both are there the reference takes the old one.
        let rope = raw
            .rope_scaling
            .filter(|rope| *rope != RawRope::default())
            .or(raw.rope_parameters)
            .unwrap_or_default();
        Ok(Self {
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
            rope_theta: rope
                .rope_theta
                .or(raw.rope_theta)
                .unwrap_or(default.rope_theta),
            rope_scaling: rope.scaling(max_position_embeddings)?,
            tie_word_embeddings: raw.tie_word_embeddings,
            max_position_embeddings,
            initializer_range: raw.initializer_range.unwrap_or(default.initializer_range),
            moe,
            eos_token_id: match raw.eos_token_id {
                None => Vec::new(),
                Some(OneOrMany::One(id)) => vec![id],
                Some(OneOrMany::Many(ids)) => ids,
            },
            bos_token_id: raw.bos_token_id,
            pad_token_id: raw.pad_token_id,
        })
    }
}

impl From<Qwen3Config> for Raw {
    fn from(config: Qwen3Config) -> Self {
        let (model_type, architecture) = match config.moe {
            Some(_) => SPARSE,
            None => DENSE,
        };
        let moe = config.moe;
        let of = |field: fn(&MoeConfig) -> usize| moe.as_ref().map(field);
        Self {
            architectures: vec![architecture.to_owned()],
            model_type: Some(model_type.to_owned()),
            num_experts: of(|moe| moe.num_experts),
            num_local_experts: None,
            num_experts_per_tok: of(|moe| moe.num_experts_per_tok),
            moe_intermediate_size: of(|moe| moe.moe_intermediate_size),
            decoder_sparse_step: of(|moe| moe.decoder_sparse_step),
            norm_topk_prob: moe.as_ref().map(|moe| moe.norm_topk_prob),
            mlp_only_layers: moe.map(|moe| moe.mlp_only_layers),
            vocab_size: config.vocab_size,
            hidden_size: config.hidden_size,
            intermediate_size: config.intermediate_size,
            num_hidden_layers: config.num_hidden_layers,
            num_attention_heads: config.num_attention_heads,
            num_key_value_heads: Some(config.num_key_value_heads),
            head_dim: Some(config.head_dim),
            rms_norm_eps: Some(config.rms_norm_eps),
            rope_theta: Some(config.rope_theta),
            rope_parameters: Some(RawRope::new(config.rope_theta, &config.rope_scaling)),
            rope_scaling: None,
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

    fn sparse(fields: &str) -> Qwen3Config {
        let base = MINIMAL.trim_end_matches('}');
        serde_json::from_str(&format!("{base}, \"model_type\": \"qwen3_moe\"{fields}}}")).unwrap()
    }

    #[test]
    fn layers_are_sparse_by_step_unless_listed_as_dense() {
        let places = |fields: &str| -> Vec<bool> {
            let config = sparse(&format!(
                ", \"num_experts\": 4, \"num_experts_per_tok\": 2{fields}"
            ));
            config.validate().unwrap();
            let written = serde_json::to_string(&config).unwrap();
            assert_eq!(
                serde_json::from_str::<Qwen3Config>(&written).unwrap(),
                config
            );
            (0..4).map(|layer| config.sparse(layer).is_some()).collect()
        };
        assert_eq!(places(""), [true; 4]);
        assert_eq!(
            places(", \"decoder_sparse_step\": 2"),
            [false, true, false, true]
        );
        assert_eq!(
            places(", \"mlp_only_layers\": [0, 2]"),
            [false, true, false, true]
        );
        // The fields of experts mean nothing in a dense model.
        let base = MINIMAL.trim_end_matches('}');
        let dense: Qwen3Config =
            serde_json::from_str(&format!("{base}, \"num_experts\": 4}}")).unwrap();
        assert_eq!(dense.moe, None);
    }

    #[test]
    fn impossible_experts_name_the_field() {
        for (fields, names) in [
            (", \"num_experts\": 4", "num_experts_per_tok"),
            (", \"num_experts_per_tok\": 0", "num_experts_per_tok"),
            (", \"moe_intermediate_size\": 0", "moe_intermediate_size"),
            (", \"decoder_sparse_step\": 0", "decoder_sparse_step"),
            (", \"num_experts\": 1000000000000", "num_experts"),
        ] {
            let error = sparse(fields).validate().unwrap_err().to_string();
            assert!(error.contains(names), "{fields}: {error}");
        }
    }

    #[test]
    fn contradictions_name_the_field() {
        let good: Qwen3Config = serde_json::from_str(MINIMAL).unwrap();
        let cases: [(&str, Qwen3Config); 6] = [
            (
                "num_hidden_layers",
                Qwen3Config {
                    num_hidden_layers: 1 << 30,
                    ..good.clone()
                },
            ),
            (
                "hidden_size",
                Qwen3Config {
                    hidden_size: usize::MAX,
                    ..good.clone()
                },
            ),
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
