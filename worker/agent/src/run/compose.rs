//! The document's blocks, as text and tags come in.

use std::collections::BTreeMap;

use illumine_types::document::ImageBlock;
use illumine_types::tag::{TagError, TagEvent, validate_index};
use illumine_types::tool::ToolStats;
use illumine_types::{Block, EventKind, Outcome, ToolCall};

use crate::events::Events;
use crate::scheduler::Scheduler;

/// Puts blocks in order and starts calls.
pub(super) struct Composer {
    scheduler: Scheduler,
    events: Events,
    max_images: usize,
    blocks: Vec<Block>,
}

/// A document's body.
pub(super) struct Composed {
    pub(super) blocks: Vec<Block>,
    pub(super) stats: ToolStats,
}

impl Composer {
    pub(super) const fn new(scheduler: Scheduler, events: Events, max_images: usize) -> Self {
        Self {
            scheduler,
            events,
            max_images,
            blocks: Vec::new(),
        }
    }

    pub(super) fn take(&mut self, event: TagEvent) {
        match event {
            TagEvent::Text(delta) => self.text(delta),
            TagEvent::Tag { raw, call } => self.tag(raw, call),
        }
    }

    fn text(&mut self, delta: String) {
        match self.blocks.last_mut() {
            Some(Block::Text { markdown }) => markdown.push_str(&delta),
            _ => self.blocks.push(Block::Text {
                markdown: delta.clone(),
            }),
        }
        self.events.send(EventKind::Text { delta });
    }

    fn tag(&mut self, raw: String, call: Result<ToolCall, TagError>) {
        let index = self.scheduler.images();
        let call = call.and_then(|call| validate_index(&call, index).map(|()| call));
        let (call, fault) = match call {
            Ok(call) => (Some(call), None),
            Err(error) => (None, Some(error)),
        };
        self.events.send(EventKind::ToolStarted {
            index,
            call: call.clone(),
            raw: raw.clone(),
        });
        self.blocks.push(Block::Image(ImageBlock {
            index,
            call: call.clone(),
            raw,
            outcome: Outcome::Pending,
        }));
        match call {
            None => self.scheduler.fail(Outcome::Failed {
                code: "invalid_tag".into(),
                reason: fault.map(|fault| fault.to_string()).unwrap_or_default(),
            }),
            Some(_) if index >= self.max_images => self.scheduler.fail(Outcome::Failed {
                code: "too_many_images".into(),
                reason: "The document has as many pictures as it may have.".into(),
            }),
            Some(call) => self.scheduler.start(call),
        }
    }

    /// Waits for the pictures.
    pub(super) async fn finish(self) -> Composed {
        let outcomes = self.scheduler.finish().await;
        let mut blocks = self.blocks;
        settle(&mut blocks, outcomes);
        blocks.retain(|block| match block {
            Block::Text { markdown } => !markdown.trim().is_empty(),
            Block::Image(_) => true,
        });
        let stats = stats(&blocks);
        Composed { blocks, stats }
    }
}

fn settle(blocks: &mut [Block], mut outcomes: BTreeMap<usize, Outcome>) {
    for block in blocks {
        if let Block::Image(image) = block {
            image.outcome = outcomes.remove(&image.index).unwrap_or(Outcome::Failed {
                code: "cancelled".into(),
                reason: "The job ended before the picture was done.".into(),
            });
        }
    }
}

/// Attempts and successes by tool.
pub(super) fn stats(blocks: &[Block]) -> ToolStats {
    let mut stats = ToolStats::default();
    for block in blocks {
        let Block::Image(image) = block else { continue };
        let Some(call) = &image.call else {
            stats.invalid += 1;
            continue;
        };
        let count = stats.count_mut(call.kind());
        count.attempted += 1;
        count.succeeded += u32::from(matches!(image.outcome, Outcome::Ready { .. }));
    }
    stats
}
