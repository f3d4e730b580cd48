//! Qwen2.5-VL: a Qwen2.5 decoder that looks at pictures.
//!
//! Source: Qwen Team, *Qwen2.5-VL Technical Report* (arXiv:2502.13923), §2.1, and
//! the reference implementation in `transformers/models/qwen2_5_vl/` (5.23).
//!
//! ```text
//! file ──picture──▶ RGB ──processor──▶ patches ──vision──▶ a vector for each square of patches
//!                                                            │ in the places of <|image_pad|>
//! chat ──prompt──▶ ids ──────────────▶ embeddings ───────────┴──text──▶ logits
//! ```
//!
//! Read in this order: [`picture`], [`resample`], [`processor_config`],
//! [`processor`]; [`config`], [`vision`], [`text`], [`model`], [`weights`]; [`cpu`]; [`chat`].

pub mod chat;
pub mod config;
pub mod cpu;
pub mod model;
pub mod parts;
pub mod picture;
pub mod processor;
pub mod processor_config;
pub mod resample;
pub mod text;
pub mod vision;
pub mod weights;

pub use chat::{Part, VisionMessage, VisionPrompt};
pub use config::Qwen25VlConfig;
pub use model::{Inputs, Qwen25Vl};
pub use picture::Picture;
pub use processor::{Grid, ImageProcessor, Patches};
