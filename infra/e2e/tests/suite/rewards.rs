//! The reward as a service, by a real worker with the embedded tools.

use std::time::{Duration, Instant};

use illumine_e2e::System;
use serde_json::{Value, json};

const REWARDS: &str = "/api/v1/rewards";
const SEARCH: &str = r#"<imgen>{"source": "search", "description": "A cup", "params": {"query": "cup of coffee"}}</imgen>"#;
const DIFFUSION: &str = r#"<imgen>{"source": "diffusion", "description": "A lake", "params": {"prompt": "a painting of a lake at dusk"}}</imgen>"#;

fn asked(answer: &str) -> Value {
    json!({
        "question": "Write about a morning at the lake, with two pictures.",
        "answer": answer, "image_num": 2, "tools": ["search", "diffusion"],
        "factors": {"count": 0.5, "mllm": 0, "llm": 0, "tools": 0.5, "format": 0},
    })
}

async fn scored(system: &System, body: &Value) -> Value {
    let (status, answer) = system.post(REWARDS, body).await.unwrap();
    assert_eq!(status, 200, "{answer}");
    answer
}

fn reward(answer: &Value) -> f64 {
    assert_eq!(answer["verdict"]["status"], "scored", "{answer}");
    answer["verdict"]["reward"].as_f64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_drawn_and_scored() {
    let system = System::start(&[]).await.unwrap();
    // Until a worker is there, the caller is told to come again.
    let (status, problem) = system.post(REWARDS, &asked("Words.")).await.unwrap();
    assert_eq!(status, 503, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("score"));

    let _worker = system.worker("scorer").await.unwrap();
    let whole = format!("<think>Two.</think># The lake\n\n{SEARCH}\n\nThen:\n\n{DIFFUSION}\n");
    let whole = scored(&system, &asked(&whole)).await;
    assert!((reward(&whole) - 1.0).abs() < 1e-9, "{whole}");
    let pictures = whole["pictures"].as_array().unwrap();
    assert_eq!(pictures.len(), 2);
    for (picture, tool) in pictures.iter().zip(["search", "diffusion"]) {
        assert_eq!(picture["call"]["source"], tool, "{picture}");
        assert_eq!(picture["outcome"]["status"], "ready", "{picture}");
    }
    assert_eq!(whole["breakdown"]["made"], 2);

    // A tag that is no call is the writer's own fault, and only half is there.
    let half = format!("# The lake\n\n{SEARCH}\n\n<imgen>{{nonsense}}</imgen>\n");
    let half = scored(&system, &asked(&half)).await;
    assert!(reward(&half) < 0.6, "{half}");
    assert_eq!(half["pictures"][1]["outcome"]["status"], "failed");

    // Nothing of it is kept.
    let begun = Instant::now();
    loop {
        let jobs = system.get("/api/v1/generations?kind=score").await.unwrap();
        if jobs["items"] == json!([]) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{jobs}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_no_low_score_and_bad_input_names_its_field() {
    // Nothing listens there.
    let away = [
        ("LLM_JUDGE_BASE_URL", "http://127.0.0.1:9/v1"),
        ("LLM_JUDGE_MODEL_NAME", "judge"),
    ];
    let system = System::start(&away).await.unwrap();
    let _worker = system.worker("scorer").await.unwrap();
    let answer = scored(&system, &asked(SEARCH)).await;
    assert_eq!(answer["verdict"]["status"], "excluded", "{answer}");
    assert!(answer["verdict"]["reward"].is_null(), "{answer}");

    let cases = [
        ("question", json!(" ")),
        ("image_num", json!(-2)),
        ("tools", json!(["search", "search"])),
        ("factors", json!({"count": 0, "llm": 0, "mllm": 1})),
        ("factors.count", json!({"count": -1})),
    ];
    for (field, value) in cases {
        let mut body = asked("Words.");
        body[field.split('.').next().unwrap()] = value;
        let (status, problem) = system.post(REWARDS, &body).await.unwrap();
        assert_eq!(
            (status.as_u16(), &problem["field"]),
            (422, &json!(field)),
            "{problem}"
        );
    }
}
