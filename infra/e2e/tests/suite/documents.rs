//! From a prompt to a finished document, through every program.

use std::time::Duration;

use illumine_e2e::{Policy, Script, System};

const MINUTE: Duration = Duration::from_secs(60);

/// A report that calls the two tools that need no service, and one that is not
/// configured.
const REPORT: &str = r##"# Coffee in two pictures

Coffee is a drink of roasted beans.

<imgen>{"source": "search", "description": "A cup of coffee", "params": {"query": "cup of coffee"}}</imgen>

Production by country, in million bags:

<imgen>{'source': 'code', 'description': "Coffee's producers", 'params': {'code': 'plt.bar(["Brazil", "Vietnam"], [66, 29])\nplt.title("It is {not} a </imgen>")'}}</imgen>

<imgen>{"source": "diffusion", "description": "A dream of coffee", "params": {"prompt": "a dream of coffee"}}</imgen>

<script>alert(1)</script> [a link](javascript:alert(1)) <img src=x onerror=alert(1)>
"##;

#[tokio::test(flavor = "multi_thread")]
async fn a_document_has_a_chart_a_photograph_and_an_explained_gap() {
    let policy = Policy::start(Script::new(REPORT)).await.unwrap();
    // A server that is wanted and not there; by default the embedded model would draw.
    let settings = [
        ("ILLUMINE_POLICY", policy.spec()),
        ("ILLUMINE_DIFFUSION", "qwen".to_owned()),
    ];
    let settings = settings
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let system = System::start(&settings).await.unwrap();
    let _worker = system.worker("worker").await.unwrap();
    let id = system.submit("Write about coffee").await.unwrap();
    let job = system
        .wait(&id, &["succeeded", "failed"], MINUTE)
        .await
        .unwrap();
    assert_eq!(
        job["status"],
        "succeeded",
        "{job}\n{}",
        system.log("worker")
    );

    let document = system
        .get(&format!("/api/v1/documents/{id}"))
        .await
        .unwrap();
    let images: Vec<_> = document["blocks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|block| block["type"] == "image")
        .collect();
    assert_eq!(images.len(), 3, "{document}");
    assert_eq!(
        images[0]["outcome"]["provenance"]["backend"], "library",
        "{}",
        images[0]
    );
    assert_eq!(
        images[1]["outcome"]["provenance"]["backend"], "sandbox",
        "{}",
        images[1]
    );
    assert_eq!(images[2]["outcome"]["status"], "failed");
    assert_eq!(images[2]["outcome"]["code"], "tool_unavailable");
    assert!(
        images[2]["outcome"]["reason"]
            .as_str()
            .unwrap()
            .contains("QWEN_IMAGE_SERVER_URL"),
        "{}",
        images[2]
    );

    for image in &images[..2] {
        let url = image["outcome"]["image"]["url"].as_str().unwrap();
        let answer = reqwest::Client::new()
            .get(system.url(url))
            .bearer_auth(&system.key)
            .send()
            .await
            .unwrap();
        assert!(
            answer.headers()["content-type"]
                .to_str()
                .unwrap()
                .starts_with("image/")
        );
        assert!(answer.bytes().await.unwrap().len() > 1000);
    }

    let html = system
        .get_text(&format!("/api/v1/documents/{id}?format=html"))
        .await
        .unwrap();
    assert!(html.contains("data:image/png;base64,"));
    for forbidden in ["<script>alert", "javascript:alert", "onerror=alert(1)>"] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }

    let events = system.events(&id).await.unwrap();
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names
            .iter()
            .filter(|name| **name == "tool_finished")
            .count(),
        3,
        "{names:?}"
    );
    assert_eq!(names.last(), Some(&"completed"), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_policy_writes_with_nothing_configured() {
    let system = System::start(&[]).await.unwrap();
    let _worker = system.worker("worker").await.unwrap();
    let prompt = "Write an illustrated report about coffee with a photo and a bar chart.";
    let id = system.submit(prompt).await.unwrap();
    let job = system
        .wait(&id, &["succeeded", "failed"], 2 * MINUTE)
        .await
        .unwrap();
    assert_eq!(
        job["status"],
        "succeeded",
        "{job}\n{}",
        system.log("worker")
    );
    let document = system
        .get(&format!("/api/v1/documents/{id}"))
        .await
        .unwrap();
    let ready = |tool: &str| {
        document["blocks"].as_array().unwrap().iter().any(|block| {
            block["outcome"]["status"] == "ready" && block["outcome"]["provenance"]["tool"] == tool
        })
    };
    assert!(
        document["title"]
            .as_str()
            .unwrap()
            .to_lowercase()
            .contains("coffee"),
        "{document}"
    );
    assert!(ready("search"), "{document}");
    assert!(ready("code"), "{document}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_breaks_off_leaves_what_it_wrote() {
    let mut script = Script::new(
        "# Half a report\n\nIt begins well, and then the line goes dead before the end.",
    );
    script.break_after = Some(4);
    let policy = Policy::start(script).await.unwrap();
    let system = System::start(&[("ILLUMINE_POLICY", &policy.spec())])
        .await
        .unwrap();
    let _worker = system.worker("worker").await.unwrap();
    let id = system.submit("Write half a report").await.unwrap();
    system
        .wait(&id, &["succeeded", "failed"], 2 * MINUTE)
        .await
        .unwrap();
    let document = system
        .get(&format!("/api/v1/documents/{id}"))
        .await
        .unwrap();
    let text = document["blocks"][0]["markdown"].as_str().unwrap();
    assert!(text.contains("Half a report"), "{document}");
    assert!(document["interruption"]["detail"].is_string(), "{document}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_document_can_be_cancelled_and_keeps_its_text() {
    let long = format!("# Slow\n\n{}", "word ".repeat(2000));
    let policy = Policy::start(Script::new(&long).slowly(Duration::from_millis(50)))
        .await
        .unwrap();
    let system = System::start(&[("ILLUMINE_POLICY", &policy.spec())])
        .await
        .unwrap();
    let _worker = system.worker("worker").await.unwrap();
    let id = system.submit("Write slowly").await.unwrap();
    system.wait(&id, &["running"], MINUTE).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (status, _) = system
        .post(
            &format!("/api/v1/generations/{id}/cancel"),
            &serde_json::json!({}),
        )
        .await
        .unwrap();
    assert!(status.is_success());
    system
        .wait(&id, &["cancelled"], Duration::from_secs(20))
        .await
        .unwrap();
    let document = system
        .get(&format!("/api/v1/documents/{id}"))
        .await
        .unwrap();
    assert!(
        document["blocks"][0]["markdown"]
            .as_str()
            .unwrap()
            .contains("Slow"),
        "{document}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_needs_no_server() {
    let folder = std::env::temp_dir().join(format!("illumine-generate-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let output = folder.join("report.html");
    let policy = Policy::start(Script::new(REPORT)).await.unwrap();
    let system = System::start(&[("ILLUMINE_POLICY", &policy.spec())])
        .await
        .unwrap();
    let mut command = system
        .command(&[
            "generate",
            "--prompt",
            "Write about coffee",
            "--output",
            output.to_str().unwrap(),
        ])
        .unwrap();
    // No store is touched: their addresses lead nowhere.
    command
        .env("ILLUMINE_REDIS_URL", "redis://127.0.0.1:1/")
        .env("ILLUMINE_S3_ENDPOINT", "http://127.0.0.1:1");
    let done = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let html = std::fs::read_to_string(&output).unwrap();
    assert!(html.contains("Coffee in two pictures") && html.contains("data:image/png;base64,"));
    assert!(!html.contains("<script>alert"));
    std::fs::remove_dir_all(folder).unwrap();
}

const FOUR_TOOLS: &str = r#"# The lighthouse

<imgen>{"source": "search", "description": "A cup of coffee", "params": {"query": "cup of coffee"}}</imgen>

<imgen>{"source": "diffusion", "description": "The lighthouse", "params": {"prompt": "a white lighthouse by the sea at noon"}}</imgen>

<imgen>{"source": "edit", "description": "The same at night", "params": {"img_index": 1, "prompt": "make the picture night"}}</imgen>

<imgen>{"source": "code", "description": "Ships", "params": {"code": "plt.bar(['a', 'b'], [1, 2])"}}</imgen>
"#;

#[tokio::test(flavor = "multi_thread")]
async fn with_nothing_configured_all_four_tools_draw() {
    let policy = Policy::start(Script::new(FOUR_TOOLS)).await.unwrap();
    let system = System::start(&[("ILLUMINE_POLICY", &policy.spec())])
        .await
        .unwrap();
    let _worker = system.worker("worker").await.unwrap();
    let id = system.submit("Write about a lighthouse").await.unwrap();
    let job = system.wait(&id, &["succeeded", "failed"], MINUTE).await;
    assert_eq!(
        job.unwrap()["status"],
        "succeeded",
        "{}",
        system.log("worker")
    );
    let document = system
        .get(&format!("/api/v1/documents/{id}"))
        .await
        .unwrap();
    let blocks = document["blocks"].as_array().unwrap().iter();
    let images: Vec<_> = blocks.filter(|block| block["type"] == "image").collect();
    let backends: Vec<&str> = images
        .iter()
        .map(|image| {
            image["outcome"]["provenance"]["backend"]
                .as_str()
                .unwrap_or("none")
        })
        .collect();
    assert_eq!(
        backends,
        ["library", "burn", "burn", "sandbox"],
        "{document}"
    );

    // The edit follows from its parent, and is darker.
    let parent = images[1]["outcome"]["image"]["id"].as_str().unwrap();
    let provenance = &images[2]["outcome"]["provenance"];
    assert!(provenance.to_string().contains(parent), "{provenance}");
    let mut light = Vec::new();
    for image in &images[1..3] {
        let url = image["outcome"]["image"]["url"].as_str().unwrap();
        let answer = reqwest::Client::new()
            .get(system.url(url))
            .bearer_auth(&system.key);
        let bytes = answer.send().await.unwrap().bytes().await.unwrap();
        let picture = image::load_from_memory(&bytes).unwrap().to_luma8();
        let sum: u64 = picture.as_raw().iter().map(|&value| u64::from(value)).sum();
        light.push(sum as f64 / picture.as_raw().len() as f64);
    }
    assert!(light[1] < 0.7 * light[0], "{light:?}");
}
