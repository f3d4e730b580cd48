//! Everything that a run is told.

use serde::{Deserialize, Serialize};

use super::{DEMO_DATASET, DEMO_MODEL};

/// What makes the updates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// A worker of this installation.
    #[default]
    Burn,
    /// A Ray cluster, through its Jobs API.
    Ray,
}

/// Whose probability the ratio of a token compares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// That of the token (arXiv:2402.03300).
    #[default]
    Grpo,
    /// That of the whole answer (arXiv:2507.18071).
    Gspo,
}

impl Algorithm {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grpo => "grpo",
            Self::Gspo => "gspo",
        }
    }
}

/// How the losses of tokens become one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// Mean over all tokens of an update.
    #[default]
    TokenMean,
    /// Mean over answers of the mean over an answer's tokens.
    SeqMeanTokenMean,
    /// Mean over answers of the sum over tokens, divided by the limit (Dr. GRPO).
    SeqMeanTokenSumNorm,
}

/// What rewards of a group are divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AdvantageScale {
    /// Their deviation.
    #[default]
    Deviation,
    /// Nothing (Dr. GRPO).
    None,
}

/// Where the divergence from the policy that a run started from counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum KlPlace {
    /// In the loss of every token.
    #[default]
    Loss,
    /// Taken from an answer's reward, summed over its tokens, before answers are compared.
    Reward,
}

/// What becomes of a layer's activations between the way forward and the way back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Activations {
    /// They are kept.
    #[default]
    Keep,
    /// They are computed again, a layer at a time: less memory, about a third more time.
    Recompute,
}

/// Numbers in which a policy is computed while it learns. What is learnt, its gradients'
/// sum and its moments are f32 always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// As the weights are kept.
    #[default]
    F32,
    /// Half the memory of activations; for GPUs.
    Bf16,
}

/// Numbers of a run. What a request leaves out, its preset fills.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct TrainingSettings {
    /// Steps of the run, 1..=1,000,000.
    pub steps: u64,
    /// Prompts of a step, 1..=4096.
    pub prompts_per_step: u32,
    /// Answers to each prompt, 2..=128: a group.
    pub samples: u32,
    /// The most tokens of an answer, 1..=65536.
    pub max_answer_tokens: u32,
    /// What an answer that runs into that limit loses of its reward (DAPO's soft
    /// punishment), 0..=100; 0 for nothing. Not on Ray.
    pub length_weight: f64,
    /// The last share of the limit, 0..=1, over which that grows from nothing to all of it.
    pub length_buffer: f64,
    /// At which answers are drawn, above 0 and at most 5.
    pub temperature: f64,
    /// At its peak, 0..=0.1.
    pub learning_rate: f64,
    /// Steps until the peak.
    pub warmup_steps: u64,
    /// Rank of the low-rank changes (LoRA) that are learnt in place of the weights,
    /// 0..=1024; 0 for the weights themselves.
    pub lora_rank: u32,
    /// The changes count `lora_alpha / lora_rank` times.
    pub lora_alpha: f64,
    /// Pull of matrices towards zero.
    pub weight_decay: f64,
    /// The most that the norm of all gradients may be.
    pub max_grad_norm: f64,
    /// The ratio counts down to `1 −` this.
    pub clip_low: f64,
    /// The ratio counts up to `1 +` this.
    pub clip_high: f64,
    /// A token of negative advantage costs at most this many times it; GRPO alone.
    pub dual_clip: Option<f64>,
    /// Of tokens' losses.
    pub aggregation: Aggregation,
    /// Of rewards in a group.
    pub advantage_scale: AdvantageScale,
    /// Weight of the divergence from the policy that the run started from.
    pub kl_weight: f64,
    /// Where it counts.
    pub kl_in: KlPlace,
    /// Weight of the entropy, which is to be large.
    pub entropy_weight: f64,
    /// Times that a step's answers are learnt from.
    pub epochs: u32,
    /// Updates an epoch.
    pub minibatches: u32,
    /// Tokens that go through the model at once, padding included.
    pub tokens_per_micro_batch: u32,
    /// Between the way forward and the way back.
    pub activations: Activations,
    /// Of the way through the policy and back. On Ray always bf16, as verl has it.
    pub precision: Precision,
    /// Answers after so many seconds are cut off and left out of their groups.
    pub time_limit_s: u64,
    /// The share of answers without a reward beyond which the run stops: a judge or a
    /// tool is out of order.
    pub most_excluded: f64,
    /// Of the order of prompts, of tokens and of the tools.
    pub seed: u64,
    /// A checkpoint every so many steps.
    pub checkpoint_every: u64,
    /// Older checkpoints are removed; the best one stays.
    pub keep_checkpoints: u32,
    /// Answers are written down every so many steps.
    pub samples_every: u64,
    /// Held-out prompts are answered before the first step and every so many; 0 for
    /// never.
    pub validate_every: u64,
    /// Held-out prompts of a validation.
    pub validation_prompts: u32,
    /// Validations without a better one after which the run ends; 0 for never.
    pub patience: u32,
}

impl Default for TrainingSettings {
    fn default() -> Self {
        Self {
            steps: 100,
            prompts_per_step: 8,
            samples: 8,
            max_answer_tokens: 512,
            length_weight: 0.0,
            length_buffer: 0.25,
            temperature: 1.0,
            learning_rate: 1e-5,
            warmup_steps: 5,
            lora_rank: 0,
            lora_alpha: 32.0,
            weight_decay: 0.01,
            max_grad_norm: 1.0,
            clip_low: 0.2,
            clip_high: 0.2,
            dual_clip: Some(10.0),
            aggregation: Aggregation::TokenMean,
            advantage_scale: AdvantageScale::Deviation,
            kl_weight: 0.0,
            kl_in: KlPlace::Loss,
            entropy_weight: 0.0,
            epochs: 1,
            minibatches: 1,
            tokens_per_micro_batch: 4096,
            activations: Activations::Keep,
            precision: Precision::F32,
            time_limit_s: 600,
            most_excluded: 0.5,
            seed: 1,
            checkpoint_every: 20,
            keep_checkpoints: 2,
            samples_every: 10,
            validate_every: 20,
            validation_prompts: 16,
            patience: 0,
        }
    }
}

/// Factors of the reward; by default the paper's (arXiv:2509.13642).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct RewardFactors {
    /// Of the rule for the number of pictures, N.
    pub count: f64,
    /// Of N times the picture judge's score.
    pub mllm: f64,
    /// Of the text judge's score.
    pub llm: f64,
    /// Of the tool reward.
    pub tools: f64,
    /// Of the share of valid tags.
    pub format: f64,
}

impl Default for RewardFactors {
    fn default() -> Self {
        Self {
            count: 0.2,
            mllm: 0.3,
            llm: 0.5,
            tools: 0.0,
            format: 0.0,
        }
    }
}

/// A run, whole: what is queued and kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    pub name: String,
    pub engine: Engine,
    pub algorithm: Algorithm,
    /// `demo`, the folder of a model, or `run_…/step-000020` for a run's checkpoint.
    pub model: String,
    /// `demo`, an uploaded dataset (`dat_…`), or files on the worker: Parquet or JSONL.
    pub dataset: Vec<String>,
    pub settings: TrainingSettings,
    pub reward: RewardFactors,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            engine: Engine::Burn,
            algorithm: Algorithm::Grpo,
            model: DEMO_MODEL.into(),
            dataset: vec![DEMO_DATASET.into()],
            settings: TrainingSettings::default(),
            reward: RewardFactors::default(),
        }
    }
}
