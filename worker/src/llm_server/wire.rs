//! Answers as JSON.

use illumine_models::engine::{Summary, TokenLogprob};
use illumine_models::generate::FinishReason;
use illumine_models::tokenizer::ChatTokenizer;
use serde_json::{Value, json};

/// The least logarithm that is written: JSON has no infinity.
const LEAST: f32 = -9999.0;

/// One answer among several, whole.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    pub text: String,
    pub tokens: Vec<TokenLogprob>,
    pub summary: Option<Summary>,
}

/// Tokens of all choices; a prompt counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    prompt: usize,
    cached: usize,
    completion: usize,
}

impl Usage {
    pub fn add(&mut self, summary: &Summary) {
        self.prompt = summary.prompt_tokens;
        // What the first choice read the others found.
        self.cached = match self.completion {
            0 => summary.cached_tokens,
            _ => self.cached.min(summary.cached_tokens),
        };
        self.completion += summary.completion_tokens;
    }

    pub fn to_json(self) -> Value {
        json!({
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
            "prompt_tokens_details": {"cached_tokens": self.cached},
        })
    }
}

pub const fn finish_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Length => "length",
        FinishReason::Stop | FinishReason::Cancelled => "stop",
    }
}

/// A choice of a whole answer.
pub fn choice(index: usize, choice: &Choice, logprobs: Value) -> Value {
    let reason = choice
        .summary
        .as_ref()
        .map(|end| finish_reason(end.finish_reason));
    json!({
        "index": index,
        "message": {"role": "assistant", "content": choice.text, "refusal": null},
        "logprobs": logprobs,
        "finish_reason": reason,
    })
}

/// `logprobs` of some tokens.
pub fn logprobs(tokenizer: &ChatTokenizer, tokens: &[TokenLogprob]) -> Value {
    let content: Vec<Value> = tokens
        .iter()
        .map(|token| {
            let top = token.top.iter();
            let top: Vec<Value> = top
                .map(|&(token, logprob)| describe(tokenizer, token, logprob))
                .collect();
            let mut described = describe(tokenizer, token.token, token.logprob);
            described["top_logprobs"] = top.into();
            described
        })
        .collect();
    json!({"content": content, "refusal": null})
}

fn describe(tokenizer: &ChatTokenizer, token: u32, logprob: f32) -> Value {
    let bytes = tokenizer.token_bytes(token);
    let text = match bytes {
        Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        None => tokenizer.inner().id_to_token(token).unwrap_or_default(),
    };
    json!({"token": text, "logprob": logprob.max(LEAST), "bytes": bytes})
}
