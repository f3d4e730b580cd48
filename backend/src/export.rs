//! A document in the form that was asked for.

use std::collections::BTreeSet;
use std::io::{Cursor, Write};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use illumine_render::{Pictures, render_html, render_markdown};
use illumine_store::StoreError;
use illumine_store::blobs::Blobs;
use illumine_types::{BlobKey, Document, Outcome};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::error::{ApiError, Result};
use crate::state::State;

/// Reads from the object store that run side by side.
const PICTURES_AT_A_TIME: usize = 4;

/// The forms of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, utoipa::ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Format {
    Json,
    Html,
    Markdown,
    Zip,
}

impl Format {
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "json" => Some(Self::Json),
            "html" => Some(Self::Html),
            "markdown" => Some(Self::Markdown),
            "zip" => Some(Self::Zip),
            _ => None,
        }
    }

    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Html => "html",
            Self::Markdown => "md",
            Self::Zip => "zip",
        }
    }

    #[must_use]
    pub const fn mime(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Html => "text/html; charset=utf-8",
            Self::Markdown => "text/markdown; charset=utf-8",
            Self::Zip => "application/zip",
        }
    }
}

/// The document's bytes in this form.
///
/// # Errors
/// If the object store is away. A picture that is missing leaves a gap.
pub async fn render(state: &State, document: Document, format: Format) -> Result<Bytes> {
    match format {
        Format::Json => {
            let json = serde_json::to_vec(&document).map_err(ApiError::internal)?;
            return Ok(json.into());
        }
        Format::Markdown => {
            let text = render_markdown(&document, |image| image.url.clone());
            return Ok(text.into());
        }
        Format::Html | Format::Zip => {}
    }
    let permit = state
        .rendering
        .acquire()
        .await
        .map_err(ApiError::internal)?;
    let pictures = pictures(state, &document).await?;
    let rendering = tokio::task::spawn_blocking(move || match format {
        Format::Zip => archive(&document, &pictures).map_err(ApiError::internal),
        _ => Ok(render_html(&document, &pictures).into()),
    });
    let bytes = rendering.await.map_err(ApiError::internal)?;
    drop(permit);
    bytes
}

async fn pictures(state: &State, document: &Document) -> Result<Pictures> {
    let ready: BTreeSet<BlobKey> = document
        .images()
        .filter_map(|block| match &block.outcome {
            Outcome::Ready { image, .. } => Some(image.id.clone()),
            _ => None,
        })
        .collect();
    stream::iter(ready)
        .map(|key| async move {
            match state.store.blobs().get(&Blobs::image_key(&key)).await {
                Ok(bytes) => Ok(Some((key, bytes))),
                Err(StoreError::NotFound { .. }) => Ok(None),
                Err(error) => Err(ApiError::from(error)),
            }
        })
        .buffer_unordered(PICTURES_AT_A_TIME)
        .try_filter_map(|found| async move { Ok(found) })
        .try_collect()
        .await
}

/// Text is compressed; pictures are already.
fn archive(document: &Document, pictures: &Pictures) -> std::io::Result<Bytes> {
    let deflated = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let markdown = render_markdown(document, |image| format!("images/{}", image.id));
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("document.md", deflated)?;
    zip.write_all(markdown.as_bytes())?;
    zip.start_file("document.html", deflated)?;
    zip.write_all(render_html(document, pictures).as_bytes())?;
    zip.start_file("document.json", deflated)?;
    serde_json::to_writer_pretty(&mut zip, document)?;
    for (key, bytes) in pictures {
        zip.start_file(format!("images/{key}"), stored)?;
        zip.write_all(bytes)?;
    }
    Ok(zip.finish()?.into_inner().into())
}
