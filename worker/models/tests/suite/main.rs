//! All of this crate's integration tests in one binary: each binary more would
//! link the whole crate once more.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod attention;
mod chat_parity;
mod engine;
mod engine_vision;
mod folders;
mod generation;
mod lora_engine;
mod lora_folders;
mod lora_parity;
mod published;
mod qwen25_vl_generation;
mod qwen25_vl_parity;
mod qwen25_vl_processor;
mod qwen3_parity;
mod qwen_image_pipeline_parity;
mod qwen_image_requests;
mod qwen_image_transformer_parity;
mod qwen_image_vae_parity;
mod studio;
mod support;
