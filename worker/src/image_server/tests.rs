//! The interface over real HTTP, with a model that draws gradients.

use std::time::Duration;

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::join_all;
use illumine_models::qwen_image::ImageMode;
use illumine_models::qwen_image::studio::StudioConfig;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{Server, router};
use crate::image_models::testing::Gradients;

struct World {
    base: String,
    client: Client,
}

async fn world(mode: ImageMode, delay_ms: u64, config: StudioConfig) -> World {
    served(mode, delay_ms, config, None).await
}

async fn served(mode: ImageMode, delay_ms: u64, config: StudioConfig, key: Option<&str>) -> World {
    let queue = config.queue;
    let studio = Gradients::studio(mode, delay_ms, config);
    let key = key.map(str::to_owned);
    let server = Server::new(studio, queue, "/models/gradients".to_owned(), key);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router(server)).await });
    World {
        base,
        client: Client::new(),
    }
}

impl World {
    async fn post(&self, path: &str, body: &Value) -> Response {
        let request = self.client.post(format!("{}{path}", self.base)).json(body);
        request.send().await.unwrap()
    }

    async fn get(&self, path: &str) -> Response {
        let request = self.client.get(format!("{}{path}", self.base));
        request.send().await.unwrap()
    }

    async fn ask(&self, path: &str, body: &Value) -> Value {
        let response = self.post(path, body).await;
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }

    async fn figure(&self, name: &str) -> f64 {
        let text = self.get("/metrics").await.text().await.unwrap();
        let start = format!("illumine_image_{name} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap_or_else(|| panic!("{name}: {text}"))
            .parse()
            .unwrap()
    }

    async fn until(&self, name: &str, value: f64) {
        let reached = async {
            while self.figure(name).await != value {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let limited = tokio::time::timeout(Duration::from_secs(20), reached).await;
        limited.unwrap_or_else(|_| panic!("{name} never was {value}"));
    }
}

fn picture(answer: &Value, index: usize) -> RgbImage {
    let bytes = STANDARD
        .decode(answer["images"][index].as_str().unwrap())
        .unwrap();
    assert!(bytes.starts_with(b"\x89PNG"));
    image::load_from_memory(&bytes).unwrap().to_rgb8()
}

fn encoded(picture: &RgbImage, format: ImageFormat) -> String {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = DynamicImage::from(picture.clone());
    picture.write_to(&mut bytes, format).unwrap();
    STANDARD.encode(bytes.into_inner())
}

#[tokio::test]
async fn size_count_and_seed_are_honoured() {
    let world = world(ImageMode::Generation, 0, StudioConfig::default()).await;
    // As the original client sends it.
    let plain = json!({
        "prompt": "a cat", "negative_prompt": "blurry", "height": 24, "width": 40,
        "num_inference_steps": 3,
    });
    let answer = world.ask("/generate/", &plain).await;
    assert_eq!(answer["status"], "success");
    assert_eq!(picture(&answer, 0).dimensions(), (40, 24));
    assert_eq!(
        (&answer["num_inference_steps"], &answer["guidance_scale"]),
        (&json!(3), &json!(4.0))
    );

    let several = json!({
        "prompt": "a cat", "seed": "41", "num_images_per_prompt": 3.0,
        "guidance_scale": 2.5, "width": 45, "height": 8, "unknown": true,
    });
    let answer = world.ask("/generate", &several).await;
    assert_eq!(answer["seeds"], json!([41, 42, 43]));
    for (index, seed) in [41, 42, 43].into_iter().enumerate() {
        let picture = picture(&answer, index);
        assert_eq!(
            (picture.dimensions(), picture.get_pixel(1, 2).0),
            ((40, 8), [1, 2, seed])
        );
    }
    assert_eq!(answer["notes"], json!(["the width was rounded to 40"]));

    let own = world.ask("/generate/", &json!({"prompt": "a cat"})).await;
    assert_eq!(
        (&own["width"], &own["height"], &own["num_inference_steps"]),
        (&json!(32), &json!(16), &json!(4))
    );
    let again = world.ask("/generate/", &json!({"prompt": "a cat"})).await;
    assert_ne!(
        own["seeds"], again["seeds"],
        "a seed that is not named is fresh"
    );
    assert_eq!(world.figure("pictures_total").await, 6.0);
}

#[tokio::test]
async fn edits_follow_their_picture() {
    let world = world(ImageMode::Edit, 0, StudioConfig::default()).await;
    let parent = RgbImage::from_pixel(48, 24, Rgb([200, 3, 4]));
    for text in [
        encoded(&parent, ImageFormat::Png),
        format!(
            "data:image/gif;base64,{}",
            encoded(&parent, ImageFormat::Gif)
        ),
    ] {
        for image in [json!(text), json!([text])] {
            let body =
                json!({"image_b64": image, "prompt": "snow", "num_inference_steps": 2, "seed": 7});
            let answer = world.ask("/edit/", &body).await;
            let drawn = picture(&answer, 0);
            assert_eq!(
                (drawn.dimensions(), drawn.get_pixel(3, 2).0),
                ((48, 24), [200, 2, 7])
            );
        }
    }
    let too_many =
        json!({"image_b64": vec![encoded(&parent, ImageFormat::Png); 2], "prompt": "snow"});
    let response = world.post("/edit/", &too_many).await;
    let error: Value = response.json().await.unwrap();
    assert_eq!(error["detail"][0]["loc"], json!(["body", "image_b64"]));
}

#[tokio::test]
async fn the_other_mode_is_refused_in_the_originals_words() {
    for (mode, path, word) in [
        (ImageMode::Generation, "/edit/", "edit"),
        (ImageMode::Edit, "/generate/", "generation"),
    ] {
        let world = world(mode, 0, StudioConfig::default()).await;
        let response = world.post(path, &json!({"prompt": "a cat"})).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let error: Value = response.json().await.unwrap();
        let says = format!("This endpoint is only available in {word} mode");
        assert_eq!(error, json!({"detail": says}));
    }
}

#[tokio::test]
async fn faults_name_their_field() {
    let world = world(ImageMode::Generation, 0, StudioConfig::default()).await;
    let cases = [
        (json!({}), "prompt"),
        (json!({"prompt": ""}), "prompt"),
        (json!({"prompt": 7}), "prompt"),
        (json!({"prompt": "x", "width": 0}), "width"),
        (json!({"prompt": "x", "height": -8}), "height"),
        (json!({"prompt": "x", "width": "wide"}), "width"),
        (
            json!({"prompt": "x", "num_inference_steps": 0}),
            "num_inference_steps",
        ),
        (
            json!({"prompt": "x", "num_inference_steps": 1_000_000}),
            "num_inference_steps",
        ),
        (
            json!({"prompt": "x", "num_inference_steps": 2.5}),
            "num_inference_steps",
        ),
        (
            json!({"prompt": "x", "num_images_per_prompt": 5}),
            "num_images_per_prompt",
        ),
        (
            json!({"prompt": "x", "guidance_scale": "much"}),
            "guidance_scale",
        ),
        (json!({"prompt": "x", "seed": -1}), "seed"),
        (
            json!({"prompt": "x", "negative_prompt": []}),
            "negative_prompt",
        ),
        (json!({"prompt": "x", "request_id": "a b"}), "request_id"),
        (json!({"prompt": "x", "previews": "yes"}), "previews"),
    ];
    for (body, field) in cases {
        let response = world.post("/generate/", &body).await;
        assert_eq!(
            response.status(),
            StatusCode::UNPROCESSABLE_ENTITY,
            "{body}"
        );
        let error: Value = response.json().await.unwrap();
        assert_eq!(error["detail"][0]["loc"], json!(["body", field]), "{error}");
        assert!(!error["detail"][0]["msg"].as_str().unwrap().is_empty());
    }
    let broken = world
        .client
        .post(format!("{}/generate/", world.base))
        .body("{");
    assert_eq!(
        broken.send().await.unwrap().status(),
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(
        world.get("/generate/").await.status(),
        StatusCode::METHOD_NOT_ALLOWED
    );
    assert_eq!(world.get("/nothing").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(world.figure("requests_total").await, 0.0);
}

#[tokio::test]
async fn pictures_that_are_none_are_refused() {
    let world = world(ImageMode::Edit, 0, StudioConfig::default()).await;
    let mut huge = STANDARD
        .decode(encoded(&RgbImage::new(1, 1), ImageFormat::Png))
        .unwrap();
    // 60,000 × 60,000 pixels, by the header alone.
    huge[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    let check = crc(&huge[12..29]);
    huge[29..33].copy_from_slice(&check.to_be_bytes());
    for image in [
        json!(null),
        json!(""),
        json!("no base64!"),
        json!(STANDARD.encode("<html>")),
        json!(STANDARD.encode(&huge)),
        json!([]),
        json!([7]),
    ] {
        let body = json!({"image_b64": image, "prompt": "snow"});
        let response = world.post("/edit/", &body).await;
        let status = response.status();
        let error: Value = response.json().await.unwrap();
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{error}");
        assert_eq!(
            error["detail"][0]["loc"],
            json!(["body", "image_b64"]),
            "{error}"
        );
    }
}

/// Of a PNG's chunk.
fn crc(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[tokio::test]
async fn it_answers_while_it_draws_and_a_full_queue_is_busy() {
    let config = StudioConfig {
        queue: 2,
        batch: 1,
        ..StudioConfig::default()
    };
    let world = world(ImageMode::Generation, 20, config).await;
    let body = |steps: u32| json!({"prompt": "a cat", "num_inference_steps": steps});
    // Something to reckon with.
    world.ask("/generate/", &body(2)).await;
    let long = body(50);
    let under_way = world.post("/generate/", &long);
    let asking = async {
        world.until("drawing", 1.0).await;
        let health: Value = world.get("/health").await.json().await.unwrap();
        assert_eq!(health, json!({"status": "ok", "mode": "generation"}));
        let info: Value = world.get("/info").await.json().await.unwrap();
        assert_eq!(info["model_path"], "/models/gradients");
        assert_eq!(info["available_endpoints"], json!(["/generate/"]));
        assert_eq!(
            info["queue"],
            json!({"waiting": 0, "drawing": 1, "limit": 2})
        );
        let many = join_all((0..4).map(|_| world.post("/generate/", &long))).await;
        let (busy, served): (Vec<&Response>, Vec<&Response>) = many
            .iter()
            .partition(|answer| answer.status() == StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!((busy.len(), served.len()), (2, 2));
        for answer in busy {
            let wait: u64 = answer.headers()["retry-after"]
                .to_str()
                .unwrap()
                .parse()
                .unwrap();
            assert!((1..=60).contains(&wait), "{wait}");
        }
        let never = json!({"prompt": "a cat", "num_images_per_prompt": 3});
        let response = world.post("/generate/", &never).await;
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    };
    let (first, ()) = tokio::join!(under_way, asking);
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(world.figure("refused_total").await, 2.0);
}

#[tokio::test]
async fn whoever_hangs_up_makes_room() {
    let world = world(ImageMode::Generation, 10, StudioConfig::default()).await;
    let endless = json!({"prompt": "a cat", "num_inference_steps": 1000});
    let asked = tokio::time::timeout(
        Duration::from_millis(200),
        world.post("/generate/", &endless),
    );
    assert!(asked.await.is_err());
    world.until("cancelled_total", 1.0).await;
    world.ask("/generate/", &json!({"prompt": "a cat"})).await;
}

#[tokio::test]
async fn a_request_can_be_followed_and_stopped() {
    let config = StudioConfig {
        preview_every: Duration::ZERO,
        ..StudioConfig::default()
    };
    let world = world(ImageMode::Generation, 10, config).await;
    let endless = json!({
        "prompt": "a cat", "num_inference_steps": 1000, "request_id": "r-1", "previews": true,
    });
    let drawing = world.post("/generate/", &endless);
    let following = async {
        let progress = loop {
            let progress: Value = world.get("/progress/r-1").await.json().await.unwrap();
            if progress["images"][0]["step"].as_u64() > Some(2) {
                break progress;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let image = &progress["images"][0];
        assert_eq!(
            (&image["state"], &image["steps"]),
            (&json!("drawing"), &json!(1000))
        );
        let preview = STANDARD
            .decode(image["preview_b64"].as_str().unwrap())
            .unwrap();
        assert_eq!(image::load_from_memory(&preview).unwrap().width(), 2);
        let response = world.post("/generate/", &endless).await;
        let error: Value = response.json().await.unwrap();
        assert_eq!(error["detail"][0]["loc"], json!(["body", "request_id"]));
        let url = format!("{}/progress/r-1", world.base);
        let stopped: Value = world
            .client
            .delete(url)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(stopped["cancelled"], true);
    };
    let (response, ()) = tokio::join!(drawing, following);
    assert_eq!(response.status(), StatusCode::CONFLICT);
    let progress: Value = world.get("/progress/r-1").await.json().await.unwrap();
    assert_eq!(progress["images"][0]["state"], "cancelled");
    assert_eq!(
        world.get("/progress/other").await.status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn failures_are_told_and_pass() {
    let world = world(ImageMode::Generation, 0, StudioConfig::default()).await;
    for (prompt, says) in [("panic", "the brush broke"), ("fail", "out of paint")] {
        let response = world.post("/generate/", &json!({"prompt": prompt})).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let error: Value = response.json().await.unwrap();
        assert!(error["detail"].as_str().unwrap().contains(says), "{error}");
    }
    world.ask("/generate/", &json!({"prompt": "a cat"})).await;
    assert_eq!(world.figure("failed_total").await, 2.0);
}

#[tokio::test]
async fn the_model_is_put_away_on_request() {
    let world = world(ImageMode::Generation, 0, StudioConfig::default()).await;
    world.ask("/generate/", &json!({"prompt": "a cat"})).await;
    world.until("drawing", 0.0).await;
    let answer = world.ask("/unload", &json!({})).await;
    assert_eq!(answer, json!({"unloaded": true}));
    assert_eq!(world.figure("loaded").await, 0.0);
    world.ask("/generate/", &json!({"prompt": "a cat"})).await;
    assert_eq!(world.figure("loads_total").await, 2.0);
}

#[tokio::test]
async fn a_key_is_asked_where_one_is_set() {
    let config = StudioConfig::default();
    let world = served(ImageMode::Generation, 0, config, Some("k")).await;
    let body = json!({"prompt": "a cat"});
    assert_eq!(
        world.post("/generate/", &body).await.status(),
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(world.get("/info").await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(world.get("/health").await.status(), StatusCode::OK);
    let request = world.client.post(format!("{}/generate/", world.base));
    let response = request.bearer_auth("k").json(&body).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}
