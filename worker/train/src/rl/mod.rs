//! Reinforcement learning: answers with rewards teach the policy that wrote them.
//!
//! ```text
//! prompts ─agent, tools, scorer─▶ rollouts
//! rewards ─group─▶ advantages ─┐
//! answers ─model─▶ log-probabilities ─▶ objective ─▶ gradients ─▶ clip ─▶ AdamW
//! ```

pub mod advantage;
pub mod answer;
pub mod forward;
pub mod learner;
mod memory;
pub mod objective;
pub mod recompute;
pub mod rollout;
pub mod run;
pub mod run_config;
pub mod step;
pub mod validation;

pub use advantage::{Advantages, Scale, advantages};
pub use answer::Answer;
pub use learner::{Learner, LearnerConfig, UpdateMetrics};
pub use objective::{Aggregation, Algorithm, KlEstimate, Objective};
pub use rollout::{Prompt, Rollout, Sampling, Surroundings};
pub use run::{Line, Run};
pub use run_config::RunConfig;
pub use step::{StepConfig, StepMetrics, Stepper};
pub use validation::{Best, Validation};
