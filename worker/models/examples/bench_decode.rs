//! Times prompt reading and batch-1 decoding of a model folder on the CPU.
//!
//! `bench_decode FOLDER [PROMPT_TOKENS] [NEW_TOKENS] [SEQUENCES]` prints one
//! line of JSON. `RAYON_NUM_THREADS` sets the threads.
//! `infra/bench/qwen3_decode.py` runs it beside PyTorch on the same weights.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use burn::tensor::{Int, Tensor, TensorData};
use illumine_models::KvCache;
use illumine_models::device::Device;
use illumine_models::load::ModelFolder;
use illumine_models::qwen3::cpu::{CpuDecoder, Scratch, SequenceCache};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().ok_or("a model folder is needed")?;
    let mut number = |default: usize| -> Result<usize, Box<dyn Error>> {
        Ok(arguments.next().map_or(Ok(default), |text| text.parse())?)
    };
    let (prompt_tokens, new_tokens, sequences) = (number(128)?, number(128)?, number(1)?);

    let device = Device::flex();
    let folder = ModelFolder::open(Path::new(&dir))?;
    let model = folder.load_model(&device)?;
    let decoder = CpuDecoder::new(&model, &folder.config)?;
    let vocab = folder.config.vocab_size;
    let prompt: Vec<i64> = (0..prompt_tokens)
        .map(|i| (i * 7919 % vocab) as i64)
        .collect();
    let prefill = || {
        let mut cache = KvCache::new(model.layers.len());
        let data = TensorData::new(prompt.clone(), [1, prompt_tokens]);
        let ids = Tensor::<2, Int>::from_data(data, &device);
        let hidden = model.forward_cached(ids, None, None, &mut cache);
        hidden.into_data();
        cache
    };
    prefill();
    let started = Clock::now();
    let cache = prefill();
    let prefill = started.elapsed();

    let mut caches = vec![SequenceCache::from_module(&cache)?; sequences];
    let mut scratch = Scratch::default();
    let mut tokens = vec![1_u32; sequences];
    let mut step = |caches: &mut [SequenceCache]| -> Result<(), Box<dyn Error>> {
        let mut caches: Vec<&mut SequenceCache> = caches.iter_mut().collect();
        let logits = decoder.step(&tokens, &mut caches, &mut scratch)?;
        for (token, row) in tokens.iter_mut().zip(logits.chunks(vocab)) {
            let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
            *token = best.map_or(0, |(index, _)| index as u32);
        }
        Ok(())
    };
    step(&mut caches)?;
    let started = Clock::now();
    for _ in 0..new_tokens {
        step(&mut caches)?;
    }
    let decode = started.elapsed();

    let per_step = |ms: f64| ms / new_tokens as f64;
    println!(
        "{{\"parameters\": {}, \"weight_bytes\": {}, \"prefill_ms\": {:.3}, \"prefill_cpu_ms\": {:.1}, \"step_ms\": {:.4}, \"step_cpu_ms\": {:.4}}}",
        folder.config.num_parameters(),
        decoder.weight_bytes(),
        prefill.wall_ms,
        prefill.cpu_ms,
        per_step(decode.wall_ms),
        per_step(decode.cpu_ms),
    );
    Ok(())
}

/// Wall and process CPU time.
struct Clock {
    wall: Instant,
    cpu_ms: f64,
}

struct Elapsed {
    wall_ms: f64,
    cpu_ms: f64,
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
