//! The four image tools: search, diffusion, code, edit; one folder each.
//!
//! A tool is an [`ImageTool`]: it takes a request and yields one picture with
//! its provenance, or a [`ToolError`] that says whether trying again may help.
//! [`Toolbox`] holds what the configuration allows and is what the agent calls.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod code;
pub mod diffusion;
pub mod edit;
pub mod error;
pub mod fetch;
pub mod painter;
pub mod search;
mod service;
pub mod tool;
pub mod toolbox;

pub use code::{CodeConfig, CodeTool};
pub use error::ToolError;
pub use illumine_guard::Picture;
pub use painter::Painters;
pub use search::library::{FolderLibrary, LibraryEntry, LibrarySource};
pub use tool::{
    Advance, DrawOptions, ImageTool, LARGEST_PREVIEW, ProgressSink, ToolContext, ToolImage,
};
pub use toolbox::{Retry, Toolbox, Tuning};
