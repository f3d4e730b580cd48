//! Training of a small autoencoder of pictures, of the same architecture as
//! Qwen-Image's.
//!
//! ```text
//! pictures ──▶ encode ──▶ mean, variance ──sample──▶ decode ──▶ |difference| + |edges| + KL
//! ```
//!
//! A run is a function of its configuration, its source and its seed; what moves is in
//! the checkpoint.

mod config;
mod loss;
mod trainer;

pub use config::VaeTraining;
pub use trainer::{PictureSource, Progress, VaeTrainer, pictures_to_tensor, tensor_to_pictures};
