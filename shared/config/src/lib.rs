//! The one typed configuration of Illumine.
//!
//! Values come from defaults, then `illumine.toml`, then the environment, then
//! flags; the last one wins. [`settings::SETTINGS`] is the table of all of
//! them: key, variable, meaning, whether it is a secret. [`load`] reads, and
//! [`Loaded::report`] says what is set and from where, with secrets masked.
//! Test alone with `cargo nextest run -p illumine-config`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod load;
mod model;
pub mod ray;
mod secret;
pub mod settings;

pub use load::{ConfigError, Loaded, Origin, Sources, load};
pub use model::{Config, Judge, MlFlow, PolicySettings, S3Settings, ToolSettings, WorkerSettings};
pub use secret::Secret;
