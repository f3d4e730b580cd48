//! Updates of a policy from answers with advantages.

mod config;
mod part;

use burn::module::Param;
use burn::tensor::{DType, Device, Tensor, TensorData};
use illumine_models::qwen3::weights::Slot;
use illumine_models::{Qwen3, Qwen3Config};
use serde::Serialize;

pub use self::config::{LearnerConfig, Numbers};
use self::part::Part;
use super::answer::{Answer, Rows, micro_batches};
use super::forward::{Scored, score, score_states};
use super::objective::{AnswerTokens, Objective, Totals, answer_loss};
use super::share::Share;
use super::{flat, recompute};
use crate::error::{Result, TrainError};
use crate::lanes::Lanes;
use crate::lora;
use crate::parallel::Peers;
use crate::sft::optimizer::{GradientSum, ModelAdamW};

/// A policy that learns.
#[derive(Debug)]
pub struct Learner {
    /// On an autodiff device.
    pub model: Qwen3,
    model_config: Qwen3Config,
    config: LearnerConfig,
    pub(super) optimizer: ModelAdamW,
    lanes: Lanes,
    device: Device,
    peers: Peers,
}

/// What an update says of itself: means over the answers' tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct UpdateMetrics {
    /// With the divergence and the entropy in it.
    pub loss: f64,
    /// Of all gradients together, before it is cut.
    pub grad_norm: f64,
    /// In nats.
    pub entropy: f64,
    /// `old − new` log-probability: how far the policy has moved from the one that wrote.
    pub moved: f64,
    /// Divergence from the reference; 0 without one.
    pub kl: f64,
    /// Share of tokens whose ratio is cut.
    pub clip_share: f64,
    /// Share of tokens that the dual clip cut.
    pub dual_clip_share: f64,
    /// Mean ratio.
    pub ratio: f64,
    /// Tokens learnt from.
    pub tokens: usize,
}

impl Learner {
    /// Learns on `model`, which lives on an autodiff device over `device`: its low-rank
    /// changes where it has any, else every weight.
    pub fn new(
        config: LearnerConfig,
        model: Qwen3,
        model_config: Qwen3Config,
        device: &Device,
    ) -> Self {
        Self {
            optimizer: ModelAdamW::new(&config.optimizer),
            lanes: Lanes::of(device),
            model,
            model_config,
            config,
            device: device.clone().autodiff(),
            peers: Peers::alone(),
        }
    }

    /// Learns together with other processes, each a share of every update.
    #[must_use]
    pub fn among(mut self, peers: Peers) -> Self {
        if !peers.is_alone() {
            self.lanes = Lanes::shared(&self.device.clone().inner(), peers.count());
        }
        self.peers = peers;
        self
    }

    /// The processes that learn.
    pub const fn peers(&self) -> &Peers {
        &self.peers
    }

    /// This process's share of an update from `answers`.
    pub fn share(&self, answers: &[Answer]) -> Share {
        Share::of(answers, self.config.max_answer_tokens, &self.peers)
    }

    /// What is minimised.
    pub const fn objective(&self) -> &Objective {
        &self.config.objective
    }

    /// The policy's shapes.
    pub fn model_config(&self) -> &Qwen3Config {
        &self.model_config
    }

    /// The policy as it writes: without derivatives, with its changes worked in, on other
    /// devices than the CPU in the numbers that it learns with.
    pub fn written(&self) -> Qwen3 {
        let merged = lora::merged(&self.model);
        match self.device.clone().inner() == Device::flex() {
            // Its own code for the CPU takes f32.
            true => cast(merged, DType::F32),
            false => cast(merged, self.config.precision.dtype()),
        }
    }

    /// Log-probabilities of the answers' tokens under the policy as it is.
    ///
    /// # Errors
    /// [`TrainError::Device`] when the device failed.
    pub fn logprobs(&self, answers: &[Answer]) -> Result<Vec<Vec<f32>>> {
        use burn::module::Module;
        self.logprobs_under(&self.replica().valid(), answers)
    }

    /// The same under another policy of the same shapes, on a plain device.
    ///
    /// # Errors
    /// [`TrainError::Device`] when the device failed.
    pub fn logprobs_under(&self, model: &Qwen3, answers: &[Answer]) -> Result<Vec<Vec<f32>>> {
        logprobs(
            model,
            &self.model_config,
            &self.config,
            &self.lanes,
            answers,
        )
    }

    /// One update of the weights from `answers`, an update's worth.
    ///
    /// # Errors
    /// Those of [`Self::learn`].
    pub fn update(
        &mut self,
        answers: &[Answer],
        learning_rate: f64,
        step: u64,
    ) -> Result<UpdateMetrics> {
        self.learn(&self.share(answers), learning_rate, step)
    }

    /// One update of the weights, of which `share` is this process's part.
    ///
    /// # Errors
    /// [`TrainError::Diverged`] when the loss or the gradient is no number: the weights stay
    /// as they were. [`TrainError::Device`], [`TrainError::Peer`].
    pub fn learn(&mut self, share: &Share, learning_rate: f64, step: u64) -> Result<UpdateMetrics> {
        let Share { answers, totals } = share;
        let totals = *totals;
        let mut gradients = GradientSum::default();
        let mut own = Part::default();
        let all = micro_batches(answers, self.config.tokens_per_micro_batch);
        let replicas: Vec<_> = (0..self.lanes.count()).map(|_| self.replica()).collect();
        // Added up in their order: the sum does not depend on the number of lanes.
        for round in all.chunks(self.lanes.count()) {
            let parts = self.lanes.map(round, |lane, rows| {
                self.gradients(replicas[lane].clone(), answers, rows, totals)
            });
            for part in parts {
                let (of_part, part) = part?;
                gradients.merge(of_part);
                own.add(part);
            }
        }
        let (mut gradients, all) = self.together(gradients, own)?;
        let Part {
            loss,
            entropy,
            sums,
        } = all;
        let grad_norm = gradients.clip(self.config.optimizer.max_norm);
        if !(loss + grad_norm).is_finite() {
            return Err(TrainError::Diverged { step, loss });
        }
        self.optimizer
            .step(&mut self.model, gradients, learning_rate);
        let mean = |sum: f64| sum / sums.tokens.max(1.0);
        Ok(UpdateMetrics {
            loss,
            grad_norm,
            entropy: mean(entropy),
            moved: mean(sums.moved),
            kl: mean(sums.kl),
            clip_share: mean(sums.clipped),
            dual_clip_share: mean(sums.clipped_low),
            ratio: mean(sums.ratio),
            tokens: totals.tokens,
        })
    }

    /// The sums of what all processes found: the same bits in each of them.
    fn together(&self, gradients: GradientSum, part: Part) -> Result<(GradientSum, Part)> {
        if self.peers.is_alone() {
            return Ok((gradients, part));
        }
        let shapes = flat::shapes(&self.model);
        let mut numbers = flat::of_gradients(gradients, &shapes)?;
        self.peers.sum(&mut numbers)?;
        let mut figures = part.figures();
        self.peers.sum(&mut figures)?;
        let device = self.device.clone().inner();
        let gradients = flat::to_gradients(&numbers, &shapes, &device);
        Ok((gradients, Part::of_figures(figures)))
    }

    /// The policy with leaves of its own, in the numbers that it computes with: graphs that
    /// share none can be walked at the same time.
    fn replica(&self) -> Qwen3 {
        let dtype = self.config.precision.dtype();
        let mut replica = self.model.clone();
        for slot in lora::trained(&mut replica) {
            match slot {
                Slot::Projection(param) | Slot::Embedding(param) => leaf(param, dtype),
                Slot::Scale(param) => leaf(param, dtype),
            }
        }
        replica
    }

    /// The gradients of a micro-batch's part of the loss under `model`, and that part.
    fn gradients(
        &self,
        mut model: Qwen3,
        answers: &[Answer],
        rows: &Rows,
        totals: Totals,
    ) -> Result<(GradientSum, Part)> {
        let (vocab_size, temperature) = (self.model_config.vocab_size, self.config.temperature);
        if self.config.recompute {
            let head = |model: &Qwen3, last: Tensor<3>| {
                let hidden = model.norm.forward(last);
                let scored = score_states(model, hidden, &rows.batch, vocab_size, temperature);
                self.part(scored, answers, rows, totals)
            };
            return recompute::gradients(&mut model, &rows.batch, &self.device, head);
        }
        let scored = score(&model, &rows.batch, vocab_size, temperature, &self.device);
        let (surrogate, part) = self.part(scored, answers, rows, totals)?;
        let gradients = GradientSum::of(&mut model, surrogate.backward());
        Ok((gradients, part))
    }

    /// A micro-batch's part of the loss, and a tensor with its gradient.
    fn part(
        &self,
        scored: Scored,
        answers: &[Answer],
        rows: &Rows,
        totals: Totals,
    ) -> Result<(Tensor<1>, Part)> {
        let logp = read(&scored.logp)?;
        let entropies = read(&scored.entropy)?;
        let (mut slopes, mut weights) = (Vec::new(), Vec::new());
        let mut part = Part::default();
        let mut start = 0;
        for &index in &rows.answers {
            let answer = &answers[index];
            let tokens = start..start + answer.tokens();
            start = tokens.end;
            let own = &logp[tokens.clone()];
            let own = AnswerTokens {
                logp: own,
                old_logp: answer.old_logp.as_deref().unwrap_or(own),
                reference: answer.reference.as_deref(),
                advantage: answer.advantage,
            };
            let result = answer_loss(&self.config.objective, own, totals);
            part.loss += result.loss;
            part.sums.add(result.sums);
            for entropy in &entropies[tokens.clone()] {
                part.entropy += f64::from(*entropy);
                part.loss -= result.entropy_weight * f64::from(*entropy);
            }
            weights.extend(tokens.map(|_| result.entropy_weight as f32));
            slopes.extend(result.gradient);
        }
        let constant = |values: Vec<f32>| {
            let count = values.len();
            Tensor::<1>::from_data(TensorData::new(values, [count]), &self.device)
        };
        let Scored { logp, entropy } = scored;
        let mut surrogate = (logp * constant(slopes)).sum();
        if self.config.objective.entropy_weight != 0.0 {
            surrogate = surrogate - (entropy * constant(weights)).sum();
        }
        Ok((surrogate, part))
    }
}

/// `model` as `dtype`.
fn cast(mut model: Qwen3, dtype: DType) -> Qwen3 {
    for slot in model.slots() {
        match slot {
            Slot::Projection(param) | Slot::Embedding(param) => {
                *param = Param::initialized(param.id, param.val().cast(dtype));
            }
            Slot::Scale(param) => *param = Param::initialized(param.id, param.val().cast(dtype)),
        }
    }
    model
}

/// Gives `param` a leaf of its own over the same values, as `dtype`.
fn leaf<const D: usize>(param: &mut Param<Tensor<D>>, dtype: DType) {
    let value = Tensor::from_inner(param.val().inner().cast(dtype)).require_grad();
    *param = Param::initialized(param.id, value);
}

/// Log-probabilities of the answers' tokens under `model`, on a plain device.
///
/// # Errors
/// [`TrainError::Device`] when the device failed.
pub fn logprobs(
    model: &Qwen3,
    model_config: &Qwen3Config,
    config: &LearnerConfig,
    lanes: &Lanes,
    answers: &[Answer],
) -> Result<Vec<Vec<f32>>> {
    let device = model.embed_tokens.weight.val().device();
    let mut all = vec![Vec::new(); answers.len()];
    let batches = micro_batches(answers, config.tokens_per_micro_batch);
    let found = lanes.map(&batches, |_, rows| {
        let scored = score(
            model,
            &rows.batch,
            model_config.vocab_size,
            config.temperature,
            &device,
        );
        read(&scored.logp)
    });
    for (rows, logp) in batches.into_iter().zip(found) {
        let mut logp = logp?.into_iter();
        for index in rows.answers {
            all[index] = logp.by_ref().take(answers[index].tokens()).collect();
        }
    }
    Ok(all)
}

fn read(tensor: &Tensor<1>) -> Result<Vec<f32>> {
    let data = tensor.to_data().convert::<f32>();
    data.try_into_vec::<f32>()
        .map_err(|error| TrainError::Device(format!("{error:?}")))
}
