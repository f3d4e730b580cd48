//! What a run tells.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::settings::TrainingConfig;
use crate::document::Document;
use crate::id::JobId;
use crate::job::{Job, JobState};

/// `runs/{id}/summary.json`: how far a run is, for lists.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct RunSummary {
    /// Steps done.
    pub step: u64,
    /// Mean reward of the last step.
    pub reward: Option<f64>,
    /// Of validations, or of steps where there is none.
    pub best_reward: Option<f64>,
    /// Steps done when it was reached.
    pub best_step: Option<u64>,
    /// Mean rewards of steps, thinned out to at most 60.
    pub curve: Vec<f64>,
    /// What is wrong now: the run waits for it, or stopped for it.
    pub alarm: Option<String>,
}

/// `GET /api/v1/training-runs/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TrainingRun {
    pub job: Job,
    pub config: TrainingConfig,
    pub summary: RunSummary,
}

/// Answer of a create.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TrainingRunAccepted {
    pub id: JobId,
    pub status: JobState,
    pub links: RunLinks,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunLinks {
    #[serde(rename = "self")]
    pub this: String,
    pub events: String,
    pub metrics: String,
    pub stop: String,
}

impl TrainingRunAccepted {
    #[must_use]
    pub fn new(id: JobId, status: JobState) -> Self {
        let this = format!("/api/v1/training-runs/{id}");
        let links = RunLinks {
            events: format!("{this}/events"),
            metrics: format!("{this}/metrics"),
            stop: format!("{this}/stop"),
            this,
        };
        Self { id, status, links }
    }
}

/// `GET …/metrics`: a point a step, numbers by name.
///
/// `step`, `reward`, `reward_deviation`, `part_<term>` (of the reward), `attempts_<tool>`,
/// `successes_<tool>` (a mean an answer), `pictures`, `answers`, `excluded`, `flat_groups`,
/// `answer_tokens`, `cut_share`, `loss`, `grad_norm`, `entropy`, `kl`, `clip_share`, `lr`,
/// `tokens_per_s`, `rollout_s`, `update_s`, `memory_bytes`; `validation_reward` where one was
/// made after the step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MetricPoints {
    pub points: Vec<Map<String, Value>>,
}

/// An answer of a step, as it was judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TrainingSample {
    pub prompt: String,
    /// Its number in the group.
    pub sample: usize,
    pub document: Option<Document>,
    /// Every part of its score: `verdict {status, reward | code, reason}` and `breakdown`.
    #[serde(default)]
    pub score: Value,
    /// Why there is none.
    #[serde(default)]
    pub failure: Option<String>,
}

/// `GET …/samples?step=`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TrainingSamples {
    /// Of these; the newest when none was asked for.
    pub step: Option<u64>,
    /// Steps of which there are some.
    pub steps: Vec<u64>,
    pub items: Vec<TrainingSample>,
}

/// A policy that was kept: a model folder as `transformers` reads it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Checkpoint {
    /// Steps done.
    pub step: u64,
    /// Mean reward of the validation after that step, if one was made.
    pub reward: Option<f64>,
    /// The highest reward of the checkpoints that are there.
    pub best: bool,
    /// New documents are written by it.
    #[serde(default)]
    pub in_use: bool,
    pub files: Vec<CheckpointFile>,
    pub created_at: chrono::DateTime<chrono::Utc>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CheckpointFile {
    pub name: String,
    pub bytes: u64,
}

/// The policy that writes documents whose request names none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PolicyChoice {
    pub run: JobId,
    pub step: u64,
}

/// `GET /api/v1/policy`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChosenPolicy {
    /// `null` while the configured policy writes.
    pub choice: Option<PolicyChoice>,
}

impl PolicyChoice {
    /// `run_…/step-000020`, as `options.policy` and a run's `model` name it.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/step-{:06}", self.run, self.step)
    }

    /// The reverse of [`Self::name`].
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (run, step) = name.split_once("/step-")?;
        let run = JobId::parse(run).ok()?;
        (run.kind() == crate::JobKind::TrainingRun).then_some(())?;
        let step = step.parse().ok()?;
        Some(Self { run, step })
    }
}
