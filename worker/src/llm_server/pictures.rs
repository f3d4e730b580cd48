//! The prompt of a chat with its pictures: fetched through the guard, checked by
//! their content, and cut into what the model looks at.
//!
//! ```text
//! data: URL ──decode──┐
//! http URL ──guard────┴▶ bytes ─▶ type, pixels, whole decode ─▶ tokens ─▶ patches
//! ```
//!
//! Whatever is refused is refused with the part at fault.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use illumine_guard::PictureLimits;
use illumine_models::engine::Engine;
use illumine_models::qwen25_vl::{self, VisionMessage, VisionPrompt};
use illumine_models::tokenizer::Role;
use illumine_tools::ToolError;
use illumine_tools::fetch::PictureFetcher;

use super::message::{Message, Part, Source};
use super::{ApiError, Server};

/// Bytes of all pictures of a request, as they come.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Pixels of all pictures of a request: three bytes each while they are cut up.
const MAX_PIXELS: u64 = 100_000_000;
/// Pixels of one picture.
const MAX_PICTURE_PIXELS: u64 = 50_000_000;

/// Limits of one picture.
pub fn picture_limits() -> PictureLimits {
    PictureLimits {
        pixels: MAX_PICTURE_PIXELS,
        ..PictureLimits::default()
    }
}

/// A message with its pictures at hand.
struct Fetched {
    role: Role,
    content: Vec<FetchedPart>,
}

enum FetchedPart {
    Text(String),
    Picture { param: String, bytes: Bytes },
}

/// What the model reads of `messages`.
///
/// # Errors
/// 400 with the part at fault; those of the model's prompt.
pub async fn prompt(
    server: &Arc<Server>,
    messages: Vec<Message>,
) -> Result<VisionPrompt, ApiError> {
    let fetched = fetch(&server.fetcher, messages).await?;
    // Whole pictures take memory, and cutting them up takes cores.
    let turn = Arc::clone(&server.looking).acquire_owned().await;
    let turn = turn.map_err(|_| ApiError::stopped())?;
    let engine = server.engine.clone();
    let made = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        look(&engine, fetched)
    });
    made.await.map_err(|_| ApiError::stopped())?
}

async fn fetch(fetcher: &PictureFetcher, messages: Vec<Message>) -> Result<Vec<Fetched>, ApiError> {
    let (mut bytes, mut pixels) = (MAX_BYTES, MAX_PIXELS);
    let mut fetched = Vec::with_capacity(messages.len());
    for Message { role, content } in messages {
        let mut parts = Vec::with_capacity(content.len());
        for part in content {
            parts.push(match part {
                Part::Text(text) => FetchedPart::Text(text),
                Part::Picture(source) => {
                    let picture = picture(fetcher, &source, bytes).await?;
                    let size = u64::from(picture.width) * u64::from(picture.height);
                    bytes = bytes.saturating_sub(picture.bytes.len());
                    pixels = pixels.checked_sub(size).ok_or_else(|| {
                        let message = format!(
                            "the pictures up to this one have more than {MAX_PIXELS} pixels; send fewer or smaller ones."
                        );
                        ApiError::picture(&source.param, "picture_too_many_pixels", message)
                    })?;
                    FetchedPart::Picture {
                        param: source.param,
                        bytes: picture.bytes,
                    }
                }
            });
        }
        fetched.push(Fetched {
            role,
            content: parts,
        });
    }
    Ok(fetched)
}

/// A picture of at most `left` bytes, checked.
async fn picture(
    fetcher: &PictureFetcher,
    source: &Source,
    left: usize,
) -> Result<illumine_guard::Picture, ApiError> {
    let refused =
        |error: ToolError| ApiError::picture(&source.param, error.code(), format!("{error}."));
    let mut fetcher = fetcher.clone();
    fetcher.fetch_limits.bytes = fetcher.fetch_limits.bytes.min(left);
    fetcher.picture_limits.bytes = fetcher.picture_limits.bytes.min(left);
    let Some((claimed, bytes)) = inline(source, fetcher.picture_limits.bytes)? else {
        let (picture, _) = fetcher.fetch(&source.url).await.map_err(refused)?;
        return Ok(picture);
    };
    let picture = fetcher.check(bytes).await.map_err(refused)?;
    if !claims(&claimed, picture.mime) {
        let message = format!("is called {claimed} and is {}.", picture.mime);
        return Err(ApiError::picture(&source.param, "picture_type", message));
    }
    Ok(picture)
}

/// The type and the bytes of a `data:` URL; none of another one.
fn inline(source: &Source, limit: usize) -> Result<Option<(String, Bytes)>, ApiError> {
    let refuse = |message: String| Err(ApiError::picture(&source.param, "url_invalid", message));
    let Some((scheme, rest)) = source.url.split_once(':') else {
        return refuse("is neither an address nor a `data:` URL.".to_owned());
    };
    if !scheme.eq_ignore_ascii_case("data") {
        return Ok(None);
    }
    let head = rest.split_once(',').and_then(|(head, data)| {
        let claimed = head.strip_suffix(";base64")?;
        Some((claimed.to_ascii_lowercase(), data))
    });
    let Some((claimed, data)) = head else {
        return refuse("a `data:` URL must be of the form `data:image/png;base64,…`.".to_owned());
    };
    // Four characters stand for three bytes.
    if data.len() / 4 > limit / 3 {
        return refuse(format!("the picture has more than {limit} bytes."));
    }
    match STANDARD.decode(data) {
        Ok(bytes) => Ok(Some((claimed, bytes.into()))),
        Err(error) => refuse(format!("is not base64: {error}.")),
    }
}

/// Whether a picture of the type `mime` may be called `claimed`.
fn claims(claimed: &str, mime: &str) -> bool {
    claimed == mime || (claimed == "image/jpg" && mime == "image/jpeg")
}

/// Decodes the pictures and makes the prompt; blocks.
fn look(engine: &Engine, messages: Vec<Fetched>) -> Result<VisionPrompt, ApiError> {
    let model = engine.model();
    let context = model.folder().config.context_length();
    let mut tokens = 0;
    let mut shown = Vec::with_capacity(messages.len());
    for Fetched { role, content } in messages {
        let mut parts = Vec::with_capacity(content.len());
        for part in content {
            parts.push(match part {
                FetchedPart::Text(text) => qwen25_vl::Part::Text(text),
                FetchedPart::Picture { param, bytes } => {
                    let picture = qwen25_vl::Picture::decode(param.as_str(), &bytes)?;
                    tokens += model.picture_tokens(&picture)?;
                    if tokens >= context {
                        return Err(ApiError::context(&param, tokens, context));
                    }
                    qwen25_vl::Part::Picture(picture)
                }
            });
        }
        shown.push(VisionMessage {
            role,
            content: parts,
        });
    }
    Ok(model.prompt(&shown)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(url: &str) -> Source {
        Source {
            param: "here".to_owned(),
            url: url.to_owned(),
        }
    }

    #[test]
    fn data_urls_are_taken_apart() {
        let (claimed, bytes) = inline(&source("data:image/PNG;base64,aGk="), 99)
            .unwrap()
            .unwrap();
        assert_eq!((claimed.as_str(), &bytes[..]), ("image/png", &b"hi"[..]));
        assert!(inline(&source("https://host/x.png"), 99).unwrap().is_none());
        for bad in [
            "x.png",
            "data:image/png,abc",
            "data:image/png;base64",
            "data:image/png;base64,***",
            "data:image/png;base64,aGVsbG8gd29ybGQ=",
        ] {
            let error = inline(&source(bad), 5).unwrap_err().to_json();
            assert_eq!(error["error"]["param"], "here", "{bad}");
        }
    }

    #[test]
    fn a_claim_must_hold() {
        assert!(claims("image/png", "image/png") && claims("image/jpg", "image/jpeg"));
        assert!(!claims("image/png", "image/gif") && !claims("", "image/png"));
    }
}
