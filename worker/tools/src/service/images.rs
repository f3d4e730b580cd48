//! Answers in the shape of OpenAI's images API, which Ark shares.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::Service;
use crate::fetch::PictureFetcher;
use crate::{Picture, ToolError};

/// `{"data": [{"b64_json": "…"} | {"url": "…"} | {"error": {…}}]}`.
#[derive(Debug, Deserialize)]
pub(crate) struct ImagesAnswer {
    #[serde(default)]
    data: Vec<ImagesItem>,
    error: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
struct ImagesItem {
    b64_json: Option<String>,
    url: Option<String>,
    error: Option<Value>,
}

/// A service with such answers, and what fetches the pictures it names.
#[derive(Clone, Debug)]
pub(crate) struct ImagesService {
    pub service: Service,
    pub model: String,
    fetcher: PictureFetcher,
}

impl ImagesService {
    pub(crate) fn new(service: Service, model: String, fetcher: &PictureFetcher) -> Self {
        Self {
            fetcher: fetcher.with_service(service.base()),
            service,
            model,
        }
    }

    /// The first picture of an answer, checked.
    pub(crate) async fn picture(&self, answer: ImagesAnswer) -> Result<Picture, ToolError> {
        if let Some(error) = answer.error.filter(|error| !error.is_null()) {
            return Err(self.service.refusal_within(&error));
        }
        let item = answer.data.into_iter().next().unwrap_or_default();
        if let Some(error) = item.error.filter(|error| !error.is_null()) {
            return Err(self.service.refusal_within(&error));
        }
        match (item.b64_json, item.url) {
            (Some(text), _) => self.fetcher.check(self.decoded(&text)?).await,
            (None, Some(url)) => Ok(self.fetcher.fetch(&url).await?.0),
            (None, None) => Err(self.service.bad_answer()),
        }
    }

    fn decoded(&self, text: &str) -> Result<Bytes, ToolError> {
        decode_base64(text).ok_or_else(|| self.service.bad_answer())
    }
}

/// Bare base64, or with the `data:…;base64,` that some servers put before it.
pub(crate) fn decode_base64(text: &str) -> Option<Bytes> {
    let bare = match text.split_once(";base64,") {
        Some((scheme, rest)) if scheme.starts_with("data:") => rest,
        _ => text,
    };
    STANDARD.decode(bare.trim()).ok().map(Bytes::from)
}
