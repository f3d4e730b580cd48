//! The hyper-parameters of a run.

use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainError};
use crate::optim::AdamWOptions;

/// How examples share a micro-batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Examples of about the same length, one a row, padded on the right. No
    /// token sees padding. Best for short examples: attention stays short.
    Bucket,
    /// Several examples a row of `max_tokens`, each blind to the others.
    Pack,
}

/// When a run is over.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// After so many updates.
    Steps(u64),
    /// After so many minutes of training, checkpoints and earlier parts included.
    Minutes(f64),
}

/// The hyper-parameters of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SftConfig {
    /// Peak of the schedule.
    pub learning_rate: f64,
    /// The schedule ends at this share of its peak.
    pub final_lr_share: f64,
    /// Updates until the peak.
    pub warmup_steps: u64,
    /// AdamW's first decay rate.
    pub beta_1: f32,
    /// AdamW's second decay rate.
    pub beta_2: f32,
    /// AdamW's ε.
    pub epsilon: f32,
    /// Decoupled decay of matrices; norms are not decayed.
    pub weight_decay: f32,
    /// Largest norm of all gradients together.
    pub max_grad_norm: f64,
    /// Tokens drawn for one update, prompt included.
    pub tokens_per_step: usize,
    /// Tokens, padding included, that go through the model at once.
    pub tokens_per_micro_batch: usize,
    /// Longer examples are cut.
    pub max_tokens: usize,
    /// How examples share a micro-batch.
    pub layout: Layout,
    /// Of the weights' initialisation and the order of examples.
    pub seed: u64,
    /// A metrics line every so many steps.
    pub log_every: u64,
    /// A checkpoint every so many steps.
    pub checkpoint_every: u64,
    /// Older checkpoints are removed.
    pub keep_checkpoints: usize,
    /// When the run is over.
    pub budget: Budget,
}

impl Default for SftConfig {
    fn default() -> Self {
        Self {
            learning_rate: 3e-3,
            final_lr_share: 0.03,
            warmup_steps: 60,
            beta_1: 0.9,
            beta_2: 0.95,
            epsilon: 1e-8,
            weight_decay: 0.1,
            max_grad_norm: 1.0,
            tokens_per_step: 2400,
            tokens_per_micro_batch: 2400,
            max_tokens: 1024,
            layout: Layout::Bucket,
            seed: 1,
            log_every: 10,
            checkpoint_every: 200,
            keep_checkpoints: 2,
            budget: Budget::Steps(1000),
        }
    }
}

impl SftConfig {
    /// The optimizer's numbers.
    pub fn optimizer(&self) -> AdamWOptions {
        AdamWOptions {
            beta_1: self.beta_1,
            beta_2: self.beta_2,
            epsilon: self.epsilon,
            weight_decay: self.weight_decay,
            max_norm: self.max_grad_norm,
            muon: false,
        }
    }

    /// Checks each value.
    ///
    /// # Errors
    /// [`TrainError::Config`] naming the first that cannot be used.
    pub fn validate(&self) -> Result<()> {
        let positive = [
            ("learning_rate", self.learning_rate),
            ("epsilon", f64::from(self.epsilon)),
            ("max_grad_norm", self.max_grad_norm),
            ("tokens_per_step", self.tokens_per_step as f64),
            ("tokens_per_micro_batch", self.tokens_per_micro_batch as f64),
            ("max_tokens", self.max_tokens as f64),
            ("log_every", self.log_every as f64),
            ("checkpoint_every", self.checkpoint_every as f64),
            ("keep_checkpoints", self.keep_checkpoints as f64),
            (
                "budget",
                match self.budget {
                    Budget::Steps(steps) => steps as f64,
                    Budget::Minutes(minutes) => minutes,
                },
            ),
        ];
        for (field, value) in positive {
            if !(value.is_finite() && value > 0.0) {
                let reason = format!("must be positive, not {value}");
                return Err(TrainError::Config { field, reason });
            }
        }
        let shares = [
            ("final_lr_share", self.final_lr_share),
            ("beta_1", f64::from(self.beta_1)),
            ("beta_2", f64::from(self.beta_2)),
            ("weight_decay", f64::from(self.weight_decay)),
        ];
        for (field, value) in shares {
            if !(0.0..=1.0).contains(&value) {
                let reason = format!("must lie in 0..=1, not {value}");
                return Err(TrainError::Config { field, reason });
            }
        }
        Ok(())
    }
}
