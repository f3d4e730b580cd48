//! `illumine generate`: one document into one file, without any server.

mod progress;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use clap::Args;
use illumine_agent::{Agent, AgentSettings, GenerationInput, MemoryPictures, PictureStore, policy};
use illumine_config::Config;
use illumine_guard::{PictureLimits, inspect};
use illumine_render::{render_html, render_markdown};
use illumine_tools::Toolbox;
use illumine_types::api::GenerationOptions;
use illumine_types::capability::Limits;
use illumine_types::{Document, ImageRef, JobId, JobKind, ToolKind};
use tokio_util::sync::CancellationToken;

use self::progress::Progress;
use crate::image_models::painters;

#[derive(Args)]
#[command(
    after_help = "The file is HTML with its pictures inside, or Markdown or JSON by its ending (.md, .json).\n\
    Exit status: 0 whole, 2 written but broken off (the document says why), 1 nothing written."
)]
pub struct Options {
    /// What to write about
    #[arg(long)]
    prompt: String,
    /// A picture to look at or to change; may be given again
    #[arg(long = "image", value_name = "FILE")]
    images: Vec<PathBuf>,
    /// Where to write the document
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Print the document as JSON on standard output too
    #[arg(long)]
    json: bool,
    /// burn:<folder or name>[+lora=<folder>][@device] or openai:<base url>#<model>
    #[arg(long)]
    policy: Option<String>,
    /// Tools that may be used, comma-separated: search,diffusion,code,edit
    #[arg(long, value_delimiter = ',', value_parser = tool)]
    tools: Option<Vec<ToolKind>>,
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=32_768))]
    max_tokens: Option<u32>,
    /// 0 to 2; 0 is greedy
    #[arg(long, value_parser = within::<0, 2>)]
    temperature: Option<f32>,
    /// Above 0, at most 1
    #[arg(long, value_parser = within::<0, 1>)]
    top_p: Option<f32>,
    #[arg(long)]
    seed: Option<u64>,
    /// Candidates to choose from
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=8))]
    samples: Option<u32>,
    /// Where a Burn policy runs: flex, libtorch, cuda:0 …
    #[arg(long)]
    device: Option<String>,
}

fn tool(word: &str) -> Result<ToolKind, String> {
    ToolKind::parse(word.trim())
        .ok_or_else(|| "the tools are search, diffusion, code and edit".to_owned())
}

fn within<const LOW: u8, const HIGH: u8>(text: &str) -> Result<f32, String> {
    let range = f32::from(LOW)..=f32::from(HIGH);
    let number: f32 = text.parse().map_err(|_| "not a number".to_owned())?;
    if range.contains(&number) {
        Ok(number)
    } else {
        Err(format!("must be {LOW} to {HIGH}"))
    }
}

pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let config = super::configuration(|sources| {
        sources
            .with_flag("policy.spec", options.policy.clone())
            .with_flag("worker.device", options.device.clone())
    })?
    .config;
    let format = check(&options)?;
    let pictures = Arc::new(MemoryPictures::default());
    let input = input(&options, &pictures).await?;
    let agent = agent(&config).await?;

    let cancel = CancellationToken::new();
    tokio::spawn(cancel_on_interrupt(cancel.clone()));
    let progress = Progress::start();
    let document = agent
        .generate(&input, &progress, pictures.clone(), cancel)
        .await?;

    write(&options.output, &format.render(&document, &pictures)?)?;
    if options.json {
        println!("{}", serde_json::to_string(&document)?);
    }
    progress.end(&document, &options.output);
    Ok(if document.interruption.is_some() {
        ExitCode::from(2)
    } else {
        ExitCode::SUCCESS
    })
}

/// What can be known to be wrong before anything is loaded.
fn check(options: &Options) -> anyhow::Result<Format> {
    let limits = Limits::default();
    let characters = options.prompt.chars().count();
    ensure!(!options.prompt.trim().is_empty(), "--prompt is empty");
    ensure!(
        characters <= limits.prompt_characters,
        "--prompt has {characters} characters; {} are allowed",
        limits.prompt_characters
    );
    ensure!(
        options.images.len() <= limits.images,
        "at most {} pictures may be given",
        limits.images
    );
    ensure!(options.top_p != Some(0.0), "--top-p must be above 0");
    ensure!(
        !options.output.is_dir(),
        "--output: {} is a folder",
        options.output.display()
    );
    let folder = parent(&options.output);
    ensure!(
        folder.is_dir(),
        "--output: the folder {} does not exist",
        folder.display()
    );
    Format::of(&options.output)
}

/// The folder that a file is to stand in.
fn parent(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

async fn input(options: &Options, pictures: &MemoryPictures) -> anyhow::Result<GenerationInput> {
    let mut inputs = Vec::new();
    for file in &options.images {
        inputs.push(
            picture(file, pictures)
                .await
                .with_context(|| format!("--image {}", file.display()))?,
        );
    }
    Ok(GenerationInput {
        id: JobId::generate(JobKind::Generation),
        prompt: options.prompt.clone(),
        inputs,
        options: GenerationOptions {
            max_tokens: options.max_tokens,
            temperature: options.temperature,
            top_p: options.top_p,
            seed: options.seed,
            tools: options.tools.clone(),
            samples: options.samples,
            ..GenerationOptions::default()
        },
        created_at: chrono::Utc::now(),
        queued_ms: 0,
    })
}

async fn picture(file: &Path, pictures: &MemoryPictures) -> anyhow::Result<ImageRef> {
    let limits = PictureLimits::default();
    let size = tokio::fs::metadata(file).await?.len();
    if size > limits.bytes as u64 {
        bail!("it has {size} bytes; {} are allowed", limits.bytes);
    }
    let bytes = tokio::fs::read(file).await?;
    let picture = inspect(bytes.into(), limits).await?;
    Ok(pictures.put(&picture).await?)
}

/// Loads the policy while the tools get ready.
async fn agent(config: &Config) -> anyhow::Result<Agent> {
    let settings = AgentSettings::from_config(config)?;
    let (policy_settings, device) = (config.policy.clone(), config.worker.device.clone());
    let opening = tokio::task::spawn_blocking(move || {
        policy::open(&policy_settings.spec, &policy_settings, &device)
    });
    let painters = painters(config);
    let toolbox = Toolbox::from_config(config, None, &painters);
    let (policy, toolbox) = tokio::join!(opening, toolbox);
    Ok(Agent::new(policy??, toolbox.tools().to_vec(), settings))
}

async fn cancel_on_interrupt(cancel: CancellationToken) {
    if tokio::signal::ctrl_c().await.is_err() {
        return;
    }
    eprintln!("stopping; what is written is kept (again: at once)");
    cancel.cancel();
    let _ = tokio::signal::ctrl_c().await;
    std::process::exit(130);
}

/// How the document is written.
#[derive(Clone, Copy)]
enum Format {
    Html,
    Markdown,
    Json,
}

impl Format {
    fn of(file: &Path) -> anyhow::Result<Self> {
        let ending = file
            .extension()
            .map(|ending| ending.to_string_lossy().to_lowercase());
        match ending.as_deref() {
            Some("html" | "htm") | None => Ok(Self::Html),
            Some("md" | "markdown") => Ok(Self::Markdown),
            Some("json") => Ok(Self::Json),
            Some(other) => {
                bail!("--output: a document is written as .html, .md or .json, not .{other}")
            }
        }
    }

    fn render(self, document: &Document, pictures: &MemoryPictures) -> anyhow::Result<String> {
        let pictures = pictures.all();
        Ok(match self {
            Self::Html => {
                let bytes = pictures
                    .into_iter()
                    .map(|(id, picture)| (id, picture.bytes));
                render_html(document, &bytes.collect())
            }
            Self::Markdown => render_markdown(document, |image| match pictures.get(&image.id) {
                Some(picture) => data_url(picture.mime, &picture.bytes),
                None => image.url.clone(),
            }),
            Self::Json => serde_json::to_string_pretty(document)?,
        })
    }
}

fn data_url(mime: &str, bytes: &[u8]) -> String {
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(bytes);
    format!("data:{mime};base64,{encoded}")
}

/// Writes the whole file or leaves what was there.
fn write(file: &Path, content: &str) -> anyhow::Result<()> {
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let written = std::fs::write(&part, content).and_then(|()| std::fs::rename(&part, file));
    written.with_context(|| format!("cannot write {}", file.display()))
}
