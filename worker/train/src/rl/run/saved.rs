//! A run's checkpoints: written, and taken up again.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use illumine_models::load::ModelFolder;
use illumine_models::{save, tokenizer};
use serde::{Deserialize, Serialize};

use super::Run;
use crate::error::{Result, TrainError};
use crate::lora;
use crate::optim;
use crate::rl::run_config::RunConfig;
use crate::rl::validation::Best;
use crate::sft::checkpoint::{self, folder, prune};

const OPTIMIZER: &str = "optimizer.safetensors";
/// Folder of the low-rank changes in a checkpoint.
const ADAPTER: &str = "adapter";
/// What the policy's folder needs beside the weights and the tokenizer.
const COPIED: [&str; 3] = [
    "generation_config.json",
    "system_prompt.md",
    "illumine.json",
];

#[derive(Serialize, Deserialize)]
struct State {
    step: u64,
    optimizer_time: Vec<usize>,
    config: RunConfig,
    #[serde(default)]
    validations: Best,
}

impl Run {
    /// Goes on from `checkpoint`.
    pub(super) fn take_up(
        &mut self,
        checkpoint: &Path,
        model: &Path,
        device: &Device,
    ) -> Result<()> {
        let path = checkpoint.join(checkpoint::STATE);
        let text = std::fs::read_to_string(&path).map_err(|error| TrainError::io(&path, error))?;
        let state: State =
            serde_json::from_str(&text).map_err(|error| TrainError::checkpoint(&path, error))?;
        same_place(&state.config, &self.config)?;
        same_changes(&state.config, &self.config)?;
        let learner = &mut self.stepper.learner;
        let device_of_training = device.clone().autodiff();
        learner.model = match self.config.learner.lora {
            Some(_) => {
                let dtype = self.config.learner.precision.dtype();
                let folder = ModelFolder::open(model)?;
                let base = folder.load_model_as(&device_of_training, dtype)?;
                lora::resume(base, &checkpoint.join(ADAPTER))?
            }
            None => ModelFolder::open(checkpoint)?.load_model(&device_of_training)?,
        };
        let names = lora::trained_names(&learner.model, learner.model_config());
        let path = checkpoint.join(OPTIMIZER);
        let moments = checkpoint::load_moments(&path, &names, &state.optimizer_time, device)?;
        learner.optimizer.moments = moments;
        self.done = state.step;
        self.validations = state.validations;
        Ok(())
    }

    /// Writes a checkpoint, in the first process; it appears whole or not at all.
    ///
    /// # Errors
    /// [`TrainError::Io`], [`TrainError::Checkpoint`], [`TrainError::Model`].
    pub fn checkpoint(&self, run: &Path) -> Result<PathBuf> {
        let target = folder(run, self.done);
        if !self.peers().leads() {
            return Ok(target);
        }
        let part = target.with_extension("part");
        if part.exists() {
            std::fs::remove_dir_all(&part).map_err(|error| TrainError::io(&part, error))?;
        }
        let learner = &self.stepper.learner;
        let config = learner.model_config();
        save::save_folder(&lora::merged(&learner.model), config, &part)?;
        if let Some(options) = &self.config.learner.lora {
            lora::save(&learner.model, options, &self.base, &part.join(ADAPTER))?;
        }
        for name in tokenizer::FILES.into_iter().chain(COPIED) {
            let from = self.origin.join(name);
            if from.is_file() {
                let copied = std::fs::copy(&from, part.join(name));
                copied.map_err(|error| TrainError::io(&from, error))?;
            }
        }
        let names = lora::trained_names(&learner.model, config);
        checkpoint::save_moments(&part.join(OPTIMIZER), &names, &learner.optimizer)?;
        let times = learner.optimizer.moments.iter();
        let state = State {
            step: self.done,
            optimizer_time: times.map(|m| m.as_ref().map_or(0, |m| m.time)).collect(),
            config: self.config.clone(),
            validations: self.validations,
        };
        let path = part.join(checkpoint::STATE);
        let text = serde_json::to_string_pretty(&state)
            .map_err(|error| TrainError::checkpoint(&path, error))?;
        std::fs::write(&path, text).map_err(|error| TrainError::io(&path, error))?;
        optim::replace_folder(&part, &target)?;
        let best = self.validations.best.map(|best| folder(run, best.step));
        prune(run, self.config.keep_checkpoints, best.as_deref())?;
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

/// Whether the same low-rank changes are learnt, or weights in both.
fn same_changes(begun: &RunConfig, now: &RunConfig) -> Result<()> {
    if begun.learner.lora == now.learner.lora {
        return Ok(());
    }
    Err(TrainError::Config {
        field: "lora",
        reason: "is not what the run was begun with: its checkpoint has other weights to go on \
                 with; begin a new run, or set it back"
            .to_owned(),
    })
}
