//! From the agent's parts to whoever watches: in order, text in sensible
//! pieces, and never later than a tag that follows it.

use std::time::Duration;

use async_trait::async_trait;
use illumine_types::EventKind;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, timeout_at};

/// Takes what happens while a document is made: `text`, `tool_started`,
/// `tool_progress`, `tool_finished` and `log`. The job's own events (`started`,
/// `completed` …) are the caller's.
#[async_trait]
pub trait EventSink: Send + Sync {
    /// Called for one event after the other. A sink that cannot deliver says so
    /// in its own log: the document is made all the same.
    async fn emit(&self, event: EventKind);
}

/// A sink for those who want the document alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEvents;

#[async_trait]
impl EventSink for NoEvents {
    async fn emit(&self, _event: EventKind) {}
}

/// Text is sent on at once after a pause, else at most so often.
const TEXT_PERIOD: Duration = Duration::from_millis(50);
/// Text that is sent on without waiting, in bytes.
const TEXT_BATCH: usize = 8 * 1024;

enum Message {
    Event(EventKind),
    End,
}

/// The parts' end: sends without waiting. What it holds is bounded by the
/// bounds on a document.
#[derive(Clone, Debug)]
pub(crate) struct Events(UnboundedSender<Message>);

/// The watcher's end.
#[derive(Debug)]
pub(crate) struct Pump(UnboundedReceiver<Message>);

pub(crate) fn channel() -> (Events, Pump) {
    let (sender, receiver) = unbounded_channel();
    (Events(sender), Pump(receiver))
}

impl Events {
    pub(crate) fn send(&self, event: EventKind) {
        // Without a watcher nobody misses it.
        let _ = self.0.send(Message::Event(event));
    }

    /// Ends the pump once all that was sent before is through.
    pub(crate) fn end(&self) {
        let _ = self.0.send(Message::End);
    }
}

impl Pump {
    pub(crate) async fn run(mut self, sink: &dyn EventSink) {
        let mut text = String::new();
        let mut next_flush = Instant::now();
        loop {
            let message = if text.is_empty() {
                self.0.recv().await
            } else {
                match timeout_at(next_flush, self.0.recv()).await {
                    Ok(message) => message,
                    Err(_) => {
                        flush(&mut text, sink, &mut next_flush).await;
                        continue;
                    }
                }
            };
            match message {
                Some(Message::Event(EventKind::Text { delta })) => {
                    text.push_str(&delta);
                    if text.len() >= TEXT_BATCH || Instant::now() >= next_flush {
                        flush(&mut text, sink, &mut next_flush).await;
                    }
                }
                Some(Message::Event(event)) => {
                    flush(&mut text, sink, &mut next_flush).await;
                    sink.emit(event).await;
                }
                Some(Message::End) | None => {
                    flush(&mut text, sink, &mut next_flush).await;
                    return;
                }
            }
        }
    }
}

async fn flush(text: &mut String, sink: &dyn EventSink, next_flush: &mut Instant) {
    if !text.is_empty() {
        let delta = std::mem::take(text);
        sink.emit(EventKind::Text { delta }).await;
        *next_flush = Instant::now() + TEXT_PERIOD;
    }
}
