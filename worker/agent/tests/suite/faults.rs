//! Policies and tools that fail: what was written stays, and is explained.

use crate::support;

use std::sync::Arc;
use std::time::Duration;

use illumine_agent::policy::PolicyError;
use illumine_tools::{ImageTool, ToolError};
use illumine_types::tool::ToolRequest;
use illumine_types::{Block, ToolKind};
use support::*;

fn interruption(document: &illumine_types::Document) -> &str {
    &document.interruption.as_ref().unwrap().code
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_dies_half_way_leaves_what_it_wrote() {
    let tool = Arc::new(SlowTool::new(ToolKind::Search, ms(500)));
    let start = format!("# T\n\nText. {} More <img", tag(search("q")));
    for end in [Step::Fail(broke_off()), Step::Vanish] {
        let bench = Bench::default();
        let document = bench.run(vec![say(start.clone()), end], &[&tool]).await;
        assert_eq!(interruption(&document), "policy_broke_off");
        assert!(is_ready(&document, 0), "the picture was still drawn");
        assert_eq!(document.blocks.len(), 3);
        let Block::Text { markdown } = &document.blocks[2] else {
            panic!()
        };
        assert_eq!(markdown, " More <img");
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_fails_at_once_yields_no_document() {
    let bench = Bench::default();
    for (error, transient) in [
        (broke_off(), true),
        (
            PolicyError::Permanent {
                code: "policy_denied",
                message: "no".into(),
            },
            false,
        ),
    ] {
        let agent = bench.agent(Script::new([vec![Step::Fail(error.clone())]]), &[]);
        let input = input(bench.options.clone());
        let made = agent.generate(
            &input,
            &bench.recorder,
            bench.pictures.clone(),
            bench.cancel.clone(),
        );
        let failed = made.await.unwrap_err();
        assert_eq!(
            (failed.code(), failed.is_transient()),
            (error.code(), transient)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_never_closes() {
    let bench = Bench::default();
    let text = "# T\n\n<imgen>{\"source\": \"code\", \"params\": {\"code\": \"plt";
    let document = bench.run(vec![say(text), Step::Length], &[]).await;
    assert_eq!(interruption(&document), "length_limit");
    let (code, reason) = failure(&document, 0);
    assert_eq!(code, "invalid_tag");
    assert!(reason.contains("never closed"), "{reason}");
    assert_eq!(document.tools.invalid, 1);
    assert_eq!(bench.recorder.finished(), [0]);
}

#[tokio::test(start_paused = true)]
async fn ten_megabytes_are_cut_off() {
    let bench = Bench::default();
    let piece = "ünd so weiter ".repeat(700);
    let document = bench.run(vec![say(piece.clone()); 1024], &[]).await;
    assert_eq!(interruption(&document), "output_limit");
    let Block::Text { markdown } = &document.blocks[0] else {
        panic!()
    };
    let limit = bench.settings.max_output_bytes;
    assert!(markdown.len() <= limit && markdown.len() > limit - 4);
    assert_eq!(bench.recorder.text().len(), markdown.len());
}

#[tokio::test(start_paused = true)]
async fn a_cancel_ends_a_hanging_policy_and_running_tools() {
    let tool = Arc::new(SlowTool::new(ToolKind::Search, Duration::from_secs(1000)));
    let bench = Bench::default();
    let cancel = bench.cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(ms(300)).await;
        cancel.cancel();
    });
    let started = tokio::time::Instant::now();
    let steps = vec![say("Text."), say(tag(search("q"))), Step::Hang];
    let document = bench.run(steps, &[&tool]).await;
    assert!(started.elapsed() < ms(400), "{:?}", started.elapsed());
    assert_eq!(interruption(&document), "cancelled");
    assert_eq!(failure(&document, 0).0, "cancelled");
    assert_eq!(document.blocks.len(), 2);
}

/// A tool that ignores its cancel.
struct Deaf;

#[async_trait::async_trait]
impl ImageTool for Deaf {
    fn kind(&self) -> ToolKind {
        ToolKind::Search
    }
    fn capability(&self) -> illumine_types::capability::ToolCapability {
        SlowTool::new(ToolKind::Search, ms(0)).capability()
    }
    async fn run(
        &self,
        _: &ToolRequest,
        _: &illumine_tools::ToolContext,
    ) -> Result<illumine_tools::ToolImage, ToolError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_deaf_tool_is_left_behind() {
    let bench = Bench::default();
    let policy = Script::new([vec![say(tag(search("q")))]]);
    let settings = bench.settings.clone();
    let agent = illumine_agent::Agent::new(policy, vec![Arc::new(Deaf)], settings);
    let input = input(bench.options.clone());
    let made = agent.generate(
        &input,
        &bench.recorder,
        bench.pictures.clone(),
        bench.cancel.clone(),
    );
    let document = made.await.unwrap();
    assert_eq!(failure(&document, 0).0, "tool_timeout");
    let cancel = bench.cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(ms(100)).await;
        cancel.cancel();
    });
    let started = tokio::time::Instant::now();
    let made = agent.generate(
        &input,
        &bench.recorder,
        bench.pictures.clone(),
        bench.cancel.clone(),
    );
    assert_eq!(failure(&made.await.unwrap(), 0).0, "cancelled");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn failures_leave_an_explained_gap() {
    let mut tool = SlowTool::new(ToolKind::Search, ms(10));
    tool.result = |request| match request {
        ToolRequest::Search { query } if query == "none" => {
            Err(ToolError::permanent("nothing_found", "Nothing was found."))
        }
        ToolRequest::Search { query } if query == "crash" => panic!("boom"),
        _ => Ok(()),
    };
    let tool = Arc::new(tool);
    let edits = Arc::new(SlowTool::new(ToolKind::Edit, ms(10)));
    let mut diffusion = SlowTool::new(ToolKind::Diffusion, ms(10));
    diffusion.unavailable = true;
    let diffusion = Arc::new(diffusion);
    let mut bench = Bench::default();
    bench.options.tools = Some(vec![ToolKind::Search, ToolKind::Edit, ToolKind::Diffusion]);
    let text = [
        tag(search("none")),
        tag(edit(0, "night")),
        tag(search("crash")),
        tag(ToolRequest::Diffusion { prompt: "p".into() }),
        tag(code("plot")),
        "<imgen>{'source': 'search'}</imgen>".into(),
        tag(search("fine")),
    ]
    .join(" and ");
    let document = bench
        .run(vec![say(text)], &[&tool, &edits, &diffusion])
        .await;
    let codes: Vec<_> = (0..6).map(|image| failure(&document, image)).collect();
    let expected = [
        ("nothing_found", "Nothing was found."),
        (
            "parent_failed",
            "Image 0, which it would change, is missing: Nothing was found.",
        ),
        ("tool_crashed", "The tool crashed."),
        (
            "tool_unavailable",
            "No server is set. What would help: QWEN_IMAGE_SERVER_URL.",
        ),
        (
            "tool_not_allowed",
            "The request does not allow the tool code.",
        ),
        ("invalid_tag", "The tag has no `description`."),
    ];
    for (found, (code, reason)) in codes.iter().zip(expected) {
        assert_eq!((found.0.as_str(), found.1.as_str()), (code, reason));
    }
    assert!(is_ready(&document, 6), "what can be drawn is drawn");
    assert_eq!(edits.count(), 0, "never started");
    assert!(document.interruption.is_none());
    let stats = document.tools;
    assert_eq!(
        (
            stats.search.attempted,
            stats.search.succeeded,
            stats.invalid
        ),
        (3, 1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn pictures_are_bounded_in_number() {
    let tool = Arc::new(SlowTool::new(ToolKind::Search, ms(10)));
    let mut bench = Bench::default();
    bench.settings.max_images = 3;
    let document = bench.run(vec![say(tag(search("q"))); 50], &[&tool]).await;
    assert_eq!(tool.count(), 3);
    assert_eq!(failure(&document, 3).0, "too_many_images");
    assert_eq!(document.images().count(), 50);
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_says_nothing_is_told() {
    let bench = Bench::default();
    let document = bench.run(vec![say("<think>hm</think>\n")], &[]).await;
    assert_eq!(interruption(&document), "empty_document");
    assert_eq!(document.title, "Write about red pandas");
}
