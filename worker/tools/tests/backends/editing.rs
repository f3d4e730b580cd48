//! Edit: Qwen-Image-Edit servers, SeedEdit, OpenAI images/edits.

use axum::Json;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use illumine_types::ToolKind;
use image::ImageFormat;
use serde_json::json;

use crate::servers::{KEY, qwen, with_ark, with_openai, with_qwen};
use crate::world::{Server, draw, edit, encoded, png, png_base64, run, tool, with_parent};

#[tokio::test]
async fn qwen_servers_get_the_picture_in_base64() {
    let server = Server::start(|_| async { Json(qwen(&[png_base64()])) }).await;
    let tool = tool(&with_qwen(&[server.url()]), ToolKind::Edit);
    let mut context = with_parent(encoded(64, 32, ImageFormat::Png));
    context.options.seed = Some(9);
    let made = tool.run(&edit("make it snow"), &context).await.unwrap();
    let expected = json!({
        "image_b64": STANDARD.encode(encoded(64, 32, ImageFormat::Png)),
        "prompt": "make it snow", "negative_prompt": " ", "num_inference_steps": 50,
        "guidance_scale": 4.0, "seed": 9
    });
    let seen = &server.seen()[0];
    assert_eq!((seen.uri.path(), seen.json()), ("/edit/", expected));
    let parent = made.provenance.parent.unwrap();
    assert_eq!(parent.index, 2);
    assert!(parent.id.as_str().ends_with(".png"));
    assert!(!made.provenance.parameters.contains_key("image_b64"));
}

#[tokio::test]
async fn parents_are_sent_as_common_types() {
    let server = Server::start(|_| async { Json(qwen(&[png_base64()])) }).await;
    let tool = tool(&with_qwen(&[server.url()]), ToolKind::Edit);
    for format in [ImageFormat::WebP, ImageFormat::Gif] {
        let context = with_parent(encoded(64, 32, format));
        tool.run(&edit("make it snow"), &context).await.unwrap();
    }
    for seen in server.seen() {
        let sent = STANDARD
            .decode(seen.json()["image_b64"].as_str().unwrap())
            .unwrap();
        assert!(sent.starts_with(b"\x89PNG"));
    }
}

#[tokio::test]
async fn seededit_gets_a_data_url() {
    let server =
        Server::start(|_| async { Json(json!({"data": [{"b64_json": png_base64()}]})) }).await;
    let tool = tool(&with_ark(&server.url()), ToolKind::Edit);
    let mut context = with_parent(png());
    context.options.seed = Some(9);
    let made = tool.run(&edit("make it snow"), &context).await.unwrap();
    let expected = json!({
        "model": "doubao-seededit-3-0-i2i-250628", "prompt": "make it snow",
        "image": format!("data:image/png;base64,{}", png_base64()),
        "size": "adaptive", "response_format": "b64_json", "watermark": false, "seed": 9
    });
    let seen = &server.seen()[0];
    assert_eq!(
        (seen.uri.path(), seen.json()),
        ("/api/v3/images/generations", expected)
    );
    assert!(!made.provenance.parameters.contains_key("image"));
}

#[tokio::test]
async fn openai_gets_a_form() {
    let server =
        Server::start(|_| async { Json(json!({"data": [{"b64_json": png_base64()}]})) }).await;
    let tool = tool(&with_openai(&server.url()), ToolKind::Edit);
    tool.run(
        &edit("make it snow"),
        &with_parent(encoded(300, 600, ImageFormat::Jpeg)),
    )
    .await
    .unwrap();
    let seen = &server.seen()[0];
    assert_eq!(seen.uri.path(), "/v1/images/edits");
    assert_eq!(seen.header("authorization"), format!("Bearer {KEY}"));
    assert!(
        seen.header("content-type")
            .starts_with("multipart/form-data; boundary=")
    );
    let body = String::from_utf8_lossy(&seen.body);
    for part in [
        "name=\"image\"; filename=\"image.jpeg\"\r\nContent-Type: image/jpeg",
        "name=\"model\"\r\n\r\ngpt-image-1\r\n",
        "name=\"prompt\"\r\n\r\nmake it snow\r\n",
        "name=\"size\"\r\n\r\n1024x1536\r\n",
    ] {
        assert!(body.contains(part), "{part}");
    }
    assert!(!body.contains("response_format"));
}

#[tokio::test]
async fn without_its_parent_nothing_is_sent() {
    let server = Server::start(|_| async { Json(qwen(&[png_base64()])) }).await;
    let tool = tool(&with_qwen(&[server.url()]), ToolKind::Edit);
    assert_eq!(
        run(&tool, &edit("make it snow")).await.unwrap_err().code(),
        "missing_parent"
    );
    assert_eq!(
        run(&tool, &draw("a fox")).await.unwrap_err().code(),
        "wrong_tool"
    );
    assert_eq!(server.seen().len(), 0);
}
