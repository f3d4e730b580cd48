//! The OpenAI policy against a server that behaves like one, faults included.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::StreamExt;
use futures::stream;
use illumine_agent::policy::openai::OpenAiPolicy;
use illumine_agent::policy::{ChatRequest, Delta, FinishReason, Policy, PolicyError};
use illumine_config::Secret;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// How the server answers one request.
#[derive(Clone)]
enum Answer {
    Status(u16, &'static str, Option<&'static str>),
    /// These bytes, one piece after the other; then the connection stays open,
    /// ends, or breaks.
    Pieces(Vec<Vec<u8>>, End),
}

#[derive(Clone, Copy, PartialEq)]
enum End {
    Clean,
    Hang,
    Break,
}

/// A request's body and its key.
type Asked = (Value, Option<String>);

#[derive(Clone, Default)]
struct Server {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    requests: Arc<Mutex<Vec<Asked>>>,
    /// What it says of its model, once for each time that it is asked.
    models: Arc<Mutex<VecDeque<(u16, Value)>>>,
}

async fn describe(State(server): State<Server>, headers: HeaderMap) -> Response {
    assert_eq!(headers["authorization"], "Bearer sk-very-secret");
    let mut models = server.models.lock().unwrap();
    let (status, model) = models.pop_front().expect("asked once too often");
    let status = StatusCode::from_u16(status).unwrap();
    (status, axum::Json(model)).into_response()
}

async fn answer(State(server): State<Server>, headers: HeaderMap, body: Bytes) -> Response {
    let key = headers
        .get("authorization")
        .map(|value| value.to_str().unwrap().to_owned());
    server
        .requests
        .lock()
        .unwrap()
        .push((serde_json::from_slice(&body).unwrap(), key));
    let answer = server
        .answers
        .lock()
        .unwrap()
        .pop_front()
        .expect("one request too many");
    match answer {
        Answer::Status(status, message, retry_after) => {
            let mut response = axum::Json(json!({"error": {"message": message}})).into_response();
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            if let Some(seconds) = retry_after {
                response
                    .headers_mut()
                    .insert("retry-after", seconds.parse().unwrap());
            }
            response
        }
        Answer::Pieces(pieces, end) => {
            let pieces = stream::iter(pieces).then(|piece| async move {
                tokio::time::sleep(Duration::from_millis(5)).await;
                Ok::<_, std::io::Error>(piece)
            });
            let body = match end {
                End::Clean => Body::from_stream(pieces),
                End::Break => Body::from_stream(pieces.chain(stream::once(async {
                    // What was written before must have left the server.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    Err(std::io::Error::other("cut"))
                }))),
                End::Hang => Body::from_stream(pieces.chain(stream::pending())),
            };
            ([("content-type", "text/event-stream")], body).into_response()
        }
    }
}

fn words(words: &[&str]) -> Vec<u8> {
    let mut text = String::new();
    for word in words {
        text += &format!(
            "data: {}\n\n",
            json!({"choices": [{"delta": {"content": word}, "finish_reason": null}]})
        );
    }
    text.into_bytes()
}

fn ending(reason: &str) -> Vec<u8> {
    let last = json!({"choices": [{"delta": {}, "finish_reason": reason}]});
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}});
    format!("data: {last}\n\ndata: {usage}\n\ndata: [DONE]\n\n").into_bytes()
}

async fn start(answers: Vec<Answer>) -> (Server, OpenAiPolicy) {
    let server = Server {
        answers: Arc::new(Mutex::new(answers.into())),
        ..Server::default()
    };
    let app = Router::new()
        .route("/v1/chat/completions", post(answer))
        .route("/v1/models/a-model", get(describe))
        .with_state(server.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let key = Some(Secret::new("sk-very-secret"));
    (
        server,
        OpenAiPolicy::new(&base, "a-model", key, Duration::from_millis(400)).unwrap(),
    )
}

fn request() -> ChatRequest {
    ChatRequest {
        system: "Be brief.".into(),
        prompt: "Say hello.".into(),
        seed: Some(5),
        ..ChatRequest::default()
    }
}

async fn collect(policy: &OpenAiPolicy) -> (String, Result<Delta, PolicyError>) {
    let mut text = String::new();
    let mut pieces = policy.stream(request(), CancellationToken::new());
    while let Some(piece) = pieces.next().await {
        match piece {
            Ok(Delta::Text(delta)) => text += &delta,
            last => return (text, last),
        }
    }
    panic!("the stream ended without a last word");
}

#[tokio::test]
async fn an_answer_streams_and_names_its_usage() {
    let (server, policy) = start(vec![Answer::Pieces(
        vec![words(&["Hel", "lo"]), ending("stop")],
        End::Clean,
    )])
    .await;
    let (text, last) = collect(&policy).await;
    assert_eq!(text, "Hello");
    let Ok(Delta::Finished { reason, usage }) = last else {
        panic!("{last:?}")
    };
    assert_eq!(
        (reason, usage.prompt_tokens, usage.completion_tokens),
        (FinishReason::Stop, 7, 3)
    );
    let requests = server.requests.lock().unwrap();
    let (body, key) = &requests[0];
    assert_eq!(key.as_deref(), Some("Bearer sk-very-secret"));
    assert_eq!(
        body["messages"][0],
        json!({"role": "system", "content": "Be brief."})
    );
    assert_eq!((&body["seed"], &body["stream"]), (&json!(5), &json!(true)));
    assert!(body.get("temperature").is_none());
}

#[tokio::test]
async fn bytes_may_split_a_character_anywhere() {
    let whole = [words(&["Café 日本 🎨"]), ending("length")].concat();
    let pieces = whole.chunks(1).map(<[u8]>::to_vec).collect();
    let (_server, policy) = start(vec![Answer::Pieces(pieces, End::Clean)]).await;
    let (text, last) = collect(&policy).await;
    assert_eq!(text, "Café 日本 🎨");
    assert!(matches!(
        last,
        Ok(Delta::Finished {
            reason: FinishReason::Length,
            ..
        })
    ));
}

#[tokio::test]
async fn a_busy_server_is_asked_again_when_it_said() {
    let ok = Answer::Pieces(vec![words(&["ok"]), ending("stop")], End::Clean);
    let busy = Answer::Status(429, "slow down", Some("0.05"));
    let (server, policy) = start(vec![
        busy.clone(),
        Answer::Status(503, "starting", Some("0")),
        busy,
        ok,
    ])
    .await;
    assert_eq!(collect(&policy).await.0, "ok");
    assert_eq!(server.requests.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn a_refusal_is_told_with_its_remedy_and_without_the_key() {
    for (status, code, hint) in [
        (401, "policy_denied", "ILLUMINE_POLICY_API_KEY"),
        (404, "policy_not_found", "ILLUMINE_POLICY"),
        (400, "policy_refused", "context is 4096"),
    ] {
        let (server, policy) = start(vec![Answer::Status(
            status,
            "the context is 4096 tokens",
            None,
        )])
        .await;
        let error = collect(&policy).await.1.unwrap_err();
        assert_eq!(error.code(), code);
        assert!(
            !error.is_transient() && error.to_string().contains(hint),
            "{error}"
        );
        assert!(!format!("{error:?} {policy:?}").contains("very-secret"));
        assert_eq!(server.requests.lock().unwrap().len(), 1, "not asked again");
    }
}

#[tokio::test]
async fn what_was_said_before_a_break_is_kept_and_not_asked_for_again() {
    for (end, code) in [
        (End::Break, "policy_broke_off"),
        (End::Hang, "policy_timeout"),
        (End::Clean, "policy_broke_off"),
    ] {
        let (server, policy) =
            start(vec![Answer::Pieces(vec![words(&["half ", "way"])], end)]).await;
        let (text, last) = collect(&policy).await;
        assert_eq!(text, "half way");
        let error = last.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert_eq!(server.requests.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn an_error_inside_the_stream_is_an_error() {
    let failed = b"data: {\"error\": {\"message\": \"out of memory\"}}\n\n".to_vec();
    let (_server, policy) = start(vec![Answer::Pieces(
        vec![words(&["so "]), failed],
        End::Clean,
    )])
    .await;
    let error = collect(&policy).await.1.unwrap_err();
    assert!(error.to_string().contains("out of memory"), "{error}");
}

#[tokio::test]
async fn cancelling_ends_a_silent_answer_at_once() {
    let (_server, policy) = start(vec![Answer::Pieces(vec![words(&["a"])], End::Hang)]).await;
    let cancel = CancellationToken::new();
    let mut pieces = policy.stream(request(), cancel.clone());
    assert!(matches!(pieces.next().await, Some(Ok(Delta::Text(_)))));
    cancel.cancel();
    let last = tokio::time::timeout(Duration::from_millis(200), pieces.next())
        .await
        .unwrap();
    assert!(matches!(last, Some(Err(PolicyError::Cancelled))));
}

/// Only a server that says that it can is asked to constrain tags; each is asked
/// until it has said.
#[tokio::test]
async fn tags_are_constrained_where_the_server_says_that_it_can() {
    let able = json!({"id": "a-model", "capabilities": {"constrain_tags": true}});
    let other = json!({"id": "a-model", "object": "model"});
    let cases = [
        (true, vec![(200, able.clone())], [true, true]),
        (true, vec![(200, other)], [false, false]),
        (true, vec![(404, json!({"error": "x"}))], [false, false]),
        (true, vec![(503, json!({})), (200, able)], [false, true]),
        (false, vec![], [false, false]),
    ];
    for (on, models, sent) in cases {
        let ok = Answer::Pieces(vec![words(&["ok"]), ending("stop")], End::Clean);
        let (server, policy) = start(vec![ok.clone(), ok]).await;
        let policy = policy.with_constrained_tags(on);
        *server.models.lock().unwrap() = models.into();
        for sent in sent {
            let request = ChatRequest {
                inputs: 2,
                ..request()
            };
            let pieces = policy.stream(request, CancellationToken::new());
            assert!(pieces.all(|piece| async move { piece.is_ok() }).await);
            let (body, _) = server.requests.lock().unwrap().pop().unwrap();
            let expected = match sent {
                true => (json!(true), json!(2)),
                false => (Value::Null, Value::Null),
            };
            assert_eq!(
                (body["constrain_tags"].clone(), body["input_images"].clone()),
                expected
            );
        }
        assert!(server.models.lock().unwrap().is_empty());
    }
}
