//! Documents as files that a person keeps: one self-contained HTML page, or
//! Markdown beside its pictures.
//!
//! What a model wrote is untrusted. Markdown is rendered with raw HTML off and
//! then cleaned by an allow-list, remote pictures become links, and the page
//! carries a policy that forbids scripts and the network.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod html;
mod markdown;
mod plain;

pub use html::{Pictures, render_html};
pub use markdown::markdown_to_html;
pub use plain::render_markdown;
