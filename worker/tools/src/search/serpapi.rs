//! SerpAPI's Google Images engine: `GET {base}?engine=google_images&q=…`
//! (<https://serpapi.com/google-images-api>).

use async_trait::async_trait;
use illumine_types::document::ImageSource;
use reqwest::Method;
use serde::Deserialize;

use super::{Candidate, Finder, page, tidy};
use crate::ToolError;
use crate::service::Service;

#[derive(Debug)]
pub(crate) struct SerpApi {
    pub service: Service,
}

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    images_results: Vec<Found>,
    /// Also says that there were no results, with status 200.
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Found {
    original: Option<String>,
    title: Option<String>,
    link: Option<String>,
    source: Option<String>,
}

#[async_trait]
impl Finder for SerpApi {
    fn name(&self) -> &'static str {
        "serpapi"
    }

    async fn find(&self, query: &str) -> Result<Vec<Candidate>, ToolError> {
        let request = self.service.request(Method::GET, "").query(&[
            ("engine", "google_images"),
            ("q", query),
            ("safe", "active"),
            ("api_key", self.service.key()),
        ]);
        let answer: Answer = self.service.json(request).await?;
        if let Some(error) = answer
            .error
            .as_ref()
            .filter(|_| answer.images_results.is_empty())
        {
            if error.contains("hasn't returned any results") {
                return Ok(Vec::new());
            }
            return Err(self.service.refusal_within(&error.as_str().into()));
        }
        let candidates = answer.images_results.into_iter().filter_map(candidate);
        Ok(candidates.collect())
    }
}

fn candidate(found: Found) -> Option<Candidate> {
    let file_url = found.original?;
    let source = ImageSource {
        page_url: page(found.link),
        file_url: Some(file_url.clone()),
        title: tidy(found.title),
        author: tidy(found.source),
        license: None,
    };
    Some(Candidate { file_url, source })
}
