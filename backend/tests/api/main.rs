//! The server as its clients meet it: real HTTP, a real Redis, a real S3
//! server. Where a worker is needed, the test plays it through the store.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bad_input;
mod datasets;
mod documents;
mod events;
mod generations;
mod harness;
mod operations;
mod outages;
mod pictures;
mod portal;
mod rewards;
mod sign_in;
mod training_checkpoints;
mod training_runs;
