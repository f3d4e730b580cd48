//! Server-sent events: a job's stream as an endless answer.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, stream};
use illumine_store::StoreError;
use illumine_types::Event;
use prometheus::IntGauge;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

/// Proxies close silent connections; a comment every so often keeps them.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// What a browser is told to wait before it connects again.
const RECONNECT: &str = "retry: 1500\n\n";

type Events = BoxStream<'static, Result<Event, StoreError>>;

/// Counts an open stream for as long as it lives.
struct Open(IntGauge);

impl Open {
    fn new(gauge: IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

struct Follower {
    events: Events,
    keep_alive: Interval,
    stopping: CancellationToken,
    is_over: bool,
    _open: Open,
}

/// The body of the answer. It ends after a final event, when the store fails
/// (the browser then connects again and goes on where it was), or when the
/// server stops. Dropping it stops following.
pub fn body(
    events: Events,
    stopping: CancellationToken,
    open: IntGauge,
) -> Pin<Box<dyn Stream<Item = Result<Bytes, std::convert::Infallible>>>> {
    let mut keep_alive = interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
    keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let follower = Follower {
        events,
        keep_alive,
        stopping,
        is_over: false,
        _open: Open::new(open),
    };
    let first = stream::once(async { Bytes::from_static(RECONNECT.as_bytes()) });
    let rest = stream::unfold(follower, next);
    Box::pin(first.chain(rest).map(Ok))
}

async fn next(mut follower: Follower) -> Option<(Bytes, Follower)> {
    if follower.is_over {
        return None;
    }
    tokio::select! {
        biased;
        event = follower.events.next() => match event {
            Some(Ok(event)) => Some((frame(&event), follower)),
            Some(Err(error)) => {
                tracing::warn!(%error, "an event stream broke off");
                follower.is_over = true;
                Some((Bytes::from_static(b": interrupted\n\n"), follower))
            }
            None => None,
        },
        () = follower.stopping.cancelled() => None,
        _ = follower.keep_alive.tick() => {
            Some((Bytes::from_static(b": keep-alive\n\n"), follower))
        }
    }
}

/// One event. JSON has no raw line break, so one `data:` line holds it.
fn frame(event: &Event) -> Bytes {
    let data = serde_json::to_string(event).unwrap_or_else(|_| "null".into());
    Bytes::from(format!(
        "id: {}\nevent: {}\ndata: {data}\n\n",
        event.id,
        event.kind.name()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use illumine_types::EventKind;

    fn event(id: &str, kind: EventKind) -> Event {
        Event {
            id: id.into(),
            at: chrono::DateTime::UNIX_EPOCH,
            attempt: 1,
            kind,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn frames_hold_one_line_and_silence_is_filled() {
        let open = IntGauge::new("open", "open").unwrap();
        let delta = "two\nlines".to_owned();
        let told = stream::iter([Ok(event("1-0", EventKind::Text { delta }))]);
        let events = told.chain(stream::pending()).boxed();
        let mut body = body(events, CancellationToken::new(), open.clone());
        let mut read =
            async || String::from_utf8(body.next().await.unwrap().unwrap().to_vec()).unwrap();
        assert_eq!(read().await, RECONNECT);
        let text = read().await;
        assert!(text.starts_with("id: 1-0\nevent: text\ndata: {"), "{text}");
        assert_eq!(text.matches('\n').count(), 4);
        assert_eq!(read().await, ": keep-alive\n\n");
        assert_eq!(open.get(), 1);
        drop(body);
        assert_eq!(open.get(), 0);
    }

    #[tokio::test]
    async fn a_broken_store_ends_the_stream() {
        let open = IntGauge::new("open", "open").unwrap();
        let broken = stream::iter([Err(StoreError::RedisUnavailable("gone".into()))]);
        let body = body(broken.boxed(), CancellationToken::new(), open);
        let frames: Vec<_> = body.collect().await;
        assert_eq!(frames.len(), 2);
    }
}
