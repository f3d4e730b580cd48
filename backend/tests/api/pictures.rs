//! Uploading pictures and getting them back.

use insta::assert_json_snapshot;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, Response};

use crate::harness::{App, claimed_png, header, json, png, problem};

async fn upload(app: &App, bytes: Vec<u8>) -> Response {
    let form = Form::new().part("file", Part::bytes(bytes).file_name("holiday.gif"));
    let request = app.request(Method::POST, "/api/v1/inputs").multipart(form);
    request.send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_measured_and_served_for_ever() {
    let app = App::start().await;
    let response = upload(&app, png(4, 2)).await;
    assert_eq!(response.status(), 201);
    let location = header(&response, "location").to_owned();
    let uploaded = json(response).await;
    assert_json_snapshot!("uploaded_input", uploaded);
    assert_eq!(uploaded["url"], location.as_str());

    let picture = app.get(&location).await;
    assert_eq!(
        header(&picture, "cache-control"),
        "private, max-age=31536000, immutable"
    );
    assert_eq!(header(&picture, "x-content-type-options"), "nosniff");
    assert!(header(&picture, "content-security-policy").starts_with("sandbox"));
    assert_eq!(
        header(&picture, "content-length"),
        png(4, 2).len().to_string()
    );
    let tag = header(&picture, "etag").to_owned();
    assert_eq!(picture.bytes().await.unwrap(), png(4, 2));

    let known = app
        .request(Method::GET, &location)
        .header("if-none-match", tag);
    assert_eq!(known.send().await.unwrap().status(), 304);
    let head = app.request(Method::HEAD, &location).send().await.unwrap();
    assert_eq!(
        (head.status().as_u16(), header(&head, "content-type")),
        (200, "image/png")
    );
    // An input is no image of a document.
    let other = location.replace("inputs", "images");
    assert_eq!(app.get(&other).await.status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_picture_is_refused_and_not_stored() {
    let app = App::open().await;
    for bytes in [
        vec![],
        b"<svg/>".to_vec(),
        claimed_png(60_000, 60_000),
        png(64, 64)[..80].to_vec(),
    ] {
        let told = problem(upload(&app, bytes).await).await;
        assert_eq!(told, (422, "invalid_image".into(), Some("file".into())));
    }
    let large = problem(upload(&app, vec![0; 21 * 1024 * 1024]).await).await;
    assert_eq!(
        large,
        (413, "payload_too_large".into(), Some("file[0]".into()))
    );
    let none = app
        .request(Method::POST, "/api/v1/inputs")
        .multipart(Form::new().text("x", "y"));
    assert_eq!(problem(none.send().await.unwrap()).await.1, "unknown_field");
    let json = app.post("/api/v1/inputs", serde_json::json!({})).await;
    assert_eq!(problem(json).await.1, "unsupported_media_type");
    let stored = app.store().blobs().list("inputs/", None).await.unwrap();
    assert!(stored.items.is_empty());
}
