//! Policy → tags → tools → document.
//!
//! NOTE to the engineer of this crate: `policy/` and `prompt/` are being
//! written by the lead right now (policy trait, openai, burn); `shared/render`
//! exists already. Please write `scheduler/`, `run/`, `redraw` and tests on
//! top of `policy::{Policy, ChatRequest, Delta, PolicyError}`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod policy;
pub mod prompt;
