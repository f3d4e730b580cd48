//! `diffusion`: invented pictures.
//!
//! Backends: [`qwen`] (Qwen-Image servers), [`ark`] (Seedream), [`openai`]
//! (the images API of OpenAI and of servers like it), [`burn`] (a model of this
//! process).

pub(crate) mod ark;
pub(crate) mod burn;
pub(crate) mod openai;
pub(crate) mod qwen;

use illumine_types::tool::ToolRequest;
use serde_json::{Map, Value};

use crate::ToolError;
use crate::toolbox::backend::wrong_tool;

/// The prompt of a diffusion call.
fn prompt(request: &ToolRequest) -> Result<&str, ToolError> {
    match request {
        ToolRequest::Diffusion { prompt } => Ok(prompt),
        _ => Err(wrong_tool()),
    }
}

/// A fresh seed where none was asked for, so that every picture can be drawn
/// again. 31 bits: what every server takes.
pub(crate) fn seed_or_fresh(seed: Option<u64>) -> u64 {
    seed.unwrap_or_else(|| u64::from(rand::random::<u32>() >> 1))
}

/// What was sent, without what the call itself says and without pictures.
pub(crate) fn parameters(body: &Value) -> Map<String, Value> {
    const TOLD_ELSEWHERE: &[&str] = &["prompt", "image", "image_b64", "seed", "model"];
    let Value::Object(fields) = body else {
        return Map::new();
    };
    let kept = fields
        .iter()
        .filter(|(name, _)| !TOLD_ELSEWHERE.contains(&name.as_str()));
    kept.map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
