//! Writing and drawing go on together.

use crate::support;

use std::sync::Arc;

use illumine_types::{Block, EventKind, Outcome, ToolKind};
use support::*;

#[tokio::test(start_paused = true)]
async fn a_tool_starts_when_its_tag_closes_while_text_still_streams() {
    let code_tool = Arc::new(SlowTool::new(ToolKind::Code, ms(900)));
    let search_tool = Arc::new(SlowTool::new(ToolKind::Search, ms(500)));
    let bench = Bench::default();
    let started = tokio::time::Instant::now();
    let document = bench
        .run(
            vec![
                say("# Title\n\nOne.\n\n"),
                Step::Wait(ms(100)),
                say(tag(code("plot"))),
                Step::Wait(ms(400)),
                say("\n\nTwo.\n\n"),
                say(tag(search("panda"))),
                Step::Wait(ms(600)),
                say("\n\nThree."),
            ],
            &[&code_tool, &search_tool],
        )
        .await;

    assert_eq!(code_tool.span(0), (ms(100), Some(ms(1000))));
    assert_eq!(search_tool.span(0), (ms(500), Some(ms(1000))));
    // Writing takes 1.1 s, drawing 1.4 s: together 1.1 s.
    assert_eq!(started.elapsed(), ms(1100));
    assert_eq!(
        (document.timings.writing_ms, document.timings.total_ms),
        (1100, 1100)
    );
    assert_eq!(document.timings.queued_ms, 7);

    let shape: Vec<String> = document
        .blocks
        .iter()
        .map(|block| match block {
            Block::Text { markdown } => markdown.trim().to_owned(),
            Block::Image(image) => format!("[{}]", image.index),
        })
        .collect();
    assert_eq!(shape, ["# Title\n\nOne.", "[0]", "Two.", "[1]", "Three."]);
    assert!(is_ready(&document, 0) && is_ready(&document, 1));
    assert_eq!(document.title, "Title");
    assert_eq!(document.usage.completion_tokens, 5);
    assert_eq!(
        (
            document.tools.code.attempted,
            document.tools.search.succeeded
        ),
        (1, 1)
    );
    assert!(document.interruption.is_none());
    assert_eq!(document.policy, "script:test");
}

#[tokio::test(start_paused = true)]
async fn an_edit_waits_for_its_parent_alone() {
    let slow = Arc::new(SlowTool::new(ToolKind::Code, ms(5000)));
    let quick = Arc::new(SlowTool::new(ToolKind::Search, ms(300)));
    let edits = Arc::new(SlowTool::new(ToolKind::Edit, ms(200)));
    let bench = Bench::default();
    let text = [
        tag(code("slow")),
        tag(search("quick")),
        tag(edit(1, "night")),
        tag(edit(2, "snow")),
    ]
    .join("\n");
    let document = bench.run(vec![say(text)], &[&slow, &quick, &edits]).await;
    assert_eq!(edits.span(0), (ms(300), Some(ms(500))));
    assert_eq!(
        edits.span(1),
        (ms(500), Some(ms(700))),
        "an edit of an edit"
    );
    assert_eq!(bench.recorder.finished(), [1, 2, 3, 0]);

    let blocks: Vec<_> = document.images().collect();
    let Outcome::Ready { image, .. } = &blocks[1].outcome else {
        panic!()
    };
    let Outcome::Ready { provenance, .. } = &blocks[2].outcome else {
        panic!()
    };
    let parent = provenance.parent.as_ref().unwrap();
    assert_eq!((parent.index, &parent.id), (1, &image.id));
    let parents = edits.parents.lock().unwrap();
    assert_eq!(parents[0], bench.pictures.all()[&image.id].bytes);
}

#[tokio::test(start_paused = true)]
async fn input_pictures_come_first_in_the_count() {
    use illumine_agent::PictureStore;
    let edits = Arc::new(SlowTool::new(ToolKind::Edit, ms(10)));
    let bench = Bench::default();
    let mut input = input(bench.options.clone());
    for name in ["first", "second"] {
        input
            .inputs
            .push(bench.pictures.put(&picture(name)).await.unwrap());
    }
    let text = format!("{}{}", tag(edit(1, "x")), tag(edit(3, "itself")));
    let policy = Script::new([vec![say(text)]]);
    let agent = bench.agent(policy.clone(), &[&edits]);
    let document = agent
        .generate(
            &input,
            &bench.recorder,
            bench.pictures.clone(),
            bench.cancel.clone(),
        )
        .await
        .unwrap();
    assert_eq!(edits.parents.lock().unwrap()[..], ["second"]);
    assert_eq!(document.images().next().unwrap().index, 2);
    let (code, reason) = failure(&document, 1);
    assert_eq!(code, "invalid_tag");
    assert!(reason.contains("no image 3"), "{reason}");
    assert!(document.images().nth(1).unwrap().call.is_none());
    assert_eq!(document.tools.invalid, 1);
    assert_eq!(document.inputs.len(), 2);
    let request = policy.requests.lock().unwrap()[0].clone();
    assert!(request.images.is_empty() && request.inputs == 2);
    assert!(
        request.system.contains("index 0 to 1"),
        "{}",
        request.system
    );
    assert!(request.system.contains("`edit`") && !request.system.contains("`code`"));
}

#[tokio::test(start_paused = true)]
async fn a_policy_with_vision_sees_the_inputs() {
    use illumine_agent::PictureStore;
    let bench = Bench::default();
    let mut input = input(bench.options.clone());
    input
        .inputs
        .push(bench.pictures.put(&picture("bytes")).await.unwrap());
    let mut policy = Arc::into_inner(Script::new([vec![say("I see.")]])).unwrap();
    policy.vision = true;
    let policy = Arc::new(policy);
    let agent = bench.agent(policy.clone(), &[]);
    let sink = &bench.recorder;
    let made = agent.generate(&input, sink, bench.pictures.clone(), bench.cancel.clone());
    made.await.unwrap();
    assert_eq!(policy.requests.lock().unwrap()[0].images[0].bytes, "bytes");
    // A picture that is gone is told before anything is written.
    let empty = Arc::new(illumine_agent::MemoryPictures::default());
    let made = agent.generate(&input, sink, empty, bench.cancel.clone());
    assert_eq!(made.await.unwrap_err().code(), "input_unreadable");
}

#[tokio::test(start_paused = true)]
async fn text_is_sent_in_pieces_but_never_after_its_tag() {
    let tool = Arc::new(SlowTool::new(ToolKind::Search, ms(1)));
    let bench = Bench::default();
    let zero = tokio::time::Instant::now();
    let mut steps = Vec::new();
    for _ in 0..200 {
        steps.push(say("word "));
        steps.push(Step::Wait(ms(5)));
    }
    steps.push(say(tag(search("q"))));
    bench.run(steps, &[&tool]).await;
    let events = bench.recorder.events.lock().unwrap();
    let texts = events
        .iter()
        .filter(|(_, event)| matches!(event, EventKind::Text { .. }));
    assert!(texts.count() <= 22, "at most 20 a second");
    let first = &events[0];
    assert_eq!(
        (first.0 - zero, &first.1),
        (
            ms(0),
            &EventKind::Text {
                delta: "word ".into()
            }
        )
    );
    let started = events
        .iter()
        .position(|(_, event)| matches!(event, EventKind::ToolStarted { .. }))
        .unwrap();
    assert_eq!(events[started].0 - zero, ms(1000));
    drop(events);
    assert_eq!(bench.recorder.text(), "word ".repeat(200));
    let progress = bench.recorder.kinds().into_iter().filter(
        |event| matches!(event, EventKind::ToolProgress { index: 0, fraction, preview: Some(url) } if *fraction == 0.5 && url == "data:image/jpeg;base64,cHJldmlldw=="),
    );
    assert_eq!(progress.count(), 1);
}
