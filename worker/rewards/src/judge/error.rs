//! Why a judge gave no scores.

use std::path::PathBuf;

use illumine_agent::policy::PolicyError;

/// A judge's failure. The first three are found when it is set up; the others
/// are failures of the infrastructure, and the sample is excluded.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JudgeError {
    /// A setting that cannot be used.
    #[error("judge: `{field}`: {reason}")]
    Config {
        /// Its name.
        field: &'static str,
        /// Why it is refused.
        reason: String,
    },
    /// The prompt's file cannot be used.
    #[error("judge: `prompt_file`: {}: {reason}", path.display())]
    Prompt {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A judge of pictures that cannot look at them.
    #[error("the judge {judge} cannot look at pictures; if it can, set `vision` of the MLLM judge")]
    Blind {
        /// The policy's name.
        judge: String,
    },
    /// It could not be asked, or broke off, however often it was asked again.
    #[error("the judge {judge} failed in {attempts} attempts: {source}")]
    Unavailable {
        /// The policy's name.
        judge: String,
        /// How often it was asked.
        attempts: u32,
        /// The last failure.
        source: PolicyError,
    },
    /// It refuses the question for good: a bad key, no such model.
    #[error("the judge {judge} refuses: {source}")]
    Refused {
        /// The policy's name.
        judge: String,
        /// Its reason.
        source: PolicyError,
    },
    /// It did not answer in time, however often it was asked again.
    #[error("the judge {judge} took longer than {limit_s} s in {attempts} attempts")]
    TimedOut {
        /// The policy's name.
        judge: String,
        /// Seconds for one answer.
        limit_s: f64,
        /// How often it was asked.
        attempts: u32,
    },
    /// None of its answers held the scores.
    #[error("the judge {judge} gave no scores in {asked} answers: {reason}; it said: {words}")]
    Unparsable {
        /// The policy's name.
        judge: String,
        /// Answers that it gave.
        asked: u32,
        /// What the last one lacks.
        reason: String,
        /// The beginning of the last one.
        words: String,
    },
}

impl JudgeError {
    /// A stable code for API answers and logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Config { .. } => "judge_config_invalid",
            Self::Prompt { .. } => "judge_prompt_unreadable",
            Self::Blind { .. } => "judge_blind",
            Self::Unavailable { .. } => "judge_unavailable",
            Self::Refused { .. } => "judge_refused",
            Self::TimedOut { .. } => "judge_timeout",
            Self::Unparsable { .. } => "judge_unparsable",
        }
    }
}
