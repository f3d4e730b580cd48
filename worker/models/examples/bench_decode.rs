//! Times prompt reading and batch-1 decoding of a model folder on the CPU.
//!
//! `bench_decode FOLDER [PROMPT_TOKENS] [NEW_TOKENS] [SEQUENCES] [WEIGHTS…]`
//! prints one line of JSON for each of the weights (`exact`, `bf16`, `int8`),
//! all measured in turns of one run. `RAYON_NUM_THREADS` sets the threads.
//! `infra/bench/qwen3_decode.py` runs it beside PyTorch on the same weights.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use illumine_models::load::ModelFolder;
use illumine_models::qwen3::cpu::{CpuDecoder, Precision, Scratch, SequenceCache};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().ok_or("a model folder is needed")?;
    let mut number = |default: usize| -> Result<usize, Box<dyn Error>> {
        Ok(arguments.next().map_or(Ok(default), |text| text.parse())?)
    };
    let (prompt_tokens, new_tokens, sequences) = (number(128)?, number(128)?, number(1)?);

    let mut weights = Vec::new();
    for name in arguments {
        weights.push(Precision::from_name(&name).ok_or(format!("unknown weights `{name}`"))?);
    }
    if weights.is_empty() {
        weights.push(Precision::Exact);
    }

    let folder = ModelFolder::open(Path::new(&dir))?;
    let vocab = folder.config.vocab_size;
    let prompt: Vec<u32> = (0..prompt_tokens)
        .map(|i| (i * 7919 % vocab) as u32)
        .collect();

    let mut runs = Vec::with_capacity(weights.len());
    for precision in weights {
        let decoder = folder.load_decoder(precision)?;
        let mut scratch = Scratch::default();
        let mut prefill = || -> Result<SequenceCache, Box<dyn Error>> {
            let mut cache = SequenceCache::new(&folder.config);
            decoder.read(&prompt, &mut cache, &mut scratch)?;
            Ok(cache)
        };
        prefill()?;
        let started = Clock::now();
        let cache = prefill()?;
        let prefill = started.elapsed();
        let mut run = Run {
            precision,
            prefill,
            caches: vec![cache; sequences],
            scratch,
            decoder,
            tokens: vec![1; sequences],
            decode: Elapsed::default(),
        };
        run.step()?;
        runs.push(run);
    }
    for turn in 0..TURNS {
        for run in &mut runs {
            let started = Clock::now();
            for _ in turn * new_tokens / TURNS..(turn + 1) * new_tokens / TURNS {
                run.step()?;
            }
            run.decode.add(&started.elapsed());
        }
    }

    let per_step = |ms: f64| ms / new_tokens as f64;
    for run in &runs {
        println!(
            "{{\"parameters\": {}, \"weights\": \"{}\", \"weight_bytes\": {}, \"prefill_ms\": {:.3}, \"prefill_cpu_ms\": {:.1}, \"step_ms\": {:.4}, \"step_cpu_ms\": {:.4}}}",
            folder.config.num_parameters(),
            run.precision.name(),
            run.decoder.weight_bytes(),
            run.prefill.wall_ms,
            run.prefill.cpu_ms,
            per_step(run.decode.wall_ms),
            per_step(run.decode.cpu_ms),
        );
    }
    Ok(())
}

/// Each of the weights decodes this many times, one after the other, so that
/// what else the machine does falls on all alike.
const TURNS: usize = 4;

/// Decoding with one choice of weights.
struct Run {
    precision: Precision,
    prefill: Elapsed,
    decoder: CpuDecoder,
    caches: Vec<SequenceCache>,
    scratch: Scratch,
    tokens: Vec<u32>,
    decode: Elapsed,
}

impl Run {
    fn step(&mut self) -> Result<(), Box<dyn Error>> {
        let mut caches: Vec<&mut SequenceCache> = self.caches.iter_mut().collect();
        let logits = self
            .decoder
            .step(&self.tokens, &mut caches, &mut self.scratch)?;
        let vocab = self.decoder.config().vocab_size;
        for (token, row) in self.tokens.iter_mut().zip(logits.chunks(vocab)) {
            let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
            *token = best.map_or(0, |(index, _)| index as u32);
        }
        Ok(())
    }
}

/// Wall and process CPU time.
struct Clock {
    wall: Instant,
    cpu_ms: f64,
}

#[derive(Default)]
struct Elapsed {
    wall_ms: f64,
    cpu_ms: f64,
}

impl Elapsed {
    fn add(&mut self, other: &Self) {
        self.wall_ms += other.wall_ms;
        self.cpu_ms += other.cpu_ms;
    }
}

impl Clock {
    fn now() -> Self {
        Self {
            cpu_ms: process_cpu_ms(),
            wall: Instant::now(),
        }
    }

    fn elapsed(&self) -> Elapsed {
        Elapsed {
            wall_ms: self.wall.elapsed().as_secs_f64() * 1e3,
            cpu_ms: process_cpu_ms() - self.cpu_ms,
        }
    }
}

/// Fields 14 and 15 of `/proc/self/stat`, in ticks of 10 ms; zero elsewhere
/// than on Linux.
fn process_cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields = after_name.split_whitespace().skip(11).take(2);
    let ticks: f64 = fields.filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks * 10.0
}
