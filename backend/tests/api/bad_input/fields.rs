//! Every field of a request, wrong.

use serde_json::{Value, json};

use super::{encoded, truncated_png, with_image, with_options};
use crate::harness::{App, claimed_png, problem};

/// Body, status, code, field.
fn rows() -> Vec<(Value, u16, &'static str, &'static str)> {
    let missing_input = format!("{}.png", "a".repeat(64));
    let eleven: Vec<Value> = (0..11)
        .map(|_| json!({ "input_id": missing_input }))
        .collect();
    vec![
        (json!({ "prompt": "" }), 422, "invalid_value", "prompt"),
        (
            json!({ "prompt": " \n\t " }),
            422,
            "invalid_value",
            "prompt",
        ),
        (
            json!({ "prompt": "x".repeat(100_000) }),
            422,
            "invalid_value",
            "prompt",
        ),
        (
            json!({ "prompt": "é".repeat(32_001) }),
            422,
            "invalid_value",
            "prompt",
        ),
        (json!({ "prompt": 5 }), 422, "invalid_value", "prompt"),
        (json!({ "prompt": null }), 422, "invalid_value", "prompt"),
        (json!({}), 422, "missing_field", "prompt"),
        (json!([]), 422, "invalid_value", "body"),
        (json!(["owls"]), 422, "invalid_value", "body"),
        (with_image(json!(5)), 422, "invalid_value", "images[0]"),
        (with_image(json!(["x"])), 422, "invalid_value", "images[0]"),
        (
            with_options(json!({ "priority": 5 })),
            422,
            "invalid_value",
            "options.priority",
        ),
        (with_options(json!([])), 422, "invalid_value", "options"),
        (
            with_options(json!({ "image": [64] })),
            422,
            "invalid_value",
            "options.image",
        ),
        (json!("owls"), 422, "invalid_value", "body"),
        (
            json!({ "prompt": "owls", "colour": "red" }),
            422,
            "unknown_field",
            "colour",
        ),
        (
            with_options(json!({ "temprature": 1 })),
            422,
            "unknown_field",
            "options.temprature",
        ),
        (
            with_options(json!({ "image": { "size": 1 } })),
            422,
            "unknown_field",
            "options.image.size",
        ),
        (with_options(json!("hot")), 422, "invalid_value", "options"),
        (
            with_options(json!({ "temperature": "hot" })),
            422,
            "invalid_value",
            "options.temperature",
        ),
        (
            with_options(json!({ "temperature": -0.1 })),
            422,
            "invalid_value",
            "options.temperature",
        ),
        (
            with_options(json!({ "temperature": 2.1 })),
            422,
            "invalid_value",
            "options.temperature",
        ),
        (
            with_options(json!({ "temperature": 1e39 })),
            422,
            "invalid_value",
            "options.temperature",
        ),
        (
            with_options(json!({ "top_p": 0 })),
            422,
            "invalid_value",
            "options.top_p",
        ),
        (
            with_options(json!({ "top_p": 1.5 })),
            422,
            "invalid_value",
            "options.top_p",
        ),
        (
            with_options(json!({ "max_tokens": 0 })),
            422,
            "invalid_value",
            "options.max_tokens",
        ),
        (
            with_options(json!({ "max_tokens": 1_000_000 })),
            422,
            "invalid_value",
            "options.max_tokens",
        ),
        (
            with_options(json!({ "max_tokens": 1.5 })),
            422,
            "invalid_value",
            "options.max_tokens",
        ),
        (
            with_options(json!({ "seed": -1 })),
            422,
            "invalid_value",
            "options.seed",
        ),
        (
            with_options(json!({ "samples": 0 })),
            422,
            "invalid_value",
            "options.samples",
        ),
        (
            with_options(json!({ "samples": 9 })),
            422,
            "invalid_value",
            "options.samples",
        ),
        (
            with_options(json!({ "priority": "urgent" })),
            422,
            "invalid_value",
            "options.priority",
        ),
        (
            with_options(json!({ "tools": ["search", "fly"] })),
            422,
            "invalid_value",
            "options.tools[1]",
        ),
        (
            with_options(json!({ "tools": ["code", "code"] })),
            422,
            "invalid_value",
            "options.tools",
        ),
        (
            with_options(json!({ "tools": "search" })),
            422,
            "invalid_value",
            "options.tools",
        ),
        (
            with_options(json!({ "policy": "gpt-42" })),
            422,
            "invalid_value",
            "options.policy",
        ),
        (
            with_options(json!({ "image": { "width": 63 } })),
            422,
            "invalid_value",
            "options.image.width",
        ),
        (
            with_options(json!({ "image": { "height": 4097 } })),
            422,
            "invalid_value",
            "options.image.height",
        ),
        (
            with_options(json!({ "image": { "steps": 0 } })),
            422,
            "invalid_value",
            "options.image.steps",
        ),
        (
            with_options(json!({ "image": { "guidance": 31 } })),
            422,
            "invalid_value",
            "options.image.guidance",
        ),
        (
            json!({ "prompt": "owls", "webhook": "ftp://a.example/" }),
            422,
            "invalid_value",
            "webhook",
        ),
        (
            json!({ "prompt": "owls", "webhook": "nowhere" }),
            422,
            "invalid_value",
            "webhook",
        ),
        (
            json!({ "prompt": "owls", "webhook": "http://u:p@a.example/" }),
            422,
            "invalid_value",
            "webhook",
        ),
        (
            json!({ "prompt": "owls", "images": eleven }),
            422,
            "invalid_value",
            "images",
        ),
        (
            with_image(json!({ "input_id": missing_input })),
            422,
            "invalid_value",
            "images[0].input_id",
        ),
        (
            with_image(json!({ "input_id": "../../secret" })),
            422,
            "invalid_value",
            "images[0].input_id",
        ),
        (
            with_image(json!({ "base64": "%%%" })),
            422,
            "invalid_value",
            "images[0].base64",
        ),
        (
            with_image(json!({ "base64": "" })),
            422,
            "invalid_image",
            "images[0].base64",
        ),
        (
            with_image(json!({ "base64": encoded(b"no picture") })),
            422,
            "invalid_image",
            "images[0].base64",
        ),
        (
            with_image(json!({ "base64": encoded(b"<svg xmlns='http://www.w3.org/2000/svg'/>") })),
            422,
            "invalid_image",
            "images[0].base64",
        ),
        (
            with_image(json!({ "base64": encoded(&truncated_png()) })),
            422,
            "invalid_image",
            "images[0].base64",
        ),
        (
            with_image(json!({ "base64": encoded(&claimed_png(60_000, 60_000)) })),
            422,
            "invalid_image",
            "images[0].base64",
        ),
        (
            with_image(json!({ "url": "http://127.0.0.1:1/x.png" })),
            422,
            "url_refused",
            "images[0].url",
        ),
        (
            with_image(json!({ "url": "http://2130706433/x.png" })),
            422,
            "url_refused",
            "images[0].url",
        ),
        (
            with_image(json!({ "url": "http://169.254.169.254/latest" })),
            422,
            "url_refused",
            "images[0].url",
        ),
        (
            with_image(json!({ "url": "http://[::1]/x.png" })),
            422,
            "url_refused",
            "images[0].url",
        ),
        (
            with_image(json!({ "url": "file:///etc/passwd" })),
            422,
            "url_refused",
            "images[0].url",
        ),
        (
            with_image(json!({ "url": "not an address" })),
            422,
            "invalid_value",
            "images[0].url",
        ),
        (
            with_image(json!({ "path": "/etc/passwd" })),
            422,
            "invalid_value",
            "images[0]",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_names_its_field_and_queues_nothing() {
    let app = App::open().await;
    for (body, status, code, field) in rows() {
        let shown: String = body.to_string().chars().take(120).collect();
        let told = problem(app.post("/api/v1/generations", body).await).await;
        assert_eq!(
            told,
            (status, code.to_owned(), Some(field.to_owned())),
            "{shown}"
        );
    }
    assert_eq!(app.queued().await, 0);
    let inputs = app.store().blobs().list("inputs/", None).await.unwrap();
    assert!(inputs.items.is_empty(), "{inputs:?}");
}
