//! Whatever is wrong with a request: a 4xx with the field, nothing queued.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::harness::{App, claimed_png, png, problem};

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

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_no_requests() {
    let app = App::open().await;
    let send = async |mime: &str, body: Vec<u8>| {
        let request = app.request(Method::POST, "/api/v1/generations");
        problem(
            request
                .header("content-type", mime)
                .body(body)
                .send()
                .await
                .unwrap(),
        )
        .await
    };
    for (mime, body, status, code) in [
        (
            "application/json",
            &b"{\"prompt\":"[..],
            400,
            "invalid_json",
        ),
        ("application/json", b"", 400, "invalid_json"),
        ("application/json", b"\xff\xfe", 400, "invalid_json"),
        (
            "application/json",
            b"{\"prompt\":\"a\"}{}",
            400,
            "invalid_json",
        ),
        (
            "text/plain",
            b"{\"prompt\":\"a\"}",
            415,
            "unsupported_media_type",
        ),
        ("multipart/form-data", b"x", 400, "invalid_multipart"),
        (
            "multipart/form-data; boundary=x",
            b"--y\r\n",
            400,
            "invalid_multipart",
        ),
    ] {
        let (told_status, told_code, _) = send(mime, body.to_vec()).await;
        assert_eq!(
            (told_status, told_code.as_str()),
            (status, code),
            "{mime} {body:?}"
        );
    }
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let deeper = format!("{{\"prompt\":\"a\",\"images\":{deep}}}");
    assert_eq!(send("application/json", deep.into_bytes()).await.0, 422);
    assert_eq!(send("application/json", deeper.into_bytes()).await.0, 422);
    let huge = app
        .request(Method::POST, "/api/v1/session")
        .header("content-type", "application/json")
        .body(vec![b' '; 1_000_000])
        .send()
        .await
        .unwrap();
    assert_eq!(problem(huge).await.1, "payload_too_large");
    assert_eq!(app.queued().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_are_checked_like_json() {
    let app = App::open().await;
    let file = |bytes: Vec<u8>| Part::bytes(bytes).file_name("x.png");
    for (form, code, field) in [
        (Form::new().text("prompt", " "), "invalid_value", "prompt"),
        (
            Form::new().part("images", file(png(2, 2))),
            "missing_field",
            "prompt",
        ),
        (
            Form::new().text("prompt", "a").text("prompt", "b"),
            "invalid_value",
            "prompt",
        ),
        (
            Form::new().text("prompt", "a").text("seed", "1"),
            "unknown_field",
            "seed",
        ),
        (
            Form::new().text("prompt", "a").text("request", "{}"),
            "invalid_value",
            "request",
        ),
        (
            Form::new().text("request", r#"{"prompt":""}"#),
            "invalid_value",
            "prompt",
        ),
        (
            Form::new()
                .text("prompt", "a")
                .text("options", r#"{"samples":0}"#),
            "invalid_value",
            "options.samples",
        ),
        (
            Form::new()
                .text("prompt", "a")
                .text("options", r#"{"sample":0}"#),
            "unknown_field",
            "options.sample",
        ),
        (
            Form::new().text("prompt", "a").text("options", "{"),
            "invalid_value",
            "options",
        ),
        (
            Form::new()
                .text("prompt", "a")
                .part("images", file(b"GIF89a".to_vec())),
            "invalid_image",
            "images[0]",
        ),
        (
            Form::new()
                .text("prompt", "a")
                .part("images", file(claimed_png(60_000, 60_000))),
            "invalid_image",
            "images[0]",
        ),
        (
            Form::new()
                .text("prompt", "a")
                .part("images", file(png(2, 2)))
                .part("images", file(vec![])),
            "invalid_image",
            "images[1]",
        ),
    ] {
        let request = app
            .request(Method::POST, "/api/v1/generations")
            .multipart(form);
        let (status, told, told_field) = problem(request.send().await.unwrap()).await;
        assert_eq!(
            (status, told.as_str(), told_field.as_deref()),
            (422, code, Some(field))
        );
    }
    let eleven = (0..11).fold(Form::new().text("prompt", "a"), |form, _| {
        form.part("images", file(png(2, 2)))
    });
    let request = app
        .request(Method::POST, "/api/v1/generations")
        .multipart(eleven);
    assert_eq!(
        problem(request.send().await.unwrap()).await.2.unwrap(),
        "images[10]"
    );
    assert_eq!(app.queued().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_queries_and_headers() {
    let app = App::open().await;
    let unknown = "gen_01J9ZD1N7H0000000000000000";
    let get = Method::GET;
    let post = Method::POST;
    for (method, path, status, code, field) in [
        (
            &get,
            format!("/api/v1/generations/{unknown}"),
            404,
            "not_found",
            None,
        ),
        (
            &get,
            format!("/api/v1/generations/{unknown}/events"),
            404,
            "not_found",
            None,
        ),
        (
            &get,
            format!("/api/v1/documents/{unknown}"),
            404,
            "not_found",
            None,
        ),
        (
            &post,
            format!("/api/v1/generations/{unknown}/cancel"),
            404,
            "not_found",
            None,
        ),
        (
            &post,
            format!("/api/v1/generations/{unknown}/retry"),
            404,
            "not_found",
            None,
        ),
        (
            &Method::DELETE,
            format!("/api/v1/generations/{unknown}"),
            404,
            "not_found",
            None,
        ),
        (
            &post,
            format!("/api/v1/documents/{unknown}/images/0/redraw"),
            404,
            "not_found",
            None,
        ),
        (
            &post,
            format!("/api/v1/documents/{unknown}/images/x/redraw"),
            400,
            "invalid_id",
            Some("index"),
        ),
        (
            &get,
            "/api/v1/generations/42".into(),
            400,
            "invalid_id",
            Some("id"),
        ),
        (
            &get,
            "/api/v1/generations/gen_..%2F..%2Fetc".into(),
            400,
            "invalid_id",
            Some("id"),
        ),
        (
            &get,
            "/api/v1/generations/run_01J9ZD1N7H0000000000000000".into(),
            400,
            "invalid_id",
            Some("id"),
        ),
        (
            &get,
            "/api/v1/documents/drw_01J9ZD1N7H0000000000000000".into(),
            400,
            "invalid_id",
            Some("id"),
        ),
        (
            &get,
            format!("/api/v1/documents/{unknown}?format=pdf"),
            400,
            "invalid_query",
            Some("format"),
        ),
        (
            &get,
            format!("/api/v1/images/{}.png", "a".repeat(64)),
            404,
            "not_found",
            None,
        ),
        (
            &get,
            format!("/api/v1/inputs/{}.svg", "a".repeat(64)),
            404,
            "not_found",
            None,
        ),
        (
            &get,
            "/api/v1/images/x.png".into(),
            400,
            "invalid_id",
            Some("key"),
        ),
        (
            &get,
            "/api/v1/generations?cursor=expired".into(),
            400,
            "invalid_cursor",
            Some("cursor"),
        ),
        (
            &get,
            "/api/v1/generations?limit=0".into(),
            400,
            "invalid_query",
            Some("limit"),
        ),
        (
            &get,
            "/api/v1/generations?limit=x".into(),
            400,
            "invalid_query",
            Some("limit"),
        ),
        (
            &get,
            "/api/v1/generations?status=done".into(),
            400,
            "invalid_query",
            Some("status"),
        ),
        (
            &get,
            "/api/v1/generations?since=yesterday".into(),
            400,
            "invalid_query",
            Some("since"),
        ),
        (
            &get,
            "/api/v1/generations?tool=brush".into(),
            400,
            "invalid_query",
            Some("tool"),
        ),
        (
            &get,
            "/api/v1/generations?mine=perhaps".into(),
            400,
            "invalid_query",
            Some("mine"),
        ),
        (
            &get,
            "/api/v1/generations?page=2".into(),
            400,
            "invalid_query",
            Some("page"),
        ),
        (
            &get,
            "/api/v1/generations?limit=1&limit=2".into(),
            400,
            "invalid_query",
            Some("limit"),
        ),
        (&get, "/api/v1/nothing".into(), 404, "unknown_route", None),
        (
            &get,
            "/api/v2/generations".into(),
            404,
            "unknown_route",
            None,
        ),
        (&get, "/api".into(), 404, "unknown_route", None),
        (
            &Method::PUT,
            "/api/v1/generations".into(),
            405,
            "method_not_allowed",
            None,
        ),
        (
            &Method::PATCH,
            format!("/api/v1/generations/{unknown}"),
            405,
            "method_not_allowed",
            None,
        ),
        (
            &post,
            "/api/v1/queue/nothing/pause".into(),
            404,
            "not_found",
            None,
        ),
        (
            &Method::DELETE,
            "/api/v1/keys/1".into(),
            400,
            "invalid_id",
            Some("id"),
        ),
        (
            &Method::DELETE,
            "/api/v1/keys/key_01J9ZD1N7H0000000000000000".into(),
            404,
            "not_found",
            None,
        ),
    ] {
        let response = app.request(method.clone(), &path).send().await.unwrap();
        let told = problem(response).await;
        assert_eq!(
            told,
            (status, code.into(), field.map(str::to_owned)),
            "{method} {path}"
        );
    }
    let refused = app
        .request(Method::PUT, "/api/v1/generations")
        .send()
        .await
        .unwrap();
    assert_eq!(refused.headers()["allow"], "GET, POST");
    for key in ["", "two words", &"x".repeat(256)] {
        let request = app.request(Method::POST, "/api/v1/generations");
        let request = request
            .header("idempotency-key", key)
            .json(&json!({ "prompt": "owls" }));
        assert_eq!(
            problem(request.send().await.unwrap()).await.1,
            "invalid_header",
            "{key}"
        );
    }
    assert_eq!(app.queued().await, 0);
}
