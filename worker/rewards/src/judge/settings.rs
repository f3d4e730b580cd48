//! How a judge is asked.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::JudgeError;

/// See each field. The policy's own waits and retries count within `timeout_s`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JudgeSettings {
    /// Markdown that replaces the built-in prompt. What frames the material
    /// stays.
    pub prompt_file: Option<PathBuf>,
    /// Seconds for one answer.
    pub timeout_s: f64,
    /// Times that one answer is asked for while failures are transient.
    pub attempts: u32,
    /// Seconds before the second attempt; doubles with each, with jitter.
    pub first_pause_s: f64,
    /// Seconds of the longest pause. A server that asks for a longer one is not
    /// waited for.
    pub longest_pause_s: f64,
    /// Answers asked for until one holds the scores.
    pub asks: u32,
    /// Answers under way at once.
    pub concurrency: usize,
    /// Judgements kept in memory; 0 keeps none.
    pub cache_entries: usize,
    /// Tokens of an answer.
    pub max_tokens: u32,
    /// Of the first answer; 0 is greedy.
    pub temperature: f32,
    /// Of further answers, which would otherwise say the same again.
    pub reask_temperature: f32,
    /// Of the first answer; each further one takes the next.
    pub seed: u64,
    /// Whether the model can look at pictures; when absent the policy is asked,
    /// which for an endpoint goes by the model's name.
    pub vision: Option<bool>,
}

impl Default for JudgeSettings {
    fn default() -> Self {
        Self {
            prompt_file: None,
            timeout_s: 120.0,
            attempts: 3,
            first_pause_s: 1.0,
            longest_pause_s: 60.0,
            asks: 3,
            concurrency: 8,
            cache_entries: 4096,
            // Room for a model that thinks first.
            max_tokens: 2048,
            temperature: 0.0,
            reask_temperature: 0.7,
            seed: 0,
            vision: None,
        }
    }
}

/// Seconds that any wait may be set to: a day.
const LONGEST_S: f64 = 86_400.0;

impl JudgeSettings {
    /// # Errors
    /// [`JudgeError::Config`] naming the first field that cannot be used.
    pub fn validate(&self) -> Result<(), JudgeError> {
        let refused = |field, reason: &str| {
            let reason = reason.to_owned();
            Err(JudgeError::Config { field, reason })
        };
        if !(self.timeout_s > 0.0 && self.timeout_s <= LONGEST_S) {
            return refused("timeout_s", "must be above 0 and at most a day");
        }
        for (field, seconds) in [
            ("first_pause_s", self.first_pause_s),
            ("longest_pause_s", self.longest_pause_s),
        ] {
            if !(0.0..=LONGEST_S).contains(&seconds) {
                return refused(field, "must be from 0 to a day");
            }
        }
        for (field, count) in [
            ("attempts", u64::from(self.attempts)),
            ("asks", u64::from(self.asks)),
            ("concurrency", self.concurrency as u64),
            ("max_tokens", u64::from(self.max_tokens)),
        ] {
            if count == 0 {
                return refused(field, "must be at least 1");
            }
        }
        if self.concurrency > tokio::sync::Semaphore::MAX_PERMITS {
            return refused("concurrency", "is too large");
        }
        for (field, temperature) in [
            ("temperature", self.temperature),
            ("reask_temperature", self.reask_temperature),
        ] {
            if !(0.0..=2.0).contains(&temperature) {
                return refused(field, "must be from 0 to 2");
            }
        }
        Ok(())
    }

    /// The prompt, from its file or as built in.
    ///
    /// # Errors
    /// [`JudgeError::Prompt`] if the file cannot be read or is empty.
    pub(super) fn prompt(&self, built_in: &str) -> Result<String, JudgeError> {
        let Some(path) = &self.prompt_file else {
            return Ok(built_in.to_owned());
        };
        let unusable = |reason: String| JudgeError::Prompt {
            path: path.clone(),
            reason,
        };
        let prompt = std::fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
        if prompt.trim().is_empty() {
            return Err(unusable("the file is empty".into()));
        }
        Ok(prompt)
    }

    pub(super) fn timeout(&self) -> Duration {
        Duration::from_secs_f64(self.timeout_s)
    }

    pub(super) fn longest_pause(&self) -> Duration {
        Duration::from_secs_f64(self.longest_pause_s)
    }

    /// The pause after attempt number `attempt`, counted from 1, times `jitter`.
    pub(super) fn pause(&self, attempt: u32, jitter: f64) -> Duration {
        let doubled = self.first_pause_s * 2_f64.powi(attempt.saturating_sub(1).min(64) as i32);
        Duration::from_secs_f64((doubled * jitter).min(self.longest_pause_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_named() {
        JudgeSettings::default().validate().unwrap();
        for (json, field) in [
            (r#"{"timeout_s": 0}"#, "timeout_s"),
            (r#"{"timeout_s": 1e12}"#, "timeout_s"),
            (r#"{"attempts": 0}"#, "attempts"),
            (r#"{"first_pause_s": -1}"#, "first_pause_s"),
            (r#"{"longest_pause_s": -1}"#, "longest_pause_s"),
            (r#"{"asks": 0}"#, "asks"),
            (r#"{"concurrency": 0}"#, "concurrency"),
            (r#"{"concurrency": 18446744073709551615}"#, "concurrency"),
            (r#"{"max_tokens": 0}"#, "max_tokens"),
            (r#"{"temperature": 3}"#, "temperature"),
            (r#"{"reask_temperature": -1}"#, "reask_temperature"),
        ] {
            let settings: JudgeSettings = serde_json::from_str(json).unwrap();
            let error = settings.validate().unwrap_err();
            assert_eq!(error.code(), "judge_config_invalid");
            assert!(error.to_string().contains(field), "{error}");
        }
        let nan = JudgeSettings {
            timeout_s: f64::NAN,
            ..JudgeSettings::default()
        };
        assert!(nan.validate().is_err());
        assert!(serde_json::from_str::<JudgeSettings>(r#"{"time_s": 1}"#).is_err());
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let settings = JudgeSettings {
            first_pause_s: 1.0,
            longest_pause_s: 5.0,
            ..JudgeSettings::default()
        };
        let pauses = [1, 2, 3, 4, u32::MAX].map(|attempt| settings.pause(attempt, 1.0).as_secs());
        assert_eq!(pauses, [1, 2, 4, 5, 5]);
    }

    #[test]
    fn a_prompt_that_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("judge.md");
        let settings = JudgeSettings {
            prompt_file: Some(path.clone()),
            ..JudgeSettings::default()
        };
        let error = settings.prompt("built in").unwrap_err();
        assert_eq!(error.code(), "judge_prompt_unreadable");
        assert!(error.to_string().contains("judge.md"), "{error}");
        std::fs::write(&path, " \n").unwrap();
        assert!(settings.prompt("built in").is_err());
        std::fs::write(&path, "Grade it.").unwrap();
        assert_eq!(settings.prompt("built in").unwrap(), "Grade it.");
        let default = JudgeSettings::default();
        assert_eq!(default.prompt("built in").unwrap(), "built in");
    }
}
