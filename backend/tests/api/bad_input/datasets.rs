//! Uploads of datasets: whatever is wrong is told in words, and nothing is stored.

use illumine_datasets::demo;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::datasets::{DATASETS, form, jsonl, line, send};
use crate::harness::{App, json, problem};

fn row() -> Value {
    line("p", "train", 1, &["code"])
}

fn with(name: &str, value: Value) -> Value {
    let mut row = row();
    row[name] = value;
    row
}

/// File, its bytes, what the answer says.
fn rows() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let parquet = demo::FILES[1].1;
    let mut unsplit = row();
    unsplit["extra_info"]
        .as_object_mut()
        .unwrap()
        .remove("split");
    let extra = |name: &str, value: Value| {
        let mut row = row();
        row["extra_info"][name] = value;
        row
    };
    let mut cut = jsonl(&[row(), row()]);
    cut.truncate(cut.len() - 9);
    vec![
        (
            "a.jsonl",
            jsonl(&[row(), with("promt", json!("p"))]),
            "a.jsonl: row 2: unknown column `promt`; the known ones are `prompt`, `images`, \
             `data_source`, `extra_info`; remove or rename it",
        ),
        (
            "a.jsonl",
            jsonl(&[extra("tolls", json!([]))]),
            "a.jsonl: row 1: unknown column `extra_info.tolls`",
        ),
        (
            "a.jsonl",
            jsonl(&[row(), with("images", json!(["owl.png"]))]),
            "a.jsonl: row 2: `images[0]`: is missing: \"owl.png\" is a path",
        ),
        (
            "a.jsonl",
            jsonl(&[with("images", json!([{ "bytes": "AAAA" }]))]),
            "a.jsonl: row 1: `images[0]`: cannot be decoded as a picture",
        ),
        (
            "a.jsonl",
            jsonl(&[row(), with("prompt", json!("x".repeat(32_001)))]),
            "a.jsonl: row 2: `prompt`: has more than 32000 characters",
        ),
        (
            "a.jsonl",
            jsonl(&[extra("image_num", json!(100))]),
            "a.jsonl: row 1: `extra_info.image_num`: 100 is out of range",
        ),
        (
            "a.jsonl",
            jsonl(&[extra("tools", json!(["draw"]))]),
            "a.jsonl: row 1: `extra_info.tools`: \"draw\" is no tool",
        ),
        (
            "a.jsonl",
            jsonl(&[row(), unsplit]),
            "a.jsonl: row 2: `extra_info.split` is missing; use train",
        ),
        ("a.jsonl", cut, "a.jsonl: damaged JSON lines file: line 2"),
        ("a.jsonl", Vec::new(), "a.jsonl: no rows"),
        ("a.jsonl", b"\n\n".to_vec(), "a.jsonl: no rows"),
        ("a.jsonl", b"[1, 2]".to_vec(), "a.jsonl: one JSON list"),
        (
            "a.parquet",
            b"prompt,tools\n".to_vec(),
            "a.parquet: damaged Parquet file",
        ),
        (
            "a.parquet",
            parquet[..parquet.len() / 2].to_vec(),
            "a.parquet: damaged Parquet file",
        ),
        ("a.parquet", Vec::new(), "a.parquet:"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_problem_names_file_row_and_column_and_stores_nothing() {
    let app = App::open().await;
    for (name, bytes, wanted) in rows() {
        let good = ("good.jsonl", jsonl(&[row()]));
        let response = send(&app, form("Owls", &[good, (name, bytes)])).await;
        assert_eq!(response.status(), 422, "{wanted}");
        let body = json(response).await;
        let words = body["detail"].as_str().unwrap();
        assert!(words.starts_with(wanted), "{words}\n{wanted}");
        assert_eq!(body["code"], "invalid_dataset", "{words}");
        assert_eq!(body["field"], "file", "{words}");
        assert!(!words.contains("/tmp"), "{words}");
    }
    let left = app.store().blobs().list_all("datasets/").await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_of_uploads() {
    let app = App::open().await;
    let good = || Part::bytes(jsonl(&[row()])).file_name("a.jsonl");
    let named = |name: &str| Form::new().text("name", name.to_owned());
    for (form, code, field) in [
        (Form::new().part("file", good()), "missing_field", "name"),
        (named("Owls"), "missing_field", "file"),
        (named("  ").part("file", good()), "invalid_value", "name"),
        (named("a\nb").part("file", good()), "invalid_value", "name"),
        (
            named(&"x".repeat(101)).part("file", good()),
            "invalid_value",
            "name",
        ),
        (
            named(&"x".repeat(1_000)).part("file", good()),
            "invalid_value",
            "name",
        ),
        (
            named("a").text("name", "b").part("file", good()),
            "invalid_value",
            "name",
        ),
        (
            named("demo PROMPTS").part("file", good()),
            "invalid_value",
            "name",
        ),
        (named("Owls").part("rows", good()), "unknown_field", "rows"),
        (
            named("Owls").part("file", good()).part("file", good()),
            "invalid_value",
            "file[1]",
        ),
        (
            named("Owls").part("file", good().file_name("a.csv")),
            "invalid_value",
            "file[0]",
        ),
        (
            named("Owls").part("file", Part::bytes(jsonl(&[row()]))),
            "invalid_value",
            "file[0]",
        ),
    ] {
        let (status, told, told_field) = problem(send(&app, form).await).await;
        assert_eq!(
            (status, told.as_str(), told_field.as_deref()),
            (422, code, Some(field))
        );
    }
    let many = (0..17).fold(named("Owls"), |form, at| {
        form.part("file", good().file_name(format!("{at}.jsonl")))
    });
    let told = problem(send(&app, many).await).await;
    assert_eq!(told.2.as_deref(), Some("file[16]"));
    let words = app.post(DATASETS, json!({ "name": "Owls" })).await;
    assert_eq!(problem(words).await.1, "unsupported_media_type");
    assert!(app.store().datasets().list().await.unwrap().is_empty());

    let taken = form("Owls", &[("a.jsonl", jsonl(&[row()]))]);
    assert_eq!(send(&app, taken).await.status(), 201);
    let taken = form("owls ", &[("a.jsonl", jsonl(&[row()]))]);
    let told = problem(send(&app, taken).await).await;
    assert_eq!(told, (422, "invalid_value".into(), Some("name".into())));
    assert_eq!(app.store().datasets().list().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_says_that_it_is_too_large_is_not_read() {
    let app = App::open().await;
    let address = app.base.strip_prefix("http://").unwrap().to_owned();
    let mut connection = tokio::net::TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "POST {DATASETS} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 300000000\r\n\
         Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains('}') {
        let read = connection.read_buf(&mut answer).await.unwrap();
        assert_ne!(read, 0, "{answer:?}");
    }
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("payload_too_large"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_of_datasets() {
    let app = App::open().await;
    let unknown = "dat_01J9ZD1N7H0000000000000000";
    for (method, below) in [
        (Method::GET, ""),
        (Method::DELETE, ""),
        (Method::GET, "/rows"),
    ] {
        for (id, status, code, field) in [
            (unknown, 404, "not_found", None),
            ("42", 400, "invalid_id", Some("id")),
            ("dat_..%2F..%2Fetc", 400, "invalid_id", Some("id")),
            (
                "run_01J9ZD1N7H0000000000000000",
                400,
                "invalid_id",
                Some("id"),
            ),
        ] {
            let path = format!("{DATASETS}/{id}{below}");
            let response = app.request(method.clone(), &path).send().await.unwrap();
            let told = problem(response).await;
            let expected = (status, code.to_owned(), field.map(str::to_owned));
            assert_eq!(told, expected, "{method} {path}");
        }
    }
    for (path, field) in [
        ("/demo/rows?split=dev", "split"),
        ("/demo/rows?offset=-1", "offset"),
        ("/demo/rows?limit=201", "limit"),
        ("/demo/rows?page=1", "page"),
    ] {
        let told = problem(app.get(&format!("{DATASETS}{path}")).await).await;
        let expected = (400, "invalid_query".to_owned(), Some(field.to_owned()));
        assert_eq!(told, expected, "{path}");
    }
}
