//! Multipart forms.

use reqwest::Method;
use reqwest::multipart::{Form, Part};

use crate::harness::{App, claimed_png, png, problem};

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
