//! The loop.

use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use illumine_models::qwen25_vl::Qwen25VlConfig;
use rayon::ThreadPool;
use serde::{Deserialize, Serialize};

use super::attributes::Attributes;
use super::batch::{Batch, Batches, Kind, Prompts};
use super::cache::LatentCache;
use super::config::PictureTraining;
use super::model::PictureModel;
use crate::error::{Result, TrainError};
use crate::optim::{self, Average, FlatGradients, ModuleAdamW};
use crate::painter::Painter;

const STATE: &str = "trainer_state.json";
const TENSORS: &str = "trainer_state.safetensors";
const ATTRIBUTES: &str = "attributes_state.safetensors";

/// A run in memory.
pub struct PictureTrainer {
    /// On an autodiff device.
    pub model: PictureModel,
    config: PictureTraining,
    encoder: Qwen25VlConfig,
    z_dim: usize,
    optimizer: ModuleAdamW,
    attributes: Attributes,
    attribute_optimizer: ModuleAdamW,
    average: Average,
    step: u64,
    seconds: f64,
    device: Device,
    /// One a kind of batch: two small products side by side are faster than each one
    /// in pieces.
    pools: [ThreadPool; 2],
}

impl std::fmt::Debug for PictureTrainer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("PictureTrainer")
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}

/// What an update says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Updates done.
    pub step: u64,
    /// Mean squared error of velocities of pictures to generate.
    pub generation_loss: f64,
    /// The same of edits.
    pub edit_loss: f64,
    /// Cross-entropy of what prompts ask for, in nats, summed over questions.
    pub attribute_loss: f64,
    /// Norm of all gradients before clipping.
    pub grad_norm: f64,
    /// Learning rate of the update.
    pub learning_rate: f64,
    /// Pictures a second of this update.
    pub pictures_per_s: f64,
    /// Time spent in training since the start.
    pub seconds: f64,
}

#[derive(Serialize, Deserialize)]
struct State {
    step: u64,
    seconds: f64,
    z_dim: usize,
    times: Vec<usize>,
    averaged: usize,
    #[serde(default)]
    attribute_times: Vec<usize>,
    config: PictureTraining,
}

type Tensors = std::collections::HashMap<String, Tensor<1>>;

/// `weight.0`, `weight.1` …, as a checkpoint has them.
fn named(weights: Vec<Tensor<1>>) -> Vec<(String, Tensor<1>)> {
    let weights = weights.into_iter().enumerate();
    weights
        .map(|(index, weight)| (format!("weight.{index}"), weight))
        .collect()
}

/// The reverse of [`named`].
fn taken(tensors: &mut Tensors) -> Vec<Tensor<1>> {
    (0..)
        .map_while(|index| tensors.remove(&format!("weight.{index}")))
        .collect()
}

/// What a batch of one kind says.
struct Outcome {
    loss: f64,
    attribute_loss: f64,
    gradients: FlatGradients,
    attribute_gradients: FlatGradients,
}

/// What a run learns from.
#[derive(Clone, Copy, Debug)]
pub struct Material<'a> {
    /// Captions and instructions.
    pub painter: &'a Painter,
    /// Latents of its pictures.
    pub cache: &'a LatentCache,
    /// Words to ids.
    pub prompts: &'a Prompts,
}

impl PictureTrainer {
    /// A fresh run on `device`, a plain one, for latents of `z_dim` channels.
    ///
    /// # Errors
    /// [`TrainError::Config`].
    pub fn new(config: PictureTraining, z_dim: usize, device: &Device) -> Result<Self> {
        config.validate()?;
        device.seed(config.seed);
        let device = device.clone().autodiff();
        let single = || {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
            pool.map_err(|error| TrainError::Config {
                field: "threads",
                reason: error.to_string(),
            })
        };
        Ok(Self {
            model: PictureModel::init(&config.sizes, z_dim, &device),
            encoder: config.sizes.prompt_encoder(),
            optimizer: ModuleAdamW::new(&config.optimizer),
            attributes: Attributes::init(config.sizes.text_width, &device),
            attribute_optimizer: ModuleAdamW::new(&config.optimizer),
            average: Average::new(config.average_decay),
            pools: [single()?, single()?],
            config,
            z_dim,
            step: 0,
            seconds: 0.0,
            device,
        })
    }

    /// Goes on from the folder of a checkpoint, with the shapes of then and all else as
    /// `config` says.
    ///
    /// # Errors
    /// [`TrainError::Io`], [`TrainError::Checkpoint`], [`TrainError::Config`].
    pub fn resume(folder: &Path, config: PictureTraining, device: &Device) -> Result<Self> {
        let path = folder.join(STATE);
        let text = std::fs::read_to_string(&path).map_err(|error| TrainError::io(&path, error))?;
        let state: State =
            serde_json::from_str(&text).map_err(|error| TrainError::checkpoint(&path, error))?;
        let config = PictureTraining {
            sizes: state.config.sizes,
            ..config
        };
        let mut trainer = Self::new(config, state.z_dim, device)?;
        let path = folder.join(TENSORS);
        let mut tensors = optim::load_tensors(&path, device)?;
        let weights = taken(&mut tensors);
        let expected = optim::weights(&trainer.model).len();
        if weights.len() != expected {
            let reason = format!("has {} of {expected} weights", weights.len());
            return Err(TrainError::checkpoint(path, reason));
        }
        trainer.model = optim::with_weights(trainer.model, weights);
        trainer.optimizer.restore(&state.times, &mut tensors);
        trainer.average.restore(state.averaged, &mut tensors);
        (trainer.step, trainer.seconds) = (state.step, state.seconds);
        let path = folder.join(ATTRIBUTES);
        // Runs that were begun before prompts were asked about have none.
        if path.is_file() {
            let mut tensors = optim::load_tensors(&path, device)?;
            let weights = taken(&mut tensors);
            trainer.attributes = optim::with_weights(trainer.attributes, weights);
            let times = &state.attribute_times;
            trainer.attribute_optimizer.restore(times, &mut tensors);
        }
        Ok(trainer)
    }

    /// Updates done.
    pub const fn step_number(&self) -> u64 {
        self.step
    }

    /// What the run is told.
    pub const fn config(&self) -> &PictureTraining {
        &self.config
    }

    /// The averaged weights without derivatives.
    pub fn averaged(&self) -> PictureModel {
        self.average.apply(self.model.clone()).valid()
    }

    /// Writes everything that the run is into `folder`, whole or not at all.
    ///
    /// # Errors
    /// [`TrainError::Io`], [`TrainError::Checkpoint`].
    pub fn checkpoint(&self, folder: &Path) -> Result<()> {
        let part = folder.with_extension("part");
        let io = |path: &Path, error| TrainError::io(path, error);
        if part.exists() {
            std::fs::remove_dir_all(&part).map_err(|error| io(&part, error))?;
        }
        std::fs::create_dir_all(&part).map_err(|error| io(&part, error))?;
        let mut tensors = named(optim::weights(&self.attributes));
        tensors.extend(self.attribute_optimizer.tensors());
        optim::save_tensors(&part.join(ATTRIBUTES), &tensors)?;
        let mut tensors = named(optim::weights(&self.model));
        tensors.extend(self.optimizer.tensors());
        tensors.extend(self.average.tensors());
        optim::save_tensors(&part.join(TENSORS), &tensors)?;
        let path = part.join(STATE);
        let state = State {
            step: self.step,
            seconds: self.seconds,
            z_dim: self.z_dim,
            times: self.optimizer.times(),
            averaged: self.average.updates(),
            attribute_times: self.attribute_optimizer.times(),
            config: self.config.clone(),
        };
        let text = serde_json::to_string_pretty(&state)
            .map_err(|error| TrainError::checkpoint(&path, error))?;
        std::fs::write(&path, text).map_err(|error| io(&path, error))?;
        optim::replace_folder(&part, folder)
    }

    /// One update, from a batch of each kind.
    ///
    /// # Errors
    /// [`TrainError::Diverged`], [`TrainError::Model`].
    pub fn update(&mut self, batches: &mut [Batches<'_>; 2]) -> Result<Progress> {
        let begun = Instant::now();
        let step = self.step;
        let mut drawn = Vec::with_capacity(2);
        for batches in batches.iter_mut() {
            drawn.push(batches.batch(step, &self.device)?);
        }
        let rows: Vec<usize> = drawn.iter().map(|batch| batch.times.dims()[0]).collect();
        let pictures: usize = rows.iter().sum();
        let share = |rows: usize| rows as f64 / pictures as f64;

        let outcomes: Vec<Result<Outcome>> = std::thread::scope(|scope| {
            let jobs: Vec<_> = drawn
                .iter()
                .zip(&self.pools)
                .zip(&rows)
                .map(|((batch, pool), &rows)| {
                    let this = &*self;
                    scope.spawn(move || pool.install(|| this.gradients(batch, share(rows))))
                })
                .collect();
            let gone = |_| {
                Err(TrainError::Config {
                    field: "threads",
                    reason: "one of them ended early".to_owned(),
                })
            };
            jobs.into_iter()
                .map(|job| job.join().unwrap_or_else(gone))
                .collect()
        });
        let mut losses = Vec::with_capacity(2);
        let mut attribute_loss = 0.0;
        let mut gradients = FlatGradients::default();
        let mut attribute_gradients = FlatGradients::default();
        for (outcome, rows) in outcomes.into_iter().zip(&rows) {
            let outcome = outcome?;
            losses.push(outcome.loss);
            attribute_loss += outcome.attribute_loss * share(*rows);
            gradients = gradients.plus(outcome.gradients);
            attribute_gradients = attribute_gradients.plus(outcome.attribute_gradients);
        }
        let (generation_loss, edit_loss) = (losses[0], losses[1]);

        let config = &self.config;
        let progress = step as f64 / config.steps.max(1) as f64;
        let learning_rate =
            optim::learning_rate(config.learning_rate, config.warmup, step, progress);
        let (model, grad_norm) = self
            .optimizer
            .apply(self.model.clone(), gradients, learning_rate);
        if !(generation_loss + edit_loss + grad_norm).is_finite() {
            return Err(TrainError::Diverged {
                step,
                loss: generation_loss + edit_loss,
            });
        }
        self.model = model;
        let (attributes, _) = self.attribute_optimizer.apply(
            self.attributes.clone(),
            attribute_gradients,
            learning_rate,
        );
        self.attributes = attributes;
        self.average.update(&self.model);
        self.step += 1;
        let elapsed = begun.elapsed().as_secs_f64();
        self.seconds += elapsed;
        Ok(Progress {
            step: self.step,
            generation_loss,
            edit_loss,
            attribute_loss,
            grad_norm,
            learning_rate,
            pictures_per_s: pictures as f64 / elapsed.max(1e-9),
            seconds: self.seconds,
        })
    }

    /// The loss of a batch and the gradients of `share` of it, on weights of its own:
    /// graphs that share no leaf can be walked at the same time.
    fn gradients(&self, batch: &Batch, share: f64) -> Result<Outcome> {
        let replica = optim::with_weights(self.model.clone(), optim::weights(&self.model));
        let weights = optim::weights(&self.attributes);
        let attributes = optim::with_weights(self.attributes.clone(), weights);
        let (loss, states) = replica.loss(&self.encoder, batch, self.config.focus, &self.device)?;
        let value = f64::from(loss.plain.into_scalar::<f32>());
        let told = attributes.loss(&states, &batch.labels, &self.device);
        let attribute_loss = f64::from(told.clone().into_scalar::<f32>());
        let total = loss.weighted + told * self.config.attribute_weight;
        let gradients = (total * share).backward();
        Ok(Outcome {
            loss: value,
            attribute_loss,
            gradients: FlatGradients::of(&replica, &gradients),
            attribute_gradients: FlatGradients::of(&attributes, &gradients),
        })
    }

    /// Teaches the prompt's encoder alone what prompts ask for, over `updates` of
    /// `size` prompts of each kind; `report` hears of the cross-entropy of each kind.
    /// With `as_it_is` the encoder stays, and only the layer above it learns.
    ///
    /// # Errors
    /// [`TrainError::Diverged`], [`TrainError::Model`].
    pub fn teach_encoder(
        &mut self,
        material: Material<'_>,
        updates: u64,
        size: usize,
        as_it_is: bool,
        mut report: impl FnMut(u64, [f64; 2]),
    ) -> Result<()> {
        let config = PictureTraining {
            generation_batch: size,
            edit_batch: size,
            dropped_prompts: 0,
            ..self.config.clone()
        };
        let mut batches = [Kind::Generation, Kind::Edit].map(|kind| {
            let Material {
                painter,
                cache,
                prompts,
            } = material;
            Batches::new(&config, painter, cache, prompts, kind)
        });
        let mut optimizer = ModuleAdamW::new(&config.optimizer);
        for step in 0..updates {
            let mut losses = [0.0; 2];
            let mut gradients = FlatGradients::default();
            let mut own = FlatGradients::default();
            for (batches, loss) in batches.iter_mut().zip(&mut losses) {
                let batch = batches.batch(self.step + step, &self.device)?;
                let states = self
                    .model
                    .states(&self.encoder, &batch.prompts, &self.device)?;
                let told = self.attributes.loss(&states, &batch.labels, &self.device);
                *loss = f64::from(told.clone().into_scalar::<f32>());
                let graph = (told * 0.5).backward();
                gradients = gradients.plus(FlatGradients::of(&self.model, &graph));
                own = own.plus(FlatGradients::of(&self.attributes, &graph));
            }
            let loss: f64 = losses.iter().sum();
            if !loss.is_finite() {
                return Err(TrainError::Diverged { step, loss });
            }
            let done = step as f64 / updates as f64;
            let rate = optim::learning_rate(config.learning_rate, 20, step, done);
            if !as_it_is {
                (self.model, _) = optimizer.apply(self.model.clone(), gradients, rate);
            }
            let attributes = self.attributes.clone();
            (self.attributes, _) = self.attribute_optimizer.apply(attributes, own, rate);
            report(step, losses);
        }
        Ok(())
    }

    /// Trains to the last update, with checkpoints in `folder`/checkpoint.
    /// `report` sees the trainer after each update.
    ///
    /// # Errors
    /// Those of [`Self::update`], [`Self::checkpoint`] and `report`.
    pub fn run(
        &mut self,
        material: Material<'_>,
        folder: &Path,
        mut report: impl FnMut(&Self, &Progress) -> Result<()>,
    ) -> Result<PathBuf> {
        let config = self.config.clone();
        let of_kind = |kind| {
            let Material {
                painter,
                cache,
                prompts,
            } = material;
            Batches::new(&config, painter, cache, prompts, kind)
        };
        let mut batches = [of_kind(Kind::Generation), of_kind(Kind::Edit)];
        let target = folder.join("checkpoint");
        while self.step < config.steps {
            let progress = self.update(&mut batches)?;
            report(self, &progress)?;
            if self.step.is_multiple_of(config.checkpoint_every) {
                self.checkpoint(&target)?;
            }
        }
        self.checkpoint(&target)?;
        Ok(target)
    }
}
