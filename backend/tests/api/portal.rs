//! The portal's files.

use std::fs;

use reqwest::{Method, Response};

use crate::harness::{App, header, problem};

const INDEX: &str = "<!doctype html><script>theme()</script><script type=module src=/app-0123456789abcdef.js></script>";

async fn built() -> App {
    let app = App::open().await;
    let folder = app.web_dir();
    fs::create_dir_all(folder.join("fonts")).unwrap();
    for (name, text) in [
        ("index.html", INDEX),
        ("index.html.br", "index as brotli"),
        ("app-0123456789abcdef.js", "plain"),
        ("app-0123456789abcdef.js.br", "as brotli"),
        ("app-0123456789abcdef.js.gz", "as gzip"),
        ("app-0123456789abcdef.wasm", "wasm"),
        ("favicon.svg", "<svg/>"),
        ("fonts/a.woff2", "font"),
        (".secret", "hidden"),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
    fs::write(folder.parent().unwrap().join("outside.txt"), "outside").unwrap();
    app
}

async fn page(app: &App, path: &str) -> Response {
    let request = app
        .bare(Method::GET, path)
        .header("accept", "text/html,*/*;q=0.8");
    request.send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_get_the_index_and_missing_files_do_not() {
    let app = built().await;
    for path in [
        "/",
        "/index.html",
        "/documents/gen_01J9ZD1N7H0000000000000000",
        "/gallery?q=a",
    ] {
        let response = page(&app, path).await;
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(header(&response, "cache-control"), "no-cache");
        assert_eq!(
            header(&response, "content-type"),
            "text/html; charset=utf-8"
        );
        let policy = header(&response, "content-security-policy").to_owned();
        assert!(
            policy.contains("script-src 'self' 'wasm-unsafe-eval' 'sha256-"),
            "{policy}"
        );
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe-inline"));
        assert_eq!(response.text().await.unwrap(), INDEX);
    }
    for path in [
        "/missing.js",
        "/assets/missing.css",
        "/api/v1/missing",
        "/api/missing",
        "/v1/missing",
        "/.secret",
        "/..%2foutside.txt",
        "/%2e%2e/outside.txt",
        "/fonts/..%2f..%2foutside.txt",
    ] {
        assert_eq!(
            problem(page(&app, path).await).await.1,
            "unknown_route",
            "{path}"
        );
    }
    let script = app.bare(Method::GET, "/gallery").header("accept", "*/*");
    assert_eq!(script.send().await.unwrap().status(), 404);
    let post = app.bare(Method::POST, "/gallery").send().await.unwrap();
    assert_eq!(post.status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_compressed_and_are_kept_by_their_names() {
    let app = built().await;
    let script = "/app-0123456789abcdef.js";
    for (accepted, encoding, text) in [
        ("gzip, deflate, br", "br", "as brotli"),
        ("gzip", "gzip", "as gzip"),
        ("br;q=0, gzip;q=0.2", "gzip", "as gzip"),
        ("identity", "", "plain"),
    ] {
        let response = app
            .bare(Method::GET, script)
            .header("accept-encoding", accepted);
        let response = response.send().await.unwrap();
        assert_eq!(
            header(&response, "content-encoding"),
            encoding,
            "{accepted}"
        );
        assert_eq!(
            header(&response, "cache-control"),
            "public, max-age=31536000, immutable"
        );
        assert_eq!(header(&response, "content-type"), "text/javascript");
        assert_eq!(header(&response, "vary"), "accept-encoding");
        assert_eq!(response.text().await.unwrap(), text);
    }
    let wasm = app
        .bare(Method::GET, "/app-0123456789abcdef.wasm")
        .send()
        .await
        .unwrap();
    assert_eq!(header(&wasm, "content-type"), "application/wasm");
    let icon = app.bare(Method::GET, "/favicon.svg").send().await.unwrap();
    assert_eq!(header(&icon, "cache-control"), "no-cache");
    assert_eq!(header(&icon, "x-content-type-options"), "nosniff");
    let tag = header(&icon, "etag").to_owned();
    let known = app
        .bare(Method::GET, "/favicon.svg")
        .header("if-none-match", tag);
    assert_eq!(known.send().await.unwrap().status(), 304);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_portal_a_page_says_so() {
    let app = App::open().await;
    let response = page(&app, "/").await;
    assert_eq!(response.status(), 503);
    let text = response.text().await.unwrap();
    assert!(
        text.contains("cargo xtask up") && text.contains("/docs/"),
        "{text}"
    );
}
