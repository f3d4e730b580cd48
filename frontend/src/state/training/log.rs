//! What happened to a run, line by line.

use illumine_types::event::LogLevel;
use illumine_types::{Event, EventKind};

/// Older lines are let go of.
const MOST_LINES: usize = 2_000;

#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// The event's, so that a replayed one is known.
    pub id: String,
    pub at: illumine_types::Timestamp,
    pub level: LogLevel,
    pub words: String,
}

impl LogLine {
    /// Nothing for events that are shown elsewhere.
    pub fn of(event: &Event) -> Option<Self> {
        let (level, words) = match &event.kind {
            EventKind::Log { level, message } => (*level, message.clone()),
            EventKind::Started { worker } => {
                let words = format!("Attempt {} started on {}.", event.attempt, worker.host);
                (LogLevel::Info, words)
            }
            EventKind::Retrying { error, in_s } => {
                let words = format!("{error} It starts again in {in_s:.0} s.");
                (LogLevel::Warning, words)
            }
            EventKind::Completed => (LogLevel::Info, "The run is done.".to_owned()),
            EventKind::Failed { error } => (LogLevel::Error, error.to_string()),
            EventKind::Cancelled => (LogLevel::Info, "The run was stopped.".to_owned()),
            _ => return None,
        };
        Some(Self {
            id: event.id.clone(),
            at: event.at,
            level,
            words,
        })
    }
}

/// Adds a line at the end.
pub fn push(lines: &mut Vec<LogLine>, line: LogLine) {
    lines.push(line);
    let surplus = lines.len().saturating_sub(MOST_LINES);
    lines.drain(..surplus);
}

pub const fn level_name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Info => "info",
        LogLevel::Warning => "warning",
        LogLevel::Error => "error",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn line(kind: Value) -> Option<LogLine> {
        let mut event = json!({"id": "1-1", "at": "2026-01-01T00:00:00Z", "attempt": 2});
        let fields = kind.as_object().cloned().unwrap();
        event.as_object_mut().unwrap().extend(fields);
        LogLine::of(&serde_json::from_value(event).unwrap())
    }

    #[test]
    fn what_happens_is_told_in_words() {
        let started = json!({"type": "started", "worker": {"id": "w", "host": "gpu-1", "pid": 7}});
        assert_eq!(line(started).unwrap().words, "Attempt 2 started on gpu-1.");
        let warning = json!({"type": "log", "level": "warning", "message": "a judge is slow"});
        assert_eq!(line(warning).unwrap().level, LogLevel::Warning);
        assert_eq!(line(json!({"type": "metrics", "values": {}})), None);
    }

    #[test]
    fn old_lines_are_let_go_of() {
        let mut lines = Vec::new();
        let last = line(json!({"type": "completed"})).unwrap();
        for _ in 0..MOST_LINES + 5 {
            push(&mut lines, last.clone());
        }
        assert_eq!(lines.len(), MOST_LINES);
    }
}
