//! The autoencoder: pictures to latents and back, for single pictures.
//!
//! Source: Qwen Team, *Qwen-Image Technical Report* (arXiv:2508.02324), §2.3, and
//! `AutoencoderKLQwenImage` of `diffusers` (0.42). It is a film's; see [`weights`] for
//! what is left of it for one picture.
//!
//! Read in this order: [`config`], [`layers`], [`encoder`], [`decoder`], [`tiles`],
//! [`model`], [`weights`].

pub mod config;
pub mod decoder;
pub mod encoder;
pub mod layers;
pub mod model;
pub mod tiles;
pub(crate) mod verify;
mod weights;

pub use config::VaeConfig;
pub use model::{Posterior, QwenImageVae};
pub use tiles::Tiling;
