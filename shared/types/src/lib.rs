//! Everything that crosses a wire in Illumine, and the tag grammar.
//!
//! The backend, the worker and the portal (compiled to WebAssembly) all speak
//! these types; nothing here does I/O or knows a clock. Start at
//! [`document::Document`] (what is made), [`event::Event`] (how one watches it
//! being made), [`job::Job`] (what is asked) and [`tag`] (how a model asks for
//! a picture). Test alone with `cargo nextest run -p illumine-types`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod api;
pub mod capability;
pub mod dataset;
pub mod document;
pub mod event;
pub mod id;
pub mod job;
pub mod problem;
pub mod reward;
pub mod tag;
pub mod tool;
pub mod training;

/// An instant, RFC 3339 in UTC on the wire.
pub type Timestamp = chrono::DateTime<chrono::Utc>;

pub use document::{Block, Document, ImageRef, Outcome, Provenance};
pub use event::{Event, EventKind};
pub use id::{ApiKeyId, BlobKey, JobId};
pub use job::{Job, JobKind, JobState, Priority};
pub use problem::Problem;
pub use tool::{ToolCall, ToolKind};
