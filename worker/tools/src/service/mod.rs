//! Talking to configured services over HTTP, the same way for all of them.
//!
//! A service is trusted with its own key and nothing else: no redirect is
//! followed (a key must not travel), answers are cut off, and whatever it says
//! in an error is shortened and stripped of the key before anyone sees it.

mod answer;
mod images;
mod pool;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use illumine_config::Secret;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use url::{Host, Url};

pub(crate) use images::{ImagesService, decode_base64};
pub(crate) use pool::Pool;

use crate::ToolError;

/// An answer with pictures in base64 fits; a flood does not.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// One service: where it is, its key, and which settings name them.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    /// For messages, e.g. `SerpAPI`.
    pub name: &'static str,
    base: Url,
    key: Option<Secret>,
    /// The setting to look at when the address is wrong.
    address_variable: &'static str,
    /// The setting to look at when the key is refused.
    key_variable: &'static str,
    client: Client,
}

impl Service {
    /// # Errors
    /// In words, when `base` is not an http address.
    pub(crate) fn new(
        name: &'static str,
        base: &str,
        key: Option<&Secret>,
        address_variable: &'static str,
        key_variable: &'static str,
    ) -> Result<Self, String> {
        let wrong = || format!("{address_variable} is not an http or https address");
        let mut base = Url::parse(base.trim()).map_err(|_| wrong())?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(wrong());
        }
        let path = base.path().trim_end_matches('/').to_owned();
        base.set_path(&path);
        base.set_query(None);
        let mut builder = Client::builder()
            .redirect(Policy::none())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("illumine/", env!("CARGO_PKG_VERSION")));
        if is_near(&base) {
            builder = builder.no_proxy();
        }
        let client = builder
            .build()
            .map_err(|_| format!("no HTTP client for {name}"))?;
        Ok(Self {
            name,
            base,
            key: key.cloned(),
            address_variable,
            key_variable,
            client,
        })
    }

    /// The address as configured.
    pub(crate) fn base(&self) -> &str {
        self.base.as_str()
    }

    pub(crate) fn key(&self) -> &str {
        self.key.as_ref().map_or("", Secret::expose)
    }

    /// A request to `base` + `path`, without the key.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        self.client.request(method, url)
    }

    /// The same with the key as a bearer token, when there is one.
    pub(crate) fn authorised(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.request(method, path);
        match &self.key {
            Some(key) => request.bearer_auth(key.expose()),
            None => request,
        }
    }

    /// Sends and reads a JSON answer.
    pub(crate) async fn json<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<T, ToolError> {
        let body = self.send(request).await?;
        serde_json::from_slice(&body).map_err(|_| self.bad_answer())
    }

    /// Sends and reads an answer with a success status.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Bytes, ToolError> {
        let response = request.send().await.map_err(|error| self.lost(&error))?;
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let body = self.read(response).await?;
        if status.is_success() {
            return Ok(body);
        }
        Err(self.refusal(status.as_u16(), retry_after, &body))
    }

    async fn read(&self, response: Response) -> Result<Bytes, ToolError> {
        let mut body = BytesMut::new();
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| self.lost(&error))?;
            if body.len() + chunk.len() > ANSWER_BYTES {
                let message = format!("{} sent more than {ANSWER_BYTES} bytes", self.name);
                return Err(ToolError::permanent("backend_bad_answer", message));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    fn lost(&self, error: &reqwest::Error) -> ToolError {
        let name = self.name;
        if error.is_timeout() {
            return ToolError::transient("backend_timeout", format!("{name} took too long"));
        }
        self.unreachable()
    }

    pub(crate) fn unreachable(&self) -> ToolError {
        let (name, setting) = (self.name, self.address_variable);
        let message = format!("{name} cannot be reached; check {setting}");
        ToolError::transient("backend_unreachable", message)
    }

    pub(crate) fn bad_answer(&self) -> ToolError {
        let (name, setting) = (self.name, self.address_variable);
        let message = format!("{name} did not answer as it should; check {setting}");
        ToolError::permanent("backend_bad_answer", message)
    }
}

/// On this machine or this network, where a proxy would be in the way.
fn is_near(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(v4)) => illumine_guard::address::inside(v4.into()).is_some(),
        Some(Host::Ipv6(v6)) => illumine_guard::address::inside(v6.into()).is_some(),
        Some(Host::Domain(name)) => name == "localhost" || !name.contains('.'),
        None => false,
    }
}

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
