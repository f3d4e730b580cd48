//! The blocks on the page, in step with the live document.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use leptos::prelude::*;

use super::Session;
use crate::state::live::{BlockKey, LiveBlock, LiveDocument, LiveImage};

/// What one block shows.
#[derive(Clone, Debug, PartialEq)]
pub enum BlockView {
    Text(Vec<Arc<str>>),
    Image(Box<LiveImage>),
}

/// A block's place on the page.
#[derive(Clone)]
pub struct Cell {
    pub key: BlockKey,
    pub view: ArcRwSignal<BlockView>,
    revision: u32,
    identity: usize,
}

static NEXT_CELL: AtomicUsize = AtomicUsize::new(0);

impl Cell {
    fn new(block: &LiveBlock) -> Self {
        Self {
            key: block.key(),
            view: ArcRwSignal::new(face(block)),
            revision: block.revision(),
            identity: NEXT_CELL.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Different for every cell ever made.
    pub const fn identity(&self) -> usize {
        self.identity
    }
}

impl Session {
    /// Brings the cells in step with the live document; only what changed is
    /// touched.
    pub(super) fn show(self) {
        if self.is_gone() {
            return;
        }
        let attempt = self.live.with_value(LiveDocument::attempt);
        let afresh = self.attempt.get_value() != attempt;
        self.attempt.set_value(attempt);
        let old = if afresh {
            Vec::new()
        } else {
            self.cells.get_untracked()
        };
        let mut changed = Vec::new();
        let new: Vec<Cell> = self.live.with_value(|live| {
            let cell = |block: &LiveBlock| {
                let before = old.iter().find(|cell| cell.key == block.key());
                let Some(before) = before else {
                    return Cell::new(block);
                };
                if before.revision != block.revision() {
                    changed.push((before.view.clone(), face(block)));
                }
                Cell {
                    revision: block.revision(),
                    ..before.clone()
                }
            };
            live.blocks.iter().map(cell).collect()
        });
        for (view, face) in changed {
            view.set(face);
        }
        let same = |(a, b): (&Cell, &Cell)| a.key == b.key;
        if !afresh && new.len() == old.len() && new.iter().zip(&old).all(same) {
            self.cells.update_untracked(|cells| *cells = new);
        } else {
            self.cells.set(new);
        }
        self.pulse.update(|pulse| *pulse += 1);
    }
}

fn face(block: &LiveBlock) -> BlockView {
    match block {
        LiveBlock::Text { flow, .. } => BlockView::Text(flow.pieces()),
        LiveBlock::Image(image) => BlockView::Image(Box::new(image.clone())),
    }
}
