//! An answer that is written already, as a policy: what draws and checks its tags is then
//! the agent, as for any other.

use futures::StreamExt;
use futures::stream;
use illumine_types::document::Usage;
use tokio_util::sync::CancellationToken;

use super::{ChatRequest, Delta, DeltaStream, FinishReason, Policy};

/// Says the answer that it was given, whatever it is asked.
#[derive(Clone, Debug)]
pub struct GivenAnswer(String);

impl GivenAnswer {
    /// `answer` as its writer wrote it, thinking and tags included.
    pub fn new(answer: impl Into<String>) -> Self {
        Self(answer.into())
    }
}

impl Policy for GivenAnswer {
    fn name(&self) -> &str {
        "given"
    }

    fn summary(&self) -> String {
        "an answer that was written elsewhere".into()
    }

    fn vision(&self) -> bool {
        false
    }

    fn stream(&self, _: ChatRequest, _: CancellationToken) -> DeltaStream {
        let said = [
            Ok(Delta::Text(self.0.clone())),
            Ok(Delta::Finished {
                reason: FinishReason::Stop,
                usage: Usage::default(),
            }),
        ];
        stream::iter(said).boxed()
    }
}
