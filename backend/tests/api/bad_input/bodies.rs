//! Bodies that are no requests.

use reqwest::Method;

use crate::harness::{App, problem};

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
