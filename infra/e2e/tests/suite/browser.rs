//! What a person does, in headless Chromium. Every test leaves pictures of the
//! pages in `target/screenshots`.

use std::time::Duration;

use illumine_e2e::{Browser, Policy, Script, System};

const REPORT: &str = r##"# The harbour in the morning

The first boats leave before the sun is up, and the gulls follow them out past the light.

<imgen>{"source": "search", "description": "A cup of coffee on the quay", "params": {"query": "cup of coffee"}}</imgen>

## What the boats bring home

| catch | tonnes |
|---|--:|
| herring | 31 |
| cod | 12 |

<imgen>{"source": "code", "description": "Catch by kind, in tonnes", "params": {"code": "plt.bar(['herring', 'cod', 'crab'], [31, 12, 5])\nplt.ylabel('tonnes')"}}</imgen>

<imgen>{"source": "diffusion", "description": "The harbour as a dream", "params": {"prompt": "a harbour in a dream"}}</imgen>

<script>document.title = "owned"</script> <img src=x onerror="document.title = 'owned'"> [tide tables](javascript:document.title='owned')

By noon the quay is quiet again.
"##;

pub async fn signed_in(system: &System, browser: &Browser) {
    browser.client.goto(&system.url("/")).await.unwrap();
    browser
        .find("key-input")
        .await
        .unwrap()
        .send_keys(&system.key)
        .await
        .unwrap();
    browser
        .find("sign-in")
        .await
        .unwrap()
        .click()
        .await
        .unwrap();
    browser.find("prompt").await.unwrap();
}

pub async fn wait_for_count(browser: &Browser, test_id: &str, count: usize) {
    for _ in 0..300 {
        if browser.count(test_id).await.unwrap() == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let page = browser.client.source().await.unwrap();
    panic!("{test_id} is not there {count} times:\n{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_writes_a_document_and_finds_it_again() {
    let policy = Policy::start(Script::new(REPORT).slowly(Duration::from_millis(40)))
        .await
        .unwrap();
    // A server that is wanted and not there: a gap to be seen.
    let spec = policy.spec();
    let settings = [
        ("ILLUMINE_POLICY", spec.as_str()),
        ("ILLUMINE_DIFFUSION", "qwen"),
    ];
    let system = System::start(&settings).await.unwrap();
    let _worker = system.worker("worker").await.unwrap();
    let browser = Browser::start(1280, 1000, false).await.unwrap();
    browser.client.goto(&system.url("/")).await.unwrap();
    browser.find("sign-in").await.unwrap();
    browser.screenshot("sign-in").await.unwrap();
    signed_in(&system, &browser).await;
    browser.screenshot("compose").await.unwrap();

    let prompt = "Write an illustrated report about a harbour, with a photo and a chart.";
    browser
        .find("prompt")
        .await
        .unwrap()
        .send_keys(prompt)
        .await
        .unwrap();
    browser.find("submit").await.unwrap().click().await.unwrap();
    // Live: there is text while the policy still writes.
    browser.find("block-text").await.unwrap();
    browser.find("cancel").await.unwrap();
    browser.find("block-image").await.unwrap();
    browser.screenshot("document-live").await.unwrap();

    wait_for_count(&browser, "image-ready", 2).await;
    wait_for_count(&browser, "image-failed", 1).await;
    wait_for_count(&browser, "cancel", 0).await;
    // Pictures fade in.
    tokio::time::sleep(Duration::from_secs(1)).await;
    browser.screenshot("document").await.unwrap();
    let text = browser.text_at("main").await.unwrap();
    assert!(text.contains("By noon the quay is quiet again."), "{text}");
    assert!(
        text.contains("QWEN_IMAGE_SERVER_URL"),
        "the gap names its remedy: {text}"
    );
    let title = browser
        .client
        .execute("return document.title", vec![])
        .await
        .unwrap();
    assert_ne!(title, "owned", "the model's words became a script");
    let scripts = "return document.querySelectorAll('main script, main [onerror], main a[href^=javascript]').length";
    assert_eq!(browser.client.execute(scripts, vec![]).await.unwrap(), 0);

    browser
        .find("image-ready")
        .await
        .unwrap()
        .click()
        .await
        .unwrap();
    let provenance = browser.text("provenance").await.unwrap();
    assert!(provenance.contains("library"), "{provenance}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    browser.screenshot("provenance").await.unwrap();

    // A reload shows the same.
    let address = browser.client.current_url().await.unwrap();
    browser.client.goto(address.as_str()).await.unwrap();
    wait_for_count(&browser, "image-ready", 2).await;

    browser
        .client
        .goto(&system.url("/documents"))
        .await
        .unwrap();
    wait_for_count(&browser, "gallery-card", 1).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    browser.screenshot("gallery").await.unwrap();
    let card = browser.text("gallery-card").await.unwrap();
    assert!(card.contains("harbour"), "{card}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_document_is_cancelled_from_the_page() {
    let long = format!(
        "# A very long story\n\n{}",
        "It goes on and on. ".repeat(500)
    );
    let policy = Policy::start(Script::new(&long).slowly(Duration::from_millis(50)))
        .await
        .unwrap();
    let system = System::start(&[("ILLUMINE_POLICY", &policy.spec())])
        .await
        .unwrap();
    let _worker = system.worker("worker").await.unwrap();
    let browser = Browser::start(1280, 1000, false).await.unwrap();
    signed_in(&system, &browser).await;
    browser
        .find("prompt")
        .await
        .unwrap()
        .send_keys("Tell a long story")
        .await
        .unwrap();
    browser.find("submit").await.unwrap().click().await.unwrap();
    browser.find("block-text").await.unwrap();
    browser.find("cancel").await.unwrap().click().await.unwrap();
    wait_for_count(&browser, "cancel", 0).await;
    let list = system.get("/api/v1/generations").await.unwrap();
    let id = list["items"][0]["id"].as_str().unwrap().to_owned();
    system
        .wait(&id, &["cancelled"], Duration::from_secs(20))
        .await
        .unwrap();
    let text = browser.text("block-text").await.unwrap();
    assert!(text.contains("It goes on"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_in_the_dark_has_no_sideways_scroll() {
    let policy = Policy::start(Script::new(REPORT)).await.unwrap();
    let system = System::start(&[("ILLUMINE_POLICY", &policy.spec())])
        .await
        .unwrap();
    let _worker = system.worker("worker").await.unwrap();
    let id = system.submit("Write about a harbour").await.unwrap();
    system
        .wait(&id, &["succeeded"], Duration::from_secs(60))
        .await
        .unwrap();
    // A headless window is at least 500 wide; a phone is emulated below that.
    let browser = Browser::start(500, 900, true).await.unwrap();
    signed_in(&system, &browser).await;
    for (path, name) in [
        ("/", "phone-compose"),
        ("/documents", "phone-gallery"),
        (&format!("/documents/{id}") as &str, "phone-document"),
    ] {
        browser.client.goto(&system.url(path)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        browser.screenshot(name).await.unwrap();
        let overflow =
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(
            browser.client.execute(overflow, vec![]).await.unwrap(),
            0,
            "{name} scrolls sideways"
        );
    }
}

/// No key, no network: what a newcomer sees after `cargo xtask up`.
#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_policy_illustrates_a_report_that_is_typed_in() {
    let system = System::start(&[]).await.unwrap();
    let _worker = system.worker("worker").await.unwrap();
    let browser = Browser::start(1280, 1600, false).await.unwrap();
    signed_in(&system, &browser).await;
    let prompt = "Write an illustrated report about coffee with a photo and a bar chart.";
    let field = browser.find("prompt").await.unwrap();
    field.send_keys(prompt).await.unwrap();
    browser.find("submit").await.unwrap().click().await.unwrap();
    wait_for_count(&browser, "image-ready", 2).await;
    wait_for_count(&browser, "cancel", 0).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    browser.screenshot("embedded-document").await.unwrap();
    let heading = browser.text_at("main h1").await.unwrap();
    assert!(heading.to_lowercase().contains("coffee"), "{heading}");
    let widths = "return [...document.querySelectorAll('[data-testid=image-ready] img')].map(image => image.naturalWidth)";
    let shown = |width: &serde_json::Value| width.as_u64().is_some_and(|width| width > 100);
    // A picture's bytes come after its place in the page.
    let mut all = serde_json::Value::Null;
    for _ in 0..100 {
        all = browser.client.execute(widths, vec![]).await.unwrap();
        if all.as_array().unwrap().iter().all(shown) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("pictures do not load: their widths are {all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_researcher_starts_a_run_and_reads_what_it_wrote() {
    let system = System::start(&[]).await.unwrap();
    let _worker = system.worker("worker").await.unwrap();
    let browser = Browser::start(1280, 1100, false).await.unwrap();
    signed_in(&system, &browser).await;
    let client = &browser.client;
    client.goto(&system.url("/training")).await.unwrap();
    browser.find("runs-empty").await.unwrap();
    let new = browser.find("new-run").await.unwrap();
    new.click().await.unwrap();
    let write = async |field: &str, text: &str| {
        let input = browser.find(field).await.unwrap();
        input.clear().await.unwrap();
        input.send_keys(text).await.unwrap();
    };
    write("run-name", "Pictures where they belong").await;
    let settings = [
        ("steps", "0"),
        ("prompts_per_step", "2"),
        ("samples", "3"),
        ("max_answer_tokens", "150"),
        ("checkpoint_every", "2"),
        ("samples_every", "1"),
        ("validate_every", "2"),
        ("validation_prompts", "2"),
        ("most_excluded", "1"),
    ];
    for (name, value) in settings {
        write(&format!("run-settings-{name}"), value).await;
    }
    // A value that cannot be is told at its field, before anything is asked.
    browser
        .find("start-run")
        .await
        .unwrap()
        .click()
        .await
        .unwrap();
    let text = browser.text_at("main").await.unwrap();
    assert!(text.contains("must lie in 1..=1000000"), "{text}");
    browser.screenshot("training-new").await.unwrap();
    write("run-settings-steps", "4").await;
    browser
        .find("start-run")
        .await
        .unwrap()
        .click()
        .await
        .unwrap();

    browser.find("run-step").await.unwrap();
    let mut steps = String::new();
    for _ in 0..1500 {
        steps = browser.text("run-step").await.unwrap();
        if steps == "step 4 of 4" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(steps, "step 4 of 4");
    let runs = system.get("/api/v1/training-runs").await.unwrap();
    let asked = &runs["items"][0]["config"]["settings"];
    assert_eq!(asked["samples_every"], 1, "{asked}");
    assert!(browser.count("chart").await.unwrap() >= 6);
    wait_for_count(&browser, "sample", 6).await;
    browser.find("sample").await.unwrap().click().await.unwrap();
    let score = browser.text("score").await.unwrap();
    assert!(!score.is_empty());
    tokio::time::sleep(Duration::from_secs(1)).await;
    browser.screenshot("training-run").await.unwrap();
    browser
        .find("tab-checkpoints")
        .await
        .unwrap()
        .click()
        .await
        .unwrap();
    browser.find("checkpoint").await.unwrap();
    browser.screenshot("training-checkpoints").await.unwrap();
    client.goto(&system.url("/training")).await.unwrap();
    wait_for_count(&browser, "run", 1).await;
    browser.screenshot("training-runs").await.unwrap();
    let text = browser.text("run").await.unwrap();
    assert!(text.contains("Pictures where they belong"), "{text}");
}
