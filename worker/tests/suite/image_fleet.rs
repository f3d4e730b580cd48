//! Several image servers: the tools' pool of them, their launcher, and the original
//! project's way of asking.

use crate::support;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use illumine_config::Config;
use illumine_tools::{Painters, ToolContext, ToolImage, Toolbox, Tuning};
use illumine_types::ToolKind;
use illumine_types::tool::ToolRequest;
use reqwest::Client;

use self::support::pipeline::{ImageServer, fixtures, folder};
use self::support::run_client;

#[test]
fn a_client_like_the_originals_is_content() {
    let drawing = ImageServer::start("generation", "generation", &[]);
    run_client("image_client.py", &[drawing.port()]);
    let photo = fixtures().join("photo_0.png");
    let editing = ImageServer::start("edit", "edit", &[]);
    run_client(
        "image_client.py",
        &[editing.port(), photo.to_str().unwrap()],
    );
}

/// The diffusion tool with these servers and nothing else.
fn pool(servers: &[&ImageServer]) -> Toolbox {
    let mut settings = Config::default().tools;
    settings.qwen_image_servers = servers.iter().map(|server| server.base.clone()).collect();
    Toolbox::without_code(&settings, None, &Painters::default(), Tuning::default())
}

async fn draw(toolbox: &Toolbox, prompt: &str, steps: u32) -> ToolImage {
    let mut context = ToolContext::default();
    context.options.image.width = Some(64);
    context.options.image.height = Some(64);
    context.options.image.steps = Some(steps);
    context.options.seed = Some(5);
    let request = ToolRequest::Diffusion {
        prompt: prompt.to_owned(),
    };
    let tool = toolbox.get(ToolKind::Diffusion).unwrap();
    tool.run(&request, &context).await.unwrap()
}

/// A figure of a server.
async fn figure(server: &ImageServer, name: &str) -> f64 {
    let text = reqwest::get(format!("{}/metrics", server.base))
        .await
        .unwrap();
    let text = text.text().await.unwrap();
    let start = format!("illumine_image_{name} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_takes_over_when_one_dies_while_it_draws() {
    let mut servers = [(); 2].map(|()| ImageServer::start("generation", "generation", &[]));
    let toolbox = pool(&[&servers[0], &servers[1]]);
    let drawing = tokio::spawn(async move { draw(&toolbox, "a red fox", 400).await });
    let begun = Instant::now();
    let dying = loop {
        let busy = [
            figure(&servers[0], "drawing").await,
            figure(&servers[1], "drawing").await,
        ];
        if let Some(index) = busy.iter().position(|&drawing| drawing > 0.0) {
            break index;
        }
        assert!(begun.elapsed() < Duration::from_secs(30));
    };
    servers[dying].kill();
    let made = drawing.await.unwrap();
    assert_eq!((made.picture.width, made.picture.height), (64, 64));
    assert_eq!(made.provenance.backend, "qwen");
    assert_eq!(figure(&servers[1 - dying], "pictures_total").await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_share_what_is_asked_at_once() {
    let servers = [(); 2].map(|()| ImageServer::start("generation", "generation", &[]));
    let toolbox = pool(&[&servers[0], &servers[1]]);
    tokio::join!(
        draw(&toolbox, "one", 60),
        draw(&toolbox, "two", 60),
        draw(&toolbox, "three", 60),
        draw(&toolbox, "four", 60)
    );
    for server in &servers {
        assert_eq!(figure(server, "pictures_total").await, 2.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_server_outlives_its_launcher() {
    let folder = folder("generation");
    let base = 21_013 + (std::process::id() % 9000) as u16;
    let mut launcher = Command::new(env!("CARGO_BIN_EXE_illumine"))
        .args(["image-server", "--mode", "generation", "--gpus", "0,1"])
        .args(["--device", "flex", "--startup_delay", "0"])
        .args(["--log_level", "warning", "--base_port", &base.to_string()])
        .arg("--model_path")
        .arg(folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let client = Client::new();
    let answers = async |port: u16| {
        let url = format!("http://localhost:{port}/health");
        client.get(url).send().await.is_ok()
    };
    let all = async |alive: bool| {
        let begun = Instant::now();
        while answers(base).await != alive || answers(base + 1).await != alive {
            assert!(begun.elapsed() < Duration::from_secs(60), "alive: {alive}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    all(true).await;
    // As nobody could tell its children of.
    launcher.kill().unwrap();
    launcher.wait().unwrap();
    all(false).await;
}
