//! Reading a policy's stream to its end, whatever that end is.

use futures::StreamExt;
use illumine_types::Problem;
use illumine_types::document::Usage;
use illumine_types::tag::{Limits, TagEvent, TagReader};
use tokio_util::sync::CancellationToken;

use crate::error::AgentError;
use crate::policy::{Delta, DeltaStream, FinishReason, PolicyError};

/// Why a document is not all that was asked for.
#[derive(Clone, Debug)]
pub(super) enum Interruption {
    Cancelled,
    /// The policy met its token limit.
    Length,
    /// The document met its size limit, in bytes.
    Size(usize),
    Failed(PolicyError),
    /// The policy ended without a word.
    Empty,
}

impl Interruption {
    pub(super) fn problem(&self) -> Problem {
        match self {
            Self::Cancelled => Problem::new(
                "cancelled",
                "The document was cancelled",
                "It holds what was done until then.",
            ),
            Self::Length => Problem::new(
                "length_limit",
                "The text was cut off",
                "The policy reached its limit of tokens before it was done; a higher \
                 `max_tokens` allows for more.",
            ),
            Self::Size(bytes) => Problem::new(
                "output_limit",
                "The text was cut off",
                format!("The policy wrote more than the {bytes} bytes that a document may have."),
            ),
            Self::Failed(error) => Problem::new(
                error.code(),
                "The policy broke off",
                format!("The text ends here because {error}."),
            ),
            Self::Empty => Problem::new(
                "empty_document",
                "The policy wrote nothing",
                "It ended its answer without a word; another try or another prompt may help.",
            ),
        }
    }
}

/// What came of reading.
#[derive(Clone, Debug, Default)]
pub(super) struct Written {
    pub(super) usage: Usage,
    pub(super) interruption: Option<Interruption>,
}

/// How a stream is read.
pub(super) struct Writing<'a> {
    pub(super) tag_limits: Limits,
    pub(super) max_bytes: usize,
    pub(super) cancel: &'a CancellationToken,
}

impl Writing<'_> {
    /// Hands on what the tag reader makes of the stream.
    ///
    /// # Errors
    /// [`AgentError::Policy`] if the policy failed before its first word.
    pub(super) async fn read(
        &self,
        mut stream: DeltaStream,
        mut take: impl FnMut(TagEvent),
    ) -> Result<Written, AgentError> {
        let mut reader = TagReader::new(self.tag_limits);
        let mut written = Written::default();
        let mut bytes = 0;
        loop {
            let next = tokio::select! {
                biased;
                () = self.cancel.cancelled() => Some(Err(PolicyError::Cancelled)),
                next = stream.next() => next,
            };
            match next {
                Some(Ok(Delta::Text(text))) => {
                    let room = self.max_bytes - bytes;
                    let fitting = text.floor_char_boundary(room);
                    bytes += fitting;
                    reader
                        .push(&text[..fitting])
                        .into_iter()
                        .for_each(&mut take);
                    if fitting < text.len() {
                        written.interruption = Some(Interruption::Size(self.max_bytes));
                        break;
                    }
                }
                Some(Ok(Delta::Finished { reason, usage })) => {
                    written.usage = usage;
                    if reason == FinishReason::Length {
                        written.interruption = Some(Interruption::Length);
                    }
                    break;
                }
                Some(Err(PolicyError::Cancelled)) => {
                    written.interruption = Some(Interruption::Cancelled);
                    break;
                }
                Some(Err(error)) if bytes == 0 => return Err(error.into()),
                Some(Err(error)) => {
                    written.interruption = Some(Interruption::Failed(error));
                    break;
                }
                None => {
                    let error = PolicyError::Transient {
                        code: "policy_broke_off",
                        message: "the policy's answer ended without a word".into(),
                        retry_after: None,
                    };
                    if bytes == 0 {
                        return Err(error.into());
                    }
                    written.interruption = Some(Interruption::Failed(error));
                    break;
                }
            }
        }
        // Nobody reads on: the policy may stop working.
        drop(stream);
        reader.finish().into_iter().for_each(&mut take);
        Ok(written)
    }
}
