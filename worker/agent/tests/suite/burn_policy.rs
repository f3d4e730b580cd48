//! The demo policy through its engine: many at once, cancelled, cut short. No
//! test depends on what the policy writes, which changes with its training.

use std::time::Duration;

use futures::{StreamExt, future::join_all};
use illumine_agent::policy::burn::BurnPolicy;
use illumine_agent::policy::{ChatRequest, Delta, FinishReason, Policy};
use illumine_types::document::Usage;
use tokio_util::sync::CancellationToken;

fn request(number: u64) -> ChatRequest {
    let topics = ["the harbour of Lome", "bees", "a lighthouse", "old maps"];
    ChatRequest {
        system: "You write illustrated documents.".into(),
        prompt: format!("Write a report about {}.", topics[number as usize % 4]),
        max_tokens: Some(24 + number as u32 % 40),
        temperature: Some((number % 3) as f32 * 0.5),
        top_p: Some(0.95),
        seed: Some(number),
        ..ChatRequest::default()
    }
}

async fn answer(policy: &BurnPolicy, request: ChatRequest) -> (String, FinishReason, Usage) {
    let mut stream = policy.stream(request, CancellationToken::new());
    let mut text = String::new();
    while let Some(delta) = stream.next().await {
        match delta.unwrap() {
            Delta::Text(more) => text += &more,
            Delta::Finished { reason, usage } => return (text, reason, usage),
        }
    }
    panic!("the stream ended without its last piece");
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_two_streams_give_what_each_gives_alone() {
    let policy = BurnPolicy::load("demo", "flex").unwrap();
    let together = join_all((0..32).map(|number| answer(&policy, request(number)))).await;
    // Another engine, which has nothing of the first in its memory.
    let other = BurnPolicy::load("demo", "flex").unwrap();
    let mut texts = std::collections::HashSet::new();
    for (number, together) in (0..32).zip(&together) {
        let alone = answer(&other, request(number)).await;
        assert_eq!(&alone, together, "request {number}");
        assert!(!alone.0.is_empty());
        texts.insert(alone.0);
    }
    assert!(texts.len() > 4, "topics and seeds matter");
}

#[tokio::test]
async fn a_cancelled_stream_ends_and_leaves_the_engine_to_others() {
    let policy = BurnPolicy::load("demo", "flex").unwrap();
    let cancel = CancellationToken::new();
    let mut stream = policy.stream(
        ChatRequest {
            max_tokens: Some(1500),
            ..request(1)
        },
        cancel.clone(),
    );
    assert!(matches!(stream.next().await, Some(Ok(Delta::Text(_)))));
    cancel.cancel();
    let rest = tokio::time::timeout(Duration::from_secs(10), stream.collect::<Vec<_>>()).await;
    let last = rest.unwrap().pop().unwrap();
    assert_eq!(last.unwrap_err().code(), "cancelled");
    let (_, _, usage) = answer(&policy, request(2)).await;
    assert!(usage.prompt_tokens > 0 && usage.completion_tokens > 0);
}

#[tokio::test]
async fn a_prompt_beyond_the_context_is_refused_in_words() {
    let policy = BurnPolicy::load("demo", "flex").unwrap();
    let long = ChatRequest {
        prompt: "word ".repeat(5000),
        ..ChatRequest::default()
    };
    let mut stream = policy.stream(long, CancellationToken::new());
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), "model_request");
    assert!(error.to_string().contains("context"), "{error}");
}
