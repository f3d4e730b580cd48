//! Times prompt reading and decoding of a model folder.
//!
//! `bench_decode FOLDER [PROMPT_TOKENS] [NEW_TOKENS] [SEQUENCES] [WAYS…]`
//! prints one line of JSON for each way of decoding, all measured in turns of
//! one run: `exact`, `bf16` and `int8` are weights of the CPU's decode step, any
//! other name is a device (`libtorch`, `cuda:0`) that runs the module.
//! `RAYON_NUM_THREADS` sets the threads, for LibTorch `OMP_NUM_THREADS`.
//! `infra/bench/qwen3_decode.py` runs it beside PyTorch on the same weights.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use burn::tensor::{Int, Tensor, TensorData};
use illumine_models::KvCache;
use illumine_models::Qwen3;
use illumine_models::device::{Device, parse_device};
use illumine_models::load::ModelFolder;
use illumine_models::qwen3::cpu::{CpuDecoder, Precision, Scratch, SequenceCache};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().ok_or("a model folder is needed")?;
    let mut number = |default: usize| -> Result<usize, Box<dyn Error>> {
        Ok(arguments.next().map_or(Ok(default), |text| text.parse())?)
    };
    let (prompt_tokens, new_tokens, sequences) = (number(128)?, number(128)?, number(1)?);

    let mut ways: Vec<String> = arguments.collect();
    if ways.is_empty() {
        ways.push(Precision::Exact.name().to_owned());
    }
    let folder = ModelFolder::open(Path::new(&dir))?;
    let mut runs = Vec::with_capacity(ways.len());
    for way in ways {
        let mut run = Run::start(way, &folder, prompt_tokens, sequences)?;
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
            run.way,
            run.weight_bytes,
            run.prefill.wall_ms,
            run.prefill.cpu_ms,
            per_step(run.decode.wall_ms),
            per_step(run.decode.cpu_ms),
        );
    }
    Ok(())
}

/// Each way decodes this many times, one after the other, so that what else the
/// machine does falls on all alike.
const TURNS: usize = 4;

/// One way of decoding.
struct Run {
    way: String,
    weight_bytes: usize,
    decoder: Decoder,
    tokens: Vec<u32>,
    prefill: Elapsed,
    decode: Elapsed,
}

enum Decoder {
    Cpu {
        decoder: Box<CpuDecoder>,
        caches: Vec<SequenceCache>,
        scratch: Box<Scratch>,
    },
    /// The sequences are the rows of a batch.
    Module {
        model: Box<Qwen3>,
        device: Device,
        cache: KvCache,
    },
}

impl Run {
    /// Loads the model and reads a prompt, one for all sequences.
    fn start(
        way: String,
        folder: &ModelFolder,
        prompt_tokens: usize,
        sequences: usize,
    ) -> Result<Self, Box<dyn Error>> {
        let precision = Precision::from_name(&way);
        let device = match precision {
            Some(_) => Device::flex(),
            None => parse_device(&way)?,
        };
        let vocab = folder.config.vocab_size;
        let prompt: Vec<u32> = (0..prompt_tokens)
            .map(|i| (i * 7919 % vocab) as u32)
            .collect();
        let (weight_bytes, prefill, decoder) = match precision {
            Some(precision) => {
                let decoder = Box::new(folder.load_decoder(precision)?);
                let mut scratch = Box::<Scratch>::default();
                let mut read = || -> Result<SequenceCache, Box<dyn Error>> {
                    let mut cache = SequenceCache::new(&folder.config);
                    decoder.read(&prompt, &mut cache, &mut scratch)?;
                    Ok(cache)
                };
                read()?;
                let started = Clock::now();
                let caches = vec![read()?; sequences];
                let prefill = started.elapsed();
                let bytes = decoder.weight_bytes();
                let decoder = Decoder::Cpu {
                    decoder,
                    caches,
                    scratch,
                };
                (bytes, prefill, decoder)
            }
            None => {
                let model = Box::new(folder.load_model(&device)?);
                let ids: Vec<i64> = prompt.iter().map(|&id| i64::from(id)).collect();
                let read = |rows: usize| {
                    let mut cache = KvCache::new(model.layers.len());
                    let ids = TensorData::new(ids.repeat(rows), [rows, prompt_tokens]);
                    let ids = Tensor::<2, Int>::from_data(ids, &device);
                    let hidden = model.forward_cached(ids, None, None, &mut cache);
                    hidden.into_data();
                    cache
                };
                read(1);
                let started = Clock::now();
                read(1);
                let prefill = started.elapsed();
                let bytes = folder.config.num_parameters() * size_of::<f32>();
                let cache = read(sequences);
                let decoder = Decoder::Module {
                    model,
                    device,
                    cache,
                };
                (bytes, prefill, decoder)
            }
        };
        Ok(Self {
            way,
            weight_bytes,
            decoder,
            tokens: vec![1; sequences],
            prefill,
            decode: Elapsed::default(),
        })
    }

    fn step(&mut self) -> Result<(), Box<dyn Error>> {
        let rows = self.tokens.len();
        let owned: Vec<f32>;
        let logits: &[f32] = match &mut self.decoder {
            Decoder::Cpu {
                decoder,
                caches,
                scratch,
            } => {
                let mut caches: Vec<&mut SequenceCache> = caches.iter_mut().collect();
                decoder.step(&self.tokens, &mut caches, scratch)?
            }
            Decoder::Module {
                model,
                device,
                cache,
            } => {
                let ids: Vec<i64> = self.tokens.iter().map(|&id| i64::from(id)).collect();
                let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [rows, 1]), &*device);
                let hidden = model.forward_cached(ids, None, None, cache);
                owned = model.logits(hidden).into_data().try_into_vec::<f32>()?;
                &owned
            }
        };
        let vocab = logits.len() / rows;
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
