//! Paths, queries and headers.

use reqwest::Method;
use serde_json::json;

use crate::harness::{App, problem};

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
