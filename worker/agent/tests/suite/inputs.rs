//! Pictures given with a prompt: a policy that looks sees them, another one says
//! that it does not and can have them edited.

use crate::support;

use std::io::Cursor;
use std::sync::Arc;

use illumine_agent::policy::Policy;
use illumine_agent::policy::burn::BurnPolicy;
use illumine_agent::{Agent, AgentSettings, PictureStore};
use illumine_tools::{ImageTool, Picture};
use illumine_types::api::GenerationOptions;
use illumine_types::event::LogLevel;
use illumine_types::{Document, EventKind, ToolKind};
use support::*;

/// A Qwen2.5-VL of random weights with a context of 200 tokens.
const LOOKING: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../models/tests/fixtures/qwen25_vl/text_only"
);

fn grey(level: u8) -> Picture {
    let image = image::RgbImage::from_pixel(8, 8, image::Rgb([level, 255 - level, 90]));
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    Picture {
        bytes: bytes.into_inner().into(),
        mime: "image/png",
        width: 8,
        height: 8,
    }
}

async fn document(bench: &Bench, agent: &Agent, inputs: &[Picture]) -> Document {
    let mut asked = input(bench.options.clone());
    for picture in inputs {
        asked
            .inputs
            .push(bench.pictures.put(picture).await.unwrap());
    }
    let pictures = bench.pictures.clone();
    let made = agent.generate(&asked, &bench.recorder, pictures, bench.cancel.clone());
    made.await.unwrap()
}

fn logs(bench: &Bench) -> Vec<(LogLevel, String)> {
    let kinds = bench.recorder.kinds().into_iter();
    let log = kinds.filter_map(|event| match event {
        EventKind::Log { level, message } => Some((level, message)),
        _ => None,
    });
    log.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_of_a_looking_policy_depends_on_its_pictures() {
    let policy: Arc<dyn Policy> = Arc::new(BurnPolicy::load(LOOKING, "flex").unwrap());
    let settings = AgentSettings {
        system_prompt: Some("Look.".into()),
        ..AgentSettings::default()
    };
    let agent = Agent::new(policy, Vec::new(), settings);
    let bench = Bench {
        options: GenerationOptions {
            max_tokens: Some(40),
            temperature: Some(1.0),
            seed: Some(5),
            ..GenerationOptions::default()
        },
        ..Bench::default()
    };
    let (dark, light) = (grey(0), grey(255));
    let write = async |inputs: &[Picture]| document(&bench, &agent, inputs).await;
    let one = write(std::slice::from_ref(&dark)).await;
    assert_eq!(write(std::slice::from_ref(&dark)).await.blocks, one.blocks);
    assert_ne!(write(std::slice::from_ref(&light)).await.blocks, one.blocks);
    let both = write(&[dark.clone(), light.clone()]).await;
    assert_ne!(
        write(&[light, dark]).await.blocks,
        both.blocks,
        "in their order"
    );
    // Each 8×8 picture takes some of the prompt.
    assert!(both.usage.prompt_tokens > one.usage.prompt_tokens);
    assert!(logs(&bench).is_empty(), "{:?}", logs(&bench));
}

#[tokio::test(start_paused = true)]
async fn a_blind_policy_says_so_and_can_have_the_pictures_edited() {
    let edits = Arc::new(SlowTool::new(ToolKind::Edit, ms(10)));
    let bench = Bench::default();
    let policy = Script::new([vec![say(tag(edit(1, "at night")))]]);
    let agent = bench.agent(policy, &[&edits]);
    let document = document(&bench, &agent, &[picture("first"), picture("second")]).await;
    assert!(is_ready(&document, 0));
    assert_eq!(edits.parents.lock().unwrap()[..], ["second"]);
    let [(LogLevel::Warning, message)] = &logs(&bench)[..] else {
        panic!("{:?}", logs(&bench));
    };
    assert!(
        message.contains("script:test cannot see the 2 pictures"),
        "{message}"
    );
    assert!(message.contains("can still have them edited"), "{message}");
    assert_eq!(document.remarks, std::slice::from_ref(message));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_policy_says_that_it_cannot_see_nor_edit() {
    let policy = Arc::new(BurnPolicy::load("demo", "flex").unwrap());
    let mut tool = SlowTool::new(ToolKind::Edit, ms(1));
    tool.unavailable = true;
    let tools: Vec<Arc<dyn ImageTool>> = vec![Arc::new(tool)];
    let agent = Agent::new(policy, tools, AgentSettings::default());
    let bench = Bench {
        options: GenerationOptions {
            max_tokens: Some(5),
            ..GenerationOptions::default()
        },
        ..Bench::default()
    };
    document(&bench, &agent, &[]).await;
    assert!(logs(&bench).is_empty());
    document(&bench, &agent, &[picture("one")]).await;
    let [(_, message)] = &logs(&bench)[..] else {
        panic!("{:?}", logs(&bench));
    };
    assert!(
        message.contains("burn:demo cannot see the picture"),
        "{message}"
    );
    assert!(message.contains("nor can they be edited here"), "{message}");
}
