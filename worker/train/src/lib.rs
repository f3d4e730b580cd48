//! Training of policies.
//!
//! ```text
//! corpus ──▶ tokenizer ──▶ sft ──▶ checkpoint in Hugging Face layout
//! JSONL  ───────────────────┘
//! ```
//!
//! # Entry points
//! - [`corpus`]: prompts and documents made from templates, for the demo policy;
//! - [`tokenizer`]: trains and writes a byte-level BPE with its chat template;
//! - [`sft`]: supervised fine-tuning with checkpoints that resume exactly;
//! - [`rl`]: reinforcement learning by GRPO and GSPO; [`lora`]: of low-rank changes;
//!   [`parallel`]: in several processes;
//! - [`painter`]: pictures with captions, and edits, from a seed; [`picture_model`]: a
//!   model that draws and edits them; [`picture_eval`]: whether it does;
//! - [`picture_vae`]: an autoencoder of pictures; [`optim`]: AdamW over any module;
//! - the binary `demo-models`: all of it in one command.
//!
//! # Test alone
//! `cargo nextest run -p illumine-train`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod corpus;
pub mod error;
pub mod evaluate;
pub mod lanes;
pub mod lora;
pub mod optim;
pub mod painter;
pub mod parallel;
pub mod picture_eval;
pub mod picture_model;
pub mod picture_vae;
pub mod rl;
pub mod sft;
pub mod tokenizer;

pub use error::{Result, TrainError};
