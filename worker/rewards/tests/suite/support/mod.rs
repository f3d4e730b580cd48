//! Samples, a scripted policy, and a server that behaves like an OpenAI chat
//! endpoint, faults included.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

pub mod script;
pub mod server;

use illumine_agent::policy::ChatImage;
use illumine_rewards::sample::Outcome;
use illumine_rewards::{Failure, Requirement, Sample};
use illumine_types::tag::write_tag;
use illumine_types::tool::ToolRequest;
use illumine_types::{ToolCall, ToolKind};

pub fn tag(request: ToolRequest) -> String {
    write_tag(&ToolCall {
        request,
        description: "A caption".into(),
    })
}

pub fn search(query: &str) -> String {
    tag(ToolRequest::Search {
        query: query.into(),
    })
}

pub fn code(code: &str) -> String {
    tag(ToolRequest::Code { code: code.into() })
}

/// A picture whose bytes are a word; nobody here decodes it.
pub fn picture(word: &str) -> ChatImage {
    ChatImage {
        bytes: word.to_owned().into(),
        mime: "image/png".into(),
    }
}

pub fn failed(code: &str) -> Outcome {
    Err(Failure::new(code, "in words"))
}

pub fn requires(image_num: i64, tools: &[ToolKind]) -> Requirement {
    Requirement {
        image_num: image_num.try_into().unwrap(),
        tools: tools.to_vec(),
    }
}

pub fn sample(answer: &str, outcomes: Vec<Outcome>, requires: Requirement) -> Sample {
    Sample::from_answer(
        "sample-1",
        "What is a kea?",
        vec![],
        answer,
        outcomes,
        requires,
    )
    .unwrap()
}

/// Text, one found picture, text.
pub fn illustrated(words: &str) -> Sample {
    let answer = format!("{words}\n\n{}\n\nThat is all.", search("kea"));
    sample(&answer, vec![Ok(picture("kea"))], requires(1, &[]))
}
