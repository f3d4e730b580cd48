//! Fetching what an untrusted party named.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use url::Url;

use crate::redact::redact_url;
use crate::target::Target;
use crate::{Allow, FetchError, Resolve, SystemResolver};

const USER_AGENT: &str = concat!("illumine/", env!("CARGO_PKG_VERSION"));

/// How long and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchLimits {
    /// From the first look-up to the last byte, redirects included.
    pub total: Duration,
    pub connect: Duration,
    pub bytes: usize,
    pub redirects: usize,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self {
            total: Duration::from_secs(15),
            connect: Duration::from_secs(5),
            bytes: 20 * 1024 * 1024,
            redirects: 5,
        }
    }
}

/// What was fetched.
#[derive(Clone, Debug)]
pub struct Fetched {
    pub bytes: Bytes,
    /// After redirects.
    pub final_url: Url,
    /// What the server says it is: a claim, not a fact.
    pub mime: Option<String>,
}

/// Fetches from public addresses only.
///
/// A name is looked up here, every address found is judged, and the connection
/// goes to those addresses and no others, so that a second look-up cannot give
/// another answer. Redirects are followed by hand and judged like the first
/// address. No proxy, no cookies, no credentials.
#[derive(Clone)]
pub struct Guard {
    allow: Allow,
    resolver: Arc<dyn Resolve>,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard")
            .field("allow", &self.allow)
            .finish_non_exhaustive()
    }
}

impl Default for Guard {
    fn default() -> Self {
        Self::new(Allow::default())
    }
}

impl Guard {
    #[must_use]
    pub fn new(allow: Allow) -> Self {
        Self::with_resolver(allow, Arc::new(SystemResolver))
    }

    #[must_use]
    pub fn with_resolver(allow: Allow, resolver: Arc<dyn Resolve>) -> Self {
        Self { allow, resolver }
    }

    /// The same guard that also lets a configured service's host through.
    #[must_use]
    pub fn with_service(&self, url: &str) -> Self {
        Self {
            allow: self.allow.clone().with_service(url),
            resolver: Arc::clone(&self.resolver),
        }
    }

    /// Fetches `url` with GET.
    ///
    /// # Errors
    /// [`FetchError`]; refusals for safety are logged with the URL redacted.
    pub async fn fetch(&self, url: &str, limits: FetchLimits) -> Result<Fetched, FetchError> {
        let parsed = Url::parse(url.trim()).map_err(|_| FetchError::NotAUrl)?;
        let host = parsed.host_str().unwrap_or_default().to_owned();
        let followed = tokio::time::timeout(limits.total, self.follow(parsed.clone(), limits));
        let result = followed.await.unwrap_or(Err(FetchError::Timeout(host)));
        if let Err(error) = &result {
            let url = redact_url(&parsed);
            if error.is_refusal() {
                tracing::warn!(%url, code = error.code(), %error, "fetch refused");
            } else {
                tracing::debug!(%url, code = error.code(), %error, "fetch failed");
            }
        }
        result
    }

    async fn follow(&self, mut url: Url, limits: FetchLimits) -> Result<Fetched, FetchError> {
        for _ in 0..=limits.redirects {
            let target = Target::check(url, &self.allow)?;
            let addresses = self.addresses(&target).await?;
            let response = get(&target, &addresses, limits).await?;
            if !is_redirect(response.status()) {
                return read(&target, response, limits.bytes).await;
            }
            let location = response.headers().get(LOCATION);
            let location = location.and_then(|value| value.to_str().ok());
            let location = location.ok_or(FetchError::BadRedirect)?;
            url = target
                .url
                .join(location)
                .map_err(|_| FetchError::BadRedirect)?;
        }
        Err(FetchError::Redirects(limits.redirects))
    }

    /// Every address must be fit: one inside address among public ones is how
    /// a rebinding name looks.
    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, FetchError> {
        let found = match target.literal {
            Some(address) => vec![address],
            None => self.resolver.resolve(&target.host, target.port).await,
        };
        if found.is_empty() {
            return Err(FetchError::Unresolved(target.host.clone()));
        }
        for address in &found {
            target.judge(*address)?;
        }
        let socket = |address| SocketAddr::new(address, target.port);
        Ok(found.into_iter().map(socket).collect())
    }
}

async fn get(
    target: &Target,
    addresses: &[SocketAddr],
    limits: FetchLimits,
) -> Result<Response, FetchError> {
    let unreachable = || FetchError::Connection(target.host.clone());
    let client = Client::builder()
        .no_proxy()
        .no_gzip()
        .redirect(Policy::none())
        .referer(false)
        .user_agent(USER_AGENT)
        .connect_timeout(limits.connect)
        .resolve_to_addrs(&target.host, addresses)
        .build()
        .map_err(|_| unreachable())?;
    let request = client.get(target.url.clone()).header(
        ACCEPT,
        "image/png,image/jpeg,image/webp,image/gif;q=0.9,*/*;q=0.1",
    );
    request.send().await.map_err(|error| {
        if error.is_timeout() {
            FetchError::Timeout(target.host.clone())
        } else {
            unreachable()
        }
    })
}

async fn read(target: &Target, response: Response, limit: usize) -> Result<Fetched, FetchError> {
    let status = response.status();
    if !status.is_success() {
        return Err(FetchError::Status {
            host: target.host.clone(),
            status: status.as_u16(),
            retry_after: retry_after(response.headers()),
        });
    }
    let announced = response.content_length().unwrap_or_default();
    if announced > limit as u64 {
        return Err(FetchError::TooLarge(limit));
    }
    let mime = response.headers().get(CONTENT_TYPE);
    let mime = mime
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let mut body = BytesMut::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| FetchError::Connection(target.host.clone()))?;
        if body.len() + chunk.len() > limit {
            return Err(FetchError::TooLarge(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Fetched {
        bytes: body.freeze(),
        final_url: target.url.clone(),
        mime,
    })
}

const fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Seconds alone; a date is rare and worth no clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}
