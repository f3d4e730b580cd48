//! A dataset from a file on a person's disk to a run that reads it, in headless Chromium.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fantoccini::Locator;
use illumine_e2e::{Browser, System};
use image::{ImageFormat, RgbImage};
use serde_json::{Value, json};

use crate::browser::{signed_in, wait_for_count};

const DATASETS: &str = "/training/datasets";

/// A picture as base64.
fn picture(shade: u8) -> String {
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::from_fn(160, 120, |x, y| image::Rgb([x as u8, y as u8, shade]))
        .write_to(&mut bytes, ImageFormat::Png)
        .unwrap();
    STANDARD.encode(bytes.into_inner())
}

fn row(number: usize, split: &str) -> Value {
    let tools: [&[&str]; 5] = [
        &["search"],
        &["code"],
        &["diffusion", "search"],
        &["edit"],
        &[],
    ];
    let numbers = [1, 2, 99, 0, -1];
    let kind = number % 5;
    let mut prompt = format!("Write about lighthouse {number} and those who keep it.");
    if number == 1 {
        prompt = format!(
            "{prompt} {}",
            "Tell of storms, lamps and long nights. ".repeat(12)
        );
    }
    let mut row = json!({
        "prompt": prompt, "data_source": "lighthouses",
        "extra_info": { "split": split, "image_num": numbers[kind], "tools": tools[kind] },
    });
    if kind == 3 {
        row["images"] = json!([{ "bytes": picture(200) }, { "bytes": picture(60) }]);
    }
    row
}

fn write(folder: &Path, name: &str, rows: &[Value]) -> PathBuf {
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    let path = folder.join(name);
    std::fs::write(&path, lines.join("\n")).unwrap();
    path
}

fn good_rows() -> Vec<Value> {
    let train = (0..32).map(|number| row(number, "train"));
    train
        .chain((0..7).map(|number| row(number, "test")))
        .collect()
}

async fn click(browser: &Browser, test_id: &str) {
    let element = browser.find(test_id).await.unwrap();
    element.click().await.unwrap();
}

async fn choose_file(browser: &Browser, path: &Path) {
    let input = browser.find("dataset-files").await.unwrap();
    input.send_keys(path.to_str().unwrap()).await.unwrap();
}

async fn contains(browser: &Browser, words: &str) {
    let mut text = String::new();
    for _ in 0..200 {
        text = browser.text_at("main").await.unwrap();
        if text.contains(words) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{words} is not on the page: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_researcher_uploads_rows_looks_at_them_and_trains_on_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = good_rows();
    wrong[4]["extra_info"]["tolls"] = json!(["search"]);
    let wrong = write(folder.path(), "wrong.jsonl", &wrong);
    let good = write(folder.path(), "light_houses.jsonl", &good_rows());
    let system = System::start(&[]).await.unwrap();
    let browser = Browser::start(1280, 1000, false).await.unwrap();
    signed_in(&system, &browser).await;
    let client = &browser.client;
    client.goto(&system.url("/training")).await.unwrap();
    click(&browser, "datasets-link").await;
    browser.find("datasets-empty").await.unwrap();
    wait_for_count(&browser, "dataset", 1).await;
    // Nothing is sent without a file.
    click(&browser, "dataset-send").await;
    contains(&browser, "Choose at least one .parquet or .jsonl file.").await;

    choose_file(&browser, &wrong).await;
    click(&browser, "dataset-send").await;
    contains(
        &browser,
        "wrong.jsonl: row 5: unknown column `extra_info.tolls`",
    )
    .await;
    browser.screenshot("datasets-refused").await.unwrap();
    let remove = client.find(Locator::Css("[aria-label='Remove wrong.jsonl']"));
    remove.await.unwrap().click().await.unwrap();
    let name = browser.find("dataset-name").await.unwrap();
    choose_file(&browser, &good).await;
    assert_eq!(
        name.prop("value").await.unwrap().as_deref(),
        Some("light houses"),
        "a name is suggested"
    );
    click(&browser, "dataset-send").await;

    browser.find("dataset-page").await.unwrap();
    wait_for_count(&browser, "figure", 3).await;
    wait_for_count(&browser, "row", 25).await;
    let text = browser.text_at("main").await.unwrap();
    for words in [
        "light houses",
        "39 rows",
        "At least one",
        "No tool",
        "1 to 25 of 32",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let shown = "return [...document.querySelectorAll('[data-testid=row] img')].map(image => image.naturalWidth)";
    let widths = client.execute(shown, vec![]).await.unwrap();
    assert_eq!(widths, json!(vec![96; 10]), "five rows of two pictures");
    browser.screenshot("dataset").await.unwrap();
    click(&browser, "rows-test").await;
    wait_for_count(&browser, "row", 7).await;
    assert_eq!(browser.text("rows-place").await.unwrap(), "1 to 7 of 7");
    let address = client.current_url().await.unwrap();
    assert!(address.as_str().contains("split=test"), "{address}");
    client.goto(address.as_str()).await.unwrap();
    wait_for_count(&browser, "row", 7).await;

    let list = system.get("/api/v1/datasets").await.unwrap();
    let id = list["items"][1]["id"].as_str().unwrap().to_owned();
    click(&browser, "train-on-this").await;
    browser
        .find("run-name")
        .await
        .unwrap()
        .send_keys("Lighthouses")
        .await
        .unwrap();
    contains(&browser, "light houses (39 rows)").await;
    let select = browser.find("run-dataset").await.unwrap();
    assert_eq!(select.prop("value").await.unwrap(), Some(id.clone()));
    browser.screenshot("dataset-new-run").await.unwrap();
    click(&browser, "start-run").await;
    browser.find("run-step").await.unwrap();
    let runs = system.get("/api/v1/training-runs").await.unwrap();
    assert_eq!(runs["items"][0]["config"]["dataset"], json!([id]));

    // The run waits for a worker: its rows stay.
    client
        .goto(&system.url(&format!("{DATASETS}/{id}")))
        .await
        .unwrap();
    click(&browser, "delete-dataset").await;
    click(&browser, "delete-dataset-confirm").await;
    contains(&browser, "reads this dataset").await;
    client.goto(&system.url(DATASETS)).await.unwrap();
    wait_for_count(&browser, "dataset", 2).await;
    browser.screenshot("datasets").await.unwrap();

    narrow_and_dark(&system, &id).await;
}

async fn narrow_and_dark(system: &System, id: &str) {
    for (width, dark, screen) in [
        (390, true, "phone"),
        (390, false, "phone-light"),
        (1280, true, "dark"),
    ] {
        let browser = Browser::start(width, 1000, dark).await.unwrap();
        signed_in(system, &browser).await;
        for (path, test_id, name) in [
            (DATASETS.to_owned(), "datasets", "datasets"),
            (format!("{DATASETS}/{id}"), "rows", "dataset"),
            (
                format!("/training/new?dataset={id}"),
                "run-dataset",
                "dataset-new-run",
            ),
        ] {
            browser.client.goto(&system.url(&path)).await.unwrap();
            browser.find(test_id).await.unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
            browser
                .screenshot(&format!("{screen}-{name}"))
                .await
                .unwrap();
            let overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
            let overflow = browser.client.execute(overflow, vec![]).await.unwrap();
            assert_eq!(overflow, 0, "{screen}-{name} scrolls sideways");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_trains_on_uploaded_rows() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "rows.jsonl", &good_rows());
    let system = System::start(&[]).await.unwrap();
    let _worker = system.worker("worker").await.unwrap();
    let part = reqwest::multipart::Part::bytes(std::fs::read(file).unwrap());
    let form = reqwest::multipart::Form::new()
        .text("name", "Lighthouses")
        .part("file", part.file_name("rows.jsonl"));
    let request = reqwest::Client::new().post(system.url("/api/v1/datasets"));
    let request = request.bearer_auth(&system.key).multipart(form);
    let made: Value = request.send().await.unwrap().json().await.unwrap();
    let body = json!({
        "name": "on lighthouses", "dataset": [made["id"]],
        "settings": {
            "steps": 1, "prompts_per_step": 2, "samples": 2, "max_answer_tokens": 40,
            "samples_every": 1, "validate_every": 0, "most_excluded": 1.0,
        },
    });
    let (status, run) = system.post("/api/v1/training-runs", &body).await.unwrap();
    assert_eq!(status, 202, "{run}");
    let path = format!("/api/v1/training-runs/{}", run["id"].as_str().unwrap());
    let mut now = Value::Null;
    for _ in 0..1_500 {
        now = system.get(&path).await.unwrap();
        if ["succeeded", "failed"].contains(&now["job"]["status"].as_str().unwrap()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(now["job"]["status"], "succeeded", "{now}");
    let samples = system.get(&format!("{path}/samples")).await.unwrap();
    let prompt = samples["items"][0]["prompt"].as_str().unwrap();
    assert!(prompt.contains("lighthouse"), "{prompt}");
}
