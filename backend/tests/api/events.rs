//! Following a job over server-sent events.

use std::time::Duration;

use futures::StreamExt;
use illumine_store::queue::JobContext;
use illumine_types::EventKind;
use reqwest::{Method, Response};
use serde_json::Value;
use tokio::time::timeout;

use crate::generations::wait_for;
use crate::harness::{App, header, problem};

/// Reads a stream of events, frame by frame.
pub struct Reader {
    response: Response,
    buffer: String,
}

pub struct Frame {
    pub id: String,
    pub name: String,
    pub data: Value,
}

impl Reader {
    async fn open(app: &App, id: &str, after: Option<&str>) -> Self {
        Self::at(app, &format!("/api/v1/generations/{id}/events"), after).await
    }

    pub async fn at(app: &App, path: &str, after: Option<&str>) -> Self {
        let mut request = app.request(Method::GET, path);
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "content-type"), "text/event-stream");
        Self {
            response,
            buffer: String::new(),
        }
    }

    /// `None` once the server has ended the stream.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            while let Some((frame, rest)) = self.buffer.split_once("\n\n") {
                let frame = frame.to_owned();
                self.buffer = rest.to_owned();
                let field = |name: &str| {
                    frame
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .map(str::to_owned)
                };
                if let Some(data) = field("data: ") {
                    return Some(Frame {
                        id: field("id: ").unwrap(),
                        name: field("event: ").unwrap(),
                        data: serde_json::from_str(&data).unwrap(),
                    });
                }
            }
            let chunk = timeout(Duration::from_secs(20), self.response.chunk()).await;
            let chunk = chunk.expect("the stream was silent").unwrap()?;
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    pub async fn rest(mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            frames.push(frame);
        }
        frames
    }
}

async fn write_three_words(context: JobContext) -> Result<(), illumine_store::queue::JobFailure> {
    for word in ["One ", "two\n\n", "three"] {
        let delta = word.to_owned();
        context
            .store
            .events()
            .publish(&context.id, context.attempt, EventKind::Text { delta })
            .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_sees_everything_from_the_queue_to_the_end() {
    let app = App::start().await;
    let id = app.submit("owls").await;
    let mut reader = Reader::open(&app, &id, None).await;
    let first = reader.next().await.unwrap();
    assert_eq!(
        (first.name.as_str(), &first.data["position"]),
        ("queued", &Value::from(0))
    );
    assert_eq!(first.data["id"], first.id.as_str());
    let worker = app.worker(write_three_words);
    let frames = reader.rest().await;
    let names: Vec<&str> = frames.iter().map(|frame| frame.name.as_str()).collect();
    assert_eq!(names, ["started", "text", "text", "text", "completed"]);
    let text: String = frames
        .iter()
        .filter_map(|frame| frame.data["delta"].as_str())
        .collect();
    assert_eq!(text, "One two\n\nthree");
    assert!(frames.iter().all(|frame| frame.data["attempt"] == 1));
    worker.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_comes_back_goes_on_where_it_was() {
    let app = App::open().await;
    let id = app.submit("owls").await;
    let worker = app.worker(write_three_words);
    wait_for(&app, &id, "succeeded").await;
    worker.stop();
    let all = Reader::open(&app, &id, None).await.rest().await;
    assert_eq!(all.len(), 6);
    for (seen, frame) in all.iter().enumerate().take(5) {
        let left = Reader::open(&app, &id, Some(&frame.id)).await.rest().await;
        let ids: Vec<&str> = left.iter().map(|frame| frame.id.as_str()).collect();
        let expected: Vec<&str> = all[seen + 1..]
            .iter()
            .map(|frame| frame.id.as_str())
            .collect();
        assert_eq!(ids, expected);
    }
    // After the end a browser is told not to come back.
    let path = format!(
        "/api/v1/generations/{id}/events?last_event_id={}",
        all[5].id
    );
    assert_eq!(app.get(&path).await.status(), 204);
    let bad = app
        .get(&format!(
            "/api/v1/generations/{id}/events?last_event_id=yesterday"
        ))
        .await;
    let told = problem(bad).await;
    assert_eq!(
        told,
        (400, "invalid_event_id".into(), Some("last_event_id".into()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_ends_the_stream() {
    let app = App::open().await;
    let id = app.submit("owls").await;
    let reader = Reader::open(&app, &id, None).await;
    app.post(&format!("/api/v1/generations/{id}/cancel"), Value::Null)
        .await;
    let frames = reader.rest().await;
    assert_eq!(frames.last().unwrap().name, "cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_followers_see_the_same_and_leave_nothing_behind() {
    let app = App::open().await;
    let id = app.submit("owls").await;
    let open = |_| Reader::open(&app, &id, None);
    let readers: Vec<Reader> = futures::stream::iter(0..300)
        .map(open)
        .buffer_unordered(50)
        .collect()
        .await;
    assert_eq!(app.state.metrics.event_streams.get(), 300);
    let worker = app.worker(write_three_words);
    let (stay, leave): (Vec<_>, Vec<_>) = readers
        .into_iter()
        .enumerate()
        .partition(|(n, _)| n % 2 == 0);
    drop(leave);
    for (_, reader) in stay {
        assert_eq!(reader.rest().await.last().unwrap().name, "completed");
    }
    for _ in 0..200 {
        if app.state.metrics.event_streams.get() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(app.state.metrics.event_streams.get(), 0);
    worker.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_leaves_a_silent_job_is_noticed() {
    let app = App::open().await;
    let id = app.submit("owls").await;
    let mut reader = Reader::open(&app, &id, None).await;
    reader.next().await.unwrap();
    assert_eq!(app.state.metrics.event_streams.get(), 1);
    drop(reader);
    // Nothing is written meanwhile but the keep-alive comment.
    for _ in 0..1_600 {
        if app.state.metrics.event_streams.get() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the stream is still open");
}
