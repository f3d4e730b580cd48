//! Several candidates, the best of which is drawn (`options.samples`).
//!
//! The texts are written one after the other without drawing anything, judged
//! by a rule, and the best is then composed as if it were just being written.
//! The rule, in this order: the text came to its end; fewest tags that are no
//! valid call; most calls that can run here; the earlier one.

use std::collections::HashSet;

use futures::{StreamExt, stream};
use illumine_types::EventKind;
use illumine_types::document::Usage;
use illumine_types::event::LogLevel;
use illumine_types::tag::{TagEvent, validate_index, write_tag};

use super::write::{Interruption, Writing, Written};
use super::{Agent, GenerationInput};
use crate::error::AgentError;
use crate::events::Events;
use crate::policy::{ChatRequest, Delta, DeltaStream, FinishReason};

/// Greedy candidates would all be the same.
const TEMPERATURE: f32 = 0.8;

struct Candidate {
    text: Vec<String>,
    written: Written,
    score: Score,
}

/// Greater is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    whole: bool,
    invalid: std::cmp::Reverse<usize>,
    runnable: usize,
}

impl Agent {
    /// The text to compose: the policy's stream itself, or the best of several
    /// candidates once all are written.
    pub(super) async fn deltas(
        &self,
        input: &GenerationInput,
        request: ChatRequest,
        writing: &Writing<'_>,
        events: &Events,
    ) -> Result<DeltaStream, AgentError> {
        let samples = input.options.samples.unwrap_or(1).clamp(1, 8);
        if samples == 1 {
            return Ok(self.policy.stream(request, writing.cancel.child_token()));
        }
        let mut usage = Usage::default();
        let mut best: Option<Candidate> = None;
        let mut failure = None;
        for number in 0..samples {
            if writing.cancel.is_cancelled() {
                break;
            }
            let mut request = request.clone();
            request.temperature = request.temperature.or(Some(TEMPERATURE));
            request.seed = request.seed.map(|seed| seed.wrapping_add(number.into()));
            let candidate = match self.candidate(input, request, writing).await {
                Ok(candidate) => candidate,
                Err(error) => {
                    failure = Some(error);
                    continue;
                }
            };
            usage.prompt_tokens += candidate.written.usage.prompt_tokens;
            usage.completion_tokens += candidate.written.usage.completion_tokens;
            events.send(EventKind::Log {
                level: LogLevel::Info,
                message: format!(
                    "candidate {} of {samples}: {} pictures that can be drawn, {} invalid tags",
                    number + 1,
                    candidate.score.runnable,
                    candidate.score.invalid.0
                ),
            });
            if best
                .as_ref()
                .is_none_or(|best| candidate.score > best.score)
            {
                best = Some(candidate);
            }
        }
        match (best, failure) {
            (Some(best), _) => Ok(replay(best, usage)),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(stream::empty().boxed()),
        }
    }

    async fn candidate(
        &self,
        input: &GenerationInput,
        request: ChatRequest,
        writing: &Writing<'_>,
    ) -> Result<Candidate, AgentError> {
        let usable: HashSet<_> = self.usable_tools(&input.options).into_iter().collect();
        let stream = self.policy.stream(request, writing.cancel.child_token());
        let mut text = Vec::new();
        let (mut images, mut invalid, mut runnable) = (input.inputs.len(), 0, 0);
        let written =
            writing
                .read(stream, |event| match event {
                    TagEvent::Text(delta) => text.push(delta),
                    TagEvent::Tag { raw, call } => {
                        match &call {
                            Ok(call) if validate_index(call, images).is_ok() => {
                                runnable += usize::from(usable.contains(&call.kind()));
                            }
                            _ => invalid += 1,
                        }
                        images += 1;
                        text.push(call.map_or_else(
                            |_| format!("<imgen>{raw}</imgen>"),
                            |call| write_tag(&call),
                        ));
                    }
                })
                .await?;
        let score = Score {
            whole: written.interruption.is_none(),
            invalid: std::cmp::Reverse(invalid),
            runnable,
        };
        Ok(Candidate {
            text,
            written,
            score,
        })
    }
}

/// The candidate as a stream.
fn replay(candidate: Candidate, usage: Usage) -> DeltaStream {
    let end = match candidate.written.interruption {
        None | Some(Interruption::Empty) => Ok(FinishReason::Stop),
        Some(Interruption::Length | Interruption::Size(_)) => Ok(FinishReason::Length),
        Some(Interruption::Failed(error)) => Err(error),
        Some(Interruption::Cancelled) => Err(crate::policy::PolicyError::Cancelled),
    };
    let pieces = candidate.text.into_iter().map(|text| Ok(Delta::Text(text)));
    let end = end.map(|reason| Delta::Finished { reason, usage });
    stream::iter(pieces.chain([end])).boxed()
}
