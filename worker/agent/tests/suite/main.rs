//! All of this crate's integration tests in one binary: each binary more would
//! link the whole crate once more.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod again;
mod burn_policy;
mod constrained_tags;
mod faults;
mod inputs;
mod openai_policy;
mod overlap;
mod support;
