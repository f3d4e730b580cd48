//! The decoder: Qwen2.5, whose rotary positions have three axes.
//!
//! Source: Qwen Team, *Qwen2.5 Technical Report* (arXiv:2412.15115), §2, and
//! arXiv:2502.13923, §2.1.3 (multimodal rotary embedding). Against Qwen3 it has
//! biases on query, key and value, and no norm over heads.
//!
//! Read in this order: [`positions`], [`mrope`], [`attention`], [`decoder`].

pub mod attention;
pub mod decoder;
pub mod mrope;
pub mod positions;

pub use decoder::TextDecoder;
pub use positions::Positions;
