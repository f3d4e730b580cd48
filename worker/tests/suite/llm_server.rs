//! `illumine llm-server` as a process, over real HTTP. The demo policy's words
//! change with its training: no test depends on them.

use crate::support;

use std::time::Duration;

use futures::future::join_all;
use illumine_models::constrain::{Constraint, Grammar};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use self::support::{Server, run_client};

fn body(extra: &Value) -> Value {
    let mut body = json!({
        "model": "demo",
        "messages": [
            {"role": "system", "content": "You write illustrated documents."},
            {"role": "user", "content": "Write a report about tides."},
        ],
        "max_tokens": 40,
        "temperature": 0,
    });
    for (name, value) in extra.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_and_streamed_answers_are_the_same() {
    let server = Server::start(&[]);
    let whole = server.ask(&body(&json!({}))).await;
    assert_eq!(whole["object"], "chat.completion");
    let choice = &whole["choices"][0];
    let text = choice["message"]["content"].as_str().unwrap();
    assert!(!text.is_empty());
    assert_eq!(choice["message"]["role"], "assistant");
    let usage = &whole["usage"];
    assert!(usage["completion_tokens"].as_u64().unwrap() <= 40);
    let sum =
        usage["prompt_tokens"].as_u64().unwrap() + usage["completion_tokens"].as_u64().unwrap();
    assert_eq!(usage["total_tokens"], sum);

    let options = json!({"stream": true, "stream_options": {"include_usage": true}});
    let data = server.stream(&body(&options)).await;
    assert_eq!(data.last().unwrap(), "[DONE]");
    let chunks: Vec<Value> = data[..data.len() - 1]
        .iter()
        .map(|chunk| serde_json::from_str(chunk).unwrap())
        .collect();
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk["object"] == "chat.completion.chunk"
                && chunk["id"] == chunks[0]["id"])
    );
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let streamed: String = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(streamed, text);
    let reasons = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["finish_reason"].as_str());
    assert_eq!(
        reasons.collect::<Vec<_>>(),
        [choice["finish_reason"].as_str().unwrap()]
    );
    let last = chunks.last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(
        last["usage"]["completion_tokens"],
        usage["completion_tokens"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sampling_choices_stops_and_logprobs() {
    let server = Server::start(&[]);
    let hot = json!({"temperature": 1.2, "seed": 7, "n": 3, "top_p": 0.95});
    let first = server.ask(&body(&hot)).await;
    let again = server.ask(&body(&hot)).await;
    assert_eq!(first["choices"], again["choices"], "a seed repeats");
    let texts: std::collections::HashSet<&str> = (0..3)
        .map(|index| {
            first["choices"][index]["message"]["content"]
                .as_str()
                .unwrap()
        })
        .collect();
    assert!(texts.len() > 1, "choices differ");

    let whole = server
        .ask(&body(&json!({"logprobs": true, "top_logprobs": 3})))
        .await;
    let choice = &whole["choices"][0];
    let text = choice["message"]["content"].as_str().unwrap();
    let tokens = choice["logprobs"]["content"].as_array().unwrap();
    let bytes: Vec<u8> = tokens
        .iter()
        .flat_map(|token| token["bytes"].as_array().unwrap())
        .map(|byte| byte.as_u64().unwrap() as u8)
        .collect();
    assert_eq!(String::from_utf8_lossy(&bytes), text);
    for token in tokens {
        let top = token["top_logprobs"].as_array().unwrap();
        assert_eq!(top.len(), 3);
        // Greedy: the chosen token is the likeliest.
        assert_eq!(
            (&top[0]["token"], &top[0]["logprob"]),
            (&token["token"], &token["logprob"])
        );
        assert!(token["logprob"].as_f64().unwrap() <= 0.0);
    }

    let stop: String = text.chars().skip(8).take(4).collect();
    let stopped = server.ask(&body(&json!({"stop": [stop]}))).await;
    let choice = &stopped["choices"][0];
    assert_eq!(
        choice["message"]["content"],
        text.split(&stop).next().unwrap()
    );
    assert_eq!(choice["finish_reason"], "stop");
}

/// Hot enough that an answer would break the grammar without being held to it;
/// one that the limit cut off is the beginning of a grammatical one.
#[tokio::test(flavor = "multi_thread")]
async fn constrained_answers_are_what_they_must_be() {
    let server = Server::start(&[]);
    let hot = json!({"temperature": 1.5, "n": 16, "seed": 5, "max_tokens": 500});
    let cases = [
        (
            json!({"response_format": {"type": "json_object"}}),
            Constraint::JsonObject,
        ),
        (
            json!({"constrain_tags": true, "input_images": 1}),
            Constraint::Tags { inputs: 1 },
        ),
    ];
    for (extra, constraint) in cases {
        let mut asked = body(&hot);
        for (name, value) in extra.as_object().unwrap() {
            asked[name] = value.clone();
        }
        let answer = server.ask(&asked).await;
        let start = Grammar::start(constraint).unwrap();
        for choice in answer["choices"].as_array().unwrap() {
            let text = choice["message"]["content"].as_str().unwrap();
            // A limit may fall inside a character.
            let sure = text.trim_end_matches('\u{FFFD}');
            let end = start.run(sure.as_bytes());
            let end = end.unwrap_or_else(|| panic!("{constraint:?}: {text}"));
            if choice["finish_reason"] == "stop" {
                assert!(end.may_end(), "{constraint:?}: {text}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_openais() {
    let server = Server::start(&["--kv-budget", "64MiB"]);
    let cases = [
        (json!({"model": "gpt"}), StatusCode::NOT_FOUND, "model"),
        (
            json!({"temperature": "hot"}),
            StatusCode::BAD_REQUEST,
            "temperature",
        ),
        (json!({"top_p": 2}), StatusCode::BAD_REQUEST, "top_p"),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://127.0.0.1/x.png"}}]}]}),
            StatusCode::BAD_REQUEST,
            "messages[0].content",
        ),
        (
            json!({"messages": [{"role": "user", "content": "word ".repeat(9000)}]}),
            StatusCode::BAD_REQUEST,
            "messages",
        ),
    ];
    for (extra, status, param) in cases {
        let response = server.post(&body(&extra)).await;
        assert_eq!(response.status(), status, "{param}");
        let error: Value = response.json().await.unwrap();
        assert_eq!(error["error"]["param"], param, "{error}");
        assert_eq!(error["error"]["type"], "invalid_request_error");
        assert!(!error["error"]["message"].as_str().unwrap().is_empty());
    }
    let url = format!("{}/chat/completions", server.base);
    let response = server.client.post(url).body("{").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(
        server.get("/v1/nothing").await.status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        server.get("/v1/chat/completions").await.status(),
        StatusCode::METHOD_NOT_ALLOWED
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_asked_where_one_is_set() {
    let server = Server::start(&["--api-key-env", "TEST_LLM_KEY"]);
    let response = server.post(&body(&json!({}))).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let error: Value = response.json().await.unwrap();
    assert_eq!(error["error"]["code"], "invalid_api_key");
    for (key, status) in [
        ("wrong", StatusCode::UNAUTHORIZED),
        ("secret", StatusCode::OK),
    ] {
        let models = server
            .client
            .get(format!("{}/models", server.base))
            .bearer_auth(key);
        assert_eq!(models.send().await.unwrap().status(), status, "{key}");
    }
    assert_eq!(server.get("/health").await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_is_busy_and_serves_on() {
    let server = Server::start(&["--max-concurrency", "1", "--max-waiting", "1"]);
    let long = body(
        &json!({"max_tokens": 300, "temperature": 1, "response_format": {"type": "json_object"}}),
    );
    let answers = join_all((0..8).map(|_| server.post(&long))).await;
    let busy: Vec<&Response> = answers
        .iter()
        .filter(|answer| answer.status() == StatusCode::TOO_MANY_REQUESTS)
        .collect();
    assert!(
        !busy.is_empty() && busy.len() <= 7,
        "{} were busy",
        busy.len()
    );
    assert!(
        busy.iter()
            .all(|answer| answer.headers().contains_key("retry-after"))
    );
    server.ask(&body(&json!({}))).await;

    // Whoever hangs up makes room.
    let url = format!("{}/chat/completions", server.base);
    let endless = body(&json!({"max_tokens": 1900, "stream": true}));
    let stream = server.client.post(url).json(&endless).send().await.unwrap();
    drop(stream);
    let freed = async {
        while server.post(&body(&json!({}))).await.status() != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), freed)
        .await
        .unwrap();
}

#[test]
fn openais_own_client_is_content() {
    let server = Server::start(&[]);
    run_client("openai_client.py", &[&server.base]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_model_is_listed_and_its_figures_are_shown() {
    let server = Server::start(&[]);
    let models: Value = server.get("/v1/models").await.json().await.unwrap();
    assert_eq!(models["data"][0]["id"], "demo");
    let one: Value = server.get("/v1/models/demo").await.json().await.unwrap();
    assert_eq!(one["object"], "model");
    let capabilities = json!({"vision": false, "constrain_tags": true});
    assert_eq!(one["capabilities"], capabilities);
    assert_eq!(
        server.get("/v1/models/other").await.status(),
        StatusCode::NOT_FOUND
    );
    server.ask(&body(&json!({"max_tokens": 5}))).await;
    let metrics = server.get("/metrics").await.text().await.unwrap();
    assert!(
        metrics.contains("illumine_llm_requests_total 1\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("illumine_llm_kv_budget_bytes "),
        "{metrics}"
    );
}
