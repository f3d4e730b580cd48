//! Openverse: openly licensed pictures, no key.
//! `GET {base}/v1/images/?q=…` (<https://api.openverse.org/v1/>).

use async_trait::async_trait;
use illumine_types::document::ImageSource;
use reqwest::Method;
use serde::Deserialize;

use super::{Candidate, Finder, page, tidy};
use crate::ToolError;
use crate::service::Service;

/// What is answered without a key.
const PAGE_SIZE: &str = "20";

#[derive(Debug)]
pub(crate) struct Openverse {
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
    foreign_landing_url: Option<String>,
    creator: Option<String>,
    license: Option<String>,
    license_version: Option<String>,
    #[serde(default)]
    mature: bool,
}

#[async_trait]
impl Finder for Openverse {
    fn name(&self) -> &'static str {
        "openverse"
    }

    async fn find(&self, query: &str) -> Result<Vec<Candidate>, ToolError> {
        let request = self.service.request(Method::GET, "/v1/images/").query(&[
            ("q", query),
            ("page_size", PAGE_SIZE),
            ("mature", "false"),
        ]);
        let answer: Answer = self.service.json(request).await?;
        Ok(answer.results.into_iter().filter_map(candidate).collect())
    }
}

fn candidate(found: Found) -> Option<Candidate> {
    let file_url = found.url.filter(|url| !url.is_empty() && !found.mature)?;
    let source = ImageSource {
        page_url: page(found.foreign_landing_url),
        file_url: Some(file_url.clone()),
        title: tidy(found.title),
        author: tidy(found.creator),
        license: found
            .license
            .map(|code| license_name(&code, found.license_version.as_deref())),
    };
    Some(Candidate { file_url, source })
}

/// `by-sa` and `2.0` as people write them: `CC BY-SA 2.0`.
fn license_name(code: &str, version: Option<&str>) -> String {
    let version = version.unwrap_or_default();
    let name = match code {
        "cc0" => "CC0".to_owned(),
        "pdm" => return "Public domain".into(),
        code if code.starts_with("by") => format!("CC {}", code.to_ascii_uppercase()),
        code => code.to_owned(),
    };
    format!("{name} {version}").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_have_their_usual_names() {
        assert_eq!(license_name("by-sa", Some("2.0")), "CC BY-SA 2.0");
        assert_eq!(license_name("cc0", Some("1.0")), "CC0 1.0");
        assert_eq!(license_name("pdm", Some("1.0")), "Public domain");
        assert_eq!(license_name("sampling+", None), "sampling+");
    }
}
