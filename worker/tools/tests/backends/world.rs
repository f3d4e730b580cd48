//! A loopback server with a script, pictures, and a toolbox pointed at it.

use std::future::Future;
use std::io::Cursor;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use illumine_config::{Config, ToolSettings};
use illumine_guard::Resolve;
use illumine_tools::painter::Painter;
use illumine_tools::{
    ImageTool, Painters, Picture, Retry, ToolContext, ToolError, ToolImage, Toolbox, Tuning,
};
use illumine_types::ToolKind;
use illumine_types::tool::ToolRequest;
use image::{DynamicImage, ImageFormat, RgbImage};
use serde_json::Value;
use tokio::net::TcpListener;

/// A request that reached a server.
#[derive(Clone, Debug)]
pub struct Seen {
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Requests before this one.
    pub before: usize,
}

impl Seen {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// A server that answers by script and remembers.
pub struct Server {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub async fn start<F, A, R>(script: F) -> Self
    where
        F: Fn(Seen) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = R> + Send,
        R: IntoResponse,
    {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let log = Arc::clone(&seen);
        let handler = move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let (script, log) = (script.clone(), Arc::clone(&log));
            async move {
                let request = {
                    let mut log = log.lock().unwrap();
                    let before = log.len();
                    let request = Seen {
                        uri,
                        headers,
                        body,
                        before,
                    };
                    log.push(request.clone());
                    request
                };
                script(request).await.into_response()
            }
        };
        let router = Router::new()
            .fallback(handler)
            .layer(axum::extract::DefaultBodyLimit::disable());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, seen }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// A server that never answers.
pub async fn hanging() -> Server {
    Server::start(|_| std::future::pending::<Response>()).await
}

pub fn encoded(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let picture = RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 9]));
    let mut bytes = Vec::new();
    DynamicImage::from(picture)
        .write_to(&mut Cursor::new(&mut bytes), format)
        .unwrap();
    bytes
}

pub fn png() -> Vec<u8> {
    encoded(320, 240, ImageFormat::Png)
}

pub fn png_base64() -> String {
    STANDARD.encode(png())
}

pub fn settings() -> ToolSettings {
    let mut settings = Config::default().tools;
    settings.library_dir = "does/not/exist".into();
    settings
}

/// No waits worth speaking of.
pub fn tuning() -> Tuning {
    Tuning {
        retry: Retry {
            attempts: 3,
            first_wait: Duration::from_millis(2),
            longest_wait: Duration::from_secs(5),
        },
        search_timeout: Duration::from_secs(30),
        fetch_timeout: Duration::from_secs(5),
        server_rest: Duration::from_secs(60),
        library_keep: Duration::ZERO,
        ..Tuning::default()
    }
}

/// Every name is this machine.
pub struct EveryNameIsHere;

#[async_trait::async_trait]
impl Resolve for EveryNameIsHere {
    async fn resolve(&self, _: &str, _: u16) -> Vec<IpAddr> {
        vec!["127.0.0.1".parse().unwrap()]
    }
}

pub fn tool(settings: &ToolSettings, kind: ToolKind) -> Arc<dyn ImageTool> {
    tuned(settings, kind, tuning())
}

pub fn tuned(settings: &ToolSettings, kind: ToolKind, tuning: Tuning) -> Arc<dyn ImageTool> {
    let toolbox = Toolbox::without_code(settings, None, &Painters::default(), tuning);
    Arc::clone(toolbox.get(kind).unwrap())
}

/// With a painter for both of the drawing tools.
pub fn painted(
    settings: &ToolSettings,
    kind: ToolKind,
    painter: Arc<dyn Painter>,
) -> Arc<dyn ImageTool> {
    let painters = Painters {
        diffusion: Some(Ok(Arc::clone(&painter))),
        edit: Some(Ok(painter)),
    };
    let toolbox = Toolbox::without_code(settings, None, &painters, tuning());
    Arc::clone(toolbox.get(kind).unwrap())
}

pub fn search_for(query: &str) -> ToolRequest {
    ToolRequest::Search {
        query: query.into(),
    }
}

pub fn draw(prompt: &str) -> ToolRequest {
    ToolRequest::Diffusion {
        prompt: prompt.into(),
    }
}

pub fn edit(prompt: &str) -> ToolRequest {
    ToolRequest::Edit {
        img_index: 2,
        prompt: prompt.into(),
    }
}

pub fn seeded(seed: u64) -> ToolContext {
    let mut context = ToolContext::default();
    context.options.seed = Some(seed);
    context
}

pub fn with_parent(bytes: Vec<u8>) -> ToolContext {
    let picture = illumine_guard::picture::inspect_blocking(bytes.into(), Default::default());
    with_picture(picture.unwrap())
}

fn with_picture(parent: Picture) -> ToolContext {
    ToolContext {
        parent: Some(parent),
        ..ToolContext::default()
    }
}

pub async fn run(tool: &Arc<dyn ImageTool>, request: &ToolRequest) -> Result<ToolImage, ToolError> {
    tool.run(request, &ToolContext::default()).await
}
