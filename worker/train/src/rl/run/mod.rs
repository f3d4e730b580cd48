//! A run: step after step, with checkpoints from which it goes on as if nothing had
//! happened.
//!
//! | below the run's folder | |
//! |---|---|
//! | `metrics.jsonl` | one line a step |
//! | `samples/step-000010.jsonl` | answers of a step with every part of their scores |
//! | `checkpoints/step-000010/` | a model folder as `transformers` reads it, with the optimizer's state and the place in the run; of a run that learns low-rank changes, with these worked into the weights |
//! | `checkpoints/step-000010/adapter/` | and the changes alone, as `peft` reads them |

mod rows;
mod saved;

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::Device;
use illumine_datasets::{Dataset, Split};
use illumine_models::load::ModelFolder;
use serde::Serialize;
use serde_json::json;

use self::rows::{prompt, write_samples};
use super::learner::{Learner, LearnerConfig};
use super::memory;
use super::rollout::{Prompt, Sampling, Surroundings};
use super::run_config::RunConfig;
use super::step::{StepMetrics, Stepper};
use super::validation::{Best, Validation};
use crate::error::{Result, TrainError};
use crate::lora;
use crate::optim::learning_rate;
use crate::parallel::Peers;
use crate::sft::checkpoint::latest;
use crate::sft::metrics;

/// In place of a step's number: seeds of validations are no step's.
const VALIDATION: u64 = u64::MAX;

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
    /// Mean reward on held-out prompts, where they were answered after the step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_reward: Option<f64>,
    /// Why there is none although it was due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_failure: Option<String>,
}

/// A run in memory.
#[derive(Debug)]
pub struct Run {
    /// The policy with what its steps need.
    pub stepper: Stepper,
    pub(super) config: RunConfig,
    dataset: Dataset,
    /// Where the tokenizer and the words of the system prompt are.
    origin: PathBuf,
    /// What the policy that it starts from is called.
    base: String,
    pub(super) done: u64,
    validations: Best,
}

impl Run {
    /// Starts from the policy in `model`, on `device`, a plain one.
    ///
    /// # Errors
    /// [`TrainError::Config`], [`TrainError::Model`]; [`TrainError::EmptyDataset`] when it
    /// has no row to learn from.
    pub fn new(config: RunConfig, model: &Path, dataset: Dataset, device: &Device) -> Result<Self> {
        Self::begun(config, model, dataset, device, Peers::alone())
    }

    fn begun(
        config: RunConfig,
        model: &Path,
        dataset: Dataset,
        device: &Device,
        peers: Peers,
    ) -> Result<Self> {
        config.validate()?;
        if dataset.at(Split::Train, config.seed, 0).is_none() {
            return Err(TrainError::EmptyDataset {
                path: PathBuf::from("train"),
            });
        }
        let folder = ModelFolder::open(model)?;
        let learner = LearnerConfig {
            temperature: f64::from(config.step.sampling.temperature),
            max_answer_tokens: config.step.sampling.max_answer_tokens,
            ..config.learner.clone()
        };
        memory::check(&folder.config, &learner, device, peers.count())?;
        // None takes memory before all have looked what is free.
        peers.all(&())?;
        let dtype = learner.precision.of_base(learner.lora.as_ref());
        let base = folder.load_model_as(&device.clone().autodiff(), dtype)?;
        let keeps_near = config.learner.objective.kl_weight != 0.0;
        let reference = keeps_near.then(|| base.valid());
        let policy = match &learner.lora {
            Some(options) => lora::begin(base, options, config.seed),
            None => base,
        };
        Ok(Self {
            stepper: Stepper {
                reference,
                learner: Learner::new(learner, policy, folder.config.clone(), device).among(peers),
                folder,
                device: device.clone(),
                config: config.step.clone(),
            },
            config,
            dataset,
            origin: model.to_owned(),
            base: model.to_string_lossy().into_owned(),
            done: 0,
            validations: Best::default(),
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
        Self::resume_among(config, model, dataset, device, run, Peers::alone())
    }

    /// The same as one of several processes, which share its work; however many there were
    /// before.
    ///
    /// # Errors
    /// Those of [`Self::resume`]; [`TrainError::Peer`] when they are not at the same place
    /// of the same run.
    pub fn resume_among(
        config: RunConfig,
        model: &Path,
        dataset: Dataset,
        device: &Device,
        run: &Path,
        peers: Peers,
    ) -> Result<Self> {
        let mut resumed = Self::begun(config, model, dataset, device, peers)?;
        if let Some(checkpoint) = latest(run) {
            resumed.take_up(&checkpoint, model, device)?;
        }
        resumed.agree()?;
        Ok(resumed)
    }

    /// Calls the policy that the run starts from `name` where low-rank changes name their
    /// base; its folder, unless told.
    #[must_use]
    pub fn from_base(mut self, name: &str) -> Self {
        name.clone_into(&mut self.base);
        self
    }

    /// The processes that share the run's work; the first alone writes files.
    pub const fn peers(&self) -> &Peers {
        self.stepper.learner.peers()
    }

    /// Steps done.
    pub const fn steps_done(&self) -> u64 {
        self.done
    }

    /// The share of the steps that is done, 0 to 1.
    pub fn progress(&self) -> f32 {
        (self.done as f64 / self.config.steps.max(1) as f64) as f32
    }

    /// Validations so far.
    pub const fn validations(&self) -> &Best {
        &self.validations
    }

    /// Why no step follows, when none does.
    pub fn end(&self) -> Option<String> {
        if self.done >= self.config.steps {
            return Some(format!("all {} steps are done", self.config.steps));
        }
        let patience = self.config.patience;
        self.validations.is_exhausted(patience).then(|| {
            let best = self.validations.best.map_or(0, |best| best.step);
            format!("{patience} validations were no better than that after step {best}")
        })
    }

    /// Answers held-out prompts with the policy that the run started from, if that is
    /// asked for and was not done; written down as step 0.
    ///
    /// # Errors
    /// Those of [`Stepper::answer`]; [`TrainError::Io`].
    pub async fn begin(&mut self, around: &Surroundings, run: &Path) -> Result<Option<Validation>> {
        let path = run.join("metrics.jsonl");
        if self.peers().leads() {
            std::fs::create_dir_all(run).map_err(|error| TrainError::io(run, error))?;
            metrics::truncate_after(&path, self.done)?;
        }
        if self.done > 0 || self.config.validate_every == 0 || self.validations.last.is_some() {
            return Ok(None);
        }
        let validation = self.validate(around).await?;
        if let Some(validation) = validation {
            self.validations.take(validation);
            let line = json!({"step": 0, "validation_reward": validation.reward});
            if self.peers().leads() {
                metrics::append(&path, &line)?;
            }
        }
        Ok(validation)
    }

    /// One answer to each of the first prompts of the test split; none where it is empty.
    async fn validate(&mut self, around: &Surroundings) -> Result<Option<Validation>> {
        let rows = self.dataset.rows_of(Split::Test);
        let prompts: Vec<Prompt> = (0..)
            .zip(rows.take(self.config.validation_prompts))
            .map(|(place, row)| prompt(row, place))
            .collect::<Result<_>>()?;
        if prompts.is_empty() {
            return Ok(None);
        }
        let sampling = Sampling {
            samples: 1,
            ..self.config.step.sampling.clone()
        };
        // Always the same seeds: validations differ by the policy alone.
        let (figures, _) = self
            .stepper
            .answer(&prompts, &sampling, around, VALIDATION)
            .await?;
        let validation = Validation {
            step: self.done,
            reward: figures.reward,
        };
        Ok(Some(validation))
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
        self.done += 1;
        let every = self.config.validate_every;
        let is_last = self.done == self.config.steps;
        let (mut validation, mut failure, mut is_best) = (None, None, false);
        if every > 0 && (is_last || self.done.is_multiple_of(every)) {
            // The step is done and must be told of, whatever becomes of the validation.
            match self.validate(around).await {
                Ok(made) => validation = made,
                Err(error @ TrainError::Outage { .. }) => failure = Some(error.to_string()),
                Err(error) => return Err(error),
            }
            is_best = validation.is_some_and(|validation| self.validations.take(validation));
        }
        let line = Line {
            step: self.done,
            lr,
            metrics: figures,
            memory_bytes: metrics::resident_bytes(),
            validation_reward: validation.map(|validation| validation.reward),
            validation_failure: failure,
        };
        if !self.peers().leads() {
            return Ok(line);
        }
        std::fs::create_dir_all(run).map_err(|error| TrainError::io(run, error))?;
        metrics::append(&run.join("metrics.jsonl"), &line)?;
        if self.done.is_multiple_of(self.config.samples_every) {
            let path = run.join(format!("samples/step-{:06}.jsonl", self.done));
            write_samples(&path, &prompts, &rollouts)?;
        }
        if is_best || self.done.is_multiple_of(self.config.checkpoint_every) {
            self.checkpoint(run)?;
        }
        Ok(line)
    }

    /// Steps to the end, a checkpoint at it; `report` sees every step and may end the run
    /// after it, for all processes in the first. Returns the last checkpoint.
    ///
    /// # Errors
    /// Those of [`Self::step`].
    pub async fn run(
        &mut self,
        around: &Surroundings,
        run: &Path,
        mut report: impl FnMut(&Line) -> std::ops::ControlFlow<()>,
    ) -> Result<PathBuf> {
        self.begin(around, run).await?;
        while self.end().is_none() {
            let line = self.step(around, run).await?;
            let stops = report(&line).is_break();
            if self.peers().broadcast(stops)? {
                break;
            }
        }
        self.checkpoint(run)
    }
}
