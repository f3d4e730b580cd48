//! A scripted policy and tools with set latencies. Time is tokio's, which
//! stands still but for sleeps: what overlaps shows exactly.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use illumine_agent::policy::{ChatRequest, Delta, DeltaStream, FinishReason, Policy, PolicyError};
use illumine_agent::{Agent, AgentSettings, EventSink, GenerationInput, MemoryPictures};
use illumine_tools::{Advance, ImageTool, Picture, ToolContext, ToolError, ToolImage};
use illumine_types::api::GenerationOptions;
use illumine_types::capability::ToolCapability;
use illumine_types::document::{Provenance, Usage};
use illumine_types::tag::write_tag;
use illumine_types::tool::ToolRequest;
use illumine_types::{Document, EventKind, JobId, Outcome, ToolCall, ToolKind};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What the policy does, one step after the other.
#[derive(Clone, Debug)]
pub enum Step {
    Say(String),
    Wait(Duration),
    Fail(PolicyError),
    /// Ends without a last piece.
    Vanish,
    Hang,
    Length,
}

pub fn say(text: impl Into<String>) -> Step {
    Step::Say(text.into())
}

pub fn broke_off() -> PolicyError {
    PolicyError::Transient {
        code: "policy_broke_off",
        message: "the line went dead".into(),
        retry_after: None,
    }
}

/// Plays one script for each request; the last one again and again.
#[derive(Default)]
pub struct Script {
    scripts: Mutex<VecDeque<Vec<Step>>>,
    pub requests: Mutex<Vec<ChatRequest>>,
    pub vision: bool,
}

impl Script {
    pub fn new(scripts: impl IntoIterator<Item = Vec<Step>>) -> Arc<Self> {
        Arc::new(Self {
            scripts: Mutex::new(scripts.into_iter().collect()),
            ..Self::default()
        })
    }
}

impl Policy for Script {
    fn name(&self) -> &str {
        "script:test"
    }

    fn summary(&self) -> String {
        "a script".into()
    }

    fn vision(&self) -> bool {
        self.vision
    }

    fn stream(&self, request: ChatRequest, _cancel: CancellationToken) -> DeltaStream {
        self.requests.lock().unwrap().push(request);
        let mut scripts = self.scripts.lock().unwrap();
        let steps = match scripts.len() {
            1 => scripts[0].clone(),
            _ => scripts.pop_front().unwrap(),
        };
        let steps = stream::iter(steps.into_iter().map(Some).chain([None]));
        let pieces = steps.then(|step| async {
            match step {
                Some(Step::Say(text)) => vec![Ok(Delta::Text(text))],
                Some(Step::Wait(time)) => {
                    sleep(time).await;
                    Vec::new()
                }
                Some(Step::Fail(error)) => vec![Err(error)],
                Some(Step::Hang) => std::future::pending().await,
                Some(Step::Vanish) => vec![Err(PolicyError::Transient {
                    code: "test_end",
                    message: String::new(),
                    retry_after: None,
                })],
                Some(Step::Length) => vec![Ok(finished(FinishReason::Length))],
                None => vec![Ok(finished(FinishReason::Stop))],
            }
        });
        let pieces = pieces.flat_map(stream::iter);
        let vanished = |piece: &Result<Delta, PolicyError>| !matches!(piece, Err(error) if error.code() == "test_end");
        pieces
            .take_while(move |piece| std::future::ready(vanished(piece)))
            .boxed()
    }
}

fn finished(reason: FinishReason) -> Delta {
    let usage = Usage {
        prompt_tokens: 3,
        completion_tokens: 5,
    };
    Delta::Finished { reason, usage }
}

/// A tool that takes its time and gives a picture whose bytes name the call.
pub struct SlowTool {
    pub kind: ToolKind,
    pub takes: Duration,
    /// Start, end and request of every call, from the clock's `zero`.
    pub calls: Mutex<Vec<(Duration, Option<Duration>, ToolRequest)>>,
    pub parents: Mutex<Vec<Bytes>>,
    pub zero: Instant,
    pub unavailable: bool,
    pub result: fn(&ToolRequest) -> Result<(), ToolError>,
}

impl SlowTool {
    pub fn new(kind: ToolKind, takes: Duration) -> Self {
        Self {
            kind,
            takes,
            calls: Mutex::default(),
            parents: Mutex::default(),
            zero: Instant::now(),
            unavailable: false,
            result: |_| Ok(()),
        }
    }

    /// When call number `index` started and ended.
    pub fn span(&self, index: usize) -> (Duration, Option<Duration>) {
        let calls = self.calls.lock().unwrap();
        (calls[index].0, calls[index].1)
    }

    pub fn count(&self) -> usize {
        self.calls.lock().unwrap().len()
    }
}

#[async_trait]
impl ImageTool for SlowTool {
    fn kind(&self) -> ToolKind {
        self.kind
    }

    fn capability(&self) -> ToolCapability {
        ToolCapability {
            tool: self.kind,
            available: !self.unavailable,
            backends: vec!["test".into()],
            reason: self.unavailable.then(|| "No server is set.".into()),
            remedy: self.unavailable.then(|| "QWEN_IMAGE_SERVER_URL".into()),
        }
    }

    async fn run(
        &self,
        request: &ToolRequest,
        context: &ToolContext,
    ) -> Result<ToolImage, ToolError> {
        let index = {
            let mut calls = self.calls.lock().unwrap();
            calls.push((self.zero.elapsed(), None, request.clone()));
            calls.len() - 1
        };
        if let Some(parent) = &context.parent {
            self.parents.lock().unwrap().push(parent.bytes.clone());
        }
        (context.progress)(Advance {
            fraction: 0.5,
            preview: Some(bytes::Bytes::from_static(b"preview")),
        });
        tokio::select! {
            () = sleep(self.takes) => {}
            () = context.cancel.cancelled() => return Err(ToolError::Cancelled),
        }
        self.calls.lock().unwrap()[index].1 = Some(self.zero.elapsed());
        (self.result)(request)?;
        Ok(ToolImage {
            picture: picture(&format!("{request:?} {:?}", context.options.seed)),
            provenance: provenance(self.kind, context.options.seed),
        })
    }
}

pub fn picture(content: &str) -> Picture {
    Picture {
        bytes: Bytes::from(content.to_owned()),
        mime: "image/png",
        width: 4,
        height: 3,
    }
}

fn provenance(tool: ToolKind, seed: Option<u64>) -> Provenance {
    Provenance {
        tool,
        backend: "test".into(),
        model: None,
        seed,
        parameters: serde_json::Map::new(),
        source: None,
        program: None,
        parent: None,
        elapsed_ms: 0,
        attempts: 1,
    }
}

/// Keeps all events with the time of each.
#[derive(Default)]
pub struct Recorder {
    pub events: Mutex<Vec<(Instant, EventKind)>>,
}

#[async_trait]
impl EventSink for Recorder {
    async fn emit(&self, event: EventKind) {
        self.events.lock().unwrap().push((Instant::now(), event));
    }
}

impl Recorder {
    pub fn kinds(&self) -> Vec<EventKind> {
        let events = self.events.lock().unwrap();
        events.iter().map(|(_, event)| event.clone()).collect()
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        for event in self.kinds() {
            if let EventKind::Text { delta } = event {
                text += &delta;
            }
        }
        text
    }

    pub fn finished(&self) -> Vec<usize> {
        let kinds = self.kinds().into_iter();
        kinds
            .filter_map(|event| match event {
                EventKind::ToolFinished { index, .. } => Some(index),
                _ => None,
            })
            .collect()
    }
}

pub fn tag(request: ToolRequest) -> String {
    write_tag(&ToolCall {
        request,
        description: "A caption".into(),
    })
}

pub fn search(query: &str) -> ToolRequest {
    ToolRequest::Search {
        query: query.into(),
    }
}

pub fn code(code: &str) -> ToolRequest {
    ToolRequest::Code { code: code.into() }
}

pub fn edit(img_index: usize, prompt: &str) -> ToolRequest {
    ToolRequest::Edit {
        img_index,
        prompt: prompt.into(),
    }
}

pub fn input(options: GenerationOptions) -> GenerationInput {
    GenerationInput {
        id: JobId::parse("gen_01J9ZD1N7H0000000000000000").unwrap(),
        prompt: "Write about red pandas".into(),
        inputs: Vec::new(),
        options,
        created_at: chrono::DateTime::UNIX_EPOCH,
        queued_ms: 7,
    }
}

pub struct Bench {
    pub recorder: Recorder,
    pub pictures: Arc<MemoryPictures>,
    pub cancel: CancellationToken,
    pub settings: AgentSettings,
    pub options: GenerationOptions,
}

impl Default for Bench {
    fn default() -> Self {
        Self {
            recorder: Recorder::default(),
            pictures: Arc::default(),
            cancel: CancellationToken::new(),
            settings: AgentSettings::default(),
            options: GenerationOptions::default(),
        }
    }
}

impl Bench {
    pub async fn run(&self, steps: Vec<Step>, tools: &[&Arc<SlowTool>]) -> Document {
        self.run_policy(Script::new([steps]), tools).await
    }

    pub async fn run_policy(&self, policy: Arc<Script>, tools: &[&Arc<SlowTool>]) -> Document {
        let agent = self.agent(policy, tools);
        let input = input(self.options.clone());
        let pictures = self.pictures.clone();
        let made = agent.generate(&input, &self.recorder, pictures, self.cancel.clone());
        made.await.unwrap()
    }

    pub fn agent(&self, policy: Arc<Script>, tools: &[&Arc<SlowTool>]) -> Agent {
        let tools = tools
            .iter()
            .map(|tool| Arc::clone(tool) as Arc<dyn ImageTool>);
        Agent::new(policy, tools.collect(), self.settings.clone())
    }
}

/// The code of a failed outcome.
pub fn failure(document: &Document, image: usize) -> (String, String) {
    match &document.images().nth(image).unwrap().outcome {
        Outcome::Failed { code, reason } => (code.clone(), reason.clone()),
        other => panic!("{other:?}"),
    }
}

pub fn is_ready(document: &Document, image: usize) -> bool {
    let block = document.images().nth(image).unwrap();
    matches!(block.outcome, Outcome::Ready { .. })
}
