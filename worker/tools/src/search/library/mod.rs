//! The team's own captioned pictures, found by their words.

mod entry;
mod folder;
mod index;
mod words;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use illumine_types::document::ImageSource;
use illumine_types::tool::ToolRequest;
use serde_json::{Map, json};
use tokio::sync::Mutex;

pub use entry::LibraryEntry;
pub use folder::FolderLibrary;
pub use index::{Index, Match};

use super::{query, start_at};
use crate::fetch::PictureFetcher;
use crate::toolbox::backend::{Backend, Made};
use crate::{ToolContext, ToolError};

/// Where captioned pictures lie: an S3 prefix, a folder.
#[async_trait]
pub trait LibrarySource: Send + Sync {
    /// Every picture's words.
    async fn list(&self) -> Result<Vec<LibraryEntry>, ToolError>;

    /// A picture's bytes, by [`LibraryEntry::id`].
    async fn get(&self, id: &str) -> Result<Bytes, ToolError>;
}

/// Matches nearly as good as the best, among which a seed chooses.
const NEAR_SCORE: f32 = 0.7;
/// Broken pictures passed over before giving up.
const TRIED: usize = 5;
/// Titles named when nothing was found.
const TITLES_NAMED: usize = 8;

pub(crate) struct LibrarySearch {
    source: Arc<dyn LibrarySource>,
    fetcher: PictureFetcher,
    /// How long a listing serves.
    keep: Duration,
    index: Mutex<Option<(Instant, Arc<Index>)>>,
}

impl LibrarySearch {
    pub(crate) fn new(
        source: Arc<dyn LibrarySource>,
        fetcher: PictureFetcher,
        keep: Duration,
    ) -> Self {
        Self {
            source,
            fetcher,
            keep,
            index: Mutex::new(None),
        }
    }

    async fn index(&self) -> Result<Arc<Index>, ToolError> {
        let mut kept = self.index.lock().await;
        if let Some((since, index)) = kept
            .as_ref()
            .filter(|(since, _)| since.elapsed() < self.keep)
        {
            tracing::trace!(age_s = since.elapsed().as_secs(), "library index serves");
            return Ok(Arc::clone(index));
        }
        let index = Arc::new(Index::new(self.source.list().await?));
        *kept = Some((Instant::now(), Arc::clone(&index)));
        Ok(index)
    }
}

#[async_trait]
impl Backend for LibrarySearch {
    fn name(&self) -> &'static str {
        "library"
    }

    fn time_limit(&self) -> Duration {
        Duration::from_secs(20)
    }

    async fn make(&self, request: &ToolRequest, context: &ToolContext) -> Result<Made, ToolError> {
        let query = query(request)?;
        let index = self.index().await?;
        let matches = index.search(query);
        let best = matches.first().map_or(0.0, |best| best.score);
        let near = matches
            .iter()
            .take_while(|one| one.score >= best * NEAR_SCORE)
            .count();
        let ordered = start_at(matches, near, context.options.seed);
        for found in ordered.into_iter().take(TRIED) {
            let entry = found.entry;
            let checked = match self.source.get(&entry.id).await {
                Ok(bytes) => self.fetcher.check(bytes).await,
                Err(error) => Err(error),
            };
            match checked {
                Ok(picture) => {
                    let parameters = Map::from_iter([
                        ("library_id".to_owned(), json!(entry.id)),
                        ("score".to_owned(), json!(found.score)),
                    ]);
                    return Ok(Made {
                        picture,
                        model: None,
                        seed: context.options.seed,
                        parameters,
                        source: Some(source_of(entry)),
                    });
                }
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => {
                    tracing::warn!(id = entry.id, %error, "library picture passed over");
                }
            }
        }
        Err(nothing_found(query, &index))
    }
}

fn source_of(entry: &LibraryEntry) -> ImageSource {
    ImageSource {
        page_url: entry.source.clone(),
        file_url: None,
        title: Some(entry.title.clone()).filter(|title| !title.is_empty()),
        author: entry.author.clone(),
        license: entry.license.clone(),
    }
}

fn nothing_found(query: &str, index: &Index) -> ToolError {
    let entries = index.entries();
    let titles: Vec<&str> = entries
        .iter()
        .map(|entry| entry.title.as_str())
        .filter(|title| !title.is_empty())
        .take(TITLES_NAMED)
        .collect();
    let holds = match (entries.len(), titles.is_empty()) {
        (0, _) => "The library is empty".to_owned(),
        (count, true) => format!("The library holds {count} pictures"),
        (count, false) => format!(
            "The library holds {count} pictures ({}, …)",
            titles.join(", ")
        ),
    };
    let message = format!(
        "No picture matches “{query}”. {holds}. For pictures from the web set SERP_API_KEY, ILLUMINE_SEARXNG_URL or ILLUMINE_OPENVERSE_URL."
    );
    ToolError::permanent("nothing_found", message)
}
