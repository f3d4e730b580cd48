//! SearXNG: `GET {base}/search?format=json&categories=images&q=…`
//! (<https://docs.searxng.org/dev/search_api.html>; `json` must be among the
//! instance's `search.formats`, or it answers 403).

use async_trait::async_trait;
use illumine_types::document::ImageSource;
use reqwest::Method;
use serde::Deserialize;

use super::{Candidate, Finder, page, tidy};
use crate::ToolError;
use crate::service::Service;

#[derive(Debug)]
pub(crate) struct SearxNg {
    pub service: Service,
}

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    results: Vec<Found>,
}

#[derive(Debug, Deserialize)]
struct Found {
    url: Option<String>,
    title: Option<String>,
    img_src: Option<String>,
    author: Option<String>,
    source: Option<String>,
}

#[async_trait]
impl Finder for SearxNg {
    fn name(&self) -> &'static str {
        "searxng"
    }

    async fn find(&self, query: &str) -> Result<Vec<Candidate>, ToolError> {
        let request = self.service.request(Method::GET, "/search").query(&[
            ("q", query),
            ("format", "json"),
            ("categories", "images"),
            ("safesearch", "1"),
        ]);
        let answer: Answer = self.service.json(request).await.map_err(|error| match error {
            ToolError::Permanent { code: "backend_denied", .. } => ToolError::permanent(
                "backend_denied",
                "SearXNG does not answer in JSON; add `json` to search.formats in its settings.yml",
            ),
            other => other,
        })?;
        Ok(answer.results.into_iter().filter_map(candidate).collect())
    }
}

fn candidate(found: Found) -> Option<Candidate> {
    let address = found.img_src.filter(|address| !address.is_empty())?;
    // engines pass on addresses without a scheme
    let file_url = match address.strip_prefix("//") {
        Some(rest) => format!("https://{rest}"),
        None => address,
    };
    let source = ImageSource {
        page_url: page(found.url),
        file_url: Some(file_url.clone()),
        title: tidy(found.title),
        author: tidy(found.author).or_else(|| tidy(found.source)),
        license: None,
    };
    Some(Candidate { file_url, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_without_a_scheme_are_completed() {
        let found = |img_src: &str| Found {
            url: Some("javascript:alert(1)".into()),
            title: None,
            img_src: Some(img_src.into()),
            author: None,
            source: None,
        };
        let taken = candidate(found("//pictures.example.com/a.png")).unwrap();
        assert_eq!(taken.file_url, "https://pictures.example.com/a.png");
        assert_eq!(taken.source.page_url, None, "no page that is not http");
        assert_eq!(candidate(found("")), None);
    }
}
