//! Asking a policy for scores until it gives them.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use illumine_agent::policy::{ChatImage, ChatRequest, Delta, Policy, PolicyError};
use rand::Rng;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::cache::{Cache, Key};
use super::{JudgeError, JudgeSettings, Judgement};

/// Bytes of an answer that are read: far beyond any token limit in use, against
/// a server that ignores it.
const LONGEST_ANSWER: usize = 256 * 1024;
/// Characters of an unusable answer that an error shows.
const SHOWN: usize = 200;

/// A policy that is asked for scores, with its limits.
pub(super) struct Asker<S> {
    policy: Arc<dyn Policy>,
    pub(super) prompt: String,
    settings: JudgeSettings,
    permits: Semaphore,
    cache: Cache<Judgement<S>>,
}

impl<S: Clone> Asker<S> {
    pub(super) fn new(
        policy: Arc<dyn Policy>,
        settings: JudgeSettings,
        built_in: &str,
    ) -> Result<Self, JudgeError> {
        settings.validate()?;
        Ok(Self {
            policy,
            prompt: settings.prompt(built_in)?,
            permits: Semaphore::new(settings.concurrency),
            cache: Cache::new(settings.cache_entries),
            settings,
        })
    }

    pub(super) fn name(&self) -> &str {
        self.policy.name()
    }

    /// The scores, from memory or from the policy. The message is made only when
    /// the policy is asked.
    ///
    /// # Errors
    /// Every failure is one of the infrastructure.
    pub(super) async fn judge(
        &self,
        key: Key,
        query: impl FnOnce() -> (String, Vec<ChatImage>),
        parse: impl Fn(&str) -> Result<S, String>,
    ) -> Result<Judgement<S>, JudgeError> {
        let place = self.cache.place(key);
        let mut asked_now = false;
        let judgement = place
            .get_or_try_init(|| {
                asked_now = true;
                let (message, images) = query();
                self.ask(message, images, parse)
            })
            .await?;
        Ok(Judgement {
            cached: !asked_now,
            ..judgement.clone()
        })
    }

    async fn ask(
        &self,
        message: String,
        images: Vec<ChatImage>,
        parse: impl Fn(&str) -> Result<S, String>,
    ) -> Result<Judgement<S>, JudgeError> {
        let settings = &self.settings;
        let mut request = ChatRequest {
            system: self.prompt.clone(),
            prompt: message,
            inputs: images.len(),
            images,
            max_tokens: Some(settings.max_tokens),
            temperature: Some(settings.temperature),
            top_p: None,
            seed: Some(settings.seed),
        };
        let mut asked = 1;
        loop {
            let words = self.answer(&request).await?;
            let reason = match parse(&words) {
                Ok(scores) => {
                    return Ok(Judgement {
                        scores,
                        words: Some(words),
                        judge: self.name().to_owned(),
                        asked,
                        cached: false,
                    });
                }
                Err(reason) => reason,
            };
            if asked >= settings.asks {
                return Err(JudgeError::Unparsable {
                    judge: self.name().to_owned(),
                    asked,
                    reason,
                    words: words.chars().take(SHOWN).collect(),
                });
            }
            tracing::info!(judge = self.name(), asked, reason, "judge is asked again");
            request.temperature = Some(settings.reask_temperature);
            request.seed = Some(settings.seed.wrapping_add(asked.into()));
            asked += 1;
        }
    }

    /// One whole answer, through transient failures.
    async fn answer(&self, request: &ChatRequest) -> Result<String, JudgeError> {
        let mut attempt = 1;
        loop {
            let failure = match self.attempt(request).await {
                Ok(words) => return Ok(words),
                Err(failure) => failure,
            };
            let pause = self.pause(&failure, attempt);
            let Some(pause) = pause.filter(|_| attempt < self.settings.attempts) else {
                return Err(self.error(failure, attempt));
            };
            tracing::info!(
                judge = self.name(),
                attempt,
                ?pause,
                ?failure,
                "judge is tried again"
            );
            // The permit is free meanwhile.
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, request: &ChatRequest) -> Result<String, Failure> {
        // It is never closed; were it, no limit would be no harm.
        let _permit = self.permits.acquire().await.ok();
        let cancel = CancellationToken::new();
        // Also when this future is dropped: nobody waits for the answer then.
        let _guard = cancel.clone().drop_guard();
        let reading = read(self.policy.as_ref(), request, cancel);
        match tokio::time::timeout(self.settings.timeout(), reading).await {
            Ok(answer) => answer.map_err(Failure::Policy),
            Err(_) => Err(Failure::TimedOut),
        }
    }

    /// How long to wait before another attempt; nothing if it would not help.
    fn pause(&self, failure: &Failure, attempt: u32) -> Option<Duration> {
        let asked_for = match failure {
            Failure::TimedOut => None,
            Failure::Policy(PolicyError::Transient { retry_after, .. }) => *retry_after,
            Failure::Policy(_) => return None,
        };
        // Jitter keeps many samples from asking in step.
        let jitter = rand::rng().random_range(0.75..1.25);
        let pause = self
            .settings
            .pause(attempt, jitter)
            .max(asked_for.unwrap_or_default());
        (pause <= self.settings.longest_pause()).then_some(pause)
    }

    fn error(&self, failure: Failure, attempts: u32) -> JudgeError {
        let judge = self.name().to_owned();
        match failure {
            Failure::TimedOut => JudgeError::TimedOut {
                judge,
                limit_s: self.settings.timeout_s,
                attempts,
            },
            Failure::Policy(source @ PolicyError::Permanent { .. }) => {
                JudgeError::Refused { judge, source }
            }
            Failure::Policy(source) => JudgeError::Unavailable {
                judge,
                attempts,
                source,
            },
        }
    }
}

#[derive(Debug)]
enum Failure {
    TimedOut,
    Policy(PolicyError),
}

/// The answer up to its end, or up to the limit of what is read.
async fn read(
    policy: &dyn Policy,
    request: &ChatRequest,
    cancel: CancellationToken,
) -> Result<String, PolicyError> {
    let mut stream = policy.stream(request.clone(), cancel);
    let mut words = String::new();
    while let Some(delta) = stream.next().await {
        match delta? {
            Delta::Text(text) => words += &text,
            Delta::Finished { .. } => return Ok(words),
        }
        if words.len() >= LONGEST_ANSWER {
            return Ok(words);
        }
    }
    Err(PolicyError::Transient {
        code: "policy_broke_off",
        message: "the answer ended without its last piece".into(),
        retry_after: None,
    })
}
