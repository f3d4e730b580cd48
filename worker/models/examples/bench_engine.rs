//! Times the engine on a model folder: one stream and many, free and constrained.
//!
//! `bench_engine FOLDER [STREAMS] [NEW_TOKENS] [PROMPT_TOKENS]` prints a line a
//! run.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use illumine_models::constrain::{Constraint, Grammar, Masks};
use illumine_models::device::Device;
use illumine_models::engine::{Engine, EngineConfig, EngineRequest, Event};
use illumine_models::generate::{GenerationRequest, LanguageModel};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().ok_or("a model folder is needed")?;
    let mut number = |default: usize| -> Result<usize, Box<dyn Error>> {
        Ok(arguments.next().map_or(Ok(default), |text| text.parse())?)
    };
    let (streams, new_tokens, prompt_tokens) = (number(32)?, number(128)?, number(100)?);
    let model = Arc::new(LanguageModel::load(Path::new(&dir), &Device::flex())?);
    time_masks(&model);
    let engine = Engine::start(Arc::clone(&model), &EngineConfig::default())?;
    for constraint in [Constraint::None, Constraint::Tags { inputs: 1 }] {
        for streams in [1, streams] {
            let started = Instant::now();
            let requests = (0..streams).map(|number| {
                let vocab = model.folder().config.vocab_size;
                let ids = (0..prompt_tokens).map(|i| ((i * 31 + number * 7) % vocab) as u32);
                let mut generation = GenerationRequest::new(ids.collect());
                generation.max_new_tokens = new_tokens;
                generation.sampling.temperature = 1.0;
                generation.sampling.seed = Some(number as u64);
                engine.stream(EngineRequest {
                    constraint,
                    ..EngineRequest::new(generation)
                })
            });
            let requests = requests.collect::<Result<Vec<_>, _>>()?;
            let mut tokens = 0;
            for event in requests.into_iter().flatten() {
                if let Event::Finished(summary) = event {
                    tokens += summary.completion_tokens;
                }
            }
            let seconds = started.elapsed().as_secs_f64();
            println!(
                "{constraint:?}, {streams} streams: {tokens} tokens in {seconds:.2} s, {:.0} a second",
                tokens as f64 / seconds
            );
        }
    }
    Ok(())
}

/// The cost of a mask that was not met before, and of one that was.
fn time_masks(model: &LanguageModel) {
    let started = Instant::now();
    let mut masks = Masks::new(model.tokenizer(), model.folder().config.vocab_size);
    println!("vocabulary sorted in {:.1} ms", milliseconds(started));
    let Some(mut state) = Grammar::start(Constraint::Tags { inputs: 1 }) else {
        return;
    };
    let text = r#"A <imgen>{"source": "code", "description": "a chart", "params": {"code": "x"#;
    let (mut longest, mut total, mut count) = (0.0_f64, 0.0, 0);
    for byte in text.bytes() {
        let started = Instant::now();
        masks.mask(state);
        let time = milliseconds(started);
        (longest, total, count) = (longest.max(time), total + time, count + 1);
        match state.step(byte) {
            Some(next) => state = next,
            None => break,
        }
    }
    let started = Instant::now();
    masks.mask(state);
    masks.mask(state);
    println!(
        "masks: {:.3} ms each over {count} states, {longest:.3} ms at most; again {:.4} ms",
        total / f64::from(count),
        milliseconds(started)
    );
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}
