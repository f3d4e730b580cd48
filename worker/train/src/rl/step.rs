//! One step: prompts to answers to rewards to updates.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use burn::tensor::Device;
use illumine_models::Qwen3;
use illumine_models::engine::{Engine, EngineConfig};
use illumine_models::generate::LanguageModel;
use illumine_models::load::{LoadedModel, ModelFolder};
use illumine_models::tokenizer::ChatTokenizer;
use illumine_types::ToolKind;
use serde::{Deserialize, Serialize};

use super::advantage::Scale;
use super::answer::Answer;
use super::drawn::Drawn;
use super::learner::{Learner, UpdateMetrics};
use super::rollout::{Outcome, Prompt, Rollout, Sampling, Surroundings, roll};
use super::share::Share;
use super::together::all_rollouts;
use crate::error::{Result, TrainError};

/// How answers become updates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StepConfig {
    /// How answers are drawn.
    pub sampling: Sampling,
    /// What rewards of a group are divided by.
    pub scale: Scale,
    /// Times that a step's answers are learnt from.
    pub epochs: usize,
    /// Updates an epoch; answers are dealt out to them by turns.
    pub minibatches: usize,
    /// The share of answers without a reward beyond which nothing is learnt: a judge or
    /// a tool is out of order.
    pub most_excluded: f64,
}

impl Default for StepConfig {
    fn default() -> Self {
        Self {
            sampling: Sampling::default(),
            scale: Scale::Deviation,
            epochs: 1,
            minibatches: 1,
            most_excluded: 0.5,
        }
    }
}

/// What a step says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StepMetrics {
    /// Mean over answers with a reward.
    pub reward: f64,
    /// Their deviation.
    pub reward_deviation: f64,
    /// Answers.
    pub answers: usize,
    /// Answers without a reward.
    pub excluded: usize,
    /// Prompts whose answers teach nothing: all are worth the same, or fewer than two
    /// have a reward.
    pub flat_groups: usize,
    /// Mean tokens of an answer.
    pub answer_tokens: f64,
    /// Share of answers that were cut off at the limit.
    pub cut_share: f64,
    /// Mean pictures that tools made.
    pub pictures: f64,
    /// Means by name: `part_<term>` of the reward's terms before their weight, over
    /// answers that have the term; `attempts_<tool>` and `successes_<tool>`, over all.
    #[serde(flatten)]
    pub means: BTreeMap<String, f64>,
    /// The last update's figures, losses and shares; zero where nothing was learnt.
    #[serde(flatten)]
    pub update: UpdateMetrics,
    /// Updates of the weights.
    pub updates: usize,
    /// Of the answers, written and learnt from.
    pub tokens_per_s: f64,
    /// Writing, drawing and scoring.
    pub rollout_s: f64,
    /// Learning.
    pub update_s: f64,
}

/// A policy with what its steps need.
#[derive(Debug)]
pub struct Stepper {
    /// What learns.
    pub learner: Learner,
    /// What it must stay near, where the objective weighs the divergence.
    pub reference: Option<Qwen3>,
    /// Where its tokenizer is; names the tokens that end an answer, and the words that
    /// the policy was taught with.
    pub folder: ModelFolder,
    /// A plain one.
    pub device: Device,
    /// How answers become updates.
    pub config: StepConfig,
}

impl Stepper {
    /// One step on `prompts`; its answers come back with its figures.
    ///
    /// # Errors
    /// - [`TrainError::Outage`] when too many answers have no reward; nothing was learnt;
    /// - those of the model and of [`Learner::update`].
    pub async fn step(
        &mut self,
        prompts: &[Prompt],
        around: &Surroundings,
        step: u64,
        learning_rate: f64,
    ) -> Result<(StepMetrics, Vec<Rollout>)> {
        let begun = Instant::now();
        let (mut metrics, rollouts) = self
            .answer(prompts, &self.config.sampling, around, step)
            .await?;
        let learning = Instant::now();
        let mut drawn = Drawn::of(&rollouts);
        if self.learner.objective().rewards_nearness() {
            let divergence = self.take_divergence(&mut drawn)?;
            metrics.means.insert("part_kl".into(), divergence);
        }
        let (answers, flat) = drawn.compared(prompts.len(), self.config.scale);
        metrics.flat_groups = flat;
        if !answers.is_empty() {
            let shares = self.prepared(&answers)?;
            for _ in 0..self.config.epochs.max(1) {
                for share in &shares {
                    metrics.update = self.learner.learn(share, learning_rate, step)?;
                    metrics.updates += 1;
                }
            }
        }
        metrics.update_s = learning.elapsed().as_secs_f64();
        let tokens = metrics.answer_tokens * metrics.answers as f64;
        metrics.tokens_per_s = tokens / begun.elapsed().as_secs_f64().max(1e-9);
        Ok((metrics, rollouts))
    }

    /// Takes the divergence of each answer from the reference, weighed, from its reward, and
    /// gives its mean.
    fn take_divergence(&self, drawn: &mut Drawn) -> Result<f64> {
        let objective = self.learner.objective();
        let Some(reference) = &self.reference else {
            return Ok(0.0);
        };
        let peers = self.learner.peers();
        let own: Vec<usize> = (0..drawn.answers.len())
            .filter(|&place| peers.takes(place))
            .collect();
        let asked: Vec<Answer> = own.iter().map(|&at| drawn.answers[at].clone()).collect();
        let logp = self.learner.logprobs(&asked)?;
        let under = self.learner.logprobs_under(reference, &asked)?;
        let mut found = vec![0.0; drawn.answers.len()];
        for ((&place, logp), under) in own.iter().zip(logp).zip(under) {
            found[place] = objective.answer_divergence(&logp, &under);
            let answer = &mut drawn.answers[place];
            (answer.old_logp, answer.reference) = (Some(logp), Some(under));
        }
        // Each answer is one process's.
        peers.sum(&mut found)?;
        for (reward, divergence) in drawn.rewards.iter_mut().zip(&found) {
            *reward -= objective.kl_weight * divergence;
        }
        Ok(found.iter().sum::<f64>() / found.len().max(1) as f64)
    }

    /// This process's shares of an epoch's updates, with the log-probabilities that they need.
    fn prepared(&self, answers: &[Answer]) -> Result<Vec<Share>> {
        let parts = deal(answers, self.config.minibatches);
        let mut shares: Vec<Share> = parts.iter().map(|part| self.learner.share(part)).collect();
        let own: Vec<Answer> = shares
            .iter()
            .flat_map(|share| share.answers.clone())
            .collect();
        // The probabilities at which they were drawn, by the computation that learns; an
        // only update computes them itself.
        let moves = self.config.epochs.max(1) * self.config.minibatches.max(1) > 1;
        if moves && own.iter().any(|answer| answer.old_logp.is_none()) {
            let logprobs = self.learner.logprobs(&own)?;
            for (answer, logp) in answers_of(&mut shares).zip(logprobs) {
                answer.old_logp = Some(logp);
            }
        }
        if let Some(reference) = &self.reference
            && own.iter().any(|answer| answer.reference.is_none())
        {
            let logprobs = self.learner.logprobs_under(reference, &own)?;
            for (answer, logp) in answers_of(&mut shares).zip(logprobs) {
                answer.reference = Some(logp);
            }
        }
        Ok(shares)
    }

    /// Answers to prompts by the policy as it is, with rewards; nothing is learnt. Those of
    /// all processes, each of which writes answers to some of the prompts.
    ///
    /// # Errors
    /// [`TrainError::Outage`] when too many answers have no reward; [`TrainError::Model`],
    /// [`TrainError::Peer`].
    pub async fn answer(
        &self,
        prompts: &[Prompt],
        sampling: &Sampling,
        around: &Surroundings,
        step: u64,
    ) -> Result<(StepMetrics, Vec<Rollout>)> {
        let begun = Instant::now();
        let engine = self.engine()?;
        let peers = self.learner.peers();
        let mine = prompts.iter().enumerate();
        let mine: Vec<Prompt> = mine
            .filter(|(place, _)| peers.takes(*place))
            .map(|(_, prompt)| prompt.clone())
            .collect();
        let rollouts = roll(&engine, &mine, sampling, around, step).await;
        let rollouts = all_rollouts(peers, rollouts)?;
        let mut metrics = summary(&rollouts);
        metrics.rollout_s = begun.elapsed().as_secs_f64();
        let allowed = self.config.most_excluded * rollouts.len() as f64;
        match metrics.excluded as f64 > allowed {
            true => Err(outage(step, &rollouts, metrics.excluded)),
            false => Ok((metrics, rollouts)),
        }
    }

    /// An engine over the policy as it is.
    ///
    /// # Errors
    /// [`TrainError::Model`].
    pub fn engine(&self) -> Result<Engine> {
        let loaded = LoadedModel {
            folder: self.folder.clone(),
            model: self.learner.written(),
            tokenizer: ChatTokenizer::from_folder(&self.folder.path)?,
        };
        let model = LanguageModel::new(loaded, &self.device)?;
        Ok(Engine::start(Arc::new(model), &EngineConfig::default())?)
    }
}

fn answers_of(shares: &mut [Share]) -> impl Iterator<Item = &mut Answer> {
    shares.iter_mut().flat_map(|share| &mut share.answers)
}

/// Deals answers out to `parts` updates by turns, so that each has some of every group.
fn deal(answers: &[Answer], parts: usize) -> Vec<Vec<Answer>> {
    let parts = parts.clamp(1, answers.len().max(1));
    (0..parts)
        .map(|part| answers.iter().skip(part).step_by(parts).cloned().collect())
        .collect()
}

fn summary(rollouts: &[Rollout]) -> StepMetrics {
    let rewards: Vec<f64> = rollouts.iter().filter_map(Rollout::reward).collect();
    let mean_of = |sum: f64, count: usize| sum / count.max(1) as f64;
    let reward = mean_of(rewards.iter().sum(), rewards.len());
    let squares = rewards.iter().map(|value| (value - reward).powi(2)).sum();
    let all = rollouts.len();
    let tokens = rollouts
        .iter()
        .map(|rollout| rollout.transcript.answer.len());
    let cut = rollouts.iter().filter(|rollout| !rollout.transcript.ended);
    let (means, pictures) = means(rollouts);
    StepMetrics {
        reward,
        reward_deviation: mean_of(squares, rewards.len()).sqrt(),
        answers: all,
        excluded: all - rewards.len(),
        answer_tokens: mean_of(tokens.sum::<usize>() as f64, all),
        cut_share: mean_of(cut.count() as f64, all),
        pictures: mean_of(f64::from(pictures), all),
        means,
        ..StepMetrics::default()
    }
}

/// The means by name, and the number of pictures that tools made.
fn means(rollouts: &[Rollout]) -> (BTreeMap<String, f64>, u32) {
    let mut sums: BTreeMap<String, (f64, usize)> = BTreeMap::new();
    let mut pictures = 0;
    for rollout in rollouts {
        if let Outcome::Scored(score) = &rollout.outcome {
            for term in &score.breakdown.terms {
                let sum = sums.entry(format!("part_{}", term.name.as_str()));
                let sum = sum.or_default();
                *sum = (sum.0 + term.value, sum.1 + 1);
            }
        }
        for tool in ToolKind::ALL {
            let count = rollout.document.as_ref().map(|document| document.tools);
            let count = count.unwrap_or_default().count(tool);
            pictures += count.succeeded;
            for (what, number) in [
                ("attempts", count.attempted),
                ("successes", count.succeeded),
            ] {
                let sum = sums.entry(format!("{what}_{}", tool.as_str())).or_default();
                *sum = (sum.0 + f64::from(number), sum.1 + 1);
            }
        }
    }
    let mean = |(name, (sum, count))| (name, sum / f64::max(count as f64, 1.0));
    (sums.into_iter().map(mean).collect(), pictures)
}

fn outage(step: u64, rollouts: &[Rollout], excluded: usize) -> TrainError {
    use illumine_rewards::Verdict;
    let reason = rollouts.iter().find_map(|rollout| match &rollout.outcome {
        Outcome::Failed(reason) => Some(reason.clone()),
        Outcome::Scored(score) => match &score.verdict {
            Verdict::Excluded { code, reason } => Some(format!("{code}: {reason}")),
            Verdict::Scored { .. } => None,
        },
    });
    TrainError::Outage {
        step,
        excluded,
        answers: rollouts.len(),
        reason: reason.unwrap_or_default(),
    }
}
