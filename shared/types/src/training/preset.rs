//! Runs that are known to make sense.

use serde::{Deserialize, Serialize};

use super::settings::{
    Activations, Aggregation, Algorithm, Engine, Precision, RewardFactors, TrainingConfig,
    TrainingSettings,
};

/// What a request starts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Preset {
    /// The demo policy on this machine, with the rules and the tools as its reward.
    #[default]
    #[serde(rename = "demo")]
    Demo,
    #[serde(rename = "qwen3-4b-grpo")]
    Qwen34bGrpo,
    #[serde(rename = "qwen3-30b-a3b-gspo")]
    Qwen330bA3bGspo,
    #[serde(rename = "qwen2.5-vl-7b-grpo")]
    Qwen25Vl7bGrpo,
}

impl Preset {
    pub const ALL: [Self; 4] = [
        Self::Demo,
        Self::Qwen34bGrpo,
        Self::Qwen330bA3bGspo,
        Self::Qwen25Vl7bGrpo,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Demo => "demo",
            Self::Qwen34bGrpo => "qwen3-4b-grpo",
            Self::Qwen330bA3bGspo => "qwen3-30b-a3b-gspo",
            Self::Qwen25Vl7bGrpo => "qwen2.5-vl-7b-grpo",
        }
    }

    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.as_str() == word)
    }

    /// For people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Demo => "Demo policy, GRPO on this machine",
            Self::Qwen34bGrpo => "Qwen3-4B-Instruct, GRPO",
            Self::Qwen330bA3bGspo => "Qwen3-30B-A3B-Instruct, GSPO",
            Self::Qwen25Vl7bGrpo => "Qwen2.5-VL-7B-Instruct, GRPO",
        }
    }

    /// The whole run.
    #[must_use]
    pub fn config(self) -> TrainingConfig {
        match self {
            Self::Demo => demo(),
            Self::Qwen34bGrpo => paper("Qwen3-4B-Instruct-2507", Algorithm::Grpo),
            Self::Qwen330bA3bGspo => paper("Qwen3-30B-A3B-Instruct-2507", Algorithm::Gspo),
            Self::Qwen25Vl7bGrpo => paper("Qwen2.5-VL-7B-Instruct", Algorithm::Grpo),
        }
    }
}

fn demo() -> TrainingConfig {
    TrainingConfig {
        settings: TrainingSettings {
            steps: 60,
            prompts_per_step: 8,
            samples: 8,
            // Without it answers grow until they are cut off.
            length_weight: 0.3,
            learning_rate: 2e-5,
            validate_every: 15,
            validation_prompts: 32,
            checkpoint_every: 15,
            ..TrainingSettings::default()
        },
        // No judge is there without a server.
        reward: RewardFactors {
            count: 0.5,
            mllm: 0.0,
            llm: 0.0,
            tools: 0.3,
            format: 0.2,
        },
        ..TrainingConfig::default()
    }
}

/// The paper's recipes, on a Ray cluster.
fn paper(model: &str, algorithm: Algorithm) -> TrainingConfig {
    let settings = TrainingSettings {
        steps: 400,
        prompts_per_step: 128,
        samples: 8,
        max_answer_tokens: 8192,
        learning_rate: 1e-6,
        warmup_steps: 10,
        tokens_per_micro_batch: 16384,
        activations: Activations::Recompute,
        precision: Precision::Bf16,
        time_limit_s: 1800,
        checkpoint_every: 20,
        validate_every: 20,
        validation_prompts: 128,
        ..TrainingSettings::default()
    };
    let settings = match algorithm {
        Algorithm::Grpo => settings,
        Algorithm::Gspo => TrainingSettings {
            clip_low: 3e-4,
            clip_high: 4e-4,
            dual_clip: None,
            aggregation: Aggregation::SeqMeanTokenMean,
            ..settings
        },
    };
    TrainingConfig {
        engine: Engine::Ray,
        algorithm,
        model: format!("Qwen/{model}"),
        settings,
        ..TrainingConfig::default()
    }
}
