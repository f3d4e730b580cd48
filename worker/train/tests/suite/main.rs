//! One binary for all of the crate's integration tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;
mod corpus;
mod painter;
mod parallel;
mod picture_eval;
mod picture_model;
mod picture_vae;
mod resume;
mod rl_lora;
mod rl_parity;
mod rl_run;
mod rl_step;
mod sft_parity;
mod sft_parts;
mod tokenizer;
