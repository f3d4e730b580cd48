//! Datasets: uploading, looking at them, naming them in runs, removing them.

use illumine_datasets::demo;
use illumine_types::JobId;
use illumine_types::dataset::DatasetId;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::harness::{App, header, json, masked, png, problem};
use crate::sign_in::member;

pub const DATASETS: &str = "/api/v1/datasets";

/// A row as JSON lines hold it.
pub fn line(prompt: &str, split: &str, image_num: i64, tools: &[&str]) -> Value {
    json!({
        "prompt": prompt, "data_source": "owls",
        "extra_info": { "split": split, "image_num": image_num, "tools": tools },
    })
}

pub fn jsonl(rows: &[Value]) -> Vec<u8> {
    let rows = rows.iter().map(Value::to_string);
    rows.collect::<Vec<_>>().join("\n").into_bytes()
}

pub fn form(name: &str, files: &[(&str, Vec<u8>)]) -> Form {
    let form = Form::new().text("name", name.to_owned());
    files.iter().fold(form, |form, (name, bytes)| {
        let part = Part::bytes(bytes.clone()).file_name((*name).to_owned());
        form.part("file", part)
    })
}

pub async fn send(app: &App, form: Form) -> Response {
    let request = app.request(Method::POST, DATASETS).multipart(form);
    request.send().await.unwrap()
}

async fn upload(app: &App, name: &str, files: &[(&str, Vec<u8>)]) -> Value {
    let response = send(app, form(name, files)).await;
    assert_eq!(response.status(), 201, "{}", response.text().await.unwrap());
    json(response).await
}

async fn get(app: &App, path: &str) -> Value {
    let response = app.get(&format!("{DATASETS}{path}")).await;
    assert_eq!(response.status(), 200, "{path}");
    json(response).await
}

fn small() -> Vec<u8> {
    jsonl(&[
        line("one", "train", 1, &["search"]),
        line("two", "train", -1, &[]),
        line("three", "test", 99, &["edit", "code"]),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_counted_listed_and_shown() {
    let app = App::open().await;
    let mut pictured = line("four", "test", 2, &["code"]);
    let bytes = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, png(200, 50));
    pictured["images"] = json!([{ "bytes": bytes, "path": "owl.png" }]);
    pictured["prompt"] = json!([
        { "role": "system", "content": "Other tools." },
        { "role": "user", "content": "four" },
    ]);
    let files = [
        ("C:\\rows\\small.jsonl", small()),
        ("more.JSONL", jsonl(&[pictured])),
    ];
    let response = send(&app, form(" Owls by night ", &files)).await;
    assert_eq!(response.status(), 201);
    let location = header(&response, "location").to_owned();
    let made = json(response).await;
    assert_eq!(
        location,
        format!("{DATASETS}/{}", made["id"].as_str().unwrap())
    );
    insta::assert_json_snapshot!(
        "uploaded_dataset",
        masked(&made, &["id", "created_at", "bytes"])
    );
    let bytes: u64 = files.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    assert_eq!(made["bytes"], bytes);

    let list = get(&app, "").await;
    assert_eq!(list["items"][0]["id"], "demo");
    assert_eq!(list["items"][1], made);
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    let id = made["id"].as_str().unwrap();
    assert_eq!(get(&app, &format!("/{id}")).await, made);

    let train = get(&app, &format!("/{id}/rows?limit=1&offset=1")).await;
    assert_eq!((&train["total"], &train["offset"]), (&json!(2), &json!(1)));
    assert_eq!(
        train["items"],
        json!([{
            "file": "small.jsonl", "row": 2, "prompt": "two", "messages": 1, "tools": [],
            "image_num": -1, "source": "owls",
        }])
    );
    let test = get(&app, &format!("/{id}/rows?split=test")).await;
    let prompts: Vec<&str> = test["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["prompt"].as_str().unwrap())
        .collect();
    assert_eq!(prompts, ["three", "four"]);
    let row = &test["items"][1];
    assert_eq!(
        row["messages"], 1,
        "the file's own system message is not used"
    );
    assert_eq!(row["pictures"][0]["width"], 200);
    let thumbnail = row["pictures"][0]["thumbnail"].as_str().unwrap();
    assert!(
        thumbnail.starts_with("data:image/jpeg;base64,"),
        "{thumbnail}"
    );
    let beyond = get(&app, &format!("/{id}/rows?offset=7")).await;
    assert_eq!(
        (&beyond["total"], &beyond["items"]),
        (&json!(2), &json!([]))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_is_first_and_shown_like_any_other() {
    let app = App::open().await;
    let demo = get(&app, "/demo").await;
    assert!(demo["summary"]["by_split"]["train"].as_u64() >= Some(400));
    assert_eq!(demo["created_at"], Value::Null);
    let rows = get(&app, "/demo/rows?split=test&offset=10&limit=5").await;
    assert_eq!(rows["items"].as_array().unwrap().len(), 5);
    assert_eq!(rows["total"], demo["summary"]["by_split"]["test"]);
    let delete = app.request(Method::DELETE, &format!("{DATASETS}/demo"));
    let told = problem(delete.send().await.unwrap()).await;
    assert_eq!((told.0, told.1.as_str()), (409, "wrong_state"));
}

#[tokio::test(flavor = "multi_thread")]
async fn parquet_is_taken_and_its_files_are_stored_as_they_came() {
    let app = App::open().await;
    let files: Vec<(&str, Vec<u8>)> = demo::FILES
        .iter()
        .map(|(name, bytes)| (*name, bytes.to_vec()))
        .collect();
    let made = upload(&app, "Demo again", &files).await;
    let mut demo = get(&app, "/demo").await;
    assert_eq!(made["summary"], demo["summary"]);
    assert_eq!(made["files"], demo["files"]);
    let id = DatasetId::parse(made["id"].as_str().unwrap()).unwrap();
    for (index, (_, bytes)) in files.iter().enumerate() {
        let key = id.key(&format!("files/{index:03}.parquet"));
        assert_eq!(app.store().blobs().get(&key).await.unwrap(), bytes);
    }
    // Across several stored pieces, the same as from memory.
    let rows = "/rows?offset=50&limit=200";
    demo = get(&app, &format!("/demo{rows}")).await;
    assert_eq!(get(&app, &format!("/{id}{rows}")).await, demo);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_stays_while_a_run_reads_it() {
    let app = App::open().await;
    let made = upload(&app, "Owls", &[("a.jsonl", small())]).await;
    let id = made["id"].as_str().unwrap();
    let body = json!({ "name": "first", "dataset": ["demo", id] });
    let run = app.post("/api/v1/training-runs", body).await;
    assert_eq!(run.status(), 202);
    let run = json(run).await["id"].as_str().unwrap().to_owned();
    let stored = app
        .store()
        .jobs()
        .request(&JobId::parse(&run).unwrap())
        .await;
    assert_eq!(stored.unwrap()["dataset"], json!(["demo", id]));

    let delete = async || {
        let request = app.request(Method::DELETE, &format!("{DATASETS}/{id}"));
        request.send().await.unwrap()
    };
    let refused = delete().await;
    assert_eq!(refused.status(), 409);
    let words = json(refused).await["detail"].as_str().unwrap().to_owned();
    assert!(words.contains(&run) && words.contains("first"), "{words}");
    assert_eq!(get(&app, &format!("/{id}")).await, made);

    app.post(&format!("/api/v1/training-runs/{run}/stop"), Value::Null)
        .await;
    assert_eq!(delete().await.status(), 204);
    assert_eq!(problem(delete().await).await.0, 404);
    let left = app.store().blobs().list_all("datasets/").await.unwrap();
    assert!(left.is_empty(), "{left:?}");
    // Its name is free again, and its id names nothing.
    let again = upload(&app, "Owls", &[("a.jsonl", small())]).await;
    assert_ne!(again["id"], id);
    let body = json!({ "name": "second", "dataset": [id] });
    let told = problem(app.post("/api/v1/training-runs", body).await).await;
    assert_eq!(told, (422, "invalid_value".into(), Some("dataset".into())));
}

#[tokio::test(flavor = "multi_thread")]
async fn members_have_no_part_in_datasets() {
    let app = App::start().await;
    let key = member(&app, "ann").await;
    for (method, path) in [
        (Method::GET, ""),
        (Method::POST, ""),
        (Method::GET, "/demo"),
        (Method::DELETE, "/demo"),
        (Method::GET, "/demo/rows"),
    ] {
        let path = format!("{DATASETS}{path}");
        let stranger = app.bare(method.clone(), &path).send().await.unwrap();
        assert_eq!(stranger.status(), 401, "{method} {path}");
        let request = app.bare(method.clone(), &path).bearer_auth(&key);
        let request = request.multipart(form("Owls", &[("a.jsonl", small())]));
        let told = problem(request.send().await.unwrap()).await;
        assert_eq!(told, (403, "forbidden".into(), None), "{method} {path}");
    }
    let stored = app.store().datasets().list().await.unwrap();
    assert!(stored.is_empty());
}
