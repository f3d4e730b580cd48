//! Asking, listing, steering.

use std::time::Duration;

use illumine_store::queue::JobFailure;
use illumine_types::api::{GenerationRequest, InputImage};
use illumine_types::{JobId, Problem};
use insta::assert_json_snapshot;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::json;

use crate::harness::{App, header, json, masked, png, problem};

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_request_is_queued_and_can_be_looked_at() {
    let app = App::start().await;
    let options = json!({ "temperature": 0.5, "tools": ["search", "code"], "seed": 7 });
    let body = json!({ "prompt": "A report\n on owls", "options": options });
    let response = app.post("/api/v1/generations", body).await;
    assert_eq!(response.status(), 202);
    let location = header(&response, "location").to_owned();
    let accepted = json(response).await;
    assert_eq!(location, accepted["links"]["self"]);
    let id = accepted["id"].as_str().unwrap().to_owned();
    let shown = accepted.to_string().replace(&id, "[id]");
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_json_snapshot!("accepted", shown);

    let job = json(app.get(&location).await).await;
    let masked = masked(&job, &["id", "owner", "created_at", "eta_s"]);
    assert_json_snapshot!("job", masked);
    let stored = app
        .store()
        .jobs()
        .request(&JobId::parse(&id).unwrap())
        .await
        .unwrap();
    let stored: GenerationRequest = serde_json::from_value(stored).unwrap();
    assert_eq!(stored.prompt, "A report\n on owls");
    assert_eq!(stored.options.seed, Some(7));
    assert_eq!(app.queued().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_come_in_four_ways_and_are_stored_once() {
    use base64::Engine;
    let app = App::open().await;
    let upload = Form::new().part("file", Part::bytes(png(4, 2)).file_name("a.png"));
    let uploaded = app
        .request(Method::POST, "/api/v1/inputs")
        .multipart(upload);
    let uploaded = json(uploaded.send().await.unwrap()).await;
    let encoded = base64::engine::general_purpose::STANDARD.encode(png(3, 3));
    let request = json!({ "prompt": "owls", "images": [
        { "input_id": uploaded["input_id"] },
        { "base64": encoded },
        { "base64": format!("data:image/png;base64,{encoded}") },
    ]});
    let form = Form::new()
        .text("request", request.to_string())
        .part("images", Part::bytes(png(5, 5)).file_name("b.png"));
    let response = app
        .request(Method::POST, "/api/v1/generations")
        .multipart(form);
    let response = response.send().await.unwrap();
    assert_eq!(response.status(), 202);
    let id = JobId::parse(json(response).await["id"].as_str().unwrap()).unwrap();
    let stored = app.store().jobs().request(&id).await.unwrap();
    let stored: GenerationRequest = serde_json::from_value(stored).unwrap();
    let keys: Vec<String> = stored
        .images
        .iter()
        .map(|image| match image {
            InputImage::InputId(key) => key.to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(keys.len(), 4);
    assert_eq!(keys[0], uploaded["input_id"].as_str().unwrap());
    assert_eq!(keys[1], keys[2]);
    for key in &keys {
        let picture = app.get(&format!("/api/v1/inputs/{key}")).await;
        assert_eq!(picture.status(), 200);
        assert_eq!(header(&picture, "content-type"), "image/png");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_fetched_from_an_allowed_address_only() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve_picture(listener));
    let app = App::with(|config| {
        config.auth = false;
        config.tools.fetch_allow = vec![address.to_string()];
    })
    .await;
    let body = |path: &str| json!({ "prompt": "owls", "images": [{ "url": format!("http://{address}{path}") }] });
    assert_eq!(
        app.post("/api/v1/generations", body("/picture"))
            .await
            .status(),
        202
    );
    let missing = app.post("/api/v1/generations", body("/missing")).await;
    assert_eq!(problem(missing).await.1, "url_failed");
    // The allowed server sends us inside.
    let inside = app.post("/api/v1/generations", body("/inside")).await;
    assert_eq!(problem(inside).await.1, "url_refused");
    assert_eq!(app.queued().await, 1);
}

/// Just enough of a web server.
async fn serve_picture(listener: tokio::net::TcpListener) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    loop {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let length = socket.read(&mut request).await.unwrap();
        let request = String::from_utf8_lossy(&request[..length]).into_owned();
        let (status, body) = match request.split(' ').nth(1).unwrap() {
            "/picture" => ("200 OK", png(6, 6)),
            "/inside" => ("302 Found\r\nLocation: http://127.0.0.1:9/x.png", vec![]),
            _ => ("404 Not Found", vec![]),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(&body).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_twice_with_one_key_makes_one_job() {
    let app = App::open().await;
    let ask = async |prompt: &str, key: &str| {
        app.request(Method::POST, "/api/v1/generations")
            .header("Idempotency-Key", key)
            .json(&json!({ "prompt": prompt }))
            .send()
            .await
            .unwrap()
    };
    let first = ask("owls", "k-1").await;
    assert_eq!(header(&first, "idempotency-replayed"), "false");
    let first = json(first).await;
    let again = ask("owls", "k-1").await;
    assert_eq!(again.status(), 202);
    assert_eq!(header(&again, "idempotency-replayed"), "true");
    assert_eq!(json(again).await["id"], first["id"]);
    let other = problem(ask("bats", "k-1").await).await;
    assert_eq!((other.0, other.1.as_str()), (409, "idempotency_conflict"));
    assert_ne!(json(ask("owls", "k-2").await).await["id"], first["id"]);
    assert_eq!(app.queued().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_paged_searched_and_filtered() {
    let app = App::open().await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(app.submit(&format!("Owls, part {number}")).await);
    }
    app.submit("Bats").await;
    ids.reverse();
    let mut seen = Vec::new();
    let mut path = "/api/v1/generations?q=OWLS&limit=2".to_owned();
    loop {
        let page = json(app.get(&path).await).await;
        for job in page["items"].as_array().unwrap() {
            seen.push(job["id"].as_str().unwrap().to_owned());
        }
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/api/v1/generations?q=OWLS&limit=2&cursor={cursor}");
    }
    assert_eq!(seen, ids);
    let count = async |query: &str| {
        let page = json(app.get(&format!("/api/v1/generations?{query}")).await).await;
        page["items"].as_array().unwrap().len()
    };
    app.post(&format!("/api/v1/generations/{}/cancel", ids[0]), json!({}))
        .await;
    assert_eq!(count("status=cancelled").await, 1);
    assert_eq!(count("status=queued").await, 5);
    assert_eq!(count("kind=redraw").await, 0);
    assert_eq!(count("since=2999-01-01T00:00:00Z").await, 0);
    assert_eq!(count("since=2020-01-01T00:00:00Z").await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_cancelled_retried_and_removed() {
    let app = App::open().await;
    let id = app.submit("owls").await;
    let this = format!("/api/v1/generations/{id}");
    let early = app.post(&format!("{this}/retry"), json!({})).await;
    assert_eq!(problem(early).await.1, "wrong_state");
    let cancelled = json(app.post(&format!("{this}/cancel"), json!({})).await).await;
    assert_eq!(cancelled["status"], "cancelled");
    let retried = app.post(&format!("{this}/retry"), json!({})).await;
    assert_eq!(retried.status(), 202);
    assert_eq!(json(retried).await["id"], id.as_str());

    let worker = app.worker(|_| async {
        let problem = Problem::new("policy_refused", "Refused", "the policy said no");
        Err(JobFailure::permanent(problem))
    });
    let failed = wait_for(&app, &id, "failed").await;
    assert_eq!(failed["error"]["code"], "policy_refused");
    worker.stop();
    let ended = app.post(&format!("{this}/cancel"), json!({})).await;
    assert_eq!(problem(ended).await, (409, "wrong_state".into(), None));

    let removed = app.request(Method::DELETE, &this).send().await.unwrap();
    assert_eq!(removed.status(), 204);
    assert_eq!(app.get(&this).await.status(), 404);
}

/// The job once it has this status.
pub async fn wait_for(app: &App, id: &str, status: &str) -> serde_json::Value {
    for _ in 0..400 {
        let job = json(app.get(&format!("/api/v1/generations/{id}")).await).await;
        if job["status"] == status {
            return job;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{id} never was {status}");
}
