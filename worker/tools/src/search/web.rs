//! From candidates to the first picture that passes.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use illumine_types::tool::ToolRequest;
use serde_json::Map;

use super::{Candidate, Finder, query, start_at};
use crate::fetch::PictureFetcher;
use crate::toolbox::backend::{Backend, Made};
use crate::{Picture, ToolContext, ToolError};

/// Candidates tried for one call.
const TRIED: usize = 10;
/// Fetched ahead; the order still decides which is taken.
const AHEAD: usize = 3;
/// Results among which a seed chooses.
const NEAR: usize = 5;
/// Smaller ones are thumbnails and spacers.
const LEAST_SIDE: u32 = 160;

#[derive(Debug)]
pub(crate) struct WebSearch<F> {
    pub finder: F,
    pub fetcher: PictureFetcher,
    pub timeout: Duration,
}

impl<F: Finder> WebSearch<F> {
    async fn attempt(&self, candidate: Candidate) -> Result<(Picture, Candidate), ToolError> {
        let (picture, _) = self.fetcher.fetch(&candidate.file_url).await?;
        if picture.width.min(picture.height) < LEAST_SIDE {
            return Err(ToolError::permanent("picture_too_small", "a thumbnail"));
        }
        Ok((picture, candidate))
    }
}

#[async_trait]
impl<F: Finder> Backend for WebSearch<F> {
    fn name(&self) -> &'static str {
        self.finder.name()
    }

    fn time_limit(&self) -> Duration {
        self.timeout
    }

    async fn make(&self, request: &ToolRequest, context: &ToolContext) -> Result<Made, ToolError> {
        let query = query(request)?;
        let found = self.finder.find(query).await?;
        if found.is_empty() {
            let message = format!("{} found nothing for “{query}”", self.finder.name());
            return Err(ToolError::permanent("nothing_found", message));
        }
        let count = found.len();
        let order = start_at(found, NEAR, context.options.seed);
        let attempts = order.into_iter().take(TRIED);
        let mut attempts = stream::iter(attempts.map(|one| self.attempt(one))).buffered(AHEAD);
        let mut reasons: BTreeMap<&'static str, u32> = BTreeMap::new();
        while let Some(attempt) = attempts.next().await {
            match attempt {
                Ok((picture, candidate)) => {
                    return Ok(Made {
                        picture,
                        model: None,
                        seed: context.options.seed,
                        parameters: Map::new(),
                        source: Some(candidate.source),
                    });
                }
                Err(error) => *reasons.entry(error.code()).or_default() += 1,
            }
        }
        let reasons: Vec<String> = reasons
            .iter()
            .map(|(code, times)| format!("{code} × {times}"))
            .collect();
        let message = format!(
            "{} found {count} pictures for “{query}”, and none could be taken: {}",
            self.finder.name(),
            reasons.join(", ")
        );
        Err(ToolError::permanent("nothing_usable", message))
    }
}
