//! A document with four tools against its critical path.
//!
//! A loopback server streams the text and notes when it sent each tag's end;
//! the tools take a fixed time each. The critical path is the longer of the
//! stream and of every chain of tools, from the moment its tag was sent. The
//! target is at most 1.10 times that.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::Router;
use axum::response::sse::{Event, Sse};
use axum::routing::post;
use futures::{StreamExt, stream};
use illumine_agent::policy::openai::OpenAiPolicy;
use illumine_agent::{Agent, AgentSettings, GenerationInput, MemoryPictures, NoEvents};
use illumine_tools::{ImageTool, Picture, ToolContext, ToolError, ToolImage};
use illumine_types::capability::ToolCapability;
use illumine_types::document::Provenance;
use illumine_types::tool::ToolRequest;
use illumine_types::{JobId, ToolKind};
use tokio_util::sync::CancellationToken;

/// Between two pieces of text.
const PAUSE: Duration = Duration::from_millis(10);
const RUNS: usize = 5;

/// Tool, latency and, for an edit, the tag that it changes.
const TOOLS: [(ToolKind, u64, Option<usize>); 4] = [
    (ToolKind::Search, 400, None),
    (ToolKind::Diffusion, 1500, None),
    (ToolKind::Code, 300, None),
    (ToolKind::Edit, 1000, Some(1)),
];

fn pieces() -> Vec<String> {
    let filler = |words: usize| {
        (0..words)
            .map(|number| format!("word{number} "))
            .collect::<Vec<_>>()
    };
    let tag = |source: &str, params: &str| {
        format!(
            "\n\n<imgen>{{\"source\": \"{source}\", \"description\": \"x\", \"params\": {{{params}}}}}</imgen>\n\n"
        )
    };
    let mut pieces = vec!["# A benchmark\n\n".to_owned()];
    for (kind, params) in [
        ("search", "\"query\": \"x\""),
        ("diffusion", "\"prompt\": \"x\""),
        ("code", "\"code\": \"x\""),
        ("edit", "\"img_index\": 1, \"prompt\": \"x\""),
    ] {
        pieces.extend(filler(25));
        pieces.push(tag(kind, params));
    }
    pieces.extend(filler(50));
    pieces
}

#[derive(Clone)]
struct Slow(ToolKind, Duration);

#[async_trait]
impl ImageTool for Slow {
    fn kind(&self) -> ToolKind {
        self.0
    }

    fn capability(&self) -> ToolCapability {
        ToolCapability {
            tool: self.0,
            available: true,
            backends: vec!["slow".into()],
            reason: None,
            remedy: None,
        }
    }

    async fn run(&self, _: &ToolRequest, context: &ToolContext) -> Result<ToolImage, ToolError> {
        tokio::time::sleep(self.1).await;
        let mut png = std::io::Cursor::new(Vec::new());
        image::RgbImage::new(8, 8)
            .write_to(&mut png, image::ImageFormat::Png)
            .unwrap();
        let picture = Picture {
            bytes: png.into_inner().into(),
            mime: "image/png",
            width: 8,
            height: 8,
        };
        let parent = context.parent.is_some();
        let provenance: Provenance = serde_json::from_value(serde_json::json!({
            "tool": self.0, "backend": "slow", "elapsed_ms": 0, "attempts": 1, "parameters": {"parent": parent}
        }))
        .unwrap();
        Ok(ToolImage {
            picture,
            provenance,
        })
    }
}

/// When each tag's end, and the last piece, was sent.
type Sent = Arc<Mutex<Vec<Instant>>>;

async fn serve(sent: Sent) -> String {
    let app = Router::new().route(
        "/v1/chat/completions",
        post(move || {
            let sent = Arc::clone(&sent);
            async move {
                let said = stream::iter(pieces()).then(move |piece| {
                    let sent = Arc::clone(&sent);
                    async move {
                        tokio::time::sleep(PAUSE).await;
                        if piece.contains("</imgen>") {
                            sent.lock().unwrap().push(Instant::now());
                        }
                        let chunk = serde_json::json!({"choices": [{"delta": {"content": piece}}]});
                        Ok::<_, std::convert::Infallible>(Event::default().data(chunk.to_string()))
                    }
                });
                let stop = serde_json::json!({"choices": [{"delta": {}, "finish_reason": "stop"}]});
                let end = [
                    Event::default().data(stop.to_string()),
                    Event::default().data("[DONE]"),
                ];
                Sse::new(said.chain(stream::iter(end.map(Ok))))
            }
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}/v1")
}

fn critical_path(started: Instant, sent: &[Instant], stream_end: Duration) -> Duration {
    let mut ready: Vec<Duration> = Vec::new();
    for ((_, latency, parent), at) in TOOLS.iter().zip(sent) {
        let closed = at.duration_since(started);
        let start = parent.map_or(closed, |parent| closed.max(ready[parent]));
        ready.push(start + Duration::from_millis(*latency));
    }
    ready.into_iter().fold(stream_end, Duration::max)
}

#[tokio::main]
async fn main() {
    let sent = Sent::default();
    let base = serve(Arc::clone(&sent)).await;
    let policy = OpenAiPolicy::new(&base, "bench", None, Duration::from_secs(10)).unwrap();
    let tools = TOOLS.iter().map(|(kind, latency, _)| {
        Arc::new(Slow(*kind, Duration::from_millis(*latency))) as Arc<dyn ImageTool>
    });
    let agent = Agent::new(Arc::new(policy), tools.collect(), AgentSettings::default());
    let stream_time = PAUSE * u32::try_from(pieces().len()).unwrap();
    let mut ratios = Vec::new();
    for _ in 0..RUNS {
        sent.lock().unwrap().clear();
        let input = GenerationInput {
            id: JobId::parse("gen_01J9ZD1N7H0000000000000000").unwrap(),
            prompt: "bench".into(),
            inputs: Vec::new(),
            options: illumine_types::api::GenerationOptions::default(),
            created_at: illumine_types::Timestamp::default(),
            queued_ms: 0,
        };
        let started = Instant::now();
        let document = agent
            .generate(
                &input,
                &NoEvents,
                Arc::new(MemoryPictures::default()),
                CancellationToken::new(),
            )
            .await
            .unwrap();
        let took = started.elapsed();
        assert_eq!(document.images().count(), TOOLS.len());
        assert!(
            document
                .images()
                .all(|image| matches!(image.outcome, illumine_types::Outcome::Ready { .. }))
        );
        let critical = critical_path(started, &sent.lock().unwrap(), stream_time);
        ratios.push(took.as_secs_f64() / critical.as_secs_f64());
        println!("took {took:.2?}, critical path {critical:.2?}");
    }
    ratios.sort_by(f64::total_cmp);
    let sum: u64 = TOOLS.iter().map(|(_, latency, _)| latency).sum();
    println!(
        "median {:.3} × the critical path (target ≤ 1.10); one after the other it would be {:.2?}",
        ratios[RUNS / 2],
        stream_time + Duration::from_millis(sum)
    );
}
