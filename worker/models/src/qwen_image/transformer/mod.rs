//! The denoiser: a multimodal diffusion transformer of two streams.
//!
//! Source: Qwen Team, *Qwen-Image Technical Report* (arXiv:2508.02324), §2.3 and
//! §2.4 (MSRoPE), after Esser et al., *Scaling Rectified Flow Transformers*
//! (arXiv:2403.03206), §4; the reference is
//! `diffusers/models/transformers/transformer_qwenimage.py` (0.42.1).
//!
//! ```text
//! packed latents ─img_in─▶ image stream ─┐ each block: norm, modulate by the timestep,
//! prompt states ──txt_in─▶ text stream ──┴ attend jointly, feed forward ──▶ velocity
//! ```
//!
//! Read in this order: [`config`], [`rope`], [`timestep`], [`modulation`],
//! [`attention`], [`block`], [`model`], [`weights`], [`lora`], [`verify`].

pub mod attention;
pub mod block;
pub mod config;
mod cpu;
pub mod lora;
pub mod model;
pub mod modulation;
pub mod rope;
pub mod timestep;
pub mod verify;
pub mod weights;

pub use config::TransformerConfig;
pub use model::{Conditions, QwenImageTransformer};
pub use rope::ImageShape;
