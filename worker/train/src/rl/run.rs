//! A run: step after step, with checkpoints from which it goes on as if nothing had
//! happened.
//!
//! | below the run's folder | |
//! |---|---|
//! | `metrics.jsonl` | one line a step |
//! | `samples/step-000010.jsonl` | answers of a step with every part of their scores |
//! | `checkpoints/step-000010/` | a model folder as `transformers` reads it, with the optimizer's state and the place in the run |

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::Device;
use illumine_datasets::{Dataset, Row, Split};
use illumine_models::load::ModelFolder;
use illumine_models::save;
use illumine_rewards::{ImageCount, Requirement};
use illumine_tools::Picture;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::learner::{Learner, LearnerConfig};
use super::rollout::{Outcome, Prompt, Rollout, Surroundings};
use super::run_config::RunConfig;
use super::step::{StepMetrics, Stepper};
use crate::error::{Result, TrainError};
use crate::optim::{self, learning_rate};
use crate::sft::checkpoint::{self, folder, latest, prune};
use crate::sft::metrics;

const OPTIMIZER: &str = "optimizer.safetensors";
/// What the policy's folder needs beside the weights.
const COPIED: [&str; 4] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
    "system_prompt.md",
];

/// A line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// Steps done.
    pub step: u64,
    /// Of the step.
    pub lr: f64,
    /// Its figures.
    #[serde(flatten)]
    pub metrics: StepMetrics,
    /// Resident memory, where the system tells.
    pub memory_bytes: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct State {
    step: u64,
    optimizer_time: Vec<usize>,
    config: RunConfig,
}

/// A run in memory.
#[derive(Debug)]
pub struct Run {
    /// The policy with what its steps need.
    pub stepper: Stepper,
    config: RunConfig,
    dataset: Dataset,
    /// Where the tokenizer and the words of the system prompt are.
    origin: PathBuf,
    done: u64,
}

impl Run {
    /// Starts from the policy in `model`, on `device`, a plain one.
    ///
    /// # Errors
    /// [`TrainError::Config`], [`TrainError::Model`]; [`TrainError::EmptyDataset`] when it
    /// has no row to learn from.
    pub fn new(config: RunConfig, model: &Path, dataset: Dataset, device: &Device) -> Result<Self> {
        config.validate()?;
        if dataset.at(Split::Train, config.seed, 0).is_none() {
            return Err(TrainError::EmptyDataset {
                path: PathBuf::from("train"),
            });
        }
        let folder = ModelFolder::open(model)?;
        let policy = folder.load_model(&device.clone().autodiff())?;
        let keeps_near = config.learner.objective.kl_weight != 0.0;
        let learner = LearnerConfig {
            temperature: f64::from(config.step.sampling.temperature),
            max_answer_tokens: config.step.sampling.max_answer_tokens,
            ..config.learner.clone()
        };
        Ok(Self {
            stepper: Stepper {
                reference: keeps_near.then(|| policy.valid()),
                learner: Learner::new(learner, policy, folder.config.clone(), device),
                folder,
                device: device.clone(),
                config: config.step.clone(),
            },
            config,
            dataset,
            origin: model.to_owned(),
            done: 0,
        })
    }

    /// Goes on from the newest checkpoint below `run`, or starts anew where there is none.
    /// The reference stays the policy in `model`.
    ///
    /// # Errors
    /// Those of [`Self::new`]; [`TrainError::Checkpoint`] and [`TrainError::Io`] for one that
    /// is not whole.
    pub fn resume(
        config: RunConfig,
        model: &Path,
        dataset: Dataset,
        device: &Device,
        run: &Path,
    ) -> Result<Self> {
        let mut resumed = Self::new(config, model, dataset, device)?;
        let Some(checkpoint) = latest(run) else {
            return Ok(resumed);
        };
        let path = checkpoint.join(checkpoint::STATE);
        let text = std::fs::read_to_string(&path).map_err(|error| TrainError::io(&path, error))?;
        let state: State =
            serde_json::from_str(&text).map_err(|error| TrainError::checkpoint(&path, error))?;
        same_place(&state.config, &resumed.config)?;
        let learner = &mut resumed.stepper.learner;
        let loaded = ModelFolder::open(&checkpoint)?;
        learner.model = loaded.load_model(&device.clone().autodiff())?;
        let config = learner.model_config().clone();
        let path = checkpoint.join(OPTIMIZER);
        let moments = checkpoint::load_moments(&path, &config, &state.optimizer_time, device)?;
        learner.optimizer.moments = moments;
        resumed.done = state.step;
        Ok(resumed)
    }

    /// Steps done.
    pub const fn steps_done(&self) -> u64 {
        self.done
    }

    /// Prompts of step `step`: a place in the data is one number.
    ///
    /// # Errors
    /// [`TrainError::Config`] for a row that asks for an impossible number of pictures.
    pub fn prompts(&self, step: u64) -> Result<Vec<Prompt>> {
        let count = self.config.prompts_per_step as u64;
        (step * count..(step + 1) * count)
            .filter_map(|place| {
                let row = self.dataset.at(Split::Train, self.config.seed, place)?;
                Some(prompt(row, place))
            })
            .collect()
    }

    /// One step, written down below `run`.
    ///
    /// # Errors
    /// Those of [`Stepper::step`], after which the step can be made again; [`TrainError::Io`].
    pub async fn step(&mut self, around: &Surroundings, run: &Path) -> Result<Line> {
        let step = self.done;
        let progress = step as f64 / self.config.steps as f64;
        let lr = learning_rate(
            self.config.learning_rate,
            self.config.warmup_steps,
            step,
            progress,
        );
        let prompts = self.prompts(step)?;
        let (figures, rollouts) = self.stepper.step(&prompts, around, step, lr).await?;
        std::fs::create_dir_all(run).map_err(|error| TrainError::io(run, error))?;
        self.done += 1;
        let line = Line {
            step: self.done,
            lr,
            metrics: figures,
            memory_bytes: metrics::resident_bytes(),
        };
        metrics::append(&run.join("metrics.jsonl"), &line)?;
        if self.done.is_multiple_of(self.config.samples_every) {
            let path = run.join(format!("samples/step-{:06}.jsonl", self.done));
            write_samples(&path, &prompts, &rollouts)?;
        }
        if self.done.is_multiple_of(self.config.checkpoint_every) {
            self.checkpoint(run)?;
        }
        Ok(line)
    }

    /// Steps to the end, a checkpoint at it; `report` sees every step and may end the run
    /// after it. Returns the last checkpoint.
    ///
    /// # Errors
    /// Those of [`Self::step`].
    pub async fn run(
        &mut self,
        around: &Surroundings,
        run: &Path,
        mut report: impl FnMut(&Line) -> std::ops::ControlFlow<()>,
    ) -> Result<PathBuf> {
        metrics::truncate_after(&run.join("metrics.jsonl"), self.done)?;
        while self.done < self.config.steps {
            let line = self.step(around, run).await?;
            if report(&line).is_break() {
                break;
            }
        }
        self.checkpoint(run)
    }

    /// Writes a checkpoint; it appears whole or not at all.
    ///
    /// # Errors
    /// [`TrainError::Io`], [`TrainError::Checkpoint`], [`TrainError::Model`].
    pub fn checkpoint(&self, run: &Path) -> Result<PathBuf> {
        let target = folder(run, self.done);
        let part = target.with_extension("part");
        if part.exists() {
            std::fs::remove_dir_all(&part).map_err(|error| TrainError::io(&part, error))?;
        }
        let learner = &self.stepper.learner;
        let config = learner.model_config();
        save::save_folder(&learner.model, config, &part)?;
        for name in COPIED {
            let from = self.origin.join(name);
            if from.is_file() {
                let copied = std::fs::copy(&from, part.join(name));
                copied.map_err(|error| TrainError::io(&from, error))?;
            }
        }
        checkpoint::save_moments(&part.join(OPTIMIZER), config, &learner.optimizer)?;
        let times = learner.optimizer.moments.iter();
        let state = State {
            step: self.done,
            optimizer_time: times.map(|m| m.as_ref().map_or(0, |m| m.time)).collect(),
            config: self.config.clone(),
        };
        let path = part.join(checkpoint::STATE);
        let text = serde_json::to_string_pretty(&state)
            .map_err(|error| TrainError::checkpoint(&path, error))?;
        std::fs::write(&path, text).map_err(|error| TrainError::io(&path, error))?;
        optim::replace_folder(&part, &target)?;
        prune(run, self.config.keep_checkpoints)?;
        Ok(target)
    }
}

/// Whether both read the same data at the same step; all else may change in a run.
fn same_place(begun: &RunConfig, now: &RunConfig) -> Result<()> {
    let pairs = [
        ("seed", begun.seed, now.seed),
        (
            "prompts_per_step",
            begun.prompts_per_step as u64,
            now.prompts_per_step as u64,
        ),
    ];
    match pairs.into_iter().find(|(_, begun, now)| begun != now) {
        None => Ok(()),
        Some((field, begun, now)) => Err(TrainError::Config {
            field,
            reason: format!(
                "is {now}, and the run was begun with {begun}: its place in the data would be \
                 another; begin a new run, or set it back"
            ),
        }),
    }
}

fn prompt(row: &Row, place: u64) -> Result<Prompt> {
    let image_num = ImageCount::try_from(row.extra_info.image_num.number());
    let image_num = image_num.map_err(|error| TrainError::Config {
        field: "image_num",
        reason: error.to_string(),
    })?;
    let inputs = row.images.iter().map(|picture| Picture {
        bytes: picture.bytes.to_vec().into(),
        mime: picture.mime,
        width: picture.width,
        height: picture.height,
    });
    Ok(Prompt {
        row: place,
        question: row.question().to_owned(),
        inputs: inputs.collect(),
        requires: Requirement {
            image_num,
            tools: row.extra_info.tools.clone(),
        },
    })
}

fn write_samples(path: &Path, prompts: &[Prompt], rollouts: &[Rollout]) -> Result<()> {
    let lines: String = rollouts
        .iter()
        .map(|rollout| {
            let (score, failure) = match &rollout.outcome {
                Outcome::Scored(score) => (Some(score), None),
                Outcome::Failed(reason) => (None, Some(reason)),
            };
            let line = json!({
                "prompt": prompts[rollout.prompt].question,
                "sample": rollout.sample,
                "document": rollout.document,
                "score": score,
                "failure": failure,
            });
            format!("{line}\n")
        })
        .collect();
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| TrainError::io(folder, error))?;
    }
    std::fs::write(path, lines).map_err(|error| TrainError::io(path, error))
}
