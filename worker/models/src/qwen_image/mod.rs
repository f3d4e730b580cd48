//! Qwen-Image and Qwen-Image-Edit (arXiv 2508.02324): pictures from words, and
//! pictures from pictures and words.
//!
//! ```text
//! prompt (+ pictures) ──▶ prompt encoder (Qwen2.5-VL) ──┐
//! pictures ──▶ VAE encoder ──▶ latents ─────────────────┤
//! noise (seed) ─────────────────────────────────────────┴▶ transformer × steps ──▶ VAE decoder ──▶ picture
//! ```
//!
//! - [`request`]: what is asked for, and who watches it being drawn.
//! - [`pipeline`]: a Diffusers folder as one model, [`QwenImage::load`].
//! - [`studio`]: a model serving many requests.
//! - [`prompt`], [`transformer`], [`scheduler`], [`vae`]: its parts.

pub mod pipeline;
pub mod prompt;
pub mod request;
pub mod scheduler;
pub mod studio;
pub mod transformer;
pub mod vae;

pub use pipeline::{LoadOptions, QwenImage};
pub use request::{DrawRequest, DrawWatch, ImageMode, ImageModelInfo, ImagePipeline};
