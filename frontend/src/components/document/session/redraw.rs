//! Pictures that are being drawn again.

use std::time::Duration;

use illumine_types::api::RedrawRequest;
use illumine_types::document::ImageBlock;
use illumine_types::{Event, EventKind};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::Session;
use crate::api::{self, EventStream};

/// A picture that is being drawn again.
#[derive(Clone)]
pub(super) struct Redraw {
    pub(super) index: usize,
    pub(super) since_ms: i64,
    pub(super) stream: EventStream,
}

impl Session {
    /// Draws a picture again: a job of its own, followed by its own events.
    pub fn redraw(self, index: usize, request: RedrawRequest) {
        let Some(image) = untrack(|| self.image(index)) else {
            return;
        };
        let before = image.block;
        let since_ms = api::server_now_ms();
        self.live.update_value(|live| live.redraw(index, since_ms));
        self.show();
        spawn_local(async move {
            let answer = api::redraw(&self.id(), index, &request).await;
            if self.is_gone() {
                return;
            }
            let job = match answer {
                Ok(accepted) => accepted.id,
                Err(error) => return self.give_up_redraw(before, error.to_string()),
            };
            let undo = before.clone();
            let on_event = move |event: Event| self.redraw_event(index, &undo, event.kind);
            let stream = EventStream::open(job.as_str(), on_event, |_| {});
            self.redraws.update_value(|all| {
                all.push(Redraw {
                    index,
                    since_ms,
                    stream,
                });
            });
        });
    }

    fn redraw_event(self, index: usize, before: &ImageBlock, event: EventKind) {
        if self.is_gone() {
            return;
        }
        match event {
            EventKind::ToolProgress {
                fraction, preview, ..
            } => {
                self.live.update_value(|live| {
                    live.redraw_progress(index, fraction, preview.as_deref());
                });
                self.show();
            }
            EventKind::Completed => {
                self.forget_redraw(index);
                spawn_local(async move {
                    self.load_document().await;
                });
            }
            EventKind::Failed { error } => {
                self.forget_redraw(index);
                self.give_up_redraw(before.clone(), error.detail);
            }
            EventKind::Cancelled => {
                self.forget_redraw(index);
                self.give_up_redraw(before.clone(), "Drawing again was cancelled.".into());
            }
            _ => {}
        }
    }

    fn forget_redraw(self, index: usize) {
        let done = self.redraws.try_update_value(|all| {
            let at = all.iter().position(|redraw| redraw.index == index)?;
            Some(all.swap_remove(at))
        });
        if let Some(Some(redraw)) = done {
            redraw.stream.close();
            // One of its listeners is running now: let go of them afterwards.
            set_timeout(move || drop(redraw), Duration::ZERO);
        }
    }

    fn give_up_redraw(self, before: ImageBlock, reason: String) {
        self.live
            .update_value(|live| live.restore(before, Some(reason)));
        self.show();
    }
}
