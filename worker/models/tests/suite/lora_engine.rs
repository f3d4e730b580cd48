//! Requests with different adapters, and without, in one engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use illumine_models::device::Device;
use illumine_models::engine::{Engine, EngineConfig, EngineRequest, Event, EventStream};
use illumine_models::generate::{GenerationRequest, LanguageModel};
use illumine_models::load::{LoadedModel, ModelFolder};
use illumine_models::qwen3::cpu::BLOCK_TOKENS;
use illumine_models::sampling::SamplingParams;
use illumine_models::tokenizer::ChatTokenizer;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// A base without adapters.
fn base() -> Arc<LanguageModel> {
    let device = Device::flex();
    let mut folder = ModelFolder::open(&fixture("qwen3/grouped_tied")).unwrap();
    folder.eos_token_ids.clear();
    let loaded = LoadedModel {
        model: folder.load_model(&device).unwrap(),
        tokenizer: ChatTokenizer::from_folder(&fixture("chat")).unwrap(),
        folder,
    };
    Arc::new(LanguageModel::new(loaded, &device).unwrap())
}

fn with_adapters() -> Arc<LanguageModel> {
    let model = base();
    model.add_adapter("a", &fixture("lora/names")).unwrap();
    model
        .add_adapter("b", &fixture("lora/second_layer"))
        .unwrap();
    model
}

fn engine(model: &Arc<LanguageModel>) -> Engine {
    Engine::start(Arc::clone(model), &EngineConfig::default()).unwrap()
}

fn prompt(tokens: usize) -> Vec<u32> {
    (0..tokens)
        .map(|i| ((i * 31 + i / 7) % 96) as u32)
        .collect()
}

fn request(adapter: Option<&str>, prompt: Vec<u32>, temperature: f32) -> EngineRequest {
    let mut request = EngineRequest::new(GenerationRequest {
        max_new_tokens: 40,
        adapter: adapter.map(str::to_owned),
        sampling: SamplingParams {
            temperature,
            seed: Some(7),
            ..SamplingParams::default()
        },
        ..GenerationRequest::new(prompt)
    });
    request.logprobs = Some(0);
    request
}

/// Tokens and the bits of their log-probabilities; how many prompt tokens were
/// found read.
fn collect(stream: EventStream) -> (Vec<(u32, u32)>, usize) {
    let mut all = Vec::new();
    for event in stream {
        match event {
            Event::Text { tokens, .. } => {
                all.extend(tokens.iter().map(|t| (t.token, t.logprob.to_bits())));
            }
            Event::Finished(summary) => return (all, summary.cached_tokens),
            Event::Failed(error) => panic!("{error}"),
        }
    }
    panic!("the stream ended early");
}

const CHOICES: [Option<&str>; 3] = [None, Some("a"), Some("b")];

#[test]
fn three_kinds_together_get_what_each_gets_alone() {
    let model = with_adapters();
    let mut requests = Vec::new();
    for temperature in [0.0, 1.0] {
        for tokens in [9, 70] {
            requests.extend(CHOICES.map(|name| request(name, prompt(tokens), temperature)));
        }
    }
    let alone: Vec<_> = requests
        .iter()
        // An engine of its own has read nothing before.
        .map(|request| collect(engine(&model).stream(request.clone()).unwrap()).0)
        .collect();
    for three in alone.chunks(3) {
        assert_ne!(three[0], three[1], "the adapter matters");
        assert_ne!(three[0], three[2]);
        assert_ne!(three[1], three[2]);
    }
    // What the base writes does not change when adapters are there.
    let bare = base();
    for (number, request) in requests.iter().enumerate().step_by(3) {
        let answer = collect(engine(&bare).stream(request.clone()).unwrap()).0;
        assert_eq!(answer, alone[number]);
    }
    let engine = engine(&model);
    for _ in 0..2 {
        let streams: Vec<EventStream> = requests
            .iter()
            .map(|request| engine.stream(request.clone()).unwrap())
            .collect();
        for (number, stream) in streams.into_iter().enumerate() {
            assert_eq!(collect(stream).0, alone[number], "request {number}");
        }
    }
}

#[test]
fn a_prompt_that_one_adapter_read_is_read_again_by_another() {
    let model = with_adapters();
    let engine = engine(&model);
    let ask = |name| collect(engine.stream(request(name, prompt(150), 0.0)).unwrap());
    let mut first = Vec::new();
    for name in CHOICES {
        let (answer, cached) = ask(name);
        assert_eq!(cached, 0, "{name:?} took what another had read");
        first.push(answer);
    }
    for (name, answer) in CHOICES.into_iter().zip(&first) {
        assert_eq!(ask(name), (answer.clone(), 2 * BLOCK_TOKENS), "{name:?}");
    }
}

#[test]
fn adapters_come_while_the_engine_runs_and_take_names_over() {
    let model = base();
    let engine = engine(&model);
    let ask = |name| engine.stream(request(name, prompt(150), 0.0)).map(collect);
    let error = ask(Some("a")).unwrap_err();
    assert_eq!(error.code(), "model_request_invalid");
    assert!(error.to_string().contains("`a`"), "{error}");

    let running = engine.stream(request(None, prompt(5), 0.0)).unwrap();
    model.add_adapter("a", &fixture("lora/names")).unwrap();
    let (names, _) = ask(Some("a")).unwrap();
    // Another under the same name must not find the blocks of the first.
    model
        .add_adapter("a", &fixture("lora/second_layer"))
        .unwrap();
    let (second, cached) = ask(Some("a")).unwrap();
    assert_eq!(cached, 0);
    assert_ne!(names, second);
    let fresh = with_adapters();
    let expected = |name| {
        let request = request(Some(name), prompt(150), 0.0);
        collect(self::engine(&fresh).stream(request).unwrap()).0
    };
    assert_eq!(names, expected("a"));
    assert_eq!(second, expected("b"));
    let (base, _) = collect(running);
    let alone = self::engine(&fresh).stream(request(None, prompt(5), 0.0));
    assert_eq!(base, collect(alone.unwrap()).0);
    let error = ask(Some("c")).unwrap_err().to_string();
    assert!(error.contains("there are a"), "{error}");
}
