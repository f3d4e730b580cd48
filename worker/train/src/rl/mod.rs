//! Reinforcement learning: answers with rewards teach the policy that wrote them.
//!
//! ```text
//! rewards ─group─▶ advantages ─┐
//! answers ─model─▶ log-probabilities ─▶ objective ─▶ gradients ─▶ clip ─▶ AdamW
//! ```

pub mod advantage;
pub mod answer;
pub mod forward;
pub mod learner;
pub mod objective;

pub use advantage::{Advantages, Scale, advantages};
pub use answer::Answer;
pub use learner::{Learner, LearnerConfig, UpdateMetrics};
pub use objective::{Aggregation, Algorithm, KlEstimate, Objective};
