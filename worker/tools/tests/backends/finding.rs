//! Search engines and the pictures they name.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use illumine_tools::{ToolError, Tuning};
use illumine_types::ToolKind;
use image::codecs::gif::GifEncoder;
use image::{Frame, ImageFormat, RgbaImage};
use serde_json::json;

use crate::servers::{KEY, openverse, searxng, serpapi, serpapi_nothing, with_serpapi};
use crate::world::{
    EveryNameIsHere, Seen, Server, encoded, png, run, search_for, seeded, settings, tool, tuned,
    tuning,
};

/// A host of pictures, good and bad, by path.
async fn pictures() -> Server {
    Server::start(|request: Seen| async move {
        let typed =
            |mime: &'static str, bytes: Vec<u8>| ([("content-type", mime)], bytes).into_response();
        match request.uri.path() {
            "/good.png" => typed("image/png", png()),
            "/other.png" => typed("image/png", encoded(200, 200, ImageFormat::Png)),
            "/mistyped" => typed("text/plain", encoded(320, 240, ImageFormat::Jpeg)),
            "/moving.gif" => typed("image/gif", moving_gif()),
            "/page.png" => typed("image/png", b"<html><body>Sign in</body></html>".to_vec()),
            "/half.png" => typed("image/png", png()[..200].to_vec()),
            "/small.png" => typed("image/png", encoded(16, 16, ImageFormat::Png)),
            "/bomb.png" => typed("image/png", bomb()),
            "/gone.png" => StatusCode::NOT_FOUND.into_response(),
            "/hang.png" => std::future::pending().await,
            "/cut.png" => {
                let chunks = [Ok(vec![0x89; 10]), Err(std::io::Error::other("cut"))];
                Body::from_stream(futures::stream::iter(chunks)).into_response()
            }
            "/flood.png" => {
                let chunks =
                    futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![0; 1 << 20]));
                Body::from_stream(chunks).into_response()
            }
            path => match path.strip_prefix("/to/") {
                Some(target) => Redirect::to(target).into_response(),
                None => StatusCode::NOT_FOUND.into_response(),
            },
        }
    })
    .await
}

fn moving_gif() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    for shade in 0..3 {
        let frame = RgbaImage::from_pixel(200, 200, image::Rgba([shade, 0, 0, 255]));
        encoder.encode_frame(Frame::new(frame)).unwrap();
    }
    drop(encoder);
    bytes
}

/// The head of a 60,000 × 60,000 PNG: its size is at fixed places.
fn bomb() -> Vec<u8> {
    let mut bytes = png();
    bytes[16..20].copy_from_slice(&60_000u32.to_be_bytes());
    bytes[20..24].copy_from_slice(&60_000u32.to_be_bytes());
    let crc = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1))
        })
    })
}

async fn serpapi_naming(urls: Vec<String>) -> Server {
    Server::start(move |_| {
        let answer = serpapi(&urls);
        async move { Json(answer) }
    })
    .await
}

#[tokio::test]
async fn serpapi_is_asked_as_documented_and_the_source_is_kept() {
    let host = pictures().await;
    let engine = serpapi_naming(vec![format!("{}/good.png", host.url())]).await;
    let mut settings = with_serpapi(&engine.url());
    settings.fetch_allow = vec![host.address.to_string()];
    let found = run(&tool(&settings, ToolKind::Search), &search_for(" red fox "))
        .await
        .unwrap();
    let query = engine.seen()[0].uri.to_string();
    for part in [
        "/search.json?",
        "engine=google_images",
        "q=red+fox",
        &format!("api_key={KEY}"),
    ] {
        assert!(query.contains(part), "{query}");
    }
    assert_eq!(
        (found.picture.width, found.picture.mime),
        (320, "image/png")
    );
    let provenance = found.provenance;
    assert_eq!(
        (provenance.backend.as_str(), provenance.attempts),
        ("serpapi", 1)
    );
    let source = provenance.source.unwrap();
    assert_eq!(
        source.page_url.as_deref(),
        Some("https://en.wikipedia.org/wiki/Fox_0")
    );
    assert_eq!(source.file_url, Some(format!("{}/good.png", host.url())));
    assert_eq!(source.title.as_deref(), Some("Fox 0 - Wikipedia"));
    assert_eq!(source.author.as_deref(), Some("Wikipedia"));
}

#[tokio::test]
async fn candidates_are_tried_until_one_is_good() {
    let host = pictures().await;
    let inside = Server::start(|_| async { png() }).await;
    let port = inside.address.port();
    let at = |path: &str| format!("{}/{path}", host.url());
    let engine = serpapi_naming(vec![
        format!("http://127.0.0.1:{port}/direct.png"),
        format!("http://2130706433:{port}/decimal.png"),
        at(&format!("to/http://127.0.0.1:{port}/redirected.png")),
        at("page.png"),
        at("half.png"),
        at("bomb.png"),
        at("small.png"),
        at("gone.png"),
        at("good.png"),
    ])
    .await;
    let mut settings = with_serpapi(&engine.url());
    settings.fetch_allow = vec![host.address.to_string()];
    let found = run(&tool(&settings, ToolKind::Search), &search_for("fox"))
        .await
        .unwrap();
    assert_eq!(
        found.provenance.source.unwrap().file_url,
        Some(at("good.png"))
    );
    assert_eq!(inside.seen().len(), 0, "nothing inside was touched");
}

#[tokio::test]
async fn every_way_to_be_bad_is_told() {
    let host = pictures().await;
    let at = |path: &str| format!("{}/{path}", host.url());
    let bad = [
        ("file:///etc/passwd".to_owned(), "url_scheme"),
        (
            format!("http://pictures.example.com:{}/a", host.address.port()),
            "url_private",
        ),
        (
            format!("http://[::ffff:7f00:1]:{}/a", host.address.port()),
            "url_private",
        ),
        ("not an address".to_owned(), "url_invalid"),
        (at("cut.png"), "url_unreachable"),
        (at("hang.png"), "url_timeout"),
        (at("flood.png"), "url_too_large"),
        (at("gone.png"), "url_status"),
        (at("half.png"), "picture_broken"),
        (at("bomb.png"), "picture_too_many_pixels"),
    ];
    let engine = serpapi_naming(bad.iter().map(|(url, _)| url.clone()).collect()).await;
    let mut settings = with_serpapi(&engine.url());
    settings.fetch_allow = vec![host.address.to_string()];
    let tuning = Tuning {
        resolver: Arc::new(EveryNameIsHere),
        ..tuning()
    };
    let error = run(
        &tuned(&settings, ToolKind::Search, tuning),
        &search_for("fox"),
    )
    .await
    .unwrap_err();
    assert_eq!(error.code(), "nothing_usable");
    for (_, code) in bad {
        assert!(error.to_string().contains(code), "{code}: {error}");
    }
}

#[tokio::test]
async fn content_decides_not_the_claimed_type() {
    let host = pictures().await;
    for (path, mime) in [("mistyped", "image/jpeg"), ("moving.gif", "image/gif")] {
        let engine = serpapi_naming(vec![format!("{}/{path}", host.url())]).await;
        let mut settings = with_serpapi(&engine.url());
        settings.fetch_allow = vec![host.address.to_string()];
        let found = run(&tool(&settings, ToolKind::Search), &search_for("fox"))
            .await
            .unwrap();
        assert_eq!(found.picture.mime, mime);
    }
}

#[tokio::test]
async fn a_seed_chooses_among_the_first_results() {
    let host = pictures().await;
    let urls = ["good.png", "other.png"].map(|path| format!("{}/{path}", host.url()));
    let engine = serpapi_naming(urls.to_vec()).await;
    let mut settings = with_serpapi(&engine.url());
    settings.fetch_allow = vec![host.address.to_string()];
    let tool = tool(&settings, ToolKind::Search);
    for (seed, width) in [(0, 320), (1, 200), (2, 320)] {
        let found = tool.run(&search_for("fox"), &seeded(seed)).await.unwrap();
        assert_eq!(found.picture.width, width, "seed {seed}");
    }
}

#[tokio::test]
async fn busy_engines_are_asked_again_when_they_say() {
    let host = pictures().await;
    let answer = serpapi(&[format!("{}/good.png", host.url())]);
    let engine = Server::start(move |request: Seen| {
        let answer = answer.clone();
        async move {
            match request.before {
                0 => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "0")]).into_response(),
                1 => (StatusCode::INTERNAL_SERVER_ERROR, "oops").into_response(),
                _ => Json(answer).into_response(),
            }
        }
    })
    .await;
    let mut settings = with_serpapi(&engine.url());
    settings.fetch_allow = vec![host.address.to_string()];
    let found = run(&tool(&settings, ToolKind::Search), &search_for("fox"))
        .await
        .unwrap();
    assert_eq!((found.provenance.attempts, engine.seen().len()), (3, 3));
}

#[tokio::test]
async fn refusals_are_for_good_and_keep_the_key_to_themselves() {
    for (status, body, code) in [
        (
            401,
            json!({"error": format!("Invalid API key. Your API key should be here: {KEY}")}),
            "backend_denied",
        ),
        (302, json!(null), "backend_misconfigured"),
        (
            400,
            json!({"error": "Missing query `q` parameter."}),
            "backend_rejected",
        ),
        (200, json!("<html>"), "backend_bad_answer"),
    ] {
        let engine = Server::start(move |_| {
            let status = StatusCode::from_u16(status).unwrap();
            let answer: Response =
                (status, [("location", "/elsewhere")], body.to_string()).into_response();
            std::future::ready(answer)
        })
        .await;
        let tool = tool(&with_serpapi(&engine.url()), ToolKind::Search);
        let error = run(&tool, &search_for("fox")).await.unwrap_err();
        assert_eq!(error.code(), code);
        assert_eq!(
            engine.seen().len(),
            1,
            "{code}: asked once, no redirect followed"
        );
        assert!(!format!("{error} {error:?}").contains(KEY));
        if code == "backend_denied" {
            assert!(error.to_string().contains("SERP_API_KEY"), "{error}");
        }
    }
}

#[tokio::test]
async fn no_results_are_no_failure_of_the_service() {
    let engine = Server::start(|_| async { Json(serpapi_nothing()) }).await;
    let tool = tool(&with_serpapi(&engine.url()), ToolKind::Search);
    let error = run(&tool, &search_for("xyzzy")).await.unwrap_err();
    assert_eq!(error.code(), "nothing_found");
    assert!(matches!(error, ToolError::Permanent { .. }));
}

#[tokio::test]
async fn a_dead_engine_is_named_with_its_setting() {
    let mut settings = with_serpapi("http://127.0.0.1:1");
    settings.search.push("library".into());
    let error = run(&tool(&settings, ToolKind::Search), &search_for("fox"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "backend_unreachable");
    let text = error.to_string();
    assert!(
        text.contains("SERP_API_URL") && text.contains("The library is empty"),
        "{text}"
    );
    assert!(!text.contains(KEY));
}

#[tokio::test]
async fn searxng_is_understood() {
    let host = pictures().await;
    let answer = searxng(&format!("{}/good.png", host.url()));
    let engine = Server::start(move |_| std::future::ready(Json(answer.clone()))).await;
    let mut settings = settings();
    settings.searxng_url = Some(engine.url() + "/");
    settings.fetch_allow = vec![host.address.to_string()];
    let found = run(&tool(&settings, ToolKind::Search), &search_for("fox"))
        .await
        .unwrap();
    let query = engine.seen()[0].uri.to_string();
    assert!(
        query.starts_with("/search?")
            && query.contains("format=json")
            && query.contains("categories=images")
    );
    assert_eq!(found.provenance.backend, "searxng");
    assert_eq!(
        found.provenance.source.unwrap().author.as_deref(),
        Some("Jane Doe")
    );

    let closed = Server::start(|_| async { StatusCode::FORBIDDEN }).await;
    settings.searxng_url = Some(closed.url());
    settings.search = vec!["searxng".into()];
    let error = run(&tool(&settings, ToolKind::Search), &search_for("fox"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("search.formats"), "{error}");
}

#[tokio::test]
async fn openverse_gives_author_and_licence() {
    let host = pictures().await;
    let answer = openverse(
        &format!("{}/other.png", host.url()),
        &format!("{}/good.png", host.url()),
    );
    let engine = Server::start(move |_| std::future::ready(Json(answer.clone()))).await;
    let mut settings = settings();
    settings.openverse_url = Some(engine.url());
    settings.fetch_allow = vec![host.address.to_string()];
    let found = run(&tool(&settings, ToolKind::Search), &search_for("fox"))
        .await
        .unwrap();
    assert!(
        engine.seen()[0]
            .uri
            .to_string()
            .starts_with("/v1/images/?q=fox")
    );
    assert_eq!(found.picture.width, 320, "not the one marked mature");
    let source = found.provenance.source.unwrap();
    assert_eq!(source.license.as_deref(), Some("CC BY-SA 2.0"));
    assert_eq!(source.author.as_deref(), Some("Jane Doe"));
    assert!(
        source
            .page_url
            .unwrap()
            .starts_with("https://www.flickr.com/")
    );
}

#[tokio::test]
async fn an_engine_that_hangs_gives_way_to_the_next() {
    let slow = crate::world::hanging().await;
    let host = pictures().await;
    let answer = searxng(&format!("{}/good.png", host.url()));
    let engine = Server::start(move |_| std::future::ready(Json(answer.clone()))).await;
    let mut settings = with_serpapi(&slow.url());
    settings.search.push("searxng".into());
    settings.searxng_url = Some(engine.url());
    settings.fetch_allow = vec![host.address.to_string()];
    let tuning = Tuning {
        search_timeout: Duration::from_secs(4),
        ..tuning()
    };
    let found = run(
        &tuned(&settings, ToolKind::Search, tuning),
        &search_for("fox"),
    )
    .await
    .unwrap();
    assert_eq!(
        (found.provenance.backend.as_str(), slow.seen().len()),
        ("searxng", 1)
    );
}
