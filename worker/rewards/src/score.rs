//! From a sample to its score.

use futures::future::join_all;
use serde::{Deserialize, Serialize};

use crate::error::{Result, RewardError};
use crate::judge::{JudgeError, Judgement, LlmJudge, MllmJudge};
use crate::reward::{
    AbsentTerm, JudgedPart, LlmScores, MllmScores, Parts, RewardSettings, ScoreBreakdown, TermName,
    combine, count_reward, format_reward, length_penalty, llm_reward, mllm_reward, tool_reward,
};
use crate::sample::{Failure, Sample};

/// What became of a sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Verdict {
    /// It takes part in its group with this reward.
    Scored { reward: f64 },
    /// It says nothing about the policy, since a judge, a tool's service or the
    /// policy's own server failed. Leave it out of its group.
    Excluded {
        /// The failure's stable code.
        code: String,
        /// For people.
        reason: String,
    },
}

/// A sample's score and all that it is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The sample's.
    pub id: String,
    pub verdict: Verdict,
    pub breakdown: ScoreBreakdown,
}

impl Score {
    /// Nothing if the sample is excluded.
    #[must_use]
    pub const fn reward(&self) -> Option<f64> {
        match self.verdict {
            Verdict::Scored { reward } => Some(reward),
            Verdict::Excluded { .. } => None,
        }
    }
}

/// Scores samples. Judges that are named are asked, whatever their weight; the
/// weight of one that is not named is borne by the other terms, and the
/// breakdown says so.
#[derive(Debug)]
pub struct Scorer {
    settings: RewardSettings,
    llm: Option<LlmJudge>,
    mllm: Option<MllmJudge>,
}

impl Scorer {
    /// # Errors
    /// [`RewardError::Config`], also when only judges have a weight and none of
    /// them is named.
    pub fn new(
        settings: RewardSettings,
        llm: Option<LlmJudge>,
        mllm: Option<MllmJudge>,
    ) -> Result<Self> {
        settings.validate()?;
        let weights = &settings.weights;
        let earned = weights.count + weights.tools + weights.format;
        let judged =
            llm.as_ref().map_or(0.0, |_| weights.llm) + mllm.as_ref().map_or(0.0, |_| weights.mllm);
        if earned + judged <= 0.0 {
            return Err(RewardError::Config {
                field: "weights",
                reason: "only judges that are not named have a weight".into(),
            });
        }
        Ok(Self {
            settings,
            llm,
            mllm,
        })
    }

    /// Scores one sample; both judges are asked at once. A sample whose tools or
    /// policy failed is excluded without asking them.
    ///
    /// # Errors
    /// [`RewardError`] where the sample and the settings do not fit. Failures of
    /// judges and tools are no errors: they exclude the sample.
    pub async fn score(&self, sample: &Sample) -> Result<Score> {
        let mut breakdown = self.rules(sample)?;
        if let Some(failure) = sample.infrastructure_failure() {
            return Ok(excluded(sample, breakdown, failure.clone()));
        }
        let (llm, mllm) = tokio::join!(self.ask_llm(sample), self.ask_mllm(sample));
        // What one judge said is kept even if the other failed.
        let mut failure = None;
        match llm? {
            Ok(part) => breakdown.llm = part,
            Err(error) => failure = Some(error),
        }
        match mllm? {
            Ok(part) => breakdown.mllm = part,
            Err(error) => failure = failure.or(Some(error)),
        }
        if let Some(error) = failure {
            tracing::warn!(sample = sample.id, %error, "sample is excluded");
            let failure = Failure::new(error.code(), error.to_string());
            return Ok(excluded(sample, breakdown, failure));
        }
        self.combine(sample, breakdown)
    }

    /// Scores samples concurrently; the judges' own limits apply. In the order
    /// of the samples.
    pub async fn score_batch(&self, samples: &[Sample]) -> Vec<Result<Score>> {
        join_all(samples.iter().map(|sample| self.score(sample))).await
    }

    /// The parts that need no judge.
    fn rules(&self, sample: &Sample) -> Result<ScoreBreakdown> {
        let made = size(sample.pictures().count());
        let tags = size(sample.tags().count());
        let valid = sample.tags().filter(|tag| tag.call.is_some());
        let valid_tags = size(valid.count());
        let tools = &sample.requires.tools;
        Ok(ScoreBreakdown {
            image_num: sample.requires.image_num,
            made,
            tags,
            valid_tags,
            count: count_reward(sample.requires.image_num, made),
            tools: tool_reward(&self.settings.tools, tools, &sample.tool_stats()),
            format: format_reward(valid_tags, tags),
            length: self.length(sample)?,
            ..ScoreBreakdown::default()
        })
    }

    fn length(&self, sample: &Sample) -> Result<Option<f64>> {
        let Some(limit) = self.settings.length else {
            return Ok(None);
        };
        match sample.tokens {
            Some(tokens) => Ok(Some(length_penalty(limit, tokens))),
            None if self.settings.weights.length > 0.0 => Err(RewardError::Sample {
                id: sample.id.clone(),
                field: "tokens",
                reason: "is needed for the penalty for length".into(),
            }),
            None => Ok(None),
        }
    }

    async fn ask_llm(&self, sample: &Sample) -> Result<Judged<LlmScores>> {
        let Some(judge) = &self.llm else {
            return Ok(Ok(None));
        };
        part(judge.judge(sample).await, |scores| llm_reward(*scores))
    }

    async fn ask_mllm(&self, sample: &Sample) -> Result<Judged<MllmScores>> {
        let Some(judge) = &self.mllm else {
            return Ok(Ok(None));
        };
        part(judge.judge(sample).await, |scores| mllm_reward(*scores))
    }

    fn combine(&self, sample: &Sample, mut breakdown: ScoreBreakdown) -> Result<Score> {
        let parts = Parts {
            count: breakdown.count,
            mllm: breakdown.mllm.as_ref().map(|part| part.value),
            llm: breakdown.llm.as_ref().map(|part| part.value),
            tools: breakdown.tools.as_ref().map(|part| part.value),
            format: Some(breakdown.format),
            length: breakdown.length,
        };
        let combined = combine(&self.settings.weights, &parts)?;
        breakdown.terms = combined.terms;
        breakdown.absent = combined.absent.into_iter().map(absent).collect();
        Ok(Score {
            id: sample.id.clone(),
            verdict: Verdict::Scored {
                reward: combined.reward,
            },
            breakdown,
        })
    }
}

/// A judge's part, nothing if it is not named, or its failure.
type Judged<S> = Result<Option<JudgedPart<S>>, JudgeError>;

fn part<S>(
    judgement: Result<Judgement<S>, JudgeError>,
    reward: impl Fn(&S) -> Result<f64>,
) -> Result<Judged<S>> {
    let judgement = match judgement {
        Ok(judgement) => judgement,
        Err(error) => return Ok(Err(error)),
    };
    let value = reward(&judgement.scores)?;
    Ok(Ok(Some(JudgedPart { value, judgement })))
}

fn excluded(sample: &Sample, breakdown: ScoreBreakdown, failure: Failure) -> Score {
    Score {
        id: sample.id.clone(),
        verdict: Verdict::Excluded {
            code: failure.code,
            reason: failure.reason,
        },
        breakdown,
    }
}

fn absent(name: TermName) -> AbsentTerm {
    let reason = match name {
        TermName::Llm => "no LLM judge is named",
        TermName::Mllm => "no MLLM judge is named",
        TermName::Tools => "the row requires no tool that has a weight",
        TermName::Count | TermName::Format | TermName::Length => "it does not apply",
    };
    AbsentTerm {
        name,
        reason: format!("{reason}; the other terms bear its weight"),
    }
}

fn size(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
