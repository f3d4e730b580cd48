//! Whole steps on the demo policy: written, drawn, scored, learnt from.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use burn::tensor::Device;
use illumine_agent::{AgentSettings, MemoryPictures};
use illumine_models::load::ModelFolder;
use illumine_rewards::{ImageCount, Requirement, RewardSettings, RewardWeights, Scorer};
use illumine_tools::{ImageTool, Picture, ToolContext, ToolError, ToolImage};
use illumine_train::rl::{
    Learner, LearnerConfig, Prompt, Sampling, StepConfig, Stepper, Surroundings,
};
use illumine_types::ToolKind;
use illumine_types::capability::ToolCapability;
use illumine_types::document::Provenance;
use illumine_types::tool::ToolRequest;

/// A tool that paints one colour, or whose service is down.
#[derive(Debug)]
struct Brush {
    kind: ToolKind,
    works: bool,
}

#[async_trait]
impl ImageTool for Brush {
    fn kind(&self) -> ToolKind {
        self.kind
    }

    fn capability(&self) -> ToolCapability {
        ToolCapability {
            tool: self.kind,
            available: true,
            backends: vec!["brush".into()],
            reason: None,
            remedy: None,
        }
    }

    async fn run(&self, _: &ToolRequest, _: &ToolContext) -> Result<ToolImage, ToolError> {
        if !self.works {
            return Err(ToolError::transient(
                "http_status",
                "the service answers 503",
            ));
        }
        let mut bytes = std::io::Cursor::new(Vec::new());
        image::RgbImage::new(4, 4)
            .write_to(&mut bytes, image::ImageFormat::Png)
            .unwrap();
        Ok(ToolImage {
            picture: Picture {
                bytes: bytes.into_inner().into(),
                mime: "image/png",
                width: 4,
                height: 4,
            },
            provenance: Provenance {
                tool: self.kind,
                backend: "brush".into(),
                model: None,
                seed: None,
                parameters: serde_json::Map::new(),
                source: None,
                program: None,
                parent: None,
                elapsed_ms: 1,
                attempts: 1,
            },
        })
    }
}

pub fn around(works: bool) -> Surroundings {
    let settings = RewardSettings {
        weights: RewardWeights {
            count: 1.0,
            llm: 0.0,
            mllm: 0.0,
            ..RewardWeights::default()
        },
        ..RewardSettings::default()
    };
    let brush = |kind| Arc::new(Brush { kind, works }) as Arc<dyn ImageTool>;
    Surroundings {
        tools: ToolKind::ALL.into_iter().map(brush).collect(),
        agent: AgentSettings::default(),
        scorer: Arc::new(Scorer::new(settings, None, None).unwrap()),
        pictures: Arc::new(MemoryPictures::default()),
        marks: true,
    }
}

pub fn demo_policy() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../models/demo-policy")
}

fn stepper(max_answer_tokens: usize) -> Stepper {
    let device = Device::flex();
    let folder = ModelFolder::open(&demo_policy()).unwrap();
    let model = folder.load_model(&device.clone().autodiff()).unwrap();
    let learner = LearnerConfig {
        max_answer_tokens,
        ..LearnerConfig::default()
    };
    Stepper {
        reference: None,
        learner: Learner::new(learner, model, folder.config.clone(), &device),
        folder,
        device,
        config: StepConfig {
            sampling: Sampling {
                samples: 4,
                max_answer_tokens,
                // Answers of a group must differ for there to be something to learn.
                temperature: 1.5,
                ..Sampling::default()
            },
            minibatches: 2,
            ..StepConfig::default()
        },
    }
}

fn prompts(image_num: ImageCount) -> Vec<Prompt> {
    let words = [
        "Write an illustrated report about coffee with a photo and a bar chart.",
        "Write a short note about tea.",
    ];
    let prompt = |(row, words): (usize, &&str)| Prompt {
        row: row as u64,
        question: (*words).to_owned(),
        inputs: Vec::new(),
        requires: Requirement {
            image_num,
            tools: Vec::new(),
        },
    };
    words.iter().enumerate().map(prompt).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_writes_scores_and_learns_and_is_the_same_again() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let mut stepper = stepper(300);
        let asked = prompts(ImageCount::try_from(4).unwrap());
        let (metrics, rollouts) = stepper.step(&asked, &around(true), 3, 1e-5).await.unwrap();
        assert_eq!((metrics.answers, metrics.excluded), (8, 0));
        assert_eq!(rollouts.len(), 8);
        for rollout in &rollouts {
            let transcript = &rollout.transcript;
            assert_eq!(transcript.answer.len(), transcript.logprobs.len());
            assert!(!transcript.answer.is_empty());
            assert!(rollout.document.is_some());
            assert!(rollout.reward().is_some());
        }
        assert!(metrics.flat_groups < 2, "{metrics:?}");
        assert_eq!(metrics.updates, 2);
        assert!(metrics.update.grad_norm > 0.0);
        assert!(metrics.update.entropy > 0.0);
        let texts: Vec<_> = rollouts
            .iter()
            .map(|rollout| rollout.transcript.answer.clone())
            .collect();
        assert_ne!(texts[0], texts[1], "samples of a group differ");
        runs.push((texts, metrics.reward, metrics.update));
    }
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn probabilities_of_writing_and_of_learning_agree() {
    // As they are written down: before temperature.
    let mut stepper = stepper(60);
    stepper.config.sampling.temperature = 1.0;
    let asked = prompts(ImageCount::Unwanted);
    let (_, rollouts) = stepper.step(&asked, &around(true), 0, 0.0).await.unwrap();
    let answers: Vec<_> = rollouts
        .iter()
        .map(|rollout| illumine_train::rl::Answer {
            ids: [
                rollout.transcript.prompt.as_slice(),
                &rollout.transcript.answer,
            ]
            .concat(),
            prompt_tokens: rollout.transcript.prompt.len(),
            old_logp: None,
            reference: None,
            advantage: 0.0,
        })
        .collect();
    let learnt = stepper.learner.logprobs(&answers).unwrap();
    for (rollout, learnt) in rollouts.iter().zip(learnt) {
        for (wrote, learnt) in rollout.transcript.logprobs.iter().zip(learnt) {
            assert!((wrote - learnt).abs() < 2e-3, "{wrote}, {learnt}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_down_stops_the_step_and_teaches_nothing() {
    let mut stepper = stepper(200);
    let before = crate::common::weights(&stepper.learner.model, stepper.learner.model_config());
    let asked = prompts(ImageCount::AtLeastOne)[..1].to_vec();
    let error = stepper
        .step(&asked, &around(false), 5, 1e-3)
        .await
        .unwrap_err();
    assert_eq!(error.code(), "train_outage");
    let words = error.to_string();
    assert!(words.contains("step 5") && words.contains("503"), "{words}");
    let after = crate::common::weights(&stepper.learner.model, stepper.learner.model_config());
    assert_eq!(before, after);
}
