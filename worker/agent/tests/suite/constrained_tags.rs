//! `policy.constrain_tags` through the agent, on the demo policy. Hot sampling
//! makes it stumble; no test depends on its words, which change with its
//! training.

use crate::support;

use std::sync::Arc;

use illumine_agent::policy::{self, Policy};
use illumine_agent::{Agent, AgentSettings, MemoryPictures, NoEvents, PictureStore};
use illumine_config::{Config, PolicySettings};
use illumine_types::api::GenerationOptions;
use illumine_types::{Block, Document};
use support::{input, picture};
use tokio_util::sync::CancellationToken;

fn open(constrain_tags: bool) -> Arc<dyn Policy> {
    let settings = PolicySettings {
        constrain_tags,
        ..Config::default().policy
    };
    policy::open("burn:demo", &settings, "flex").unwrap()
}

async fn write(
    policy: &Arc<dyn Policy>,
    prompt: &str,
    inputs: usize,
    options: GenerationOptions,
) -> Document {
    let pictures = Arc::new(MemoryPictures::default());
    let mut asked = input(options);
    asked.prompt = prompt.into();
    for number in 0..inputs {
        let stored = pictures.put(&picture(&number.to_string())).await;
        asked.inputs.push(stored.unwrap());
    }
    let agent = Agent::new(Arc::clone(policy), Vec::new(), AgentSettings::default());
    let made = agent.generate(&asked, &NoEvents, pictures, CancellationToken::new());
    made.await.unwrap()
}

/// Tags that are no valid call, one cut off by the limit of tokens left out.
fn invalid(document: &Document) -> usize {
    let cut = document.interruption.is_some()
        && matches!(document.blocks.last(), Some(Block::Image(image)) if image.call.is_none());
    document.tools.invalid as usize - usize::from(cut)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_stumbles_writes_valid_tags_with_the_switch_on() {
    let (free, held) = (open(false), open(true));
    let (mut stumbled, mut valid) = (0, 0);
    for seed in 0..12 {
        let options = GenerationOptions {
            temperature: Some(1.6),
            seed: Some(seed),
            max_tokens: Some(600),
            ..GenerationOptions::default()
        };
        let inputs = seed as usize % 3;
        let prompt = "Write an illustrated report about tides with a photo and a bar chart.";
        stumbled += invalid(&write(&free, prompt, inputs, options.clone()).await);
        let document = write(&held, prompt, inputs, options).await;
        assert_eq!(invalid(&document), 0, "seed {seed}: {document:?}");
        valid += document
            .images()
            .filter(|image| image.call.is_some())
            .count();
    }
    assert!(stumbled > 0, "the demo policy never stumbles at this heat");
    assert!(valid > 0, "no tag was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_whose_tags_are_valid_stays_as_it_is() {
    let (free, held) = (open(false), open(true));
    let mut same = 0;
    for topic in ["coffee", "the harbour of Lome", "old maps", "bees"] {
        let prompt =
            format!("Write an illustrated report about {topic} with a photo and a bar chart.");
        let options = GenerationOptions::default();
        let without = write(&free, &prompt, 0, options.clone()).await;
        let with = write(&held, &prompt, 0, options).await;
        assert_eq!(invalid(&with), 0, "{with:?}");
        if invalid(&without) == 0 {
            assert_eq!(with.blocks, without.blocks);
            same += 1;
        }
    }
    assert!(same > 0, "every text had an invalid tag");
}
