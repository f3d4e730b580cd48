//! Supervised fine-tuning: cross-entropy on the answer, given the prompt.
//!
//! ```text
//! source ─examples─▶ batch ─micro-batches─▶ loss ─gradients─▶ clip ─▶ AdamW
//!                                                              schedule ┘
//! ```
//!
//! One *step* draws examples up to a number of tokens, splits them into
//! micro-batches, sums their gradients and updates the weights once. Its loss is
//! the mean over all answer tokens of the step, however they are split.
//!
//! A run is a function of its configuration, its source and its seed. All that
//! moves is in the checkpoint, so an interrupted run goes on as if it had not been.

pub mod batch;
pub mod checkpoint;
pub mod config;
pub mod loss;
pub mod metrics;
pub mod optimizer;
pub mod schedule;
pub mod source;
pub mod trainer;

pub use config::{Budget, Layout, SftConfig};
pub use metrics::StepMetrics;
pub use source::{CorpusSource, ExampleSource, FormSource, JsonlSource};
pub use trainer::Trainer;
