//! What lasts and what moves.
//!
//! ```text
//!  submit ─▶ S3 jobs/{id}/request.json ─▶ Redis: record, index, lane, event
//!                                                 │ take (fair, weighted, fenced)
//!  QueueWorker ◀──────────────────────────────────┘
//!     │ handler (idempotent by job id) ─▶ documents, images in S3
//!     └─▶ S3 jobs/{id}/status.json ─▶ Redis: final state, event
//! ```
//!
//! **S3 holds what must last, Redis holds what is moving.** A request is in S3
//! before its id is answered, a result before its job is called done; if Redis
//! is lost, [`rebuild`] restores it from S3. Entry points: [`Store::connect`],
//! then [`Store::jobs`], [`Store::events`], [`Store::documents`],
//! [`Store::blobs`], [`Store::keys`], [`Store::library`], [`Store::training`],
//! [`Store::datasets`], [`Store::queue`], and [`queue::QueueWorker`] to run jobs.
//!
//! Test alone with `cargo nextest run -p illumine-store`; the tests start their
//! own `redis-server` and S3 server.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod blobs;
pub mod config;
mod conn;
pub mod datasets;
pub mod documents;
pub mod error;
pub mod events;
mod hub;
pub mod jobs;
pub mod keys;
pub mod library;
pub mod queue;
pub mod rebuild;
mod store;
pub mod training;

pub use config::{StoreConfig, Timings};
pub use error::{Result, StoreError};
pub use rebuild::rebuild;
pub use store::{Health, PartHealth, Store};
