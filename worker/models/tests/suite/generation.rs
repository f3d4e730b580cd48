//! Generation from fixture models: equality with `transformers`, stopping,
//! cancelling, refusals.

use crate::support;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use illumine_models::device::Device;
use illumine_models::generate::{CancelFlag, FinishReason, GenerationRequest, LanguageModel};
use illumine_models::load::{LoadedModel, ModelFolder, SafetensorsFile};
use illumine_models::qwen3::cpu::{CpuDecoder, Precision, Scratch, SequenceCache};
use illumine_models::sampling::SamplingParams;
use illumine_models::tokenizer::ChatTokenizer;
use illumine_models::{KvCache, Qwen3Config};

use support::device;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// A fixture model; its vocabulary is smaller than the tokenizer's, so that
/// every id is a byte or a piece of one word.
fn model(name: &str, eos_token_ids: Vec<u32>) -> LanguageModel {
    let device = device();
    let mut folder = ModelFolder::open(&fixture(&format!("qwen3/{name}"))).unwrap();
    folder.eos_token_ids = eos_token_ids;
    let loaded = LoadedModel {
        model: folder.load_model(&device).unwrap(),
        tokenizer: ChatTokenizer::from_folder(&fixture("chat")).unwrap(),
        folder,
    };
    LanguageModel::new(loaded, &device).unwrap()
}

fn reference(name: &str) -> (Vec<u32>, Vec<u32>) {
    let path = fixture(&format!("qwen3/{name}/reference.safetensors"));
    let mut file = SafetensorsFile::open(&path).unwrap();
    let (shape, ids) = file.read_ints("input_ids").unwrap();
    let (_, generated) = file.read_ints("generated_ids").unwrap();
    let unsigned = |ids: &[i64]| ids.iter().map(|&id| id as u32).collect();
    (unsigned(&ids[..shape[1]]), unsigned(&generated))
}

fn go_on(_: &str) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn request(prompt: Vec<u32>, max_new_tokens: usize) -> GenerationRequest {
    GenerationRequest {
        max_new_tokens,
        ..GenerationRequest::new(prompt)
    }
}

#[test]
fn greedy_generation_equals_transformers() {
    let mut compared = 0;
    for entry in std::fs::read_dir(fixture("qwen3")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let (prompt, expected) = reference(&name);
        let output = model(&name, vec![])
            .generate(
                &request(prompt, expected.len()),
                &CancelFlag::default(),
                go_on,
            )
            .unwrap();
        assert_eq!(output.token_ids, expected, "{name}");
        assert_eq!(output.finish_reason, FinishReason::Length);
        compared += 1;
    }
    assert!(compared >= 17);
}

#[test]
fn a_long_prompt_is_read_in_chunks_without_a_trace() {
    // Token by token, in chunks, and by the module: the same answer, the first
    // two down to the last bit.
    let folder = ModelFolder::open(&fixture("qwen3/grouped_tied")).unwrap();
    let module = folder.load_model(&Device::flex()).unwrap();
    let config = Qwen3Config {
        max_position_embeddings: 4096,
        ..folder.config
    };
    let prompt: Vec<u32> = (0..1100).map(|i| (i * 31 + i / 7) % 96).collect();
    let decoder = CpuDecoder::new(&module, &config).unwrap();
    let (mut cache, mut scratch) = (SequenceCache::new(&config), Scratch::default());
    let mut one_by_one = Vec::new();
    for &token in &prompt {
        one_by_one = decoder
            .step(&[token], &mut [&mut cache], &mut scratch)
            .unwrap()
            .to_vec();
    }

    let (last, before) = prompt.split_last().unwrap();
    for chunk in [64, 100, 512] {
        let mut cache = SequenceCache::new(&config);
        for chunk in before.chunks(chunk) {
            decoder.read(chunk, &mut cache, &mut scratch).unwrap();
        }
        let logits = decoder.step(&[*last], &mut [&mut cache], &mut scratch);
        assert_eq!(logits.unwrap(), one_by_one, "by {chunk}");
    }

    let mut chunked = KvCache::new(config.num_hidden_layers);
    let mut logits = Vec::new();
    for chunk in prompt.chunks(512) {
        let ids: Vec<i64> = chunk.iter().map(|&id| i64::from(id)).collect();
        let data = burn::tensor::TensorData::new(ids, [1, chunk.len()]);
        let ids = burn::tensor::Tensor::from_data(data, &Device::flex());
        let hidden = module.forward_cached(ids, None, None, &mut chunked);
        let last = hidden.narrow(1, chunk.len() - 1, 1);
        logits = module
            .logits(last)
            .into_data()
            .try_into_vec::<f32>()
            .unwrap();
    }
    let pairs = one_by_one.iter().zip(&logits);
    let diff = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(diff < 1e-4, "{diff:e}");
}

#[test]
fn several_sequences_at_once_give_what_each_gives_alone() {
    let folder = ModelFolder::open(&fixture("qwen3/grouped_tied")).unwrap();
    let config = &folder.config;
    let decoder = folder.load_decoder(Precision::Exact).unwrap();
    let sequences: [&[u32]; 5] = [
        &[1, 2, 3],
        &[9, 8, 7],
        &[40, 41, 42],
        &[5, 5, 5],
        &[90, 0, 3],
    ];
    let mut scratch = Scratch::default();
    let alone: Vec<Vec<f32>> = sequences
        .iter()
        .map(|tokens| {
            let mut cache = SequenceCache::new(config);
            let mut logits = Vec::new();
            for &token in *tokens {
                let row = decoder.step(&[token], &mut [&mut cache], &mut scratch);
                logits = row.unwrap().to_vec();
            }
            logits
        })
        .collect();

    let mut caches = vec![SequenceCache::new(config); sequences.len()];
    let mut together = Vec::new();
    for place in 0..3 {
        let tokens: Vec<u32> = sequences.iter().map(|tokens| tokens[place]).collect();
        let mut caches: Vec<&mut SequenceCache> = caches.iter_mut().collect();
        together = decoder
            .step(&tokens, &mut caches, &mut scratch)
            .unwrap()
            .to_vec();
    }
    for (alone, together) in alone.iter().zip(together.chunks(config.vocab_size)) {
        assert_eq!(alone, together, "bit for bit");
    }
}

#[test]
fn the_models_end_token_stops_and_is_not_text() {
    let (prompt, expected) = reference("grouped_tied");
    let end = expected[5];
    let first = expected.iter().position(|&id| id == end).unwrap();
    let output = model("grouped_tied", vec![end])
        .generate(&request(prompt, 24), &CancelFlag::default(), go_on)
        .unwrap();
    assert_eq!(output.finish_reason, FinishReason::Stop);
    assert_eq!(output.token_ids, expected[..=first]);
    assert_eq!(output.completion_tokens, first + 1);
    let tokenizer = ChatTokenizer::from_folder(&fixture("chat")).unwrap();
    assert_eq!(output.text, tokenizer.decode(&expected[..first]));
}

#[test]
fn a_stop_text_ends_the_answer_before_it() {
    let (prompt, _) = reference("grouped_tied");
    let model = model("grouped_tied", vec![]);
    let whole = model
        .generate(&request(prompt.clone(), 24), &CancelFlag::default(), go_on)
        .unwrap()
        .text;
    let stop: String = whole.chars().skip(5).take(3).collect();
    let before = whole.split(stop.as_str()).next().unwrap().to_owned();
    let mut request = request(prompt, 24);
    request.stop_strings = vec![stop];
    let mut pieces = String::new();
    let output = model
        .generate(&request, &CancelFlag::default(), |delta| {
            pieces += delta;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(output.finish_reason, FinishReason::Stop);
    assert_eq!(output.text, before);
    assert_eq!(pieces, before);
    assert!(output.completion_tokens < 24);
}

#[test]
fn sampling_repeats_with_its_seed() {
    let model = model("untied_one_kv_head", vec![]);
    let (prompt, _) = reference("untied_one_kv_head");
    let sample = |seed| {
        let mut request = request(prompt.clone(), 40);
        request.sampling = SamplingParams {
            temperature: 1.0,
            top_p: 0.95,
            seed: Some(seed),
            ..SamplingParams::default()
        };
        model
            .generate(&request, &CancelFlag::default(), go_on)
            .unwrap()
            .token_ids
    };
    assert_eq!(sample(3), sample(3));
    assert_ne!(sample(3), sample(4));
}

#[test]
fn another_thread_listens_and_cancels() {
    let model = Arc::new(model("grouped_tied", vec![]));
    let cancel = CancelFlag::default();
    let (sender, deltas) = mpsc::channel();
    let job = std::thread::spawn({
        let cancel = cancel.clone();
        move || {
            model.generate(&request(vec![1, 2, 3], 450), &cancel, |delta| {
                sender.send(delta.to_owned()).unwrap();
                ControlFlow::Continue(())
            })
        }
    });
    let mut heard = String::new();
    for delta in deltas {
        heard += &delta;
        cancel.cancel();
    }
    let output = job.join().unwrap().unwrap();
    assert_eq!(output.finish_reason, FinishReason::Cancelled);
    assert!(output.completion_tokens < 450);
    assert_eq!(output.text, heard);
}

#[test]
fn a_listener_that_breaks_off_ends_it() {
    let mut calls = 0;
    let output = model("grouped_tied", vec![])
        .generate(&request(vec![1, 2, 3], 100), &CancelFlag::default(), |_| {
            calls += 1;
            ControlFlow::Break(())
        })
        .unwrap();
    assert_eq!(calls, 1);
    assert_eq!(output.finish_reason, FinishReason::Cancelled);
}

#[test]
fn a_flag_set_beforehand_writes_nothing() {
    let cancel = CancelFlag::default();
    cancel.cancel();
    let output = model("grouped_tied", vec![])
        .generate(&request(vec![1, 2], 10), &cancel, go_on)
        .unwrap();
    assert_eq!(output.finish_reason, FinishReason::Cancelled);
    assert_eq!(output.completion_tokens, 0);
}

#[test]
fn the_contexts_end_is_a_length_stop() {
    let model = model("ungrouped", vec![]);
    let context = model.folder().config.max_position_embeddings;
    let prompt = vec![3; context - 2];
    let output = model
        .generate(&request(prompt, 100), &CancelFlag::default(), go_on)
        .unwrap();
    assert_eq!(output.finish_reason, FinishReason::Length);
    assert_eq!(output.completion_tokens, 2);
}

#[test]
fn requests_that_cannot_be_served_name_the_field() {
    let model = model("ungrouped", vec![]);
    let context = model.folder().config.max_position_embeddings;
    let mut hot = request(vec![1], 5);
    hot.sampling.temperature = -1.0;
    let cases = [
        ("prompt", request(vec![], 5)),
        ("prompt", request(vec![1; context], 5)),
        ("prompt", request(vec![1, 96], 5)),
        ("temperature", hot),
    ];
    for (field, request) in cases {
        let error = model
            .generate(&request, &CancelFlag::default(), go_on)
            .unwrap_err();
        assert_eq!(error.code(), "model_request_invalid");
        assert!(error.to_string().contains(field), "{error}");
    }
}
