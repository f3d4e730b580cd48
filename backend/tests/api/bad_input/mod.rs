//! Whatever is wrong with a request: a 4xx with the field, nothing queued.

mod addresses;
mod bodies;
mod datasets;
mod fields;
mod forms;
mod training;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::harness::png;

fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn truncated_png() -> Vec<u8> {
    let whole = png(64, 64);
    whole[..whole.len() / 2].to_vec()
}

fn with_options(options: Value) -> Value {
    json!({ "prompt": "owls", "options": options })
}

fn with_image(image: Value) -> Value {
    json!({ "prompt": "owls", "images": [image] })
}
