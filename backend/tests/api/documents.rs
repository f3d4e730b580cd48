//! Documents in all forms, and drawing a picture again.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use illumine_store::queue::{JobContext, JobFailure};
use illumine_types::api::RedrawJob;
use illumine_types::document::{ImageBlock, ImageRef, Timings, Usage};
use illumine_types::tool::{ToolRequest, ToolStats};
use illumine_types::{
    Block, Document, EventKind, JobId, JobKind, Outcome, Provenance, ToolCall, ToolKind,
};
use insta::assert_json_snapshot;
use reqwest::Method;
use serde_json::json;

use crate::generations::wait_for;
use crate::harness::{App, header, json, masked, png, problem};

const HOSTILE: &str =
    "# Owls\n\n<script>alert(1)</script> [x](javascript:alert(1)) <img src=x onerror=alert(1)>";

fn document(id: &JobId, image: ImageRef) -> Document {
    let call = ToolCall {
        request: ToolRequest::Search {
            query: "barn owl".into(),
        },
        description: "A barn owl".into(),
    };
    let provenance = Provenance {
        tool: ToolKind::Search,
        backend: "library".into(),
        model: None,
        seed: None,
        parameters: serde_json::Map::new(),
        source: None,
        program: None,
        parent: None,
        elapsed_ms: 12,
        attempts: 1,
    };
    Document {
        id: id.clone(),
        title: "Owls".into(),
        prompt: "owls".into(),
        inputs: vec![],
        blocks: vec![
            Block::Text {
                markdown: HOSTILE.into(),
            },
            Block::Image(ImageBlock {
                index: 0,
                call: Some(call),
                raw: "{…}".into(),
                outcome: Outcome::Ready {
                    image,
                    provenance: Box::new(provenance),
                },
            }),
            Block::Image(ImageBlock {
                index: 1,
                call: None,
                raw: "{'source': 'fly'}".into(),
                outcome: Outcome::Failed {
                    code: "invalid_tag".into(),
                    reason: "there is no tool `fly`".into(),
                },
            }),
        ],
        tools: ToolStats::default(),
        policy: "burn:demo".into(),
        usage: Usage::default(),
        timings: Timings::default(),
        interruption: None,
        remarks: Vec::new(),
        version: 1,
        created_at: chrono::DateTime::UNIX_EPOCH,
    }
}

/// Plays the worker: a document with one picture; a redraw makes version 2.
async fn write(context: JobContext) -> Result<(), JobFailure> {
    let store = &context.store;
    if context.kind == JobKind::Generation {
        let image = store
            .blobs()
            .put_image_for(&context.id, png(8, 4), "image/png", 8, 4)
            .await?;
        store.documents().put(&document(&context.id, image)).await?;
        return Ok(());
    }
    let asked: RedrawJob = serde_json::from_value(context.request.clone()).unwrap();
    let mut document = store.documents().get(&asked.document).await?;
    document.version += 1;
    document.title = format!("Redrawn {} {:?}", asked.index, asked.redraw.seed);
    store.documents().put(&document).await?;
    let log = EventKind::Log {
        level: illumine_types::event::LogLevel::Info,
        message: "drawn".into(),
    };
    store
        .events()
        .publish(&context.id, context.attempt, log)
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_in_all_forms() {
    let app = App::start().await;
    let id = app.submit("owls").await;
    let path = format!("/api/v1/documents/{id}");
    assert_eq!(
        problem(app.get(&path).await).await,
        (404, "not_ready".into(), None)
    );
    let worker = app.worker(write);
    wait_for(&app, &id, "succeeded").await;
    worker.stop();

    let response = app.get(&path).await;
    let tag = header(&response, "etag").to_owned();
    let document = json(response).await;
    assert_json_snapshot!("document", masked(&document, &["id"]));
    let known = app
        .request(Method::GET, &path)
        .header("if-none-match", &tag);
    assert_eq!(known.send().await.unwrap().status(), 304);

    let url = document["blocks"][1]["outcome"]["image"]["url"]
        .as_str()
        .unwrap();
    assert_eq!(app.get(url).await.bytes().await.unwrap(), png(8, 4));

    let response = app.get(&format!("{path}?format=html")).await;
    assert_eq!(
        header(&response, "content-type"),
        "text/html; charset=utf-8"
    );
    assert!(
        header(&response, "content-security-policy").starts_with("sandbox; default-src 'none'")
    );
    let html = response.text().await.unwrap().replace("&#32;", " ");
    assert!(html.contains("src=\"data:image/png;base64,"), "{html}");
    assert!(
        html.contains("A barn owl") && html.contains("there is no tool"),
        "{html}"
    );
    for danger in [
        "<script",
        "href=\"javascript:",
        "<img src=\"x\"",
        "<img src=x",
    ] {
        assert!(!html.contains(danger), "{danger} in {html}");
    }

    let response = app.get(&format!("{path}?format=markdown")).await;
    assert_eq!(
        header(&response, "content-type"),
        "text/markdown; charset=utf-8"
    );
    let markdown = response.text().await.unwrap();
    assert!(
        markdown.contains(&format!("![A barn owl]({url})")),
        "{markdown}"
    );

    let response = app.get(&format!("{path}?format=zip")).await;
    assert!(header(&response, "content-disposition").starts_with("attachment"));
    let files = unpack(&response.bytes().await.unwrap());
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    let image = format!("images/{}", url.rsplit('/').next().unwrap());
    assert_eq!(
        names,
        ["document.html", "document.json", "document.md", &image]
    );
    assert_eq!(files[&image], png(8, 4));
    let inside: serde_json::Value = serde_json::from_slice(&files["document.json"]).unwrap();
    assert_eq!(inside, document);
    assert!(String::from_utf8_lossy(&files["document.md"]).contains(&format!("({image})")));
}

fn unpack(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut files = BTreeMap::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        files.insert(file.name().to_owned(), bytes);
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_drawn_again_in_its_document() {
    let app = App::open().await;
    let id = app.submit("owls").await;
    let worker = app.worker(write);
    wait_for(&app, &id, "succeeded").await;
    worker.stop();
    let path = |index: &str| format!("/api/v1/documents/{id}/images/{index}/redraw");
    for (index, body, status, code, field) in [
        ("7", json!({}), 404, "not_found", None),
        ("1", json!({}), 409, "wrong_state", None),
        (
            "0",
            json!({ "params": { "prompt": "x" } }),
            422,
            "invalid_value",
            Some("params"),
        ),
        (
            "0",
            json!({ "params": { "query": " " } }),
            422,
            "invalid_value",
            Some("params"),
        ),
        (
            "0",
            json!({ "params": { "query": "x", "size": 1 } }),
            422,
            "invalid_value",
            Some("params"),
        ),
        (
            "0",
            json!({ "parms": {} }),
            422,
            "unknown_field",
            Some("parms"),
        ),
        (
            "0",
            json!({ "seed": "x" }),
            422,
            "invalid_value",
            Some("seed"),
        ),
    ] {
        let told = problem(app.post(&path(index), body.clone()).await).await;
        assert_eq!(
            told,
            (status, code.into(), field.map(str::to_owned)),
            "{index} {body}"
        );
    }
    assert_eq!(app.queued().await, 0);

    let response = app
        .post(
            &path("0"),
            json!({ "seed": 5, "params": { "query": "snowy owl" } }),
        )
        .await;
    assert_eq!(response.status(), 202);
    let accepted = json(response).await;
    let redraw = accepted["id"].as_str().unwrap().to_owned();
    assert!(redraw.starts_with("drw_"), "{redraw}");
    assert_eq!(
        accepted["links"]["document"],
        format!("/api/v1/documents/{id}")
    );
    let worker = app.worker(write);
    wait_for(&app, &redraw, "succeeded").await;
    worker.stop();
    let events = app.get(accepted["links"]["events"].as_str().unwrap()).await;
    let events = events.text().await.unwrap();
    assert!(
        events.contains("event: log") && events.contains("event: completed"),
        "{events}"
    );
    let document = json(app.get(&format!("/api/v1/documents/{id}")).await).await;
    assert_eq!(
        (document["version"].as_u64(), document["title"].as_str()),
        (Some(2), Some("Redrawn 0 Some(5)"))
    );
    let list = json(app.get("/api/v1/generations").await).await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
    let empty = app.request(Method::POST, &path("0")).send().await.unwrap();
    assert_eq!(empty.status(), 202);
}
