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
    KlPlace, Learner, LearnerConfig, Objective, Prompt, Sampling, StepConfig, Stepper, Surroundings,
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

/// A learner on the policy of `stepper` with another objective.
fn learner(stepper: &Stepper, objective: Objective) -> Learner {
    let device = stepper.device.clone();
    let model = stepper.folder.load_model(&device.clone().autodiff());
    let config = LearnerConfig {
        objective,
        max_answer_tokens: stepper.config.sampling.max_answer_tokens,
        ..LearnerConfig::default()
    };
    Learner::new(
        config,
        model.unwrap(),
        stepper.folder.config.clone(),
        &device,
    )
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

/// The demo policy with its logits doubled: another distribution over the same words.
fn elsewhere(stepper: &Stepper) -> illumine_models::Qwen3 {
    let mut model = stepper.folder.load_model(&stepper.device).unwrap();
    let scale = model.norm.gamma.val().mul_scalar(2.0);
    model.norm.gamma = burn::module::Param::from_tensor(scale);
    model
}

#[tokio::test(flavor = "multi_thread")]
async fn divergence_in_the_reward_tells_answers_apart_that_rules_find_alike() {
    let mut figures = Vec::new();
    for (kl_in, far) in [
        (KlPlace::Loss, true),
        (KlPlace::Reward, false),
        (KlPlace::Reward, true),
    ] {
        let mut stepper = stepper(40);
        let objective = Objective {
            kl_weight: 0.1,
            kl_in,
            ..Objective::grpo()
        };
        stepper.reference = Some(match far {
            true => elsewhere(&stepper),
            false => stepper.folder.load_model(&stepper.device).unwrap(),
        });
        stepper.learner = learner(&stepper, objective);
        // Any number of pictures is right: the rules alone teach nothing.
        let asked = prompts(ImageCount::Free);
        let (metrics, _) = stepper.step(&asked, &around(true), 3, 1e-5).await.unwrap();
        figures.push(metrics);
    }
    let flat: Vec<_> = figures.iter().map(|metrics| metrics.flat_groups).collect();
    assert_eq!((flat[0], flat[2]), (2, 0), "{figures:?}");
    assert!(!figures[0].means.contains_key("part_kl"));
    let parts: Vec<_> = figures[1..]
        .iter()
        .map(|metrics| metrics.means["part_kl"])
        .collect();
    // It is the policy itself, but for rounding.
    assert!(parts[0].abs() < 1e-2, "{parts:?}");
    assert!(parts[1] > 0.5, "{parts:?}");
    // What rules found is told as they found it.
    assert_eq!(figures[1].reward, figures[2].reward);
    assert!(figures[2].updates == 2 && figures[2].update.kl > 0.0);
}
