//! Diffusion: Qwen servers, Ark, OpenAI images.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use illumine_tools::{ToolContext, ToolError};
use illumine_types::ToolKind;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::servers::{KEY, ark_error, qwen, with_ark, with_openai, with_qwen};
use crate::world::{Seen, Server, draw, png, png_base64, run, seeded, tool, tuned, tuning};

async fn good_qwen() -> Server {
    Server::start(|_| async { Json(qwen(&[png_base64()])) }).await
}

fn paths(server: &Server) -> Vec<String> {
    server
        .seen()
        .iter()
        .map(|seen| seen.uri.path().to_owned())
        .collect()
}

#[tokio::test]
async fn qwen_servers_get_the_contract_of_the_model() {
    let server = good_qwen().await;
    let tool = tool(&with_qwen(&[server.url()]), ToolKind::Diffusion);
    let mut context = seeded(42);
    context.options.image.width = Some(512);
    context.options.image.steps = Some(20);
    let made = tool.run(&draw("a red fox"), &context).await.unwrap();
    assert_eq!(paths(&server), ["/generate/"]);
    let expected = json!({
        "prompt": "a red fox", "negative_prompt": " ", "width": 512, "height": 1328,
        "num_inference_steps": 20, "guidance_scale": 4.0, "num_images_per_prompt": 1, "seed": 42
    });
    assert_eq!(server.seen()[0].json(), expected);
    assert_eq!(made.picture.bytes, png());
    let provenance = made.provenance;
    assert_eq!(
        (provenance.backend.as_str(), provenance.seed),
        ("qwen", Some(42))
    );
    assert_eq!(provenance.parameters["num_inference_steps"], 20);
    assert!(!provenance.parameters.contains_key("prompt"));
}

#[tokio::test]
async fn a_picture_without_a_seed_gets_one_that_is_told() {
    let server = good_qwen().await;
    let tool = tool(&with_qwen(&[server.url()]), ToolKind::Diffusion);
    let made = run(&tool, &draw("a red fox")).await.unwrap();
    assert_eq!(
        server.seen()[0].json()["seed"],
        json!(made.provenance.seed.unwrap())
    );
}

/// Drops connections while it is dead.
async fn mortal(dead: Arc<AtomicBool>, reached: Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            reached.fetch_add(1, Ordering::SeqCst);
            if dead.load(Ordering::SeqCst) {
                continue;
            }
            let mut request = vec![0; 65536];
            let length = stream.read(&mut request).await.unwrap();
            let is_health = request[..length].starts_with(b"GET /health");
            let body = if is_health {
                json!({"status": "ok", "mode": "generation"})
            } else {
                qwen(&[png_base64()])
            };
            let body = body.to_string();
            let head = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all((head + &body).as_bytes()).await.unwrap();
        }
    });
    url
}

#[tokio::test]
async fn one_dead_server_of_two_is_passed_over_and_rests() {
    let reached = Arc::new(AtomicUsize::new(0));
    let dead = mortal(Arc::new(AtomicBool::new(true)), Arc::clone(&reached)).await;
    let alive = good_qwen().await;
    let tool = tool(&with_qwen(&[dead, alive.url()]), ToolKind::Diffusion);
    for prompt in ["one", "two", "three", "four"] {
        let made = run(&tool, &draw(prompt)).await.unwrap();
        assert_eq!(
            made.provenance.attempts, 1,
            "another server is the same attempt"
        );
    }
    assert_eq!(alive.seen().len(), 4);
    let reached = reached.load(Ordering::SeqCst);
    // the HTTP client itself tries a fresh connection once more
    assert!(
        (1..=2).contains(&reached),
        "it rests after its failure: {reached}"
    );
}

#[tokio::test]
async fn a_server_that_comes_back_serves_again() {
    let dead = Arc::new(AtomicBool::new(true));
    let reached = Arc::new(AtomicUsize::new(0));
    let server = mortal(Arc::clone(&dead), Arc::clone(&reached)).await;
    let tool = tool(&with_qwen(&[server]), ToolKind::Diffusion);
    let error = run(&tool, &draw("a red fox")).await.unwrap_err();
    assert_eq!(error.code(), "backend_unreachable");
    assert!(error.is_transient() && error.to_string().contains("QWEN_IMAGE_SERVER_URL"));
    dead.store(false, Ordering::SeqCst);
    // it still rests, but nobody else is there: it is asked for its health
    run(&tool, &draw("a red fox")).await.unwrap();
}

#[tokio::test]
async fn the_least_loaded_server_serves() {
    let gate = Arc::new(Semaphore::new(0));
    let waiting = |gate: Arc<Semaphore>| {
        Server::start(move |_| {
            let gate = Arc::clone(&gate);
            async move {
                let _ = gate.acquire().await;
                Json(qwen(&[png_base64()]))
            }
        })
    };
    let (one, other) = (
        waiting(Arc::clone(&gate)).await,
        waiting(Arc::clone(&gate)).await,
    );
    let tool = tool(&with_qwen(&[one.url(), other.url()]), ToolKind::Diffusion);
    let calls = (0..4).map(|number| {
        let tool = Arc::clone(&tool);
        tokio::spawn(async move { run(&tool, &draw(&format!("fox {number}"))).await })
    });
    let calls: Vec<_> = calls.collect();
    while one.seen().len() + other.seen().len() < 4 {
        tokio::task::yield_now().await;
    }
    assert_eq!((one.seen().len(), other.seen().len()), (2, 2));
    gate.add_permits(4);
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn failures_of_a_qwen_server_are_told() {
    let server = Server::start(|_| async {
        (
            StatusCode::INTERNAL_SERVER_ERROR,
            Json(json!({"detail": "CUDA out of memory"})),
        )
    })
    .await;
    let failing = tool(&with_qwen(&[server.url()]), ToolKind::Diffusion);
    let error = run(&failing, &draw("a red fox")).await.unwrap_err();
    assert_eq!((error.code(), server.seen().len()), ("backend_failed", 3));
    assert!(error.to_string().contains("CUDA out of memory"), "{error}");

    let wrong_mode = Server::start(|_| async {
        let detail = "This endpoint is only available in generation mode";
        (StatusCode::BAD_REQUEST, Json(json!({"detail": detail})))
    })
    .await;
    let failing = tool(&with_qwen(&[wrong_mode.url()]), ToolKind::Diffusion);
    let error = run(&failing, &draw("a red fox")).await.unwrap_err();
    assert_eq!(
        (error.code(), wrong_mode.seen().len()),
        ("backend_rejected", 1)
    );
    assert!(error.to_string().contains("generation mode"), "{error}");
}

#[tokio::test]
async fn answers_that_are_no_picture_are_refused() {
    for (answer, code) in [
        (
            json!({"status": "success", "images": []}),
            "backend_bad_answer",
        ),
        (
            json!({"status": "error", "images": [png_base64()]}),
            "backend_bad_answer",
        ),
        (
            json!({"status": "success", "images": ["%%%"]}),
            "backend_bad_answer",
        ),
        (
            json!({"status": "success", "images": ["PGh0bWw+"]}),
            "picture_unsupported",
        ),
        (json!({"images": 3}), "backend_bad_answer"),
    ] {
        let server = Server::start(move |_| std::future::ready(Json(answer.clone()))).await;
        let tool = tool(&with_qwen(&[server.url()]), ToolKind::Diffusion);
        assert_eq!(
            run(&tool, &draw("a red fox")).await.unwrap_err().code(),
            code
        );
    }
}

#[tokio::test]
async fn seedream_is_asked_as_documented() {
    let server = Server::start(|_| async {
        let item = json!({"b64_json": png_base64(), "size": "1024x1024"});
        Json(json!({"model": "doubao-seedream-3-0-t2i-250415", "created": 1, "data": [item], "usage": {"generated_images": 1}}))
    })
    .await;
    let tool = tool(&with_ark(&server.url()), ToolKind::Diffusion);
    let made = tool
        .run(&draw("a red fox"), &seeded(1 << 31 | 7))
        .await
        .unwrap();
    let seen = &server.seen()[0];
    assert_eq!(seen.uri.path(), "/api/v3/images/generations");
    assert_eq!(seen.header("authorization"), format!("Bearer {KEY}"));
    let expected = json!({
        "model": "doubao-seedream-3-0-t2i-250415", "prompt": "a red fox", "size": "1024x1024",
        "response_format": "b64_json", "watermark": false, "seed": 7
    });
    assert_eq!(seen.json(), expected);
    assert_eq!(
        (made.provenance.backend.as_str(), made.provenance.seed),
        ("ark", Some(7))
    );
    assert_eq!(
        made.provenance.model.as_deref(),
        Some("doubao-seedream-3-0-t2i-250415")
    );
}

#[tokio::test]
async fn later_seedreams_get_neither_seed_nor_guidance() {
    let server =
        Server::start(|_| async { Json(json!({"data": [{"b64_json": png_base64()}]})) }).await;
    let mut settings = with_ark(&server.url());
    settings.ark_image_model = "doubao-seedream-4-0-250828".into();
    let mut context = seeded(5);
    context.options.image.guidance = Some(3.0);
    let made = tool(&settings, ToolKind::Diffusion)
        .run(&draw("a fox"), &context)
        .await
        .unwrap();
    let body = server.seen()[0].json();
    assert_eq!(body["size"], "2048x2048");
    assert!(body.get("seed").is_none() && body.get("guidance_scale").is_none());
    assert_eq!(made.provenance.seed, None, "no seed was sent");
}

#[tokio::test]
async fn addresses_of_pictures_pass_the_guard() {
    let server = Server::start(|seen: Seen| async move {
        if seen.uri.path() == "/out.png" {
            return png().into_response();
        }
        let host = seen.header("host").to_owned();
        Json(json!({"data": [{"url": format!("http://{host}/out.png")}]})).into_response()
    })
    .await;
    let tool_ = tool(&with_ark(&server.url()), ToolKind::Diffusion);
    run(&tool_, &draw("a red fox")).await.unwrap();
    assert_eq!(
        server.seen()[1].header("authorization"),
        "",
        "the key stays with the API"
    );

    let inside = Server::start(|_| async { png() }).await;
    let url = format!("{}/secret.png", inside.url());
    let hostile =
        Server::start(move |_| std::future::ready(Json(json!({"data": [{"url": url}]})))).await;
    let tool_ = tool(&with_ark(&hostile.url()), ToolKind::Diffusion);
    let error = run(&tool_, &draw("a red fox")).await.unwrap_err();
    assert_eq!((error.code(), inside.seen().len()), ("url_private", 0));
}

#[tokio::test]
async fn a_refusal_on_policy_is_not_taken_elsewhere() {
    let other = good_qwen().await;
    for (status, body) in [
        (400, ark_error("InputTextSensitiveContentDetected")),
        (
            200,
            json!({"data": [ark_error("OutputImageSensitiveContentDetected")]}),
        ),
    ] {
        let server = Server::start(move |_| {
            std::future::ready((StatusCode::from_u16(status).unwrap(), Json(body.clone())))
        })
        .await;
        let mut settings = with_ark(&server.url());
        settings.qwen_image_servers = vec![other.url()];
        settings.diffusion = vec!["ark".into(), "qwen".into()];
        let error = run(&tool(&settings, ToolKind::Diffusion), &draw("a red fox"))
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                ToolError::Refused {
                    code: "refused_by_service",
                    ..
                }
            ),
            "{error}"
        );
        assert!(!error.to_string().contains(KEY));
        assert_eq!((server.seen().len(), other.seen().len()), (1, 0));
    }
}

#[tokio::test]
async fn openai_images_differ_by_model() {
    let server = Server::start(|_| async {
        Json(json!({"created": 1, "data": [{"b64_json": png_base64()}]}))
    })
    .await;
    let mut settings = with_openai(&server.url());
    let mut context = ToolContext::default();
    context.options.image.width = Some(1600);
    context.options.image.height = Some(900);
    for (model, body) in [
        (
            "gpt-image-1",
            json!({"model": "gpt-image-1", "prompt": "a fox", "size": "1536x1024", "n": 1}),
        ),
        (
            "dall-e-3",
            json!({"model": "dall-e-3", "prompt": "a fox", "size": "1792x1024", "n": 1, "response_format": "b64_json"}),
        ),
        (
            "my-flux",
            json!({"model": "my-flux", "prompt": "a fox", "size": "1600x900", "n": 1, "response_format": "b64_json"}),
        ),
    ] {
        settings.openai_images_model = model.into();
        let made = tool(&settings, ToolKind::Diffusion)
            .run(&draw("a fox"), &context)
            .await
            .unwrap();
        assert_eq!(made.provenance.model.as_deref(), Some(model));
        let seen = server.seen();
        let last = seen.last().unwrap();
        assert_eq!(
            (last.uri.path(), last.json()),
            ("/v1/images/generations", body)
        );
    }
}

#[tokio::test]
async fn openai_refusals_name_the_setting() {
    let denied = json!({"error": {"message": format!("Incorrect API key provided: {KEY}."), "type": "invalid_request_error", "param": null, "code": "invalid_api_key"}});
    let blocked = json!({"error": {"message": "Your request was rejected by the safety system.", "type": "image_generation_user_error", "param": null, "code": "moderation_blocked"}});
    let quota = json!({"error": {"message": "You exceeded your current quota", "type": "insufficient_quota", "param": null, "code": "insufficient_quota"}});
    for (status, body, code) in [
        (401, denied, "backend_denied"),
        (400, blocked, "refused_by_service"),
        (429, quota, "backend_quota"),
    ] {
        let server = Server::start(move |_| {
            std::future::ready((StatusCode::from_u16(status).unwrap(), Json(body.clone())))
        })
        .await;
        let tool = tool(&with_openai(&server.url()), ToolKind::Diffusion);
        let error = run(&tool, &draw("a red fox")).await.unwrap_err();
        assert_eq!((error.code(), server.seen().len()), (code, 1));
        assert!(!format!("{error:?}").contains(KEY));
        if code != "refused_by_service" {
            assert!(
                error.to_string().contains("ILLUMINE_OPENAI_IMAGES_API_KEY"),
                "{error}"
            );
        }
    }
}

#[tokio::test]
async fn a_server_that_hangs_gives_way_to_the_next_backend() {
    let slow = crate::world::hanging().await;
    let ark =
        Server::start(|_| async { Json(json!({"data": [{"b64_json": png_base64()}]})) }).await;
    let mut settings = with_ark(&ark.url());
    settings.qwen_image_servers = vec![slow.url()];
    settings.draw_timeout_s = 3;
    let made = run(
        &tuned(&settings, ToolKind::Diffusion, tuning()),
        &draw("a fox"),
    )
    .await
    .unwrap();
    assert_eq!(
        (made.provenance.backend.as_str(), made.provenance.attempts),
        ("ark", 2)
    );
    assert_eq!(slow.seen().len(), 1, "its time is used up once");
}
