//! A policy in this process whose answers a test computes. Time may stand still.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use illumine_agent::policy::{ChatRequest, Delta, DeltaStream, FinishReason, Policy, PolicyError};
use illumine_types::document::Usage;
use tokio_util::sync::CancellationToken;

#[derive(Clone)]
pub enum Reply {
    Say(String),
    SayAfter(Duration, String),
    /// Cut off by its token limit.
    Cut(String),
    Fail(PolicyError),
    Hang,
    /// Writes for ever.
    Endless,
    /// Ends without its last piece.
    Vanish,
}

pub fn say(words: &str) -> Reply {
    Reply::Say(words.into())
}

pub fn busy(retry_after: Option<Duration>) -> Reply {
    Reply::Fail(PolicyError::Transient {
        code: "policy_busy",
        message: "come back later".into(),
        retry_after,
    })
}

pub fn denied() -> Reply {
    Reply::Fail(PolicyError::Permanent {
        code: "policy_denied",
        message: "no such key".into(),
    })
}

type Answer = dyn Fn(&ChatRequest, usize) -> Reply + Send + Sync;

/// Answers request number n, counted from 0, as the function says.
pub struct Script {
    answer: Box<Answer>,
    vision: bool,
    pub requests: Mutex<Vec<ChatRequest>>,
    /// Requests that were cancelled.
    pub cancelled: Arc<AtomicUsize>,
}

impl Script {
    pub fn new(answer: impl Fn(&ChatRequest, usize) -> Reply + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            answer: Box::new(answer),
            vision: true,
            requests: Mutex::default(),
            cancelled: Arc::default(),
        })
    }

    /// These answers, the last one again and again.
    pub fn of(replies: Vec<Reply>) -> Arc<Self> {
        Self::new(move |_, n| replies[n.min(replies.len() - 1)].clone())
    }

    pub fn blind() -> Arc<Self> {
        Arc::new(Self {
            answer: Box::new(|_, _| Reply::Hang),
            vision: false,
            requests: Mutex::default(),
            cancelled: Arc::default(),
        })
    }

    pub fn asked(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    pub fn request(&self, n: usize) -> ChatRequest {
        self.requests.lock().unwrap()[n].clone()
    }

    pub fn cancelled(&self) -> usize {
        self.cancelled.load(Ordering::SeqCst)
    }
}

impl Policy for Script {
    fn name(&self) -> &str {
        "script:judge"
    }

    fn summary(&self) -> String {
        "a script".into()
    }

    fn vision(&self) -> bool {
        self.vision
    }

    fn stream(&self, request: ChatRequest, cancel: CancellationToken) -> DeltaStream {
        let mut requests = self.requests.lock().unwrap();
        let reply = (self.answer)(&request, requests.len());
        requests.push(request);
        let end = |reason| {
            Ok(Delta::Finished {
                reason,
                usage: Usage::default(),
            })
        };
        match reply {
            Reply::Say(words) => {
                stream::iter([Ok(Delta::Text(words)), end(FinishReason::Stop)]).boxed()
            }
            Reply::Cut(words) => {
                stream::iter([Ok(Delta::Text(words)), end(FinishReason::Length)]).boxed()
            }
            Reply::SayAfter(time, words) => tokio::time::sleep(time)
                .into_stream()
                .flat_map(move |()| {
                    stream::iter([Ok(Delta::Text(words.clone())), end(FinishReason::Stop)])
                })
                .boxed(),
            Reply::Fail(error) => stream::iter([Err(error)]).boxed(),
            Reply::Vanish => stream::iter([Ok(Delta::Text("Te".into()))]).boxed(),
            Reply::Endless => stream::repeat_with(|| Ok(Delta::Text("x".repeat(4096)))).boxed(),
            Reply::Hang => {
                let cancelled = self.cancelled.clone();
                tokio::spawn(async move {
                    cancel.cancelled().await;
                    cancelled.fetch_add(1, Ordering::SeqCst);
                });
                stream::pending().boxed()
            }
        }
    }
}
