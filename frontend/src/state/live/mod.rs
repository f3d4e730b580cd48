//! A document while it is made: a reducer from events.
//!
//! Applying the same event twice changes nothing, so that a stream may be
//! replayed after a lost connection without a jump.

mod block;
mod headline;
#[cfg(test)]
mod tests;

pub use block::{BlockKey, LiveBlock, LiveImage};
pub use headline::Headline;

use illumine_types::document::ImageBlock;
use illumine_types::event::LogLevel;
use illumine_types::{Block, Document, Event, EventKind, Job, JobState, Outcome, Problem};

use crate::markdown::TextFlow;

/// How far a document is.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Phase {
    /// Nothing is known yet.
    #[default]
    Unknown,
    Queued {
        position: Option<u64>,
        eta_s: Option<f64>,
    },
    Running,
    /// An attempt failed for a passing reason; another will start.
    Retrying {
        error: Problem,
    },
    Succeeded,
    Failed(Problem),
    Cancelled,
}

impl Phase {
    /// Nothing more will happen unless someone asks for it.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed(_) | Self::Cancelled)
    }
}

/// A document as far as it is made. Times are milliseconds of the server's clock.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveDocument {
    pub phase: Phase,
    pub blocks: Vec<LiveBlock>,
    /// What went otherwise than the reader may think, in words.
    pub remarks: Vec<String>,
    pub started_ms: Option<i64>,
    pub last_text_ms: Option<i64>,
    /// Wall time of a finished document.
    pub total_ms: Option<u64>,
    attempt: u32,
    last_event: Option<(u64, u64)>,
}

impl LiveDocument {
    /// Takes one event. Answers whether it was new.
    pub fn apply(&mut self, event: &Event) -> bool {
        let position = event_position(&event.id);
        if position.is_some() && position <= self.last_event {
            return false;
        }
        self.last_event = position.or(self.last_event);
        // An earlier attempt's worker may still be talking.
        if event.attempt < self.attempt {
            return false;
        }
        let at_ms = event.at.timestamp_millis();
        match &event.kind {
            EventKind::Queued { position, eta_s } => {
                self.phase = Phase::Queued {
                    position: Some(*position),
                    eta_s: *eta_s,
                };
            }
            EventKind::Started { .. } => self.start(event.attempt, at_ms),
            EventKind::Text { delta } => {
                self.last_text_ms = Some(at_ms);
                self.push_text(delta);
            }
            EventKind::ToolStarted { index, call, raw } => {
                let block = ImageBlock {
                    index: *index,
                    call: call.clone(),
                    raw: raw.clone(),
                    outcome: Outcome::Pending,
                };
                self.put_image(LiveImage::pending(block, at_ms));
            }
            EventKind::ToolProgress {
                index,
                fraction,
                preview,
            } => {
                if let Some(image) = self.image_mut(*index) {
                    image.advance(*fraction, preview.as_deref());
                }
            }
            EventKind::ToolFinished { index, outcome } => {
                if let Some(image) = self.image_mut(*index) {
                    image.finish(outcome.clone());
                }
            }
            EventKind::Log { level, message } => {
                if *level != LogLevel::Info && !self.remarks.contains(message) {
                    self.remarks.push(message.clone());
                }
            }
            EventKind::Metrics { .. } | EventKind::Scored { .. } => {}
            EventKind::Retrying { error, .. } => {
                self.phase = Phase::Retrying {
                    error: error.clone(),
                };
            }
            EventKind::Completed => self.end(Phase::Succeeded, at_ms),
            EventKind::Failed { error } => self.end(Phase::Failed(error.clone()), at_ms),
            EventKind::Cancelled => self.end(Phase::Cancelled, at_ms),
        }
        true
    }

    /// Takes what the job's record says, where it says more than the events.
    pub fn note_job(&mut self, job: &Job) {
        self.started_ms = self
            .started_ms
            .or(job.started_at.map(|at| at.timestamp_millis()));
        if self.total_ms.is_none()
            && let (Some(from), Some(to)) = (job.started_at, job.finished_at)
        {
            self.total_ms = u64::try_from((to - from).num_milliseconds()).ok();
        }
        let phase = match job.status {
            JobState::Queued => Phase::Queued {
                position: job.position,
                eta_s: job.eta_s,
            },
            JobState::Running => Phase::Running,
            JobState::Retrying => Phase::Retrying {
                error: job.error.clone().unwrap_or_else(unexplained),
            },
            JobState::Succeeded => Phase::Succeeded,
            JobState::Failed => Phase::Failed(job.error.clone().unwrap_or_else(unexplained)),
            JobState::Cancelled => Phase::Cancelled,
        };
        // A record read before the last events must not turn time back.
        let forward = match (&self.phase, &phase) {
            (Phase::Unknown | Phase::Queued { .. }, _) => true,
            (_, new) => new.is_final(),
        };
        if forward {
            self.phase = phase;
        }
    }

    /// Takes the stored document, which is the last word on every block. What
    /// is shown already and has not changed stays as it is.
    pub fn note_document(&mut self, document: &Document) {
        self.remarks.clone_from(&document.remarks);
        let mut old = std::mem::take(&mut self.blocks);
        for block in &document.blocks {
            match block {
                Block::Text { markdown } => {
                    let key = BlockKey::Text(self.images().count());
                    let at = old.iter().position(|block| block.key() == key);
                    match at.map(|at| old.swap_remove(at)) {
                        Some(same) if same.is_text(markdown) => self.blocks.push(same),
                        other => {
                            let revision = other.map_or(0, |block| block.revision() + 1);
                            self.blocks.push(LiveBlock::Text {
                                flow: TextFlow::new(markdown),
                                after_images: self.images().count(),
                                revision,
                            });
                        }
                    }
                }
                Block::Image(image) => {
                    let key = BlockKey::Image(image.index);
                    let at = old.iter().position(|block| block.key() == key);
                    match at.map(|at| old.swap_remove(at)) {
                        Some(LiveBlock::Image(same)) if same.block == *image => {
                            self.blocks.push(LiveBlock::Image(same));
                        }
                        other => {
                            let mut fresh = LiveImage::settled(image.clone());
                            fresh.revision = other.map_or(0, |block| block.revision() + 1);
                            self.blocks.push(LiveBlock::Image(fresh));
                        }
                    }
                }
            }
        }
        if document.timings.total_ms > 0 {
            self.total_ms = Some(document.timings.total_ms);
        }
    }

    /// Which attempt this is, from 1; 0 before the first.
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The job was queued again; what is shown stays until it starts.
    pub fn ask_again(&mut self) {
        self.phase = Phase::Queued {
            position: None,
            eta_s: None,
        };
        self.total_ms = None;
    }

    /// Shows a picture as being drawn again.
    pub fn redraw(&mut self, index: usize, now_ms: i64) {
        if let Some(image) = self.image_mut(index) {
            image.restart(now_ms);
        }
    }

    /// How far a picture's redrawing is.
    pub fn redraw_progress(&mut self, index: usize, fraction: f32, preview: Option<&str>) {
        if let Some(image) = self.image_mut(index) {
            image.advance(fraction, preview);
        }
    }

    /// Puts a picture back as it was before it was asked for again, with the
    /// reason under it.
    pub fn restore(&mut self, block: ImageBlock, reason: Option<String>) {
        if let Some(image) = self.image_mut(block.index) {
            let revision = image.revision + 1;
            *image = LiveImage::settled(block);
            image.note = reason;
            image.revision = revision;
        }
    }

    /// The image blocks, in order.
    pub fn images(&self) -> impl Iterator<Item = &LiveImage> {
        self.blocks.iter().filter_map(LiveBlock::as_image)
    }

    pub fn image(&self, index: usize) -> Option<&LiveImage> {
        self.images().find(|image| image.block.index == index)
    }

    fn image_mut(&mut self, index: usize) -> Option<&mut LiveImage> {
        self.blocks.iter_mut().find_map(|block| match block {
            LiveBlock::Image(image) if image.block.index == index => Some(image),
            _ => None,
        })
    }

    fn start(&mut self, attempt: u32, at_ms: i64) {
        if attempt != self.attempt {
            self.blocks.clear();
            self.remarks.clear();
            self.last_text_ms = None;
        }
        self.attempt = attempt;
        self.total_ms = None;
        self.started_ms = Some(at_ms);
        self.phase = Phase::Running;
    }

    fn push_text(&mut self, delta: &str) {
        if let Some(LiveBlock::Text { flow, revision, .. }) = self.blocks.last_mut() {
            flow.push(delta);
            *revision += 1;
            return;
        }
        self.blocks.push(LiveBlock::Text {
            flow: TextFlow::new(delta),
            after_images: self.images().count(),
            revision: 0,
        });
    }

    fn put_image(&mut self, mut image: LiveImage) {
        match self.image_mut(image.block.index) {
            Some(place) => {
                image.revision = place.revision + 1;
                *place = image;
            }
            None => self.blocks.push(LiveBlock::Image(image)),
        }
    }

    fn end(&mut self, phase: Phase, at_ms: i64) {
        self.total_ms = self
            .started_ms
            .and_then(|from| u64::try_from(at_ms - from).ok());
        self.phase = phase;
    }
}

fn unexplained() -> Problem {
    Problem::new(
        "unexplained",
        "Something went wrong",
        "The server gave no reason.",
    )
}

/// `milliseconds-counter` as numbers, so that 9-10 comes after 9-9.
pub fn event_position(id: &str) -> Option<(u64, u64)> {
    let (ms, counter) = id.split_once('-')?;
    Some((ms.parse().ok()?, counter.parse().ok()?))
}
