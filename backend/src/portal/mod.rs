//! The portal's files, as built into `web_dir`.
//!
//! Files are sent as compressed at build time (`app.wasm.br`); names with a
//! hash are cached for ever; other navigations get `index.html`, because the
//! portal routes its own addresses. A missing file is a 404, never a page.

mod content_policy;
mod encoding;
mod path;

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use actix_web::http::header::{self, ETag, EntityTag, HeaderMap};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use encoding::Encoding;
use sha2::{Digest, Sha256};

use crate::blob::is_known;
use crate::error::{ApiError, Result};
use crate::state::State;

const INDEX: &str = "index.html";
const UNBUILT: &str = include_str!("unbuilt.html");
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// Everything that no other route answers.
///
/// # Errors
/// `unknown_route` where there is no file and no page.
pub async fn serve(request: HttpRequest, state: Data<State>) -> Result<HttpResponse> {
    let unknown = || ApiError::UnknownRoute(request.path().chars().take(200).collect());
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(unknown());
    }
    let relative = path::relative(request.path()).ok_or_else(unknown)?;
    let is_root = relative.as_os_str().is_empty();
    if !is_root && relative != Path::new(INDEX) {
        if let Some(response) = asset(&request, &state.web_dir, &relative).await? {
            return Ok(response);
        }
        if !is_navigation(request.headers(), &relative) {
            return Err(unknown());
        }
    }
    index(&request, &state.web_dir).await
}

/// A page that a person opens: its address has no file name in it, and HTML is
/// wanted.
fn is_navigation(headers: &HeaderMap, relative: &Path) -> bool {
    let accepted = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let is_reserved = ["api", "v1", "docs"]
        .iter()
        .any(|first| relative.starts_with(first));
    relative.extension().is_none() && accepted.contains("text/html") && !is_reserved
}

async fn index(request: &HttpRequest, folder: &Path) -> Result<HttpResponse> {
    let file = folder.join(INDEX);
    let Ok(html) = tokio::fs::read_to_string(&file).await else {
        return Ok(HttpResponse::build(StatusCode::SERVICE_UNAVAILABLE)
            .content_type("text/html; charset=utf-8")
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::CONTENT_SECURITY_POLICY, content_policy::of(UNBUILT)))
            .body(UNBUILT));
    };
    let policy = content_policy::of(&html);
    let hash = format!("{:x}", Sha256::digest(&html));
    let encoding = Encoding::best(request.headers(), &existing(&file).await);
    let tag = EntityTag::new_strong(format!("{}{}", &hash[..16], encoding.suffix()));
    let mut response = HttpResponse::Ok();
    response
        .content_type("text/html; charset=utf-8")
        .insert_header(ETag(tag.clone()))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::VARY, "accept-encoding"))
        .insert_header((header::CONTENT_SECURITY_POLICY, policy));
    if is_known(request, &tag) {
        return Ok(response.status(StatusCode::NOT_MODIFIED).finish());
    }
    let body = match encoding {
        Encoding::Identity => html.into_bytes(),
        _ => read(&encoding.file(&file)).await?,
    };
    encoding.announce(&mut response);
    Ok(response.body(body))
}

/// A file of the portal, if there is one.
async fn asset(
    request: &HttpRequest,
    folder: &Path,
    relative: &Path,
) -> Result<Option<HttpResponse>> {
    let file = folder.join(relative);
    let Some(about) = tokio::fs::metadata(&file)
        .await
        .ok()
        .filter(std::fs::Metadata::is_file)
    else {
        return Ok(None);
    };
    let encoding = Encoding::best(request.headers(), &existing(&file).await);
    let changed = about
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let changed_ns = changed.unwrap_or_default().as_nanos();
    let tag = EntityTag::new_strong(format!(
        "{changed_ns:x}-{:x}{}",
        about.len(),
        encoding.suffix()
    ));
    let cache = if path::has_hash(relative) {
        FOR_EVER
    } else {
        "no-cache"
    };
    let mut response = HttpResponse::Ok();
    response
        .content_type(
            mime_guess::from_path(relative)
                .first_or_octet_stream()
                .as_ref(),
        )
        .insert_header(ETag(tag.clone()))
        .insert_header((header::CACHE_CONTROL, cache))
        .insert_header((header::VARY, "accept-encoding"));
    if is_known(request, &tag) {
        return Ok(Some(response.status(StatusCode::NOT_MODIFIED).finish()));
    }
    let body = read(&encoding.file(&file)).await?;
    encoding.announce(&mut response);
    Ok(Some(response.body(body)))
}

/// The encodings that a file exists in.
async fn existing(file: &Path) -> Vec<Encoding> {
    let mut found = vec![Encoding::Identity];
    for encoding in [Encoding::Brotli, Encoding::Gzip] {
        if tokio::fs::try_exists(encoding.file(file))
            .await
            .unwrap_or(false)
        {
            found.push(encoding);
        }
    }
    found
}

async fn read(file: &PathBuf) -> Result<Vec<u8>> {
    tokio::fs::read(file)
        .await
        .map_err(|error| ApiError::internal(format!("{}: {error}", file.display())))
}
