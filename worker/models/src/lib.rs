//! Language models in Burn: loading, tokenising, sampling, decoding.
//!
//! ```text
//! model folder ──load──▶ Qwen3 + ChatTokenizer ──generate──▶ text, token by token
//!   config.json            ▲
//!   model.safetensors      └── train builds on the same module (autodiff device)
//!   tokenizer.json
//! ```
//!
//! # Entry points
//! - [`Qwen3`], [`Qwen3Config`]: the module. `config.init(&device)` or
//!   [`Qwen3::init`]; `forward(ids, positions, mask) -> logits`,
//!   `hidden_states(ids, positions, mask)`, `logits(hidden)`,
//!   `forward_cached(ids, positions, mask, &mut KvCache)`;
//!   [`qwen3::segment_mask`] for packed training rows. In every mask **true hides**.
//! - [`load::load_folder`], [`load::ModelFolder`]: a Hugging Face folder to a
//!   model and its tokenizer; [`save::save_folder`] the other way.
//! - [`tokenizer::ChatTokenizer`]: `encode`, `decode`, `stream`, `encode_chat`.
//! - [`generate::LanguageModel`]: `load(folder, device)`, then `generate` with
//!   [`sampling::SamplingParams`], a cancel flag and a callback for each piece.
//! - [`engine::Engine`]: one model, of text or of text and pictures, serving many
//!   requests at once.
//! - [`constrain::Constraint`]: answers that must be tags or JSON.
//! - [`qwen3::cpu::CpuDecoder`]: what these run on the CPU, without the module:
//!   prompts and steps of several sequences at once, with exact, bf16 or int8
//!   weights.
//! - [`lora`]: adapters in `peft` layout, several beside one model; a request
//!   names the one that it wants.
//! - [`generate::VisionLanguageModel`]: the same for [`qwen25_vl`], with pictures.
//! - [`verify::verify`]: a folder against a reference file of `transformers`.
//! - [`precision::measure`]: what bf16 and int8 weights do to the logits.
//! - [`device::parse_device`]: `flex`, `libtorch`, `cuda:N` by name.
//!
//! # Test alone
//! `cargo nextest run -p illumine-models`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod constrain;
pub mod denormals;
pub mod device;
pub mod engine;
pub mod error;
pub mod generate;
pub mod load;
pub mod lora;
pub mod nhwc;
mod norm;
pub mod precision;
pub mod prompt;
pub mod qwen25_vl;
pub mod qwen3;
pub mod qwen_image;
mod rows;
pub mod sampling;
pub mod save;
mod strided;
pub mod tokenizer;
#[cfg(feature = "tch")]
pub mod torch;
pub mod verify;

pub use error::{ModelError, Result};
pub use qwen3::{KvCache, Qwen3, Qwen3Config};
