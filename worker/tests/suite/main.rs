//! All of this crate's integration tests in one binary: each binary more would
//! link the whole crate once more.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod generate;
mod image_fleet;
mod image_server;
mod llm_server;
mod llm_server_pictures;
mod lora;
mod support;
mod train;
