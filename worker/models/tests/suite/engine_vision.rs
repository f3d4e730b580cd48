//! The engine on a model that looks at pictures: its answers are the model's own,
//! whoever shares the engine; memory is bounded; what does not fit is refused.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use illumine_models::constrain::{Constraint, Grammar};
use illumine_models::device::Device;
use illumine_models::engine::{
    Engine, EngineConfig, EngineModel, EngineRequest, Event, EventStream, Summary,
};
use illumine_models::generate::{
    CancelFlag, FinishReason, GenerationRequest, LanguageModel, VisionLanguageModel,
};
use illumine_models::load::ModelFolder;
use illumine_models::qwen25_vl::{Part, Picture, VisionMessage};
use illumine_models::sampling::SamplingParams;
use illumine_models::tokenizer::{ChatTokenizer, Role};

use crate::support;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn model() -> Arc<VisionLanguageModel> {
    let dir = fixture("qwen25_vl/text_only");
    let mut folder = ModelFolder::open(&dir).unwrap();
    folder.eos_token_ids.clear();
    let tokenizer = ChatTokenizer::from_folder(&dir).unwrap();
    Arc::new(VisionLanguageModel::new(folder, tokenizer, &Device::flex()).unwrap())
}

/// A question about `pictures` uniform pictures of different sizes and colours.
fn request(model: &EngineModel, number: usize) -> EngineRequest {
    let pictures = number % 4;
    let mut content: Vec<Part> = (0..pictures)
        .map(|index| {
            let (width, height) = (8 + 4 * index, 8 + 4 * (number % 3));
            let level = (number * 37 + index * 90) as u8;
            let rgb = vec![level; width * height * 3];
            Part::Picture(Picture::from_rgb("it", width, height, rgb).unwrap())
        })
        .collect();
    content.push(Part::Text(format!("question {number}")));
    let message = VisionMessage {
        role: Role::User,
        content,
    };
    let prompt = model.prompt(&[message]).unwrap();
    assert_eq!(prompt.patches.image_grid_thw.len(), pictures);
    let generation = GenerationRequest {
        max_new_tokens: 20 + number * 7 % 60,
        sampling: SamplingParams {
            temperature: (number % 2) as f32,
            seed: Some(number as u64),
            ..SamplingParams::default()
        },
        ..GenerationRequest::new(prompt.ids)
    };
    EngineRequest {
        logprobs: Some(0),
        pictures: prompt.patches.into_shared(),
        ..EngineRequest::new(generation)
    }
}

/// Asks for eight tokens in answer to `content`.
fn short_answer(model: &EngineModel, content: Vec<Part>) -> EngineRequest {
    let role = Role::User;
    let prompt = model.prompt(&[VisionMessage { role, content }]).unwrap();
    let mut generation = GenerationRequest::new(prompt.ids);
    generation.max_new_tokens = 8;
    EngineRequest {
        logprobs: Some(0),
        pictures: prompt.patches.into_shared(),
        ..EngineRequest::new(generation)
    }
}

/// Text, tokens with the bits of their log-probabilities, and the end.
type Answer = (String, Vec<(u32, u32)>, Summary);

fn collect(stream: EventStream) -> Answer {
    let (mut text, mut tokens) = (String::new(), Vec::new());
    for event in stream {
        match event {
            Event::Text {
                text: more,
                tokens: new,
            } => {
                text += &more;
                tokens.extend(new.iter().map(|new| (new.token, new.logprob.to_bits())));
            }
            Event::Finished(summary) => return (text, tokens, summary),
            Event::Failed(error) => panic!("{error}"),
        }
    }
    panic!("the stream ended early");
}

fn engine(model: &Arc<VisionLanguageModel>, config: EngineConfig) -> Engine {
    Engine::start(Arc::clone(model), &config).unwrap()
}

fn together(engine: &Engine, requests: &[EngineRequest]) -> Vec<Answer> {
    let start = |request: &EngineRequest| engine.stream(request.clone()).unwrap();
    let streams: Vec<EventStream> = requests.iter().map(start).collect();
    streams.into_iter().map(collect).collect()
}

#[test]
fn answers_are_the_models_own_whoever_shares_the_engine() {
    let model = model();
    let all = EngineModel::from(Arc::clone(&model));
    let requests: Vec<EngineRequest> = (0..12).map(|number| request(&all, number)).collect();
    let shared = together(&engine(&model, EngineConfig::default()), &requests);
    let alone = engine(&model, EngineConfig::default());
    for (request, shared) in requests.iter().zip(shared) {
        let own = collect(alone.stream(request.clone()).unwrap());
        assert_eq!((&own.0, &own.1), (&shared.0, &shared.1));
        let patches = request.pictures.as_deref().cloned().unwrap_or_default();
        let generation = &request.generation;
        let output = model.generate(generation, &patches, &CancelFlag::default(), |_| {
            ControlFlow::Continue(())
        });
        let output = output.unwrap();
        assert_eq!(output.text, shared.0);
        let summary = shared.2;
        assert_eq!(
            (
                output.finish_reason,
                output.prompt_tokens,
                output.completion_tokens
            ),
            (
                summary.finish_reason,
                summary.prompt_tokens,
                summary.completion_tokens
            )
        );
    }
}

/// On other devices than `flex` the module writes, all answers in the rows of a batch, each
/// with the positions that its pictures leave it.
#[test]
fn a_device_writes_together_what_the_cpus_code_writes() {
    let cpu = model();
    let all = EngineModel::from(Arc::clone(&cpu));
    let device = Arc::new(of_module());
    for model in [&cpu, &device] {
        let adapter = fixture("lora/vision_chat");
        model.add_adapter("tuned", &adapter).unwrap();
    }
    let requests: Vec<EngineRequest> = (0..16)
        .map(|number| {
            let mut request = request(&all, number);
            request.generation.adapter = (number % 3 == 0).then(|| "tuned".to_owned());
            request
        })
        .collect();
    let expected = together(&engine(&cpu, EngineConfig::default()), &requests);
    let plain = engine(&device, EngineConfig::default());
    same_but_for_rounding(&together(&plain, &requests), &expected);
    // Some give their memory back, and look again.
    let tight = engine(
        &device,
        EngineConfig {
            kv_budget_bytes: Some(1 << 20),
            ..EngineConfig::default()
        },
    );
    same_but_for_rounding(&together(&tight, &requests), &expected);
    let metrics = tight.metrics();
    assert!(metrics.kv_used_bytes <= metrics.kv_budget_bytes);
}

fn of_module() -> VisionLanguageModel {
    let dir = fixture("qwen25_vl/text_only");
    let mut folder = ModelFolder::open(&dir).unwrap();
    folder.eos_token_ids.clear();
    // Rotary positions have no end of their own.
    folder.config.max_position_embeddings = 4096;
    let tokenizer = ChatTokenizer::from_folder(&dir).unwrap();
    VisionLanguageModel::of_module(folder, tokenizer, &support::device()).unwrap()
}

fn same_but_for_rounding(answers: &[Answer], expected: &[Answer]) {
    assert_eq!(answers.len(), expected.len());
    for ((text, tokens, summary), (of_other, others, their)) in answers.iter().zip(expected) {
        assert_eq!(text, of_other);
        assert_eq!(summary.finish_reason, their.finish_reason);
        assert_eq!(tokens.len(), others.len());
        for ((token, bits), (other, of_other)) in tokens.iter().zip(others) {
            let (a, b) = (f32::from_bits(*bits), f32::from_bits(*of_other));
            assert_eq!(token, other);
            assert!((a - b).abs() < 1e-3, "{a} {b}");
        }
    }
}

#[test]
fn a_device_looks_at_what_it_has_read_once() {
    let model = Arc::new(of_module());
    let all = EngineModel::from(Arc::clone(&model));
    // A block of 256 tokens ends within the pictures.
    let ask = |level: u8, question: &str| {
        let picture = |level| Picture::from_rgb("it", 96, 96, vec![level; 96 * 96 * 3]).unwrap();
        let mut content = vec![Part::Text("w ".repeat(113))];
        content.extend((0..10).map(|_| Part::Picture(picture(40))));
        content.push(Part::Picture(picture(level)));
        content.push(Part::Text(question.to_owned()));
        short_answer(&all, content)
    };
    let image = model.config().image_token_id;
    let ids = ask(1, "what?").generation.prompt_ids;
    assert_eq!((ids[255], ids[256]), (image, image), "{ids:?}");
    let cold = |request: EngineRequest| {
        let engine = engine(&model, EngineConfig::default());
        collect(engine.stream(request).unwrap())
    };
    let engine = engine(&model, EngineConfig::default());
    collect(engine.stream(ask(1, "what?")).unwrap());
    let mut answers = Vec::new();
    for request in [
        ask(1, "what?"),
        ask(1, "and where, or how?"),
        ask(9, "what?"),
    ] {
        let own = cold(request.clone());
        let warm = collect(engine.stream(request).unwrap());
        assert_eq!(warm.2.cached_tokens / 256, 1);
        same_but_for_rounding(std::slice::from_ref(&warm), &[own]);
        answers.push(warm.1);
    }
    assert_ne!(answers[0], answers[2]);
}

#[test]
fn who_gives_memory_back_looks_again_and_goes_on() {
    let model = model();
    let all = EngineModel::from(Arc::clone(&model));
    let requests: Vec<EngineRequest> = (0..8)
        .map(|number| {
            let mut request = request(&all, number);
            request.generation.max_new_tokens = 100;
            request
        })
        .collect();
    let roomy = together(&engine(&model, EngineConfig::default()), &requests);
    // 8 KiB a block of 64 tokens: a few answers begin, and cannot all end.
    let tight = engine(
        &model,
        EngineConfig {
            kv_budget_bytes: Some(40 << 10),
            ..EngineConfig::default()
        },
    );
    let squeezed = together(&tight, &requests);
    for (roomy, squeezed) in roomy.iter().zip(&squeezed) {
        assert_eq!((&roomy.0, &roomy.1), (&squeezed.0, &squeezed.1));
    }
    let metrics = tight.metrics();
    assert!(metrics.preemptions_total > 0, "{metrics:?}");
    assert_eq!(metrics.requests_total, 8);
}

#[test]
fn a_prompt_with_the_same_pictures_is_read_once() {
    let model = model();
    let all = EngineModel::from(Arc::clone(&model));
    let engine = engine(&model, EngineConfig::default());
    // Enough places for several blocks.
    let ask = |level: u8, question: &str| {
        let picture = Picture::from_rgb("it", 96, 96, vec![level; 96 * 96 * 3]).unwrap();
        let mut content = vec![Part::Picture(picture); 10];
        content.push(Part::Text(question.to_owned()));
        short_answer(&all, content)
    };
    let cold = collect(engine.stream(ask(10, "what?")).unwrap());
    assert_eq!(cold.2.cached_tokens, 0);
    let blocks = (cold.2.prompt_tokens - 1) / 64;
    assert!(blocks >= 2, "{} prompt tokens", cold.2.prompt_tokens);
    let warm = collect(engine.stream(ask(10, "what?")).unwrap());
    assert_eq!(warm.2.cached_tokens, blocks * 64);
    assert_eq!((&cold.0, &cold.1), (&warm.0, &warm.1));

    // The same tokens, and another picture.
    let other = collect(engine.stream(ask(200, "what?")).unwrap());
    let own = collect(
        self::engine(&model, EngineConfig::default())
            .stream(ask(200, "what?"))
            .unwrap(),
    );
    assert!(other.2.cached_tokens < 64, "{}", other.2.cached_tokens);
    assert_eq!((&other.0, &other.1), (&own.0, &own.1));
    assert_ne!(other.1, cold.1);
}

#[test]
fn constraints_stops_and_cancelling_are_the_engines() {
    let model = model();
    let all = EngineModel::from(Arc::clone(&model));
    let engine = engine(&model, EngineConfig::default());
    let mut json = request(&all, 3);
    json.constraint = Constraint::JsonObject;
    let (text, ..) = collect(engine.stream(json).unwrap());
    let start = Grammar::start(Constraint::JsonObject).unwrap();
    let sure = text.trim_end_matches('\u{FFFD}');
    assert!(start.run(sure.as_bytes()).is_some(), "{text}");

    // The first token's listener holds the engine until the request is cancelled.
    let (go, wait) = mpsc::channel::<()>();
    let (sender, summaries) = mpsc::channel();
    let sink = move |event| {
        match event {
            Event::Finished(summary) => sender.send(summary).unwrap(),
            _ => drop(wait.recv()),
        }
        ControlFlow::Continue(())
    };
    let cancel = engine.submit(request(&all, 2), Box::new(sink)).unwrap();
    cancel.cancel();
    drop(go);
    let summary = summaries.recv().unwrap();
    assert_eq!(summary.finish_reason, FinishReason::Cancelled);
    assert!(summary.completion_tokens <= 1, "{summary:?}");
}

#[test]
fn pictures_that_do_not_belong_are_refused_in_words() {
    let vision = model();
    let all = EngineModel::from(Arc::clone(&vision));
    let engine = engine(&vision, EngineConfig::default());
    let refuse = |engine: &Engine, request: EngineRequest| {
        let error = engine.stream(request).unwrap_err();
        assert_eq!(error.code(), "model_request_invalid");
        error.to_string()
    };
    let mut none = request(&all, 1);
    none.pictures = None;
    assert!(refuse(&engine, none).contains("more pictures"));
    let mut extra = request(&all, 1);
    let mut twice = extra.pictures.as_deref().unwrap().clone();
    twice.image_grid_thw.extend_from_within(..);
    twice.pixel_values.extend_from_within(..);
    extra.pictures = Some(Arc::new(twice));
    assert!(refuse(&engine, extra).contains("fewer pictures"));

    let device = Device::flex();
    let folder = ModelFolder::open(&fixture("qwen3/ungrouped")).unwrap();
    let text = LanguageModel::new(
        illumine_models::load::LoadedModel {
            model: folder.load_model(&device).unwrap(),
            tokenizer: ChatTokenizer::from_folder(&fixture("chat")).unwrap(),
            folder,
        },
        &device,
    );
    let text = Engine::start(Arc::new(text.unwrap()), &EngineConfig::default()).unwrap();
    assert!(!text.model().sees_pictures());
    let mut seen = EngineRequest::new(GenerationRequest::new(vec![1, 2, 3]));
    seen.pictures = request(&all, 1).pictures;
    assert!(refuse(&text, seen).contains("does not see pictures"));
}

#[test]
fn pictures_of_those_that_wait_are_bounded() {
    let model = model();
    let all = EngineModel::from(Arc::clone(&model));
    let request = request(&all, 1);
    let bytes = request.pictures.as_deref().unwrap().bytes();
    assert!(bytes > 0);
    let start = |picture_budget_bytes| {
        let config = EngineConfig {
            picture_budget_bytes: Some(picture_budget_bytes),
            ..EngineConfig::default()
        };
        engine(&model, config)
    };
    let error = start(bytes - 1).stream(request.clone()).unwrap_err();
    assert_eq!(error.code(), "model_request_invalid");

    let engine = start(2 * bytes);
    let mut long = request.clone();
    long.generation.max_new_tokens = 120;
    long.logprobs = Some(0);
    // The engine waits in its first token, so that both hold their pictures until then.
    let (go, gate) = mpsc::channel::<()>();
    let gate = Arc::new(std::sync::Mutex::new(gate));
    let (done, ended) = mpsc::channel();
    for _ in 0..2 {
        let (gate, done) = (Arc::clone(&gate), done.clone());
        let sink = move |event| {
            // Answers at once when nobody holds the other end any more.
            gate.lock().unwrap().recv().unwrap_err();
            if matches!(event, Event::Finished(_)) {
                done.send(()).unwrap();
            }
            ControlFlow::Continue(())
        };
        engine.submit(long.clone(), Box::new(sink)).unwrap();
    }
    let error = engine.stream(request.clone()).unwrap_err();
    assert_eq!(error.code(), "model_busy");
    // Text takes none of it.
    let text = engine.stream(self::request(&all, 0)).unwrap();
    drop(go);
    collect(text);
    for _ in 0..2 {
        ended.recv().unwrap();
    }
    let freed = (0..500).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(2));
        engine.stream(request.clone()).is_ok()
    });
    assert!(freed);
}
