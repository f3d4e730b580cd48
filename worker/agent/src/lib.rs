//! Policy → tags → tools → document.
//!
//! ```text
//! Policy ──text──▶ TagReader ──text──▶ blocks ─────────▶ Document
//!                      └──tags──▶ Scheduler ──tools──▶ pictures
//! ```
//!
//! [`Agent::generate`] makes one document: it streams a [`policy::Policy`]'s
//! text, starts each tool call the moment its tag closes, and tells an
//! [`EventSink`] what happens meanwhile. [`Agent::redraw`] draws one picture of
//! a document again. Pictures go to a [`PictureStore`].
//! Test alone with `cargo nextest run -p illumine-agent`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod error;
mod events;
mod pictures;
pub mod policy;
pub mod prompt;
mod run;
mod scheduler;

pub use error::AgentError;
pub use events::{EventSink, NoEvents};
pub use pictures::{MemoryPictures, PictureError, PictureStore, image_ref};
pub use run::{Agent, AgentSettings, GenerationInput, Redrawn};
