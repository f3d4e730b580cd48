//! The embedded picture model: a small member of Qwen-Image's family that draws and
//! edits, trained from scratch on what the [painter](crate::painter) paints.
//!
//! ```text
//! Painter ──VAE──▶ latents (cache) ─┐
//!    └─ captions ──vocabulary──▶ ids ┴▶ batch ──trainer──▶ transformer + prompt encoder ──folders──▶ Diffusers layout
//! ```
//!
//! Source: flow matching, Lipman et al. (arXiv:2210.02747), eq. 22–23, with times as
//! in Esser et al. (arXiv:2403.03206, §3.1: logit-normal; §5.3.2: shift);
//! classifier-free guidance, Ho and Salimans (arXiv:2207.12598). The model is that of
//! arXiv:2508.02324; here its prompt encoder is learnt along with it.
//!
//! One set of weights draws and edits: in an edit the latents of the source picture
//! stand beside those that are drawn, and the prompt's encoder sees it too.

pub mod attributes;
pub mod batch;
pub mod cache;
pub mod config;
pub mod draw;
pub mod focus;
pub mod folders;
pub mod model;
pub mod trainer;
pub mod vocabulary;
mod warm;

pub use batch::{Batch, Batches};
pub use cache::LatentCache;
pub use config::{ModelSizes, PictureTraining};
pub use draw::{Request, draw};
pub use focus::Focus;
pub use model::PictureModel;
pub use trainer::{PictureTrainer, Progress};
