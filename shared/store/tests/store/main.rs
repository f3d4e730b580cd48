//! The store against real servers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../harness/mod.rs"]
mod harness;
mod help;

mod blobs;
mod datasets;
mod events;
mod faults;
mod jobs;
mod keys;
mod queue;
mod rebuilding;
mod training;
