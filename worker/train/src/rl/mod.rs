//! Reinforcement learning: answers with rewards teach the policy that wrote them.
//!
//! ```text
//! prompts ─agent, tools, scorer─▶ rollouts
//! rewards ─group─▶ advantages ─┐
//! answers ─model─▶ log-probabilities ─▶ objective ─▶ gradients ─▶ clip ─▶ AdamW
//! ```
//!
//! In several processes ([`crate::parallel`]) each writes answers to some of the prompts,
//! and all get to know all rollouts; each finds the gradients of some of the answers of an
//! update, and all get to know their sum. All else follows from these two everywhere in the
//! same way, so that a run comes to what it would have come to in one process.

pub mod advantage;
pub mod answer;
pub mod drawn;
mod flat;
pub mod forward;
pub mod learner;
mod memory;
pub mod objective;
pub mod recompute;
pub mod rollout;
pub mod run;
pub mod run_config;
pub mod share;
pub mod step;
mod together;
pub mod validation;

pub use advantage::{Advantages, Scale, advantages};
pub use answer::Answer;
pub use learner::{Learner, LearnerConfig, Numbers, UpdateMetrics};
pub use objective::{Aggregation, Algorithm, KlEstimate, KlPlace, Objective};
pub use rollout::{Prompt, Rollout, Sampling, Surroundings};
pub use run::{Line, Run};
pub use run_config::RunConfig;
pub use share::Share;
pub use step::{StepConfig, StepMetrics, Stepper};
pub use validation::{Best, Validation};
