//! The loop.

use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::Device;
use illumine_models::{Qwen3, Qwen3Config};

use super::batch::{self, MicroBatch};
use super::config::{Budget, SftConfig};
use super::metrics::{self, StepMetrics};
use super::optimizer::{GradientSum, ModelAdamW};
use super::source::ExampleSource;
use super::{checkpoint, loss, schedule};
use crate::error::{Result, TrainError};

/// A run in memory.
#[derive(Debug)]
pub struct Trainer<S> {
    /// The policy, on an autodiff device.
    pub model: Qwen3,
    model_config: Qwen3Config,
    config: SftConfig,
    source: S,
    optimizer: ModelAdamW,
    state: checkpoint::RunState,
    device: Device,
}

impl<S: ExampleSource> Trainer<S> {
    /// Starts from `model`, or from fresh weights drawn with the seed.
    /// `device` is a plain device; gradients are the trainer's business.
    ///
    /// # Errors
    /// [`TrainError::Config`], [`TrainError::Model`].
    pub fn new(
        config: SftConfig,
        model_config: Qwen3Config,
        model: Option<Qwen3>,
        source: S,
        device: &Device,
    ) -> Result<Self> {
        config.validate()?;
        model_config.validate()?;
        let plain = device.clone();
        let device = device.clone().autodiff();
        let model = match model {
            Some(model) => model,
            None => {
                plain.seed(config.seed);
                model_config.init(&device)
            }
        };
        Ok(Self {
            optimizer: ModelAdamW::new(&config.optimizer()),
            state: checkpoint::RunState::default(),
            model,
            model_config,
            config,
            source,
            device,
        })
    }

    /// Goes on from a checkpoint that [`Self::run`] or [`Self::checkpoint`] wrote.
    /// The configuration is the one given, so that a budget can be extended.
    ///
    /// # Errors
    /// [`TrainError::Checkpoint`], [`TrainError::Io`], [`TrainError::Model`].
    pub fn resume(config: SftConfig, source: S, folder: &Path, device: &Device) -> Result<Self> {
        let training = device.clone().autodiff();
        let loaded = illumine_models::load::ModelFolder::open(folder)?;
        let model = loaded.load_model(&training)?;
        let model_config = loaded.config.clone();
        let mut trainer = Self::new(config, model_config, Some(model), source, device)?;
        trainer.state = checkpoint::load(
            folder,
            &trainer.model_config,
            &mut trainer.optimizer,
            device,
        )?;
        Ok(trainer)
    }

    /// Where the run stands.
    pub fn state(&self) -> &checkpoint::RunState {
        &self.state
    }

    /// The share of the budget that is spent, 0 to 1.
    pub fn progress(&self) -> f64 {
        let spent = match self.config.budget {
            Budget::Steps(steps) => self.state.step as f64 / steps as f64,
            Budget::Minutes(minutes) => self.state.seconds / (60.0 * minutes),
        };
        spent.min(1.0)
    }

    /// One update of the weights.
    ///
    /// # Errors
    /// [`TrainError::Diverged`], and the source's errors.
    pub fn step(&mut self) -> Result<StepMetrics> {
        let begun = Instant::now();
        let progress = self.progress();
        let (micro_batches, tokens) = self.draw(progress)?;
        let learnt: usize = micro_batches.iter().map(|batch| batch.targets.len()).sum();

        let mut gradients = GradientSum::default();
        let mut summed_loss = 0.0;
        for batch in &micro_batches {
            let sum = loss::summed_cross_entropy(
                &self.model,
                batch,
                self.model_config.vocab_size,
                &self.device,
            );
            let mean = sum / learnt.max(1) as f64;
            summed_loss += f64::from(mean.clone().into_scalar::<f32>());
            gradients.add(&mut self.model, mean.backward());
        }
        let step = self.state.step;
        if !summed_loss.is_finite() {
            let loss = summed_loss;
            return Err(TrainError::Diverged { step, loss });
        }
        let grad_norm = gradients.clip(self.config.max_grad_norm);
        let lr = schedule::learning_rate(&self.config, step, progress);
        self.optimizer.step(&mut self.model, gradients, lr);

        let elapsed = begun.elapsed().as_secs_f64();
        self.state.step += 1;
        self.state.tokens += tokens as u64;
        self.state.seconds += elapsed;
        Ok(StepMetrics {
            step: self.state.step,
            progress: self.progress(),
            loss: summed_loss,
            lr,
            grad_norm,
            tokens: self.state.tokens,
            tokens_per_s: tokens as f64 / elapsed.max(1e-9),
            seconds: self.state.seconds,
            memory_bytes: metrics::resident_bytes(),
        })
    }

    /// The examples of one step, in micro-batches, and their number of tokens.
    fn draw(&mut self, progress: f64) -> Result<(Vec<MicroBatch>, usize)> {
        let mut examples = Vec::new();
        let mut tokens = 0;
        while tokens < self.config.tokens_per_step {
            let example = self.source.example(self.state.next_example, progress)?;
            self.state.next_example += 1;
            tokens += example.ids.len().min(self.config.max_tokens);
            examples.push(example);
        }
        Ok((batch::split(examples, &self.config), tokens))
    }

    /// Writes a checkpoint below `run` and removes those too old to keep.
    ///
    /// # Errors
    /// [`TrainError::Io`], [`TrainError::Checkpoint`], [`TrainError::Model`].
    pub fn checkpoint(&self, run: &Path) -> Result<PathBuf> {
        let folder = checkpoint::save(
            run,
            &self.model,
            &self.model_config,
            &self.optimizer,
            &self.state,
            &self.config,
        )?;
        checkpoint::prune(run, self.config.keep_checkpoints, None)?;
        Ok(folder)
    }

    /// Trains until the budget is spent; `run` gets `metrics.jsonl` and
    /// checkpoints, the last of them at the very end. `report` sees every logged
    /// step. Returns the last checkpoint.
    ///
    /// # Errors
    /// Those of [`Self::step`] and [`Self::checkpoint`].
    pub fn run(&mut self, run: &Path, mut report: impl FnMut(&StepMetrics)) -> Result<PathBuf> {
        std::fs::create_dir_all(run).map_err(|error| TrainError::io(run, error))?;
        let path = run.join("metrics.jsonl");
        metrics::truncate_after(&path, self.state.step)?;
        while self.progress() < 1.0 {
            let metrics = self.step()?;
            if metrics.step.is_multiple_of(self.config.log_every) || metrics.progress >= 1.0 {
                metrics::append(&path, &metrics)?;
                report(&metrics);
            }
            if metrics.step.is_multiple_of(self.config.checkpoint_every) {
                self.checkpoint(run)?;
            }
        }
        self.checkpoint(run)
    }
}
