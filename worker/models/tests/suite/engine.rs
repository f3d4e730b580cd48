//! The engine against itself and against `transformers`: company changes
//! nothing, memory is bounded, nobody is stalled.

use crate::support;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};

use burn::tensor::DType;
use illumine_models::device::Device;
use illumine_models::engine::{Engine, EngineConfig, EngineRequest, Event, EventStream, Summary};
use illumine_models::generate::{FinishReason, GenerationRequest, LanguageModel};
use illumine_models::load::{LoadedModel, ModelFolder, SafetensorsFile};
use illumine_models::qwen3::cpu::{BLOCK_TOKENS, SequenceCache};
use illumine_models::sampling::SamplingParams;
use illumine_models::tokenizer::ChatTokenizer;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// On `flex`, where sequences share blocks and steps.
fn model(name: &str) -> Arc<LanguageModel> {
    model_on(name, &Device::flex())
}

fn model_on(name: &str, device: &Device) -> Arc<LanguageModel> {
    Arc::new(LanguageModel::new(loaded(name, device), device).unwrap())
}

fn loaded(name: &str, device: &Device) -> LoadedModel {
    let mut folder = ModelFolder::open(&fixture(&format!("qwen3/{name}"))).unwrap();
    folder.eos_token_ids.clear();
    LoadedModel {
        model: folder.load_model(device).unwrap(),
        tokenizer: ChatTokenizer::from_folder(&fixture("chat")).unwrap(),
        folder,
    }
}

fn engine(model: &Arc<LanguageModel>, config: EngineConfig) -> Engine {
    Engine::start(Arc::clone(model), &config).unwrap()
}

fn request(prompt: Vec<u32>, max_new_tokens: usize) -> EngineRequest {
    EngineRequest::new(GenerationRequest {
        max_new_tokens,
        ..GenerationRequest::new(prompt)
    })
}

/// A prompt of `tokens` tokens, different for each `seed`.
fn prompt(tokens: usize, seed: usize) -> Vec<u32> {
    (0..tokens)
        .map(|i| ((i * 31 + i / 7 + seed * 17 + i * i * seed) % 96) as u32)
        .collect()
}

/// An answer, down to the last bit of its log-probabilities.
#[derive(Debug, PartialEq)]
struct Answer {
    text: String,
    tokens: Vec<(u32, u32)>,
    reason: FinishReason,
}

fn collect(stream: EventStream) -> (Answer, Summary) {
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
            Event::Finished(summary) => {
                let reason = summary.finish_reason;
                return (
                    Answer {
                        text,
                        tokens,
                        reason,
                    },
                    summary,
                );
            }
            Event::Failed(error) => panic!("{error}"),
        }
    }
    panic!("the stream ended early");
}

/// Requests of all kinds: greedy and sampled, long and short, a third of them
/// with one beginning.
fn mixed(count: usize) -> Vec<EngineRequest> {
    (0..count)
        .map(|number| {
            let mut ids = match number % 3 {
                0 => prompt(150, 0),
                _ => Vec::new(),
            };
            ids.extend(prompt(1 + number * 5 % 140, number + 1));
            let mut request = request(ids, 10 + number * 7 % 60);
            request.logprobs = Some(0);
            request.generation.sampling = SamplingParams {
                temperature: (number % 2) as f32,
                top_p: 0.9,
                seed: Some(number as u64),
                ..SamplingParams::default()
            };
            request
        })
        .collect()
}

fn alone(model: &Arc<LanguageModel>, requests: &[EngineRequest]) -> Vec<Answer> {
    let config = EngineConfig {
        max_concurrency: 1,
        prefix_reuse: false,
        ..EngineConfig::default()
    };
    let engine = engine(model, config);
    let answer = |request: &EngineRequest| collect(engine.stream(request.clone()).unwrap()).0;
    requests.iter().map(answer).collect()
}

fn together(engine: &Engine, requests: &[EngineRequest]) -> Vec<(Answer, Summary)> {
    let start = |request: &EngineRequest| engine.stream(request.clone()).unwrap();
    let streams: Vec<EventStream> = requests.iter().map(start).collect();
    streams.into_iter().map(collect).collect()
}

#[test]
fn thirty_two_together_get_what_each_gets_alone() {
    let requests = mixed(32);
    for name in ["grouped_tied", "bf16_file"] {
        let model = model(name);
        let engine = engine(&model, EngineConfig::default());
        let expected = alone(&model, &requests);
        for round in 0..2 {
            let answers = together(&engine, &requests);
            for (number, ((answer, _), expected)) in answers.iter().zip(&expected).enumerate() {
                assert_eq!(answer, expected, "{name}, round {round}, request {number}");
            }
        }
        let metrics = engine.metrics();
        assert!(metrics.cache_hit_tokens_total > 0, "{metrics:?}");
    }
}

/// On other devices than `flex` the module writes, all answers in the rows of a batch.
#[test]
fn a_device_writes_together_what_each_gets_alone() {
    let mut requests = mixed(16);
    requests.push(request(prompt(1, 40), 12));
    let device = support::device();
    let model = Arc::new(LanguageModel::of_module(
        loaded("grouped_tied", &device),
        &device,
    ));
    let block = SequenceCache::block_bytes(&model.folder().config);
    let expected = alone(&model, &requests);
    for budget in [None, Some(40 * block)] {
        let config = EngineConfig {
            kv_budget_bytes: budget,
            ..EngineConfig::default()
        };
        let engine = engine(&model, config);
        for ((answer, _), expected) in together(&engine, &requests).iter().zip(&expected) {
            assert_eq!(answer.text, expected.text);
            assert_eq!(answer.reason, expected.reason);
            assert_eq!(answer.tokens.len(), expected.tokens.len());
            for ((token, bits), (other, of_other)) in answer.tokens.iter().zip(&expected.tokens) {
                let (a, b) = (f32::from_bits(*bits), f32::from_bits(*of_other));
                assert_eq!(token, other);
                assert!((a - b).abs() < 1e-3, "{a} {b}");
            }
        }
        let metrics = engine.metrics();
        assert!(metrics.kv_used_bytes <= metrics.kv_budget_bytes);
    }
}

/// Prompts that a device has read are read once, like those of the CPU.
#[test]
fn a_device_reads_a_beginning_once() {
    let device = support::device();
    let of = loaded("grouped_tied", &device);
    let model = Arc::new(LanguageModel::of_module(of, &device));
    // Of the beginning a block of 256 is whole; the last prompt is a block and a token.
    let ask = |beginning: usize, rest: usize| {
        let mut request = request([prompt(beginning, 0), prompt(rest, rest)].concat(), 24);
        request.logprobs = Some(0);
        request
    };
    let requests = vec![ask(280, 9), ask(280, 60), ask(257, 0)];
    let expected = alone(&model, &requests);
    let engine = engine(&model, EngineConfig::default());
    let cached = |engine: &Engine, number: usize| {
        let stream = engine.stream(requests[number].clone()).unwrap();
        let (answer, summary) = collect(stream);
        assert_eq!(answer, expected[number]);
        summary.cached_tokens
    };
    assert_eq!(cached(&engine, 0), 0);
    assert_eq!(engine.metrics().kv_prefix_bytes, {
        let block = SequenceCache::block_bytes(&model.folder().config);
        256 / BLOCK_TOKENS * block
    });
    for number in [1, 2, 0] {
        assert_eq!(cached(&engine, number), 256, "request {number}");
    }
    // Beside each other, each takes the block that the first has read.
    let engine = self::engine(&model, EngineConfig::default());
    for ((answer, _), expected) in together(&engine, &requests).iter().zip(&expected) {
        assert_eq!(
            (&answer.text, answer.reason),
            (&expected.text, expected.reason)
        );
    }
    assert!(engine.metrics().cache_hit_tokens_total >= 256);
}

/// Keys and values are counted in the numbers that a device keeps them in.
#[test]
fn bf16_keys_are_half_as_large() {
    let device = support::device();
    let mut of = loaded("grouped_tied", &device);
    of.model = of.folder.load_model_as(&device, DType::BF16).unwrap();
    let model = Arc::new(LanguageModel::of_module(of, &device));
    let engine = engine(&model, EngineConfig::default());
    collect(engine.stream(request(prompt(280, 0), 4)).unwrap());
    let block = SequenceCache::block_bytes(&model.folder().config);
    let kept = engine.metrics().kv_prefix_bytes;
    assert_eq!(kept, 256 / BLOCK_TOKENS * block / 2);
}

#[test]
fn greedy_answers_equal_transformers() {
    let mut compared = 0;
    for entry in std::fs::read_dir(fixture("qwen3")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let path = fixture(&format!("qwen3/{name}/reference.safetensors"));
        let mut file = SafetensorsFile::open(&path).unwrap();
        let (shape, ids) = file.read_ints("input_ids").unwrap();
        let (_, generated) = file.read_ints("generated_ids").unwrap();
        let ids = ids[..shape[1]].iter().map(|&id| id as u32).collect();
        let mut request = request(ids, generated.len());
        request.logprobs = Some(3);
        let engine = engine(
            &model_on(&name, &support::device()),
            EngineConfig::default(),
        );
        let (answer, _) = collect(engine.stream(request).unwrap());
        let tokens: Vec<i64> = answer.tokens.iter().map(|(id, _)| i64::from(*id)).collect();
        assert_eq!(tokens, generated, "{name}");
        assert_eq!(answer.reason, FinishReason::Length);
        compared += 1;
    }
    assert!(compared >= 9);
}

#[test]
fn the_token_that_ends_an_answer_is_told_with_its_probability() {
    let model = model("grouped_tied");
    let engine = engine(&model, EngineConfig::default());
    let ask = |stop_ids: Vec<u32>| {
        let mut request = request(prompt(20, 3), 6);
        request.logprobs = Some(0);
        request.generation.stop_ids = stop_ids;
        collect(engine.stream(request).unwrap())
    };
    let (whole, summary) = ask(Vec::new());
    assert_eq!((whole.tokens.len(), summary.end_token), (6, None));
    let (stop, bits) = whole.tokens[3];
    let place = whole.tokens.iter().position(|(token, _)| *token == stop);
    let (cut, summary) = ask(vec![stop]);
    assert_eq!(cut.tokens, whole.tokens[..place.unwrap()]);
    let end = summary.end_token.unwrap();
    assert_eq!(end.token, stop);
    if place == Some(3) {
        assert_eq!(end.logprob.to_bits(), bits);
    }
}

#[test]
fn too_little_memory_costs_time_but_no_text() {
    let model = model("grouped_tied");
    let requests = mixed(12);
    let block = SequenceCache::block_bytes(&model.folder().config);
    let config = EngineConfig {
        kv_budget_bytes: Some(22 * block),
        ..EngineConfig::default()
    };
    let engine = engine(&model, config);
    let expected = alone(&model, &requests);
    let answers = together(&engine, &requests);
    for ((answer, _), expected) in answers.iter().zip(&expected) {
        assert_eq!(answer, expected);
    }
}

#[test]
fn the_youngest_gives_its_memory_back_and_goes_on_where_it_was() {
    let model = model("grouped_tied");
    let block = SequenceCache::block_bytes(&model.folder().config);
    let peak = Arc::new(Mutex::new(0));
    let config = EngineConfig {
        kv_budget_bytes: Some(10 * block),
        ..EngineConfig::default()
    };
    let engine = engine(&model, config);
    // Six of four blocks each: together they outgrow the budget.
    let requests: Vec<EngineRequest> = (0..6)
        .map(|seed| {
            let mut request = request(prompt(3, seed), 4 * BLOCK_TOKENS - 10);
            request.logprobs = Some(0);
            request.generation.sampling.temperature = 1.0;
            request.generation.sampling.seed = Some(seed as u64);
            request
        })
        .collect();
    let expected = alone(&model, &requests);
    let streams: Vec<EventStream> = requests
        .iter()
        .map(|request| engine.stream(request.clone()).unwrap())
        .collect();
    for (stream, expected) in streams.into_iter().zip(&expected) {
        assert_eq!(&collect(stream).0, expected);
        let mut peak = peak.lock().unwrap();
        *peak = engine.metrics().kv_used_bytes.max(*peak);
    }
    let metrics = engine.metrics();
    assert!(metrics.preemptions_total > 0, "{metrics:?}");
    assert!(*peak.lock().unwrap() <= 10 * block);
}

#[test]
fn a_second_prompt_reads_only_what_is_new() {
    let model = model("grouped_tied");
    let engine = engine(&model, EngineConfig::default());
    let run = |ids: Vec<u32>| collect(engine.stream(request(ids, 8)).unwrap());
    let (first, summary) = run(prompt(200, 1));
    assert_eq!(summary.cached_tokens, 0);
    let (again, summary) = run(prompt(200, 1));
    assert_eq!(summary.cached_tokens, 3 * BLOCK_TOKENS);
    assert_eq!(again, first);
    let mut other = prompt(200, 1);
    other[BLOCK_TOKENS] ^= 1;
    let (_, summary) = run(other);
    assert_eq!(
        summary.cached_tokens, BLOCK_TOKENS,
        "the second block differs"
    );
    let metrics = engine.metrics();
    assert_eq!(metrics.cache_hit_tokens_total as usize, 4 * BLOCK_TOKENS);
    assert!(metrics.kv_prefix_bytes > 0);
}

#[test]
fn a_long_prompt_does_not_stall_an_answer() {
    let model = model("grouped_tied");
    let engine = engine(&model, EngineConfig::default());
    let log = Arc::new(Mutex::new(Vec::new()));
    let (done, ended) = mpsc::channel();
    for (name, prompt, tokens) in [('s', prompt(2, 1), 400), ('l', prompt(450, 2), 40)] {
        let (log, done) = (Arc::clone(&log), done.clone());
        let mut request = request(prompt, tokens);
        request.logprobs = Some(0);
        let sink = move |event| {
            match event {
                Event::Text { .. } => log.lock().unwrap().push(name),
                _ => done.send(()).unwrap(),
            }
            ControlFlow::Continue(())
        };
        engine.submit(request, Box::new(sink)).unwrap();
    }
    ended.recv().unwrap();
    ended.recv().unwrap();
    let log = log.lock().unwrap();
    let first_long = log.iter().position(|&name| name == 'l').unwrap();
    assert!(
        first_long >= 6,
        "written while the prompt was read: {log:?}"
    );
    assert!(
        log[first_long..].contains(&'s'),
        "they share steps: {log:?}"
    );
}

#[test]
fn a_cancelled_request_ends_within_a_step() {
    let model = model("grouped_tied");
    let engine = engine(&model, EngineConfig::default());
    let flag = Arc::new(Mutex::new(None::<illumine_models::generate::CancelFlag>));
    let (done, ended) = mpsc::channel();
    let mut request = request(prompt(5, 1), 400);
    request.logprobs = Some(0);
    let sink = {
        let flag = Arc::clone(&flag);
        let mut pieces = 0;
        move |event| {
            match event {
                Event::Finished(summary) => done.send((pieces, summary)).unwrap(),
                _ => {
                    pieces += 1;
                    // Cancelled as soon as there is something to cancel.
                    if let Some(flag) = &*flag.lock().unwrap() {
                        flag.cancel();
                    }
                }
            }
            ControlFlow::Continue(())
        }
    };
    let cancel = engine.submit(request.clone(), Box::new(sink)).unwrap();
    *flag.lock().unwrap() = Some(cancel);
    let (pieces, summary) = ended.recv().unwrap();
    assert_eq!(summary.finish_reason, FinishReason::Cancelled);
    assert_eq!(summary.completion_tokens, pieces);
    assert!(pieces < 400);

    // A listener that goes away cancels too.
    drop(engine.stream(request).unwrap());
    while engine.metrics().requests_total < 2 {
        std::thread::yield_now();
    }
    assert!(engine.metrics().completion_tokens_total < 400);
}

#[test]
fn what_cannot_fit_is_refused_and_what_is_too_much_is_busy() {
    let model = model("grouped_tied");
    let block = SequenceCache::block_bytes(&model.folder().config);
    let config = EngineConfig {
        kv_budget_bytes: Some(7 * block),
        max_concurrency: 1,
        max_waiting: 1,
        ..EngineConfig::default()
    };
    let engine = engine(&model, config);
    let error = engine.stream(request(prompt(5, 1), 450)).unwrap_err();
    assert_eq!(error.code(), "model_request_invalid");
    assert!(error.to_string().contains("max_tokens"), "{error}");
    for (field, prompt) in [("prompt", vec![]), ("prompt", vec![96])] {
        let error = engine.stream(request(prompt, 5)).unwrap_err();
        assert!(error.to_string().contains(field), "{error}");
    }

    // The engine waits in its first token, so that it is sure to be running still.
    let (go, gate) = mpsc::channel::<()>();
    let sink = move |_| {
        let _ = gate.recv();
        ControlFlow::Continue(())
    };
    let running = engine.submit(request(prompt(5, 1), 200), Box::new(sink));
    let running = running.unwrap();
    let waiting = engine.stream(request(prompt(5, 2), 5)).unwrap();
    let error = engine.stream(request(prompt(5, 3), 5)).unwrap_err();
    assert_eq!(error.code(), "model_busy");
    running.cancel();
    drop(go);
    assert_eq!(collect(waiting).0.reason, FinishReason::Length);
    collect(engine.stream(request(prompt(5, 3), 5)).unwrap());
}

#[test]
fn an_answer_is_written_to_its_end_after_the_last_handle_is_gone() {
    let model = model("grouped_tied");
    for seed in 0..20 {
        let stream = {
            let engine = engine(&model, EngineConfig::default());
            engine.stream(request(prompt(3, seed), 2)).unwrap()
        };
        assert_eq!(collect(stream).0.reason, FinishReason::Length);
    }
}

#[test]
fn a_stop_text_and_no_tokens_at_all() {
    let model = model("grouped_tied");
    let engine = engine(&model, EngineConfig::default());
    let (whole, _) = collect(engine.stream(request(prompt(9, 1), 40)).unwrap());
    let stop: String = whole.text.chars().skip(6).take(3).collect();
    let mut stopped = request(prompt(9, 1), 40);
    stopped.generation.stop_strings = vec![stop.clone()];
    let (answer, summary) = collect(engine.stream(stopped).unwrap());
    assert_eq!(answer.reason, FinishReason::Stop);
    assert_eq!(answer.text, whole.text.split(&stop).next().unwrap());
    assert!(summary.completion_tokens < 40);

    let (answer, summary) = collect(engine.stream(request(prompt(9, 1), 0)).unwrap());
    assert_eq!(
        (answer.reason, summary.completion_tokens),
        (FinishReason::Length, 0)
    );
}
