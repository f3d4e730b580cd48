//! `search`: real pictures, found.
//!
//! Backends: [`serpapi`] (Google Images), [`searxng`], [`openverse`], and
//! [`library`], the team's own captioned pictures. A [`Finder`] asks a search
//! engine; [`web`] tries what it found, in order, until one picture passes the
//! guard.

pub mod library;
pub(crate) mod openverse;
pub(crate) mod searxng;
pub(crate) mod serpapi;
pub(crate) mod web;

use async_trait::async_trait;
use illumine_types::document::ImageSource;
use illumine_types::tool::ToolRequest;

use crate::ToolError;
use crate::toolbox::backend::wrong_tool;

/// A picture that a search engine named; nothing of it is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub file_url: String,
    pub source: ImageSource,
}

/// A search engine's API.
#[async_trait]
pub(crate) trait Finder: Send + Sync {
    fn name(&self) -> &'static str;

    /// Candidates, best first.
    async fn find(&self, query: &str) -> Result<Vec<Candidate>, ToolError>;
}

fn query(request: &ToolRequest) -> Result<&str, ToolError> {
    match request {
        ToolRequest::Search { query } => Ok(query.trim()),
        _ => Err(wrong_tool()),
    }
}

/// With a seed, starts at another of the first `near` results, so that drawing
/// again can show another one; without, the best stays first.
fn start_at<T>(mut results: Vec<T>, near: usize, seed: Option<u64>) -> Vec<T> {
    let near = near.min(results.len());
    if let (Some(seed), 1..) = (seed, near) {
        let shift = usize::try_from(seed % near as u64).unwrap_or(0);
        if let Some(first) = results.get_mut(..near) {
            first.rotate_left(shift);
        }
    }
    results
}

/// Text from a search engine, on one line and of bearable length.
fn tidy(text: Option<String>) -> Option<String> {
    let text = text?;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().take(300).collect();
    (!line.is_empty()).then_some(line)
}

/// A page's address, only where a browser may be sent there.
fn page(url: Option<String>) -> Option<String> {
    url.filter(|url| url.starts_with("https://") || url.starts_with("http://"))
}
