//! Answers to prompts: written by the policy that learns, drawn by the tools of
//! production, scored at once.
//!
//! ```text
//! prompts × samples ─▶ Agent (policy, tools) ─▶ document ─▶ Scorer ─▶ Rollout
//! ```
//!
//! All samples of a step run together: while some are still written, the tools of others
//! draw and their judges read.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use illumine_agent::policy::burn::{BurnPolicy, Transcript};
use illumine_agent::{Agent, AgentSettings, GenerationInput, NoEvents, PictureStore};
use illumine_datasets::rng::Rng;
use illumine_models::engine::Engine;
use illumine_rewards::{Requirement, Sample, Score, Scorer};
use illumine_tools::{ImageTool, Picture};
use illumine_types::api::GenerationOptions;
use illumine_types::{Document, JobId, JobKind};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// The row of the data; with the step and the sample it names the answer.
    pub row: u64,
    /// The words.
    pub question: String,
    /// Pictures that come with them.
    pub inputs: Vec<Picture>,
    /// What the answer must have.
    pub requires: Requirement,
}

/// How answers are drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// Answers to each prompt: a group.
    pub samples: usize,
    /// The most tokens of an answer.
    pub max_answer_tokens: usize,
    /// Of the distribution that tokens are drawn from.
    pub temperature: f32,
    /// Tokens beyond this share of the probability are not drawn.
    pub top_p: f32,
    /// Answers after so many seconds are cut off and left out of their groups.
    pub time_limit_s: u64,
    /// Of tokens and of the tools.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            samples: 8,
            max_answer_tokens: 512,
            temperature: 1.0,
            top_p: 1.0,
            time_limit_s: 600,
            seed: 1,
        }
    }
}

/// An answer and what it is worth.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rollout {
    /// Index of its prompt among those asked.
    pub prompt: usize,
    /// Its number in the group.
    pub sample: usize,
    /// Its tokens.
    pub transcript: Transcript,
    /// What was judged, and can be shown as it was.
    pub document: Option<Document>,
    /// Why there is no reward, or the reward with its parts.
    pub outcome: Outcome,
}

/// What came of an answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// It was scored, or excluded with a reason.
    Scored(Box<Score>),
    /// Nothing was written, or it could not be scored: stable code and words.
    Failed(String),
}

impl Rollout {
    /// The reward; none where a tool, a judge or the machine failed.
    pub fn reward(&self) -> Option<f64> {
        match &self.outcome {
            Outcome::Scored(score) => score.reward(),
            Outcome::Failed(_) => None,
        }
    }
}

/// What a roll-out needs beside the policy.
#[derive(Clone)]
pub struct Surroundings {
    /// The tools of production.
    pub tools: Vec<Arc<dyn ImageTool>>,
    /// As in production.
    pub agent: AgentSettings,
    /// What answers are worth.
    pub scorer: Arc<Scorer>,
    /// Where pictures go, those that are judged.
    pub pictures: Arc<dyn PictureStore>,
    /// Whether the policy was taught a mark for each input picture, as the demo's was.
    pub marks: bool,
}

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Surroundings")
            .field("tools", &self.tools.len())
            .finish_non_exhaustive()
    }
}

/// Answers every prompt `sampling.samples` times; in the order of prompts and samples.
/// Nothing here fails as a whole: what went wrong is told by each answer.
pub async fn roll(
    engine: &Engine,
    prompts: &[Prompt],
    sampling: &Sampling,
    around: &Surroundings,
    step: u64,
) -> Vec<Rollout> {
    let roll = Roll {
        policy: BurnPolicy::over(engine.clone(), "policy", around.marks),
        prompts,
        sampling,
        around,
        step,
        until: Instant::now() + Duration::from_secs(sampling.time_limit_s),
    };
    // As many at a time as the engine takes without refusing one.
    let room = engine.room().max(1);
    let mut waiting = (0..prompts.len() * sampling.samples)
        .map(|number| roll.one(number / sampling.samples, number % sampling.samples));
    let mut running: FuturesUnordered<_> = waiting.by_ref().take(room).collect();
    let mut rollouts = Vec::new();
    while let Some(rollout) = running.next().await {
        rollouts.push(rollout);
        running.extend(waiting.next());
    }
    rollouts.sort_by_key(|rollout| (rollout.prompt, rollout.sample));
    rollouts
}

/// What all answers of a step share.
struct Roll<'a> {
    policy: BurnPolicy,
    prompts: &'a [Prompt],
    sampling: &'a Sampling,
    around: &'a Surroundings,
    step: u64,
    /// When those that are not done are cut off.
    until: Instant,
}

impl Roll<'_> {
    async fn one(&self, prompt: usize, sample: usize) -> Rollout {
        let asked = &self.prompts[prompt];
        let (policy, recorder) = self.policy.recorded();
        let agent = Agent::new(
            Arc::new(policy),
            self.around.tools.clone(),
            self.around.agent.clone(),
        );
        let finish = |document, outcome| Rollout {
            prompt,
            sample,
            transcript: recorder.transcript(),
            document,
            outcome,
        };
        let mut inputs = Vec::new();
        for picture in &asked.inputs {
            match self.around.pictures.put(picture).await {
                Ok(image) => inputs.push(image),
                Err(error) => {
                    return finish(None, Outcome::Failed(format!("picture_store: {error}")));
                }
            }
        }
        let input = GenerationInput {
            id: JobId::generate(JobKind::Generation),
            prompt: asked.question.clone(),
            inputs,
            options: GenerationOptions {
                max_tokens: u32::try_from(self.sampling.max_answer_tokens).ok(),
                temperature: Some(self.sampling.temperature),
                top_p: Some(self.sampling.top_p),
                seed: Some(seed(
                    self.sampling.seed,
                    self.step,
                    asked.row,
                    sample as u64,
                )),
                ..GenerationOptions::default()
            },
            created_at: chrono::Utc::now(),
            queued_ms: 0,
        };
        let cancel = CancellationToken::new();
        let _cancels = cancel.clone().drop_guard();
        let until = self.until;
        let late = {
            let cancel = cancel.clone();
            async move {
                tokio::time::sleep_until(until.into()).await;
                cancel.cancel();
                std::future::pending::<Infallible>().await
            }
        };
        let making = agent.generate(&input, &NoEvents, Arc::clone(&self.around.pictures), cancel);
        let made = tokio::select! {
            made = making => made,
            never = late => match never {},
        };
        let document = match made {
            Ok(document) => document,
            Err(error) => {
                return finish(None, Outcome::Failed(format!("{}: {error}", error.code())));
            }
        };
        let judged =
            Sample::from_document(&document, asked.requires.clone(), &*self.around.pictures).await;
        let outcome = match self.around.scorer.score(&judged).await {
            Ok(score) => Outcome::Scored(Box::new(score)),
            Err(error) => Outcome::Failed(format!("{}: {error}", error.code())),
        };
        finish(Some(document), outcome)
    }
}

/// The same answer for the same run, step, row and sample; 31 bits, as every tool takes.
fn seed(run: u64, step: u64, row: u64, sample: u64) -> u64 {
    let parts = [step, row, sample].into_iter();
    parts.fold(run, |seed, part| Rng::new(seed, part).bits()) >> 33
}

#[cfg(test)]
mod tests {
    use super::seed;

    #[test]
    fn every_answer_has_a_seed_of_its_own() {
        let mut seeds = std::collections::BTreeSet::new();
        for step in 0..10 {
            for row in 0..20 {
                for sample in 0..8 {
                    assert!(seeds.insert(seed(1, step, row, sample)));
                }
            }
        }
        assert_eq!(seed(1, 2, 3, 4), seed(1, 2, 3, 4));
        assert_ne!(seed(1, 2, 3, 4), seed(2, 2, 3, 4));
        assert!(seeds.iter().all(|seed| *seed < 1 << 31));
    }
}
