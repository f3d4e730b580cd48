//! Against servers on loopback: Ray's answers, and those of others.

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode as Code;
use axum::routing::{get, post, put};
use illumine_config::Config;
use tokio::net::TcpListener;

use super::*;

fn client(address: &str) -> RayClient {
    let config = Config {
        ray_address: Some(address.into()),
        ..Config::default()
    };
    RayClient::new(config.ray().unwrap()).unwrap()
}

async fn serve(app: Router) -> RayClient {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    client(&format!("http://user:secret-word@{address}/"))
}

fn version() -> Router {
    let answer = || async { r#"{"version": "4", "ray_version": "2.60.0"}"# };
    Router::new().route("/api/version", get(answer))
}

#[tokio::test]
async fn who_does_not_answer_or_is_not_ray_is_told_by_the_setting() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    let silent = client(&format!("http://user:secret-word@{address}"));
    let fault = silent.version().await.unwrap_err();
    assert!(fault.is_passing(), "{fault}");
    let words = fault.to_string();
    assert!(
        words.contains("RAY_ADDRESS") && words.contains(&address.to_string()),
        "{words}"
    );
    assert!(!words.contains("secret-word"), "{words}");

    for (code, body) in [
        (Code::NOT_FOUND, "no"),
        (Code::OK, "<html>"),
        (Code::OK, "{}"),
        (Code::UNAUTHORIZED, "who are you"),
    ] {
        let other = Router::new().route("/api/version", get(move || async move { (code, body) }));
        let fault = serve(other).await.version().await.unwrap_err();
        assert!(matches!(fault, RayFault::NotRay { .. }), "{fault}");
        assert!(fault.to_string().contains("http://host:8265"), "{fault}");
    }
    assert_eq!(serve(version()).await.version().await.unwrap(), "2.60.0");
}

#[tokio::test]
async fn a_job_that_is_gone_differs_from_a_server_that_is_another() {
    assert!(serve(version()).await.job("x").await.unwrap().is_none());
    let other = serve(Router::new()).await;
    let fault = other.job("x").await.unwrap_err();
    assert!(matches!(fault, RayFault::NotRay { .. }), "{fault}");
    let ill = version().route(
        "/api/jobs/{id}",
        get(|| async { (Code::INTERNAL_SERVER_ERROR, "Traceback …\nGcsError") }),
    );
    let fault = serve(ill).await.job("x").await.unwrap_err();
    assert!(
        fault.is_passing() && fault.to_string().contains("GcsError"),
        "{fault}"
    );
}

#[tokio::test]
async fn an_archive_is_uploaded_once_and_a_refusal_hides_the_key() {
    let key = "ilm_0123456789abcdefghijABCDEFGHIJ0123456789-_a";
    let has = version()
        .route("/api/packages/gcs/known.zip", get(|| async {}))
        .route(
            "/api/packages/gcs/new.zip",
            put(|body: Bytes| async move {
                assert_eq!(&body[..], b"archive");
            })
            .get(|| async { Code::NOT_FOUND }),
        )
        .route(
            "/api/jobs/",
            post(move || async move {
                (
                    Code::BAD_REQUEST,
                    format!("ValueError: {{'K': '{key}'}}{} is taken", " ".repeat(570)),
                )
            }),
        );
    let ray = serve(has).await;
    let known = ray.upload("known.zip", Vec::new()).await.unwrap();
    assert_eq!(known, "gcs://known.zip");
    ray.upload("new.zip", b"archive".to_vec()).await.unwrap();
    let fault = ray
        .submit(&Submission {
            id: "x",
            entrypoint: "true",
            working_dir: &known,
            environment: &[("K", key.into())],
            run: "run",
        })
        .await
        .unwrap_err();
    let words = fault.to_string();
    assert!(!fault.is_passing(), "{words}");
    assert!(
        words.contains("is taken") && !words.contains(&key[30..]),
        "{words}"
    );
}
