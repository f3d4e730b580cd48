//! Times the engine on a model that looks at pictures: a judge's work, the same long
//! question about other pictures.
//!
//! `bench_pictures FOLDER [DEVICE] [ANSWERS] [NEW_TOKENS]` prints a line for answers one
//! after the other and together, for prompts read anew and shared, twice in turns.
//! `infra/bench/vision_engine.py` runs it on random weights.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use illumine_models::device::parse_device;
use illumine_models::engine::{Engine, EngineConfig, EngineModel, EngineRequest, Event};
use illumine_models::generate::{GenerationRequest, VisionLanguageModel};
use illumine_models::qwen25_vl::{Part, Picture, VisionMessage};
use illumine_models::tokenizer::Role;

const SIDE: usize = 280;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().ok_or("a model folder is needed")?;
    let device = arguments.next().unwrap_or_else(|| "flex".to_owned());
    let mut number = |default: usize| -> Result<usize, Box<dyn Error>> {
        Ok(arguments.next().map_or(Ok(default), |text| text.parse())?)
    };
    let (answers, new_tokens) = (number(8)?, number(32)?);
    let device = parse_device(&device)?;
    let model = Arc::new(VisionLanguageModel::load(Path::new(&dir), &device)?);
    let requests: Vec<EngineRequest> = (0..answers)
        .map(|number| request(&Arc::clone(&model).into(), number, new_tokens))
        .collect::<Result<_, _>>()?;
    let prompt = requests.first().map_or(0, prompt_tokens);
    for _turn in 0..2 {
        for together in [1, answers] {
            for prefix_reuse in [false, true] {
                let config = EngineConfig {
                    max_concurrency: together,
                    prefix_reuse,
                    ..EngineConfig::default()
                };
                let engine = Engine::start(Arc::clone(&model), &config)?;
                let started = Instant::now();
                let streams = requests
                    .iter()
                    .map(|request| engine.stream(request.clone()));
                let mut tokens = 0;
                for event in streams
                    .collect::<Result<Vec<_>, _>>()?
                    .into_iter()
                    .flatten()
                {
                    match event {
                        Event::Finished(summary) => tokens += summary.completion_tokens,
                        Event::Failed(error) => return Err(error.into()),
                        Event::Text { .. } => {}
                    }
                }
                println!(
                    "{answers} prompts of {prompt} tokens, {together} at once, {}: {tokens} tokens \
                     in {:.2} s",
                    if prefix_reuse { "shared" } else { "read anew" },
                    started.elapsed().as_secs_f64()
                );
            }
        }
    }
    Ok(())
}

fn prompt_tokens(request: &EngineRequest) -> usize {
    request.generation.prompt_ids.len()
}

fn request(
    model: &EngineModel,
    number: usize,
    new_tokens: usize,
) -> Result<EngineRequest, Box<dyn Error>> {
    let level = (number * 37 % 256) as u8;
    let picture = Picture::from_rgb("it", SIDE, SIDE, vec![level; SIDE * SIDE * 3])?;
    let rules = "Score the picture by these rules, and say why. ".repeat(24);
    let content = vec![
        Part::Text(rules),
        Part::Picture(picture),
        Part::Text(format!("Picture {number}:")),
    ];
    let role = Role::User;
    let prompt = model.prompt(&[VisionMessage { role, content }])?;
    let mut generation = GenerationRequest::new(prompt.ids);
    generation.max_new_tokens = new_tokens;
    Ok(EngineRequest {
        pictures: prompt.patches.into_shared(),
        ..EngineRequest::new(generation)
    })
}
