//! From what a run was asked with to what the trainer is told.

use illumine_rewards::{LengthLimit, RewardSettings, RewardWeights};
use illumine_train::lora::LoraOptions;
use illumine_train::optim::AdamWOptions;
use illumine_train::rl::{
    Aggregation, Algorithm, KlPlace, LearnerConfig, Numbers, Objective, RunConfig, Sampling, Scale,
    StepConfig,
};
use illumine_types::training::{self, RewardFactors, TrainingConfig};

/// The trainer's settings.
pub fn run_config(config: &TrainingConfig) -> RunConfig {
    let asked = &config.settings;
    RunConfig {
        step: StepConfig {
            sampling: Sampling {
                samples: asked.samples as usize,
                max_answer_tokens: asked.max_answer_tokens as usize,
                temperature: asked.temperature as f32,
                time_limit_s: asked.time_limit_s,
                seed: asked.seed,
                ..Sampling::default()
            },
            scale: match asked.advantage_scale {
                training::AdvantageScale::Deviation => Scale::Deviation,
                training::AdvantageScale::None => Scale::None,
            },
            epochs: asked.epochs as usize,
            minibatches: asked.minibatches as usize,
            most_excluded: asked.most_excluded,
        },
        learner: LearnerConfig {
            objective: Objective {
                algorithm: match config.algorithm {
                    training::Algorithm::Grpo => Algorithm::Grpo,
                    training::Algorithm::Gspo => Algorithm::Gspo,
                },
                clip_low: asked.clip_low,
                clip_high: asked.clip_high,
                dual_clip: asked.dual_clip,
                aggregation: match asked.aggregation {
                    training::Aggregation::TokenMean => Aggregation::TokenMean,
                    training::Aggregation::SeqMeanTokenMean => Aggregation::SeqMeanTokenMean,
                    training::Aggregation::SeqMeanTokenSumNorm => Aggregation::SeqMeanTokenSumNorm,
                },
                kl_weight: asked.kl_weight,
                kl_in: match asked.kl_in {
                    training::KlPlace::Loss => KlPlace::Loss,
                    training::KlPlace::Reward => KlPlace::Reward,
                },
                entropy_weight: asked.entropy_weight,
                ..Objective::default()
            },
            optimizer: AdamWOptions {
                weight_decay: asked.weight_decay as f32,
                max_norm: asked.max_grad_norm,
                ..LearnerConfig::default().optimizer
            },
            tokens_per_micro_batch: asked.tokens_per_micro_batch as usize,
            recompute: asked.activations == training::Activations::Recompute,
            precision: match asked.precision {
                training::Precision::F32 => Numbers::F32,
                training::Precision::Bf16 => Numbers::Bf16,
            },
            lora: (asked.lora_rank > 0).then(|| LoraOptions {
                rank: asked.lora_rank as usize,
                alpha: asked.lora_alpha,
                ..LoraOptions::default()
            }),
            ..LearnerConfig::default()
        },
        learning_rate: asked.learning_rate,
        warmup_steps: asked.warmup_steps,
        steps: asked.steps,
        prompts_per_step: asked.prompts_per_step as usize,
        seed: asked.seed,
        checkpoint_every: asked.checkpoint_every,
        keep_checkpoints: asked.keep_checkpoints as usize,
        samples_every: asked.samples_every,
        validate_every: asked.validate_every,
        validation_prompts: asked.validation_prompts as usize,
        patience: asked.patience,
    }
}

/// The reward of these factors.
pub fn rewards(factors: &RewardFactors) -> RewardSettings {
    RewardSettings {
        weights: RewardWeights {
            count: factors.count,
            mllm: factors.mllm,
            llm: factors.llm,
            tools: factors.tools,
            format: factors.format,
            length: 0.0,
        },
        ..RewardSettings::default()
    }
}

/// The reward of a run: its factors, and the penalty for length.
pub fn rewards_of(config: &TrainingConfig) -> RewardSettings {
    let mut rewards = rewards(&config.reward);
    let asked = &config.settings;
    if asked.length_weight > 0.0 {
        rewards.weights.length = asked.length_weight;
        let share = f64::from(asked.max_answer_tokens) * asked.length_buffer;
        rewards.length = Some(LengthLimit {
            max_tokens: asked.max_answer_tokens.into(),
            buffer_tokens: share.round() as u64,
        });
    }
    rewards
}

#[cfg(test)]
mod tests {
    use illumine_types::training::{Preset, TrainingSettings};

    use super::*;

    #[test]
    fn the_defaults_are_the_trainers_own() {
        let config = TrainingConfig {
            settings: TrainingSettings::default(),
            ..TrainingConfig::default()
        };
        assert_eq!(run_config(&config), RunConfig::default());
        assert_eq!(rewards_of(&config), RewardSettings::default());
    }

    #[test]
    fn what_is_asked_reaches_the_trainer() {
        for preset in Preset::ALL {
            let config = preset.config();
            let run = run_config(&config);
            run.validate().unwrap();
            rewards_of(&config).validate().unwrap();
            assert_eq!(run.steps, config.settings.steps);
            assert_eq!(run.step.sampling.samples, config.settings.samples as usize);
        }
        let mut low_rank = TrainingConfig::default();
        low_rank.settings.lora_rank = 8;
        low_rank.settings.activations = training::Activations::Recompute;
        low_rank.settings.precision = training::Precision::Bf16;
        low_rank.settings.kl_in = training::KlPlace::Reward;
        low_rank.settings.max_answer_tokens = 200;
        low_rank.settings.length_weight = 0.3;
        let learner = run_config(&low_rank).learner;
        assert!(learner.recompute);
        assert_eq!(learner.objective.kl_in, KlPlace::Reward);
        let rewards = rewards_of(&low_rank);
        assert_eq!(rewards.weights.length, 0.3);
        let limit = rewards.length.unwrap();
        assert_eq!((limit.max_tokens, limit.buffer_tokens), (200, 50));
        assert_eq!(learner.precision, Numbers::Bf16);
        let lora = learner.lora.unwrap();
        assert_eq!((lora.rank, lora.scale()), (8, 4.0));
        let gspo = run_config(&Preset::Qwen330bA3bGspo.config());
        assert_eq!(gspo.learner.objective, Objective::gspo());
        let grpo = run_config(&Preset::Qwen34bGrpo.config());
        assert_eq!(grpo.learner.objective, Objective::grpo());
    }
}
