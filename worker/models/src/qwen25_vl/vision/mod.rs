//! The vision tower: patches to one vector a merged square of patches.
//!
//! Source: arXiv:2502.13923, §2.1.1: a ViT whose blocks attend within windows,
//! but for a few that attend over the whole picture, with two-dimensional rotary
//! embedding, RMSNorm and SwiGLU. Reference:
//! `Qwen2_5_VisionTransformerPretrainedModel`.
//!
//! Read in this order: [`layout`], [`rotary`], [`attention`], [`block`],
//! [`merger`], [`tower`].

pub mod attention;
pub mod block;
pub mod layout;
pub mod merger;
pub mod rotary;
pub mod tower;

pub use tower::VisionTower;
