//! What the header says of a document in the making.

use illumine_types::Outcome;

use super::{LiveDocument, Phase};
use crate::state::time::{duration, rough_duration};

/// After this long without a word, the text is taken to be written.
const QUIET_MS: i64 = 1_500;

/// How the line is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Waiting,
    Writing,
    Drawing,
    Done,
    Failed,
}

impl Tone {
    pub const fn class(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Writing => "writing",
            Self::Drawing => "drawing",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// The state in words. `elapsed` changes every second and is not announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headline {
    pub tone: Tone,
    pub words: String,
    pub elapsed: Option<String>,
}

impl LiveDocument {
    /// The state in words at `now_ms` of the server's clock.
    pub fn headline(&self, now_ms: i64) -> Headline {
        let plain = |tone, words: &str| Headline {
            tone,
            words: words.to_owned(),
            elapsed: None,
        };
        match &self.phase {
            Phase::Unknown => plain(Tone::Waiting, "Opening"),
            Phase::Queued { position, eta_s } => plain(Tone::Waiting, &queued(*position, *eta_s)),
            Phase::Retrying { .. } => plain(Tone::Waiting, "Starting again soon"),
            Phase::Cancelled => plain(Tone::Failed, "Cancelled"),
            Phase::Failed(problem) => plain(Tone::Failed, &problem.title),
            Phase::Succeeded => {
                let words = match self.total_ms {
                    Some(ms) => format!("Done in {}", duration(ms)),
                    None => "Done".to_owned(),
                };
                let pending = self.images().filter(|image| image.is_pending()).count();
                match pending {
                    0 => plain(Tone::Done, &words),
                    _ => plain(Tone::Drawing, "Drawing again"),
                }
            }
            Phase::Running => self.running(now_ms),
        }
    }

    fn running(&self, now_ms: i64) -> Headline {
        let total = self.images().count();
        let pending = self.images().filter(|image| image.is_pending()).count();
        let quiet = self
            .last_text_ms
            .is_none_or(|last| now_ms - last > QUIET_MS);
        let drawing = format!("drawing {} of {total}", total - pending + 1);
        let (tone, words) = match (pending, quiet) {
            (0, _) => (Tone::Writing, "Writing".to_owned()),
            (_, false) => (Tone::Drawing, format!("Writing, {drawing}")),
            (_, true) => (Tone::Drawing, capitalised(&drawing)),
        };
        let elapsed = self
            .started_ms
            .and_then(|from| u64::try_from(now_ms - from).ok())
            .map(|ms| duration(ms / 1_000 * 1_000));
        Headline {
            tone,
            words,
            elapsed,
        }
    }

    /// How many pictures are there, and how many could not be drawn.
    pub fn picture_counts(&self) -> (usize, usize) {
        let failed = self
            .images()
            .filter(|image| matches!(image.block.outcome, Outcome::Failed { .. }));
        let ready = self
            .images()
            .filter(|image| matches!(image.block.outcome, Outcome::Ready { .. }));
        (ready.count(), failed.count())
    }
}

fn queued(position: Option<u64>, eta_s: Option<f64>) -> String {
    let place = match position {
        None => "Queued".to_owned(),
        Some(0) => "Queued, next in line".to_owned(),
        Some(1) => "Queued, 1 ahead".to_owned(),
        Some(ahead) => format!("Queued, {ahead} ahead"),
    };
    match eta_s.filter(|s| s.is_finite() && *s >= 1.0) {
        Some(seconds) => format!("{place}, starts in about {}", rough_duration(seconds)),
        None => place,
    }
}

fn capitalised(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
