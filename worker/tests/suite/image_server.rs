//! `illumine image-server` and `image-client` over HTTP, on a Qwen-Image of random
//! weights: the interface of LLM-I's server, faults included; the same model behind the
//! tools of `illumine generate`.

use crate::support;

use std::io::{BufRead, BufReader, Cursor};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

use self::support::pipeline::{fixtures, folder};

struct Server {
    child: Child,
    base: String,
    client: Client,
    _folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(mode: &str, pipeline: &str, arguments: &[&str]) -> Self {
        let folder = folder(pipeline);
        let mut child = Command::new(env!("CARGO_BIN_EXE_illumine"))
            .args(["image-server", "--mode", mode, "--base_port", "0"])
            .arg("--model_path")
            .arg(folder.path())
            .args(arguments)
            .env("TEST_IMAGE_KEY", "secret")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let base = line
            .split_whitespace()
            .find(|word| word.starts_with("http://"));
        let base = base
            .unwrap_or_else(|| panic!("no address in {line:?}"))
            .to_owned();
        Self {
            child,
            base,
            client: Client::new(),
            _folder: folder,
        }
    }

    fn port(&self) -> &str {
        self.base.rsplit(':').next().unwrap()
    }

    async fn get(&self, path: &str) -> Response {
        let url = format!("{}{path}", self.base);
        self.client.get(url).send().await.unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> Response {
        let url = format!("{}{path}", self.base);
        self.client.post(url).json(body).send().await.unwrap()
    }

    async fn draw(&self, path: &str, body: &Value) -> Value {
        let response = self.post(path, body).await;
        let status = response.status();
        let answer: Value = response.json().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert_eq!(answer["status"], "success");
        answer
    }

    /// The refusal of a body: its status and words.
    async fn refused(&self, path: &str, body: &Value) -> (StatusCode, String) {
        let response = self.post(path, body).await;
        let status = response.status();
        let answer: Value = response.json().await.unwrap();
        (status, answer["detail"].to_string())
    }
}

fn picture(base64: &Value) -> DynamicImage {
    let bytes = STANDARD.decode(base64.as_str().unwrap()).unwrap();
    image::load_from_memory_with_format(&bytes, ImageFormat::Png).unwrap()
}

fn encoded(picture: impl Into<DynamicImage>, format: ImageFormat) -> String {
    let mut bytes = Cursor::new(Vec::new());
    picture.into().write_to(&mut bytes, format).unwrap();
    STANDARD.encode(bytes.into_inner())
}

fn glass(width: u32, height: u32) -> RgbaImage {
    RgbaImage::from_fn(width, height, |x, y| {
        Rgba([x as u8, y as u8, 90, (x * 7) as u8])
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn words_become_pictures_as_the_original_answers() {
    let server = Server::start("generation", "generation", &[]);
    let health: Value = server.get("/health").await.json().await.unwrap();
    assert_eq!(health, json!({"status": "ok", "mode": "generation"}));
    let info: Value = server.get("/info").await.json().await.unwrap();
    assert_eq!(info["mode"], "generation");
    assert_eq!(info["available_endpoints"], json!(["/generate/"]));

    // What the original's client sends.
    let body = json!({
        "prompt": "a cat",
        "negative_prompt": "bad anatomy",
        "height": 32,
        "width": 48,
        "num_inference_steps": 3,
    });
    let answer = server.draw("/generate/", &body).await;
    let drawn = picture(&answer["images"][0]);
    assert_eq!((drawn.width(), drawn.height()), (48, 32));

    let with = |field: &str, value: Value| {
        let mut body = body.clone();
        body["seed"] = json!(7);
        body[field] = value;
        body
    };
    let one = server.draw("/generate/", &with("seed", json!(7))).await;
    let again = server.draw("/generate", &with("seed", json!(7))).await;
    assert_eq!(one["images"], again["images"], "a seed is honoured");
    let other = server.draw("/generate/", &with("seed", json!(8))).await;
    assert_ne!(one["images"], other["images"]);
    let guided = server
        .draw("/generate/", &with("guidance_scale", json!(9.0)))
        .await;
    assert_ne!(one["images"], guided["images"], "guidance is honoured");
    let three = server
        .draw("/generate/", &with("num_images_per_prompt", json!(3)))
        .await;
    assert_eq!(three["seeds"], json!([7, 8, 9]));
    assert_eq!(three["images"].as_array().unwrap().len(), 3);
    let odd = server.draw("/generate/", &with("width", json!(49))).await;
    assert_eq!(picture(&odd["images"][0]).width(), 48);
    assert!(
        odd["notes"][0].as_str().unwrap().contains("rounded to 48"),
        "{odd}"
    );

    let metrics = server.get("/metrics").await.text().await.unwrap();
    assert!(
        metrics.contains("illumine_image_pictures_total 9\n"),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_drawn_is_refused_by_its_field() {
    let server = Server::start("generation", "generation", &["--memory", "1GiB"]);
    let (status, words) = server.refused("/edit/", &json!({})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(words.contains("only available in edit mode"), "{words}");
    for (field, value, says) in [
        ("prompt", json!(""), "say what to draw"),
        ("width", json!(100_000), "4096"),
        ("height", json!(0), "above 0"),
        (
            "num_inference_steps",
            json!(1_000_000),
            "num_inference_steps",
        ),
        ("num_inference_steps", json!(0), "num_inference_steps"),
        ("guidance_scale", json!(1e9), "guidance_scale"),
        ("num_images_per_prompt", json!(9), "num_images_per_prompt"),
    ] {
        let mut body =
            json!({"prompt": "a cat", "width": 32, "height": 32, "num_inference_steps": 2});
        body[field] = value;
        let (status, words) = server.refused("/generate/", &body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {words}");
        assert!(
            words.contains(says) && words.contains("loc"),
            "{field}: {words}"
        );
    }
    let url = format!("{}/generate/", server.base);
    let broken = server.client.post(url).body("{").send().await.unwrap();
    assert_eq!(broken.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(server.get("/draw").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(
        server.get("/generate/").await.status(),
        StatusCode::METHOD_NOT_ALLOWED
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_edited_whatever_their_kind() {
    let server = Server::start("edit", "edit", &["--api-key-env", "TEST_IMAGE_KEY"]);
    assert_eq!(server.get("/health").await.status(), StatusCode::OK);
    assert_eq!(server.get("/info").await.status(), StatusCode::UNAUTHORIZED);
    let ask = async |image: String| {
        let body = json!({
            "image_b64": image,
            "prompt": "make it night",
            "num_inference_steps": 2,
            "seed": 3,
        });
        let url = format!("{}/edit/", server.base);
        let response = server
            .client
            .post(url)
            .bearer_auth("secret")
            .json(&body)
            .send();
        let response = response.await.unwrap();
        (response.status(), response.json::<Value>().await.unwrap())
    };
    let deep = image::ImageBuffer::from_fn(40, 24, |x, y| image::Luma([(x * y * 60) as u16]));
    let wide = DynamicImage::from(glass(60, 20));
    for (name, image, wider) in [
        ("glass", encoded(glass(40, 40), ImageFormat::Png), false),
        ("16 bits", encoded(deep, ImageFormat::Png), true),
        ("JPEG", encoded(wide.to_rgb8(), ImageFormat::Jpeg), true),
        ("GIF", encoded(glass(24, 24), ImageFormat::Gif), false),
    ] {
        let (status, answer) = ask(image).await;
        assert_eq!(status, StatusCode::OK, "{name}: {answer}");
        let drawn = picture(&answer["images"][0]);
        assert_eq!(drawn.width() > drawn.height(), wider, "{name}");
    }
    for (image, says) in [
        ("*".to_owned(), "base64"),
        (STANDARD.encode("<html>"), "image_b64"),
        (encoded(glass(400, 4), ImageFormat::Png), "crop"),
        (
            encoded(glass(40, 40), ImageFormat::Png)[..80].to_owned(),
            "image_b64",
        ),
    ] {
        let (status, answer) = ask(image).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
        assert!(answer["detail"].to_string().contains(says), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_says_when_to_come_back_and_health_answers_meanwhile() {
    let arguments = ["--queue", "1", "--workers_per_gpu", "1"];
    let server = Server::start("generation", "generation", &arguments);
    let body = |seed: u64| json!({"prompt": "a cat", "width": 64, "height": 64, "num_inference_steps": 400, "seed": seed});
    let (first, second) = (body(1), body(2));
    let drawing = async { server.draw("/generate/", &first).await };
    let waiting = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        server.draw("/generate/", &second).await
    };
    let refused = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let begun = Instant::now();
        let health = server.get("/health").await;
        assert_eq!(health.status(), StatusCode::OK);
        assert!(begun.elapsed() < Duration::from_secs(5));
        server.post("/generate/", &body(3)).await
    };
    let (_, _, refused) = tokio::join!(drawing, waiting, refused);
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    let after = refused.headers()["retry-after"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(after.parse::<u64>().unwrap() >= 1);

    // Whoever goes away takes the request along.
    let url = format!("{}/generate/", server.base);
    let mut long = body(4);
    long["num_inference_steps"] = json!(1000);
    let left = server
        .client
        .post(url)
        .json(&long)
        .timeout(Duration::from_millis(200))
        .send();
    assert!(left.await.is_err());
    let begun = Instant::now();
    loop {
        let metrics = server.get("/metrics").await.text().await.unwrap();
        if metrics.contains("illumine_image_cancelled_total 1\n") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{metrics}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn client(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_illumine"))
        .arg("image-client")
        .args(arguments)
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn our_client_has_the_originals_options() {
    let server = Server::start("edit", "edit_plus", &[]);
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().to_str().unwrap();
    let place = [
        "--host",
        "127.0.0.1",
        "--port",
        server.port(),
        "--output_dir",
        out,
    ];
    let run = |arguments: &[&str]| client(&[&place, arguments].concat());
    let health = run(&["--mode", "health"]);
    let told: Value = serde_json::from_slice(&health.stdout).unwrap();
    assert_eq!(told["mode"], "edit");
    let photos = [0, 1].map(|number| fixtures().join(format!("photo_{number}.png")));
    let [one, two] = photos.each_ref().map(|photo| photo.to_str().unwrap());
    let edit = run(&[
        "--mode",
        "edit",
        "--prompt",
        "join them",
        "--image_path",
        one,
        "--image_path",
        two,
        "--num_inference_steps",
        "2",
        "--seed",
        "5",
        "--output_filename",
        "both",
        "--json",
    ]);
    let errors = String::from_utf8_lossy(&edit.stderr);
    assert!(edit.status.success(), "{errors}");
    let told: Value = serde_json::from_slice(&edit.stdout).unwrap();
    assert_eq!(told["seeds"], json!([5]));
    let written = image::open(dir.path().join("both.png")).unwrap();
    assert!(written.width() > 0);
    for (arguments, says) in [
        (
            &["--mode", "generation", "--prompt", "a cat"][..],
            "generation mode",
        ),
        (&["--mode", "edit", "--prompt", "x"], "--image_path"),
        (&["--mode", "edit", "--image_path", one], "--prompt"),
        (
            &[
                "--mode",
                "edit",
                "--prompt",
                "x",
                "--image_path",
                one,
                "--num_inference_steps",
                "0",
            ],
            "num_inference_steps",
        ),
    ] {
        let run = run(arguments);
        let errors = String::from_utf8_lossy(&run.stderr);
        assert!(
            !run.status.success() && errors.contains(says),
            "{arguments:?}: {errors}"
        );
    }
    drop(server);
    let gone = client(&["--mode", "health", "--host", "127.0.0.1", "--port", "9"]);
    assert!(String::from_utf8_lossy(&gone.stderr).contains("cannot reach"));
}

/// The processes that `parent` started.
fn children(parent: u32) -> Vec<u32> {
    let tasks = format!("/proc/{parent}/task");
    let tasks = std::fs::read_dir(tasks).into_iter().flatten().flatten();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|text| {
            text.split_whitespace()
                .map(|id| id.parse().unwrap())
                .collect::<Vec<u32>>()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_gpu_has_a_process_that_is_started_again_when_it_dies() {
    let folder = folder("generation");
    // Two neighbouring ports that are free.
    let base = (20_000..60_000_u16)
        .step_by(37)
        .find(|port| {
            let free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
            free(*port) && free(port + 1)
        })
        .unwrap();
    let mut parent = Command::new(env!("CARGO_BIN_EXE_illumine"))
        .args([
            "image-server",
            "--mode",
            "generation",
            "--gpus",
            "0,1",
            "--device",
            "cpu",
        ])
        .args(["--base_port", &base.to_string()])
        .arg("--model_path")
        .arg(folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let http = Client::new();
    let serves = async |port: u16| {
        let begun = Instant::now();
        let url = format!("http://127.0.0.1:{port}/info");
        loop {
            if let Ok(answer) = http.get(&url).send().await {
                let info: Value = answer.json().await.unwrap();
                return info["cuda_visible_devices"].as_str().unwrap().to_owned();
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "port {port}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert_eq!(
        (serves(base).await, serves(base + 1).await),
        ("0".into(), "1".into())
    );
    let before = children(parent.id());
    assert_eq!(before.len(), 2);
    let killed = Command::new("kill")
        .args(["-9", &before[1].to_string()])
        .status();
    assert!(killed.unwrap().success());
    let begun = Instant::now();
    loop {
        let now = children(parent.id());
        if now.len() == 2 && !now.contains(&before[1]) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(
        (serves(base).await, serves(base + 1).await),
        ("0".into(), "1".into())
    );
    let stopped = Command::new("kill").arg(parent.id().to_string()).status();
    assert!(stopped.unwrap().success());
    assert!(parent.wait().unwrap().success());
    assert!(
        http.get(format!("http://127.0.0.1:{base}/health"))
            .send()
            .await
            .is_err()
    );
}

#[test]
fn a_model_of_another_kind_stops_the_start_in_words() {
    let folder = folder("edit");
    let start = |model: &Path| {
        let run = Command::new(env!("CARGO_BIN_EXE_illumine"))
            .args([
                "image-server",
                "--mode",
                "generation",
                "--base_port",
                "0",
                "--model_path",
            ])
            .arg(model)
            .output()
            .unwrap();
        assert!(!run.status.success());
        String::from_utf8_lossy(&run.stderr).into_owned()
    };
    assert!(start(folder.path()).contains("edits pictures"));
    assert!(start(Path::new("/nowhere")).contains("is no folder"));
    let torn = self::folder("generation");
    std::fs::remove_file(torn.path().join("vae/config.json")).unwrap();
    assert!(start(torn.path()).contains("config.json"));
}

#[test]
fn the_tools_draw_and_edit_with_models_of_the_worker() {
    let (draws, edits) = (folder("generation"), folder("edit"));
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("document.json");
    let photo = fixtures().join("photo_0.png");
    let generate = |prompt: &str, arguments: &[&str]| -> Value {
        let run = Command::new(env!("CARGO_BIN_EXE_illumine"))
            .args([
                "generate",
                "--temperature",
                "0",
                "--seed",
                "4",
                "--prompt",
                prompt,
            ])
            .args(arguments)
            .arg("--output")
            .arg(&file)
            .env("ILLUMINE_DIFFUSION_MODEL", draws.path())
            .env("ILLUMINE_EDIT_MODEL", edits.path())
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&run.stderr);
        assert!(matches!(run.status.code(), Some(0 | 2)), "{errors}");
        serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap()
    };
    let provenance = |document: &Value, tool: &str| -> Value {
        let blocks = document["blocks"].as_array().unwrap();
        let mut outcomes = blocks.iter().map(|block| &block["outcome"]);
        let drawn = outcomes.find(|outcome| outcome["provenance"]["tool"] == tool);
        drawn.unwrap_or_else(|| panic!("no {tool} in {document}"))["provenance"].clone()
    };
    let drawn = generate(
        "Write a short page about a lighthouse with a painting.",
        &["--tools", "diffusion"],
    );
    let drawn = provenance(&drawn, "diffusion");
    assert_eq!(
        (&drawn["backend"], &drawn["seed"]),
        (&json!("burn"), &json!(4))
    );
    let model = drawn["model"].as_str().unwrap();
    assert!(model.contains(draws.path().to_str().unwrap()), "{model}");
    assert!(drawn["parameters"]["steps"].as_u64().unwrap() > 0);

    let edited = generate(
        "Show this picture in autumn.",
        &["--tools", "edit", "--image", photo.to_str().unwrap()],
    );
    let edited = provenance(&edited, "edit");
    assert_eq!(edited["backend"], "burn", "{edited}");
    assert_eq!(edited["parent"]["index"], 0, "{edited}");
}
