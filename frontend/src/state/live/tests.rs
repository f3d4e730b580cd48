use chrono::DateTime;
use illumine_types::document::{ImageBlock, ImageRef, Provenance, Timings, Usage};
use illumine_types::job::WorkerRef;
use illumine_types::tool::{ToolRequest, ToolStats};
use illumine_types::{BlobKey, JobId, ToolCall, ToolKind};

use super::*;

fn event(counter: u64, attempt: u32, kind: EventKind) -> Event {
    Event {
        id: format!("1000-{counter}"),
        at: DateTime::from_timestamp_millis(i64::try_from(counter).unwrap() * 1_000).unwrap(),
        attempt,
        kind,
    }
}

fn started() -> EventKind {
    EventKind::Started {
        worker: WorkerRef {
            id: "w".into(),
            host: "h".into(),
            pid: 1,
        },
    }
}

fn text(delta: &str) -> EventKind {
    EventKind::Text {
        delta: delta.into(),
    }
}

fn call() -> ToolCall {
    ToolCall {
        request: ToolRequest::Search {
            query: "coffee".into(),
        },
        description: "A cup".into(),
    }
}

fn tool(index: usize) -> EventKind {
    EventKind::ToolStarted {
        index,
        call: Some(call()),
        raw: "{}".into(),
    }
}

fn ready() -> Outcome {
    Outcome::Ready {
        image: ImageRef {
            id: BlobKey::parse(&format!("{}.png", "a".repeat(64))).unwrap(),
            url: "/api/v1/images/a.png".into(),
            mime: "image/png".into(),
            width: 640,
            height: 480,
        },
        provenance: Box::new(Provenance {
            tool: ToolKind::Search,
            backend: "library".into(),
            model: None,
            seed: None,
            parameters: serde_json::Map::new(),
            source: None,
            program: None,
            parent: None,
            elapsed_ms: 12,
            attempts: 1,
        }),
    }
}

fn finished(index: usize) -> EventKind {
    EventKind::ToolFinished {
        index,
        outcome: ready(),
    }
}

fn story() -> Vec<Event> {
    let kinds = [
        EventKind::Queued {
            position: 2,
            eta_s: Some(8.0),
        },
        started(),
        text("# Cof"),
        text("fee\n\n"),
        tool(0),
        text("\nMore."),
        EventKind::ToolProgress {
            index: 0,
            fraction: 0.5,
            preview: None,
        },
        tool(1),
        finished(0),
        EventKind::ToolFinished {
            index: 1,
            outcome: Outcome::Failed {
                code: "tool_timeout".into(),
                reason: "Too slow.".into(),
            },
        },
        EventKind::Completed,
    ];
    let attempt = |n| u32::from(n > 0);
    kinds
        .into_iter()
        .enumerate()
        .map(|(n, kind)| event(u64::try_from(n).unwrap(), attempt(n), kind))
        .collect()
}

fn told(events: &[Event]) -> LiveDocument {
    let mut live = LiveDocument::default();
    for event in events {
        live.apply(event);
    }
    live
}

fn words(events: &[Event], now_s: i64) -> String {
    told(events).headline(now_s * 1_000).words
}

fn document(blocks: Vec<Block>) -> Document {
    Document {
        id: JobId::parse("gen_01J9ZD1N7H0000000000000000").unwrap(),
        title: "Coffee".into(),
        prompt: "coffee".into(),
        inputs: vec![],
        blocks,
        tools: ToolStats::default(),
        policy: "burn:demo".into(),
        usage: Usage::default(),
        timings: Timings {
            queued_ms: 0,
            writing_ms: 5,
            total_ms: 9_400,
        },
        interruption: None,
        remarks: Vec::new(),
        version: 1,
        created_at: DateTime::from_timestamp_millis(0).unwrap(),
    }
}

#[test]
fn blocks_come_in_order() {
    let live = told(&story());
    let keys: Vec<BlockKey> = live.blocks.iter().map(LiveBlock::key).collect();
    assert_eq!(
        keys,
        [
            BlockKey::Text(0),
            BlockKey::Image(0),
            BlockKey::Text(1),
            BlockKey::Image(1)
        ]
    );
    assert!(live.blocks[0].is_text("# Coffee\n\n"));
    assert_eq!(live.picture_counts(), (1, 1));
    assert_eq!(live.phase, Phase::Succeeded);
    assert_eq!(live.total_ms, Some(9_000));
}

#[test]
fn the_headline_follows_the_work() {
    let all = story();
    assert_eq!(words(&all[..1], 0), "Queued, 2 ahead, starts in about 8 s");
    assert_eq!(words(&all[..3], 2), "Writing");
    assert_eq!(words(&all[..6], 5), "Writing, drawing 1 of 1");
    assert_eq!(words(&all[..8], 9), "Drawing 1 of 2");
    assert_eq!(words(&all[..9], 9), "Drawing 2 of 2");
    assert_eq!(words(&all, 60), "Done in 9 s");
    let running = told(&all[..3]).headline(4_500);
    assert_eq!(running.elapsed.as_deref(), Some("3 s"));
}

#[test]
fn a_replayed_stream_changes_nothing() {
    let all = story();
    for cut in 0..=all.len() {
        let mut live = told(&all[..cut]);
        for event in &all {
            live.apply(event);
        }
        assert_eq!(live, told(&all));
    }
}

#[test]
fn event_ids_are_compared_as_numbers() {
    let mut live = LiveDocument::default();
    assert!(live.apply(&event(9, 1, started())));
    assert!(live.apply(&event(10, 1, text("a"))));
    assert!(!live.apply(&event(9, 1, text("b"))));
}

#[test]
fn a_new_attempt_begins_afresh_and_the_old_worker_is_not_heard() {
    let mut live = told(&story()[..6]);
    live.apply(&event(
        20,
        1,
        EventKind::Retrying {
            error: Problem::new("policy_lost", "The policy broke off", "…"),
            in_s: 2.0,
        },
    ));
    assert_eq!(live.headline(0).words, "Starting again soon");
    assert!(!live.blocks.is_empty(), "what was written stays until then");
    live.apply(&event(21, 2, started()));
    assert!(live.blocks.is_empty());
    live.apply(&event(22, 1, text("ghost")));
    live.apply(&event(23, 2, text("new")));
    assert!(live.blocks[0].is_text("new"));
}

#[test]
fn progress_never_goes_back_and_ends_with_the_picture() {
    let mut live = told(&story()[..7]);
    let progress = |fraction| shown(fraction, None);
    live.apply(&event(30, 1, progress(0.2)));
    assert_eq!(live.image(0).unwrap().fraction, Some(0.5));
    live.apply(&event(31, 1, progress(f32::NAN)));
    live.apply(&event(32, 1, progress(7.0)));
    assert_eq!(live.image(0).unwrap().fraction, Some(1.0));
    live.apply(&event(33, 1, finished(0)));
    live.apply(&event(34, 1, progress(0.4)));
    assert_eq!(live.image(0).unwrap().fraction, None);
}

fn shown(fraction: f32, preview: Option<&str>) -> EventKind {
    EventKind::ToolProgress {
        index: 0,
        fraction,
        preview: preview.map(str::to_owned),
    }
}

#[test]
fn a_preview_stays_until_the_next_one_and_nothing_is_loaded_for_it() {
    let mut live = told(&story()[..7]);
    let jpeg = "data:image/jpeg;base64,/9j/4AAQ+w==";
    live.apply(&event(30, 1, shown(0.6, Some(jpeg))));
    live.apply(&event(31, 1, shown(0.7, None)));
    assert_eq!(live.image(0).unwrap().preview.as_deref(), Some(jpeg));
    for url in [
        "https://elsewhere.example/a.png",
        "data:image/svg+xml;base64,PHN2Zz4=",
        "data:image/jpeg;base64,\" onerror=alert(1)",
    ] {
        live.apply(&event(32, 1, shown(0.8, Some(url))));
        assert_eq!(
            live.image(0).unwrap().preview.as_deref(),
            Some(jpeg),
            "{url}"
        );
    }
    live.apply(&event(33, 1, finished(0)));
    assert_eq!(live.image(0).unwrap().preview, None);
}

#[test]
fn the_stored_document_keeps_what_is_shown_already() {
    let mut live = told(&story());
    let before = live.clone();
    let blocks = vec![
        Block::Text {
            markdown: "# Coffee\n\n".into(),
        },
        Block::Image(live.image(0).unwrap().block.clone()),
        Block::Text {
            markdown: "\nMore, mended.".into(),
        },
        Block::Image(live.image(1).unwrap().block.clone()),
    ];
    live.note_document(&document(blocks));
    let revisions = |live: &LiveDocument| -> Vec<(BlockKey, u32)> {
        live.blocks
            .iter()
            .map(|block| (block.key(), block.revision()))
            .collect()
    };
    assert_eq!(live.blocks[0], before.blocks[0]);
    assert_eq!(live.blocks[1], before.blocks[1]);
    assert!(live.blocks[2].is_text("\nMore, mended."));
    assert_ne!(revisions(&live)[2], revisions(&before)[2]);
    assert_eq!(live.total_ms, Some(9_400));
}

#[test]
fn a_text_left_out_shifts_no_other_block() {
    let mut live = told(&[
        event(1, 1, started()),
        event(2, 1, tool(0)),
        event(3, 1, text("\n\n")),
        event(4, 1, tool(1)),
        event(5, 1, text("End")),
    ]);
    let images: Vec<ImageBlock> = live.images().map(|image| image.block.clone()).collect();
    let mut blocks: Vec<Block> = images.into_iter().map(Block::Image).collect();
    blocks.push(Block::Text {
        markdown: "End".into(),
    });
    let end = live.blocks[3].clone();
    live.note_document(&document(blocks));
    assert_eq!(live.blocks.len(), 3);
    assert_eq!(live.blocks[2], end);
}

#[test]
fn a_redraw_that_fails_leaves_the_picture_and_says_why() {
    let mut live = told(&story());
    let first = live.image(0).unwrap().block.clone();
    live.redraw(0, 50_000);
    assert!(live.image(0).unwrap().is_pending());
    assert_eq!(live.headline(51_000).words, "Drawing again");
    live.redraw_progress(0, 0.5, None);
    assert_eq!(live.image(0).unwrap().fraction, Some(0.5));
    live.restore(first.clone(), Some("Too slow.".into()));
    let image = live.image(0).unwrap();
    assert_eq!(image.block, first);
    assert_eq!(image.note.as_deref(), Some("Too slow."));
    assert_eq!(live.headline(52_000).words, "Done in 9 s");
}

#[test]
fn an_older_job_record_does_not_turn_time_back() {
    let mut live = told(&story()[..3]);
    let mut job: Job = serde_json::from_value(serde_json::json!({
        "id": "gen_01J9ZD1N7H0000000000000000", "kind": "generation", "status": "queued",
        "sequence": 1, "title": "t", "owner": null, "priority": "normal", "attempt": 0,
        "position": 3, "created_at": "2026-01-01T00:00:00Z"
    }))
    .unwrap();
    live.note_job(&job);
    assert_eq!(live.phase, Phase::Running);
    job.status = JobState::Failed;
    job.error = Some(Problem::new("policy_lost", "The policy broke off", "…"));
    live.note_job(&job);
    assert_eq!(live.headline(0).words, "The policy broke off");
}

#[test]
fn warnings_are_shown_once_and_go_with_their_attempt() {
    let warn = |message: &str| EventKind::Log {
        level: LogLevel::Warning,
        message: message.into(),
    };
    let mut live = LiveDocument::default();
    live.apply(&event(1, 1, started()));
    live.apply(&event(2, 1, warn("it cannot see the picture")));
    live.apply(&event(3, 1, warn("it cannot see the picture")));
    let info = EventKind::Log {
        level: LogLevel::Info,
        message: "candidate 1 of 2".into(),
    };
    live.apply(&event(4, 1, info));
    assert_eq!(live.remarks, ["it cannot see the picture"]);
    live.apply(&event(5, 2, started()));
    assert!(live.remarks.is_empty());

    let stored = Document {
        remarks: vec!["as stored".into()],
        ..document(vec![])
    };
    live.note_document(&stored);
    assert_eq!(live.remarks, ["as stored"]);
}
