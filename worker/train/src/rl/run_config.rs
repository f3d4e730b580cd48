//! What a run is told.

use serde::{Deserialize, Serialize};

use super::learner::LearnerConfig;
use super::step::StepConfig;
use crate::error::{Result, TrainError};

/// The settings of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// How answers are drawn and learnt from.
    pub step: StepConfig,
    /// What is minimised, and the optimizer's numbers.
    pub learner: LearnerConfig,
    /// At its peak.
    pub learning_rate: f64,
    /// Steps until the peak.
    pub warmup_steps: u64,
    /// Steps of the run.
    pub steps: u64,
    /// Prompts of a step.
    pub prompts_per_step: usize,
    /// Of the order of prompts.
    pub seed: u64,
    /// A checkpoint every so many steps.
    pub checkpoint_every: u64,
    /// Older checkpoints are removed.
    pub keep_checkpoints: usize,
    /// Answers are written down every so many steps.
    pub samples_every: u64,
    /// Held-out prompts are answered before the first step and every so many; 0: never.
    pub validate_every: u64,
    /// The first so many rows of the test split.
    pub validation_prompts: usize,
    /// Validations without a better one after which the run ends; 0: never.
    pub patience: u32,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            step: StepConfig::default(),
            learner: LearnerConfig::default(),
            learning_rate: 1e-5,
            warmup_steps: 5,
            steps: 100,
            prompts_per_step: 8,
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

impl RunConfig {
    /// Checks each value.
    ///
    /// # Errors
    /// [`TrainError::Config`] naming the first that cannot be used.
    pub fn validate(&self) -> Result<()> {
        let refuse = |field, reason: String| Err(TrainError::Config { field, reason });
        let sampling = &self.step.sampling;
        for (field, value) in [
            ("steps", self.steps),
            ("prompts_per_step", self.prompts_per_step as u64),
            ("checkpoint_every", self.checkpoint_every),
            ("keep_checkpoints", self.keep_checkpoints as u64),
            ("samples_every", self.samples_every),
            ("validation_prompts", self.validation_prompts as u64),
            ("max_answer_tokens", sampling.max_answer_tokens as u64),
            ("time_limit_s", sampling.time_limit_s),
        ] {
            if value == 0 {
                return refuse(field, "must be at least 1".to_owned());
            }
        }
        if sampling.samples < 2 {
            let reason = format!(
                "{}: a group of fewer than two answers has nothing to compare",
                sampling.samples
            );
            return refuse("samples", reason);
        }
        if !(sampling.temperature.is_finite() && sampling.temperature > 0.0) {
            let reason = format!(
                "{}: answers must be drawn, so it must be above 0",
                sampling.temperature
            );
            return refuse("temperature", reason);
        }
        // Beyond it a fine-tuned policy is gone after a few steps.
        if !(self.learning_rate.is_finite() && (0.0..=0.1).contains(&self.learning_rate)) {
            let reason = format!("{}: must lie in 0..=0.1", self.learning_rate);
            return refuse("learning_rate", reason);
        }
        // The policy's own optimizer knows AdamW alone: better told than left undone.
        if self.learner.optimizer.muon {
            return refuse(
                "muon",
                "a policy is trained with AdamW: set it to false".to_owned(),
            );
        }
        if let Some(lora) = &self.learner.lora {
            lora.validate()?;
        }
        if !(0.0..=1.0).contains(&self.step.most_excluded) {
            let reason = format!("{}: must lie in 0..=1", self.step.most_excluded);
            return refuse("most_excluded", reason);
        }
        Ok(())
    }
}
