//! `illumine train`: reinforcement learning from a file, without any server.

mod processes;

use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::Context;
use async_trait::async_trait;
use clap::Args;
use illumine_agent::{AgentSettings, PictureError, PictureStore, image_ref};
use illumine_config::Config;
use illumine_datasets::{Dataset, ReadOptions, SplitRule};
use illumine_models::device::parse_device_and_precision;
use illumine_rewards::{JudgeSettings, RewardSettings};
use illumine_tools::Picture;
use illumine_train::parallel::Peers;
use illumine_train::rl::{Run, RunConfig, Surroundings};
use illumine_types::ImageRef;
use illumine_types::training::tensorboard;
use serde::{Deserialize, Serialize};

use self::processes::{Company, Processes};
use crate::judges;

#[derive(Args)]
#[command(
    after_help = "The run goes on from the newest checkpoint in its folder. Ctrl-C ends it after the\n\
    step under way, with a checkpoint.\n\n\
    With --processes N the prompts of a step and the answers of an update are dealt out to N\n\
    processes of this machine, which come to what one would come to. They share the cores; with\n\
    --device cuda each has a GPU of its own: cuda:0, cuda:1 … A run may go on in another number\n\
    of processes."
)]
pub struct Options {
    /// What to train: see `--print-config`
    #[arg(long, value_name = "FILE", required_unless_present = "print_config")]
    config: Option<PathBuf>,
    /// Folder for metrics, samples and checkpoints
    #[arg(long, value_name = "FOLDER", required_unless_present = "print_config")]
    out: Option<PathBuf>,
    /// The policy's folder, in place of the file's
    #[arg(long, value_name = "FOLDER")]
    model: Option<PathBuf>,
    /// Where to compute: flex, libtorch, cuda:0 …
    #[arg(long)]
    device: Option<String>,
    /// Print every setting with its default, and end
    #[arg(long)]
    print_config: bool,
    #[command(flatten)]
    processes: Processes,
}

/// What `--config` names.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TrainFile {
    /// The policy's folder.
    model: PathBuf,
    /// Parquet or JSONL in the columns `prompt`, `images`, `data_source`, `extra_info`.
    dataset: Vec<PathBuf>,
    /// Whether the policy was taught a mark for each input picture, as the demo's was.
    input_marks: bool,
    reward: RewardSettings,
    /// Of both judges, which LLM_JUDGE_BASE_URL and MLLM_JUDGE_BASE_URL name.
    judge: JudgeSettings,
    run: RunConfig,
}

impl Default for TrainFile {
    fn default() -> Self {
        Self {
            model: "worker/models/demo-policy".into(),
            dataset: vec![
                "worker/datasets/demo/train.parquet".into(),
                "worker/datasets/demo/test.parquet".into(),
            ],
            input_marks: true,
            reward: RewardSettings::default(),
            judge: JudgeSettings::default(),
            run: RunConfig::default(),
        }
    }
}

pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    if options.print_config {
        print!("{}", toml::to_string_pretty(&TrainFile::default())?);
        return Ok(ExitCode::SUCCESS);
    }
    let mut config =
        super::configuration(|sources| sources.with_flag("worker.device", options.device.clone()))?
            .config;
    let mut file = read(&options.config.unwrap_or_default())?;
    if let Some(model) = options.model {
        file.model = model;
    }
    let out = options.out.unwrap_or_default();
    let company = Company::gather(&options.processes, &file.run)?;
    let peers = company.peers().clone();
    config.worker.device = processes::device(&config.worker.device, &peers);
    let ended = train(&config, file, out, peers).await;
    company.part(ended)
}

/// The run, as one of its processes.
async fn train(
    config: &Config,
    file: TrainFile,
    out: PathBuf,
    peers: Peers,
) -> anyhow::Result<ExitCode> {
    let leads = peers.leads();
    let dataset = Dataset::read(&file.dataset, &ReadOptions::default(), SplitRule::Column)?;
    let (device, _) = parse_device_and_precision(&config.worker.device)?;
    let around = surroundings(config, &file, &out, leads).await?;
    let (run_config, model) = (file.run.clone(), file.model.clone());
    let folder = out.clone();
    let mut run = tokio::task::spawn_blocking(move || {
        Run::resume_among(run_config, &model, dataset, &device, &folder, peers)
    })
    .await??;
    if !leads {
        // The first process tells of all.
        let report = |_: &_| ControlFlow::Continue(());
        run.run(&around, &out, report).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let before = run.steps_done();
    if before > 0 {
        println!("going on after step {before}");
    }
    let stop = Arc::new(AtomicBool::new(false));
    tokio::spawn(stop_on_interrupt(Arc::clone(&stop)));
    let mut events = TensorBoard::create(&out)?;
    let report = |line: &illumine_train::rl::run::Line| {
        let metrics = &line.metrics;
        if let Err(error) = events.append(line) {
            eprintln!("{}: {error}", events.path.display());
        }
        println!(
            "step {:4}  reward {:.3} ± {:.3}  pictures {:.2}  tokens {:.0}  flat {}/{}  excluded {}  \
             entropy {:.3}  norm {:.3}  {:.0} tokens/s",
            line.step,
            metrics.reward,
            metrics.reward_deviation,
            metrics.pictures,
            metrics.answer_tokens,
            metrics.flat_groups,
            file.run.prompts_per_step,
            metrics.excluded,
            metrics.update.entropy,
            metrics.update.grad_norm,
            metrics.tokens_per_s,
        );
        if let Some(reward) = line.validation_reward {
            println!("            held-out prompts: reward {reward:.3}");
        }
        if let Some(failure) = &line.validation_failure {
            println!("            held-out prompts were not scored: {failure}");
        }
        match stop.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    let checkpoint = run.run(&around, &out, report).await?;
    println!("{}", checkpoint.display());
    Ok(ExitCode::SUCCESS)
}

/// The scalars of this invocation, in a file that grows.
struct TensorBoard {
    path: PathBuf,
    file: std::fs::File,
}

impl TensorBoard {
    fn create(out: &Path) -> anyhow::Result<Self> {
        let folder = out.join("tensorboard");
        let now = chrono::Utc::now();
        // TensorBoard takes files with this in their names alone, and shows all of a folder
        // as one run.
        let name = format!("events.out.tfevents.{}.illumine", now.timestamp());
        let path = folder.join(name);
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let mut file = std::fs::File::create(&path).with_context(|| path.display().to_string())?;
        file.write_all(&tensorboard::header(seconds(now)))?;
        Ok(Self { path, file })
    }

    fn append(&mut self, line: &illumine_train::rl::run::Line) -> std::io::Result<()> {
        let values = match serde_json::to_value(line) {
            Ok(serde_json::Value::Object(values)) => values,
            _ => return Ok(()),
        };
        let now = seconds(chrono::Utc::now());
        self.file
            .write_all(&tensorboard::point(line.step, now, &values))
    }
}

fn seconds(at: chrono::DateTime<chrono::Utc>) -> f64 {
    at.timestamp_millis() as f64 / 1000.0
}

fn read(path: &Path) -> anyhow::Result<TrainFile> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("--config {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("--config {}", path.display()))
}

async fn surroundings(
    config: &Config,
    file: &TrainFile,
    out: &Path,
    tells: bool,
) -> anyhow::Result<Surroundings> {
    let scorer = judges::scorer(config, file.reward, &file.judge)?;
    let toolbox = crate::tools::for_folder(config).await;
    for tool in toolbox.tools().iter().filter(|_| tells) {
        let capability = tool.capability();
        if let (false, Some(reason)) = (capability.available, &capability.reason) {
            println!("{} cannot run: {reason}", capability.tool.as_str());
        }
    }
    Ok(Surroundings {
        tools: toolbox.tools().to_vec(),
        agent: AgentSettings::from_config(config)?,
        scorer: Arc::new(scorer),
        pictures: Arc::new(FolderPictures::new(out.join("images"))),
        marks: file.input_marks,
    })
}

async fn stop_on_interrupt(stop: Arc<AtomicBool>) {
    if tokio::signal::ctrl_c().await.is_ok() {
        eprintln!("ending after this step");
        stop.store(true, Ordering::Relaxed);
    }
}

/// Pictures by their content, in a folder: those that samples show, and no memory.
struct FolderPictures {
    folder: PathBuf,
    /// Files written beside their places.
    parts: AtomicU64,
}

impl FolderPictures {
    const fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            parts: AtomicU64::new(0),
        }
    }
}

#[async_trait]
impl PictureStore for FolderPictures {
    async fn put(&self, picture: &Picture) -> Result<ImageRef, PictureError> {
        let image = image_ref(picture).ok_or_else(|| PictureError("no name for it".into()))?;
        let path = self.folder.join(image.id.as_str());
        let failed = |error: std::io::Error| PictureError(format!("{}: {error}", path.display()));
        tokio::fs::create_dir_all(&self.folder)
            .await
            .map_err(failed)?;
        if !tokio::fs::try_exists(&path).await.map_err(failed)? {
            // Whole or not at all; answers to one prompt keep its pictures at the same time.
            let number = self.parts.fetch_add(1, Ordering::Relaxed);
            let process = std::process::id();
            let part = path.with_extension(format!("{process}-{number}.part"));
            tokio::fs::write(&part, &picture.bytes)
                .await
                .map_err(failed)?;
            tokio::fs::rename(&part, &path).await.map_err(failed)?;
        }
        Ok(image)
    }

    async fn get(&self, image: &ImageRef) -> Result<Picture, PictureError> {
        let path = self.folder.join(image.id.as_str());
        let bytes = tokio::fs::read(&path).await;
        let bytes = bytes.map_err(|error| PictureError(format!("{}: {error}", path.display())))?;
        Ok(Picture {
            bytes: bytes.into(),
            mime: illumine_store::blobs::mime_of(&image.id),
            width: image.width,
            height: image.height,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_settings_are_those_that_are_read() {
        let text = toml::to_string_pretty(&TrainFile::default()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        std::fs::write(&path, &text).unwrap();
        let file = read(&path).unwrap();
        assert_eq!(file.run, RunConfig::default());
        std::fs::write(&path, text.replace("learning_rate", "lerning_rate")).unwrap();
        let words = format!("{:#}", read(&path).unwrap_err());
        assert!(
            words.contains("lerning_rate") && words.contains("run.toml"),
            "{words}"
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn pictures_are_found_again_by_their_content() {
        let folder = tempfile::tempdir().unwrap();
        let store = FolderPictures::new(folder.path().join("images"));
        let picture = Picture {
            bytes: b"a picture".to_vec().into(),
            mime: "image/png",
            width: 2,
            height: 3,
        };
        let together = (0..32).map(|_| store.put(&picture));
        let kept = futures::future::join_all(together).await;
        let image = kept[0].clone().unwrap();
        assert!(kept.into_iter().all(|kept| kept.unwrap() == image));
        assert_eq!(store.get(&image).await.unwrap().bytes, picture.bytes);
        std::fs::remove_file(folder.path().join("images").join(image.id.as_str())).unwrap();
        let error = store.get(&image).await.unwrap_err();
        assert!(error.to_string().contains(image.id.as_str()));
    }
}
