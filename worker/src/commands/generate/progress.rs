//! What happens, in lines on standard error.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use illumine_agent::EventSink;
use illumine_types::{Document, EventKind, Outcome};

/// Tells a person how far the document is.
pub(super) struct Progress {
    started: Instant,
    /// When each picture was begun.
    begun: Mutex<HashMap<usize, Instant>>,
}

impl Progress {
    pub(super) fn start() -> Self {
        eprintln!("writing …");
        Self {
            started: Instant::now(),
            begun: Mutex::default(),
        }
    }

    fn line(&self, index: usize, words: &str) {
        let at = self.started.elapsed().as_secs_f64();
        eprintln!("{at:7.1} s  picture {index}: {}", plain(words));
    }

    pub(super) fn end(&self, document: &Document, file: &Path) {
        if let Some(problem) = &document.interruption {
            eprintln!("{}", plain(&problem.to_string()));
        }
        let ready = document
            .images()
            .filter(|image| matches!(image.outcome, Outcome::Ready { .. }));
        eprintln!(
            "{}: {} of {} pictures, {:.1} s",
            file.display(),
            ready.count(),
            document.images().count(),
            self.started.elapsed().as_secs_f64()
        );
    }
}

#[async_trait]
impl EventSink for Progress {
    async fn emit(&self, event: EventKind) {
        match event {
            EventKind::ToolStarted {
                index,
                call: Some(call),
                ..
            } => {
                self.begun
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(index, Instant::now());
                self.line(index, &format!("{} · {}", call.kind(), call.description));
            }
            EventKind::ToolFinished { index, outcome } => match outcome {
                Outcome::Ready { provenance, .. } => {
                    let begun = self
                        .begun
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .remove(&index);
                    let took = begun.map_or(0.0, |begun| begun.elapsed().as_secs_f64());
                    self.line(
                        index,
                        &format!("ready after {took:.1} s ({})", provenance.backend),
                    );
                }
                Outcome::Failed { reason, .. } => self.line(index, &format!("failed: {reason}")),
                Outcome::Pending => {}
            },
            EventKind::Log { message, .. } => eprintln!("{}", plain(&message)),
            _ => {}
        }
    }
}

/// Model-written words must not steer the terminal.
fn plain(words: &str) -> String {
    words
        .chars()
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect()
}
