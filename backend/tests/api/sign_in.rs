//! Keys, roles, sessions, and other sites' pages.

use std::os::unix::fs::PermissionsExt;

use illumine_types::api::Role;
use insta::assert_json_snapshot;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::json;

use crate::harness::{App, header, json, masked, problem};

pub async fn member(app: &App, name: &str) -> String {
    let created = app.store().keys().create(name, Role::Member).await.unwrap();
    created.secret
}

async fn sign_in(app: &App, key: &str) -> Response {
    let request = app.bare(Method::POST, "/api/v1/session");
    request.json(&json!({ "key": key })).send().await.unwrap()
}

fn cookie(response: &Response) -> String {
    let set = header(response, "set-cookie");
    set.split(';').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_key_is_kept_for_its_owner_alone_and_outlives_a_restart() {
    let app = App::start().await;
    let file = app.config.data_dir.join("admin-key");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(app.admin.len() > 40);
    let again = illumine_backend::server::start(&app.config).await.unwrap();
    drop(again.server);
    let keys = json(app.get("/api/v1/keys").await).await;
    assert_eq!(keys["items"].as_array().unwrap().len(), 1, "{keys}");
    assert!(!keys.to_string().contains(&app.admin));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_first_key_does_not_come_back() {
    let app = App::start().await;
    let only = json(app.get("/api/v1/keys").await).await["items"][0]["id"].clone();
    let path = format!("/api/v1/keys/{}", only.as_str().unwrap());
    let last = app.request(Method::DELETE, &path).send().await.unwrap();
    assert_eq!(problem(last).await.1, "wrong_state");
    app.store()
        .keys()
        .create("another", Role::Admin)
        .await
        .unwrap();
    let revoked = app.request(Method::DELETE, &path).send().await.unwrap();
    assert_eq!(revoked.status(), 204);
    let again = illumine_backend::server::start(&app.config).await.unwrap();
    drop(again.server);
    assert_eq!(app.get("/api/v1/keys").await.status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_nothing_is_told() {
    let app = App::start().await;
    for path in [
        "/api/v1/generations",
        "/api/v1/capabilities",
        "/api/v1/keys",
        "/api/v1/nothing",
        "/api/v1/documents/gen_01J9ZD1N7H0000000000000000",
        "/api/v1/images/x.png",
    ] {
        let response = app.bare(Method::GET, path).send().await.unwrap();
        assert_eq!(header(&response, "www-authenticate"), "Bearer");
        assert_eq!(problem(response).await.0, 401, "{path}");
    }
    for authorization in ["Bearer nonsense", "Basic YTpi", "Bearer ", &app.admin] {
        let request = app.bare(Method::GET, "/api/v1/generations");
        let request = request.header("authorization", authorization);
        assert_eq!(
            problem(request.send().await.unwrap()).await.0,
            401,
            "{authorization}"
        );
    }
    for path in ["/healthz", "/openapi.json", "/api/v1/session"] {
        assert_eq!(
            app.bare(Method::GET, path).send().await.unwrap().status(),
            200,
            "{path}"
        );
    }
    let who = json(
        app.bare(Method::GET, "/api/v1/session")
            .send()
            .await
            .unwrap(),
    )
    .await;
    assert_json_snapshot!("session_stranger", who);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_see_their_own_alone() {
    let app = App::start().await;
    let (ann, ben) = (member(&app, "ann").await, member(&app, "ben").await);
    let submit = async |key: &str| {
        let request = app
            .bare(Method::POST, "/api/v1/generations")
            .bearer_auth(key);
        json(
            request
                .json(&json!({ "prompt": "owls" }))
                .send()
                .await
                .unwrap(),
        )
        .await["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let anns = submit(&ann).await;
    app.submit("bats").await;
    let ask = async |key: &str, method: Method, path: &str| {
        app.bare(method, path)
            .bearer_auth(key)
            .send()
            .await
            .unwrap()
    };
    for (method, path) in [
        (Method::GET, format!("/api/v1/generations/{anns}")),
        (Method::GET, format!("/api/v1/generations/{anns}/events")),
        (Method::POST, format!("/api/v1/generations/{anns}/cancel")),
        (Method::POST, format!("/api/v1/generations/{anns}/retry")),
        (Method::DELETE, format!("/api/v1/generations/{anns}")),
        (Method::GET, format!("/api/v1/documents/{anns}")),
        (
            Method::POST,
            format!("/api/v1/documents/{anns}/images/0/redraw"),
        ),
    ] {
        let told = problem(ask(&ben, method, &path).await).await;
        assert_eq!((told.0, told.1.as_str()), (404, "not_found"), "{path}");
    }
    let count = async |key: &str, query: &str| {
        let response = ask(key, Method::GET, &format!("/api/v1/generations{query}")).await;
        json(response).await["items"].as_array().unwrap().len()
    };
    assert_eq!(count(&ann, "").await, 1);
    assert_eq!(count(&ben, "").await, 0);
    assert_eq!(count(&app.admin, "").await, 2);
    assert_eq!(count(&app.admin, "?mine=true").await, 1);
    let path = format!("/api/v1/generations/{anns}");
    assert_eq!(ask(&app.admin, Method::GET, &path).await.status(), 200);
    for path in ["/api/v1/keys", "/api/v1/queue", "/api/v1/workers"] {
        assert_eq!(
            problem(ask(&ann, Method::GET, path).await).await.1,
            "forbidden",
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_made_and_revoked() {
    let app = App::start().await;
    let made = app
        .post("/api/v1/keys", json!({ "name": " Ann ", "role": "member" }))
        .await;
    assert_eq!(made.status(), 201);
    let made = json(made).await;
    assert_json_snapshot!(
        "created_key",
        masked(&made, &["id", "secret", "created_at"])
    );
    let secret = made["secret"].as_str().unwrap();
    let session = sign_in(&app, secret).await;
    let cookie = cookie(&session);
    let with_key = || {
        app.bare(Method::GET, "/api/v1/generations")
            .bearer_auth(secret)
    };
    let with_cookie = || {
        app.bare(Method::GET, "/api/v1/generations")
            .header("cookie", &cookie)
    };
    assert_eq!(with_key().send().await.unwrap().status(), 200);
    assert_eq!(with_cookie().send().await.unwrap().status(), 200);
    let path = format!("/api/v1/keys/{}", made["id"].as_str().unwrap());
    assert_eq!(
        app.request(Method::DELETE, &path)
            .send()
            .await
            .unwrap()
            .status(),
        204
    );
    assert_eq!(with_key().send().await.unwrap().status(), 401);
    assert_eq!(with_cookie().send().await.unwrap().status(), 401);
    for (body, field) in [
        (json!({ "name": "", "role": "member" }), "name"),
        (json!({ "name": "x".repeat(101), "role": "member" }), "name"),
        (json!({ "name": "x", "role": "king" }), "role"),
        (json!({ "name": "x" }), "role"),
    ] {
        assert_eq!(
            problem(app.post("/api/v1/keys", body).await)
                .await
                .2
                .unwrap(),
            field
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_signs_in_and_out() {
    let app = App::start().await;
    let response = sign_in(&app, &app.admin).await;
    assert_eq!(response.status(), 200);
    let set = header(&response, "set-cookie").to_owned();
    for part in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age="] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains("Secure"), "plain http: {set}");
    let cookie = cookie(&response);
    assert!(!cookie.contains(&app.admin));
    assert_json_snapshot!("session_admin", json(response).await);

    let https = app
        .bare(Method::POST, "/api/v1/session")
        .header("x-forwarded-proto", "https");
    let https = https
        .json(&json!({ "key": app.admin }))
        .send()
        .await
        .unwrap();
    assert!(header(&https, "set-cookie").contains("Secure"));

    let list = async || {
        let request = app
            .bare(Method::GET, "/api/v1/generations")
            .header("cookie", &cookie);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(list().await, 200);
    let out = app
        .bare(Method::DELETE, "/api/v1/session")
        .header("cookie", &cookie);
    let out = out.send().await.unwrap();
    assert_eq!(out.status(), 204);
    assert!(header(&out, "set-cookie").contains("Max-Age=0"));
    assert_eq!(list().await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_down() {
    let app = App::start().await;
    for _ in 0..10 {
        assert_eq!(sign_in(&app, "guess").await.status(), 401);
    }
    let stopped = sign_in(&app, &app.admin).await;
    assert!(!header(&stopped, "retry-after").is_empty());
    assert_eq!(problem(stopped).await.0, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_sites_page_cannot_use_the_cookie() {
    let app = App::start().await;
    let cookie = cookie(&sign_in(&app, &app.admin).await);
    let host = app.base.strip_prefix("http://").unwrap().to_owned();
    let submit = || {
        let request = app
            .bare(Method::POST, "/api/v1/generations")
            .header("cookie", &cookie);
        request.json(&json!({ "prompt": "owls" }))
    };
    let send = async |request: RequestBuilder| request.send().await.unwrap().status().as_u16();
    assert_eq!(send(submit()).await, 403);
    assert_eq!(
        send(submit().header("sec-fetch-site", "cross-site")).await,
        403
    );
    assert_eq!(
        send(submit().header("sec-fetch-site", "same-site")).await,
        403
    );
    assert_eq!(
        send(submit().header("origin", "http://evil.example")).await,
        403
    );
    assert_eq!(app.queued().await, 0);
    assert_eq!(
        send(submit().header("sec-fetch-site", "same-origin")).await,
        202
    );
    assert_eq!(
        send(submit().header("origin", format!("http://{host}"))).await,
        202
    );
    let read = app
        .bare(Method::GET, "/api/v1/generations")
        .header("cookie", &cookie);
    assert_eq!(send(read.header("sec-fetch-site", "cross-site")).await, 200);
    let foreign = app
        .bare(Method::POST, "/api/v1/session")
        .header("origin", "http://evil.example");
    let foreign = foreign
        .json(&json!({ "key": app.admin }))
        .send()
        .await
        .unwrap();
    assert_eq!(problem(foreign).await.1, "cross_origin");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_sign_in_other_sites_and_names_are_kept_out() {
    let app = App::open().await;
    assert!(app.admin.is_empty());
    let who = json(app.get("/api/v1/session").await).await;
    assert_json_snapshot!("session_open", who);
    let foreign = app.request(Method::POST, "/api/v1/generations");
    let foreign = foreign
        .header("origin", "http://evil.example")
        .json(&json!({ "prompt": "owls" }));
    assert_eq!(
        problem(foreign.send().await.unwrap()).await.1,
        "cross_origin"
    );
    let rebound = app
        .request(Method::GET, "/api/v1/generations")
        .header("host", "evil.example");
    assert_eq!(
        problem(rebound.send().await.unwrap()).await.1,
        "untrusted_host"
    );
    assert_eq!(app.queued().await, 0);
}
