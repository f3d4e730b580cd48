//! Words, and pictures to edit, as the states that the transformer reads.
//!
//! Source: arXiv:2508.02324, §2.2; `_get_qwen_prompt_embeds` of the pipelines in
//! `diffusers/pipelines/qwenimage/` (0.42.1).
//!
//! ```text
//! prompt ──template──▶ chat ──tokenizer, processor──▶ ids, patches ──encoder──▶ last states,
//!                                                                    without the template's beginning
//! ```
//!
//! Read in this order: [`template`], [`encoder`].

pub mod encoder;
pub mod template;

pub use encoder::{PromptEncoder, PromptStates};
pub use template::Template;
