//! REST, live events, OpenAPI, sign-in, and the portal's files.
//!
//! ```text
//!  browser ─▶ telemetry ─▶ auth ─▶ routes/… ─▶ validate ─▶ store (Redis, S3)
//!     ▲                                             │
//!     └── server-sent events ◀── store.events() ◀───┘
//! ```
//!
//! Entry point: [`server::run`]. One resource a file in [`routes`]; every error
//! is an [`error::ApiError`]. This crate knows no model and draws nothing.
//! Test alone with `cargo nextest run -p illumine-backend` (starts its own
//! `redis-server` and S3 server).
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod auth;
mod blob;
mod body;
pub mod error;
mod export;
mod headers;
mod idempotency;
mod ids;
mod metrics;
mod multipart;
mod pictures;
mod portal;
mod query;
pub mod routes;
pub mod server;
mod sse;
pub mod state;
pub mod telemetry;
mod validate;
