//! Several candidates, and drawing a picture again.

use crate::support;

use std::sync::Arc;

use illumine_types::api::{ImageOptions, RedrawRequest};
use illumine_types::{Document, Outcome, ToolKind};
use support::*;

#[tokio::test(start_paused = true)]
async fn the_candidate_with_valid_tags_is_drawn() {
    let tool = Arc::new(SlowTool::new(ToolKind::Search, ms(10)));
    let mut bench = Bench::default();
    bench.options.samples = Some(4);
    bench.options.seed = Some(10);
    let policy = Script::new([
        vec![say("# A\n\n<imgen>{'source': oops}</imgen>")],
        vec![say(format!("# B\n\n{}", tag(search("b"))))],
        vec![
            say(format!("# C\n\n{}{}", tag(search("c")), tag(search("d")))),
            Step::Length,
        ],
        vec![Step::Fail(broke_off())],
    ]);
    let document = bench.run_policy(policy.clone(), &[&tool]).await;
    assert_eq!(document.title, "B");
    assert_eq!(tool.count(), 1, "nothing is drawn for the others");
    let requests = policy.requests.lock().unwrap();
    let seeds: Vec<_> = requests.iter().map(|request| request.seed).collect();
    assert_eq!(seeds, [Some(10), Some(11), Some(12), Some(13)]);
    assert!(
        requests
            .iter()
            .all(|request| request.temperature > Some(0.0))
    );
    assert_eq!(document.usage.completion_tokens, 15, "all candidates count");
    assert_eq!(bench.recorder.text(), "# B\n\n");
}

async fn drawn(bench: &Bench, tools: &[&Arc<SlowTool>]) -> Document {
    let text = format!(
        "# T\n\n{}{}{}",
        tag(search("old")),
        tag(edit(0, "night")),
        "<imgen>{}</imgen>"
    );
    bench.run(vec![say(text)], tools).await
}

#[tokio::test(start_paused = true)]
async fn one_picture_is_drawn_again() {
    let searches = Arc::new(SlowTool::new(ToolKind::Search, ms(10)));
    let edits = Arc::new(SlowTool::new(ToolKind::Edit, ms(10)));
    let bench = Bench::default();
    let mut document = drawn(&bench, &[&searches, &edits]).await;
    let before = document.clone();
    let agent = bench.agent(Script::new([vec![]]), &[&searches, &edits]);
    let redraw = async |document: &Document, index: usize, request: RedrawRequest| {
        let image = ImageOptions::default();
        let (pictures, cancel) = (bench.pictures.clone(), bench.cancel.clone());
        let sink = &bench.recorder;
        agent
            .redraw(document, index, &request, image, sink, pictures, cancel)
            .await
    };

    let request = RedrawRequest {
        params: Some(serde_json::json!({"query": "new"})),
        seed: Some(5),
    };
    let redrawn = redraw(&document, 0, request).await.unwrap();
    assert_eq!(redrawn.call.request, search("new"));
    assert!(redrawn.clone().apply(&mut document));
    let images: Vec<_> = document.images().collect();
    let old: Vec<_> = before.images().collect();
    assert_ne!(images[0].outcome, old[0].outcome);
    assert_eq!(images[1], old[1], "the edit made from it stays");
    assert_eq!(document.tools, before.tools);

    // An edit drawn again starts from its parent as it is now.
    let redrawn = redraw(&document, 1, RedrawRequest::default())
        .await
        .unwrap();
    let Outcome::Ready { provenance, .. } = &redrawn.outcome else {
        panic!()
    };
    assert!(provenance.seed.is_some(), "a new seed");
    let Outcome::Ready { image, .. } = &document.images().next().unwrap().outcome else {
        panic!()
    };
    assert_eq!(provenance.parent.as_ref().unwrap().id, image.id);

    for (index, params, code) in [
        (7, None, "no_such_image"),
        (2, None, "redraw_refused"),
        (
            0,
            Some(serde_json::json!({"prompt": "x"})),
            "redraw_refused",
        ),
        (0, Some(serde_json::json!("x")), "redraw_refused"),
        (
            1,
            Some(serde_json::json!({"img_index": 1, "prompt": "x"})),
            "redraw_refused",
        ),
    ] {
        let request = RedrawRequest { params, seed: None };
        assert_eq!(
            redraw(&document, index, request).await.unwrap_err().code(),
            code
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_redraw_leaves_the_old_picture() {
    let searches = Arc::new(SlowTool::new(ToolKind::Search, ms(10)));
    let edits = Arc::new(SlowTool::new(ToolKind::Edit, ms(10)));
    let bench = Bench::default();
    let mut document = drawn(&bench, &[&searches, &edits]).await;
    let before = document.clone();
    let agent = bench.agent(Script::new([vec![]]), &[]);
    let redrawn = agent
        .redraw(
            &document,
            0,
            &RedrawRequest::default(),
            ImageOptions::default(),
            &bench.recorder,
            bench.pictures.clone(),
            bench.cancel.clone(),
        )
        .await
        .unwrap();
    assert!(!redrawn.apply(&mut document));
    assert_eq!(document, before);
}
