//! Times a device with random weights, drawn on the device itself.
//!
//! `bench_device decode CONFIG DEVICE PROMPT_TOKENS NEW_TOKENS SEQUENCES` reads a prompt
//! and decodes greedily with a Qwen3 of the shapes in the file `CONFIG`;
//! `bench_device kernels …` decodes in kernels of our own where `decode` has the library's;
//! `bench_device picture CONFIG DEVICE SIDE TEXT_TOKENS STEPS` takes steps of a Qwen-Image
//! transformer over `SIDE` × `SIDE` packed tokens; `bench_device parts CONFIG DEVICE PAST REPEATS
//! SEQUENCES` times a decode step's parts by themselves; `bench_device verify DEVICE FOLDER…`
//! compares with references first. `DEVICE` is a device's name and the
//! weights' numbers, as in `cuda:0:bf16`. Prints one line of JSON.
//! `infra/bench/gpu.py` runs it beside PyTorch on the same shapes.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use illumine_models::device::parse_device_and_precision;
use illumine_models::qwen_image::transformer::{
    ImageShape, QwenImageTransformer, TransformerConfig,
};
use illumine_models::qwen3::attention::grouped_attention;
use illumine_models::qwen3::cache::LayerCache;
use illumine_models::qwen3::rotary::{Frequencies, Rotary};
use illumine_models::{KvCache, Qwen3, Qwen3Config};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [what, device, folders @ ..] = &arguments[..]
        && what == "verify"
    {
        return verify(device, folders);
    }
    let [what, config, device, numbers @ ..] = &arguments[..] else {
        return Err("decode|picture CONFIG DEVICE and three numbers are needed".into());
    };
    let numbers: Vec<usize> = numbers
        .iter()
        .map(|number| number.parse())
        .collect::<Result<_, _>>()?;
    let [first, second, third] = numbers[..] else {
        return Err("three numbers are needed".into());
    };
    let (device, precision) = parse_device_and_precision(device)?;
    let dtype = precision.module_dtype();
    let config = Path::new(config);
    match what.as_str() {
        "decode" => decode(config, &device, dtype, [first, second, third]),
        #[cfg(feature = "tch")]
        "kernels" => kernels(config, &device, dtype, [first, second, third]),
        "parts" => parts(config, &device, dtype, [first, second, third]),
        "picture" => picture(config, &device, dtype, [first, second, third]),
        other => Err(format!("`{other}`: decode or picture").into()),
    }
}

fn decode(config: &Path, device: &Device, dtype: DType, numbers: [usize; 3]) -> Outcome<()> {
    let [prompt, new, rows] = numbers;
    let config: Qwen3Config = serde_json::from_str(&std::fs::read_to_string(config)?)?;
    let model = Qwen3::init(&config, device).map(&mut As(dtype));
    let read = |rows: usize| read_prompt(&model, &config, device, prompt, rows);
    // The first two also choose kernels for these shapes.
    read(1)?;
    read(1)?;
    let started = Instant::now();
    read(1)?;
    let prefill = started.elapsed();

    let mut cache = read(rows)?;
    let mut tokens = Tensor::<2, Int>::ones([rows, 1], device);
    let mut step = || {
        let hidden = model.forward_cached(tokens.clone(), None, None, &mut cache);
        tokens = last(hidden, &model);
    };
    for _ in 0..WARM_UP {
        step();
    }
    device.sync()?;
    let started = Instant::now();
    for _ in 0..new {
        step();
    }
    device.sync()?;
    let step = started.elapsed();
    let weights = config.num_parameters() * dtype.size();
    println!(
        "{{\"weight_bytes\": {weights}, \"prefill_ms\": {:.3}, \"step_ms\": {:.4}}}",
        prefill.as_secs_f64() * 1e3,
        step.as_secs_f64() * 1e3 / new as f64
    );
    Ok(())
}

/// The cache behind a prompt of `prompt` tokens, the same in all `rows`.
fn read_prompt(
    model: &Qwen3,
    config: &Qwen3Config,
    device: &Device,
    prompt: usize,
    rows: usize,
) -> Outcome<KvCache> {
    let ids: Vec<i64> = (0..prompt)
        .map(|i| (i * 7919 % config.vocab_size) as i64)
        .collect();
    let mut cache = KvCache::new(model.layers.len());
    let ids = TensorData::new(ids.repeat(rows), [rows, prompt]);
    let ids = Tensor::<2, Int>::from_data(ids, device);
    last(model.forward_cached(ids, None, None, &mut cache), model);
    device.sync()?;
    Ok(cache)
}

/// Decodes in kernels of our own, whose first step is compared with the library's. A step
/// ends with its logits in the processor's memory, where the likeliest token is chosen.
#[cfg(feature = "tch")]
fn kernels(config: &Path, device: &Device, dtype: DType, numbers: [usize; 3]) -> Outcome<()> {
    use illumine_models::qwen3::gpu::{ModuleSteps, difference};

    let [prompt, new, sequences] = numbers;
    let config: Qwen3Config = serde_json::from_str(&std::fs::read_to_string(config)?)?;
    let model = Qwen3::init(&config, device).map(&mut As(dtype));
    let model = illumine_models::torch::by_rows(model);
    let mut steps = ModuleSteps::new(&model, &config)?.ok_or("the kernels do not serve here")?;
    let read = |rows: usize| read_prompt(&model, &config, device, prompt, rows);
    read(1)?;
    let started = Instant::now();
    read(1)?;
    let prefill = started.elapsed();

    let mut cache = read(sequences)?;
    let mut tokens = vec![1_u32; sequences];
    let rows_of = |tokens: &[u32], position: usize| -> Vec<(u32, usize, usize)> {
        tokens.iter().map(|&token| (token, position, 0)).collect()
    };
    let started = Instant::now();
    let ours = steps.step(&rows_of(&tokens, prompt), &mut cache)?;
    let first = started.elapsed();
    let ours = ours.ok_or("the kernels cannot use the cache")?;
    let ids = Tensor::<2, Int>::ones([sequences, 1], device);
    let hidden = model.forward_cached(ids, None, None, &mut cache);
    let theirs: Vec<f32> = model
        .logits(hidden)
        .into_data()
        .convert::<f32>()
        .try_into_vec::<f32>()?;
    let difference = difference(&ours, &theirs);

    let mut step = || -> Outcome<()> {
        let position = cache.len();
        let logits = steps.step(&rows_of(&tokens, position), &mut cache)?;
        let logits = logits.ok_or("the kernels cannot use the cache")?;
        cache.grew();
        for (token, row) in tokens.iter_mut().zip(logits.chunks(config.vocab_size)) {
            let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
            *token = best.map_or(0, |(index, _)| index as u32);
        }
        Ok(())
    };
    for _ in 0..WARM_UP {
        step()?;
    }
    let started = Instant::now();
    for _ in 0..new {
        step()?;
    }
    let elapsed = started.elapsed();
    println!(
        "{{\"weight_bytes\": {}, \"prefill_ms\": {:.3}, \"step_ms\": {:.4}, \"first_step_ms\": {:.1}, \"difference\": {difference:.5}}}",
        config.num_parameters() * dtype.size(),
        prefill.as_secs_f64() * 1e3,
        elapsed.as_secs_f64() * 1e3 / new as f64,
        first.as_secs_f64() * 1e3,
    );
    Ok(())
}

/// Times the parts of a decode step by themselves, each `REPEATS` times.
fn parts(config: &Path, device: &Device, dtype: DType, numbers: [usize; 3]) -> Outcome<()> {
    let [past, repeats, rows] = numbers;
    let config: Qwen3Config = serde_json::from_str(&std::fs::read_to_string(config)?)?;
    let model = Qwen3::init(&config, device).map(&mut As(dtype));
    let layer = &model.layers[0];
    let (hidden, heads) = (config.hidden_size, config.num_attention_heads);
    let (kv, head) = (config.num_key_value_heads, config.head_dim);
    let random = |shape: [usize; 3]| {
        Tensor::<3>::random(shape, burn::tensor::Distribution::Default, device).cast(dtype)
    };
    let x = random([rows, 1, hidden]);
    let logits = random([rows, 1, config.vocab_size]).cast(DType::F32);
    let rounded = random([rows, 1, config.vocab_size]);
    let of_heads = |count: usize, tokens: usize| {
        random([rows * count, tokens, head]).reshape([rows, count, tokens, head])
    };
    let (query, key, value) = (of_heads(heads, 1), of_heads(kv, past), of_heads(kv, past));
    let position = Tensor::<2, Int>::zeros([rows, 1], device);
    let rotary = Rotary::new(position, &Frequencies::new(&config));
    let time = |name: &str, part: &mut dyn FnMut()| -> Outcome<()> {
        for _ in 0..WARM_UP {
            part();
        }
        device.sync()?;
        let started = Instant::now();
        for _ in 0..repeats {
            part();
        }
        device.sync()?;
        let ms = started.elapsed().as_secs_f64() * 1e3 / repeats as f64;
        println!("{name}: {ms:.4} ms");
        Ok(())
    };
    let mlp = layer.mlp.dense().ok_or("a dense model is needed")?;
    let mut read = Vec::new();
    time("head", &mut || read.push(model.logits(x.clone())))?;
    read.clear();
    let mut chosen = Vec::new();
    time("argmax f32", &mut || chosen.push(logits.clone().argmax(2)))?;
    time("argmax", &mut || chosen.push(rounded.clone().argmax(2)))?;
    time("topk", &mut || drop(logits.clone().topk_with_indices(1, 2)))?;
    time("read logits", &mut || drop(logits.clone().into_data()))?;
    time("norm", &mut || {
        read.push(layer.input_layernorm.forward(x.clone()))
    })?;
    time("q_proj", &mut || {
        read.push(layer.self_attn.q_proj.forward(x.clone()))
    })?;
    time("mlp", &mut || read.push(mlp.forward(x.clone())))?;
    time("attention", &mut || {
        read.push(grouped_attention(
            query.clone(),
            key.clone(),
            value.clone(),
            None,
        ));
    })?;
    let mut turned = Vec::new();
    time("rotary", &mut || turned.push(rotary.apply(query.clone())))?;
    let mut cache = LayerCache::default();
    cache.append(key.clone(), value.clone());
    let (key, value) = (of_heads(kv, 1), of_heads(kv, 1));
    time("append", &mut || {
        drop(cache.append(key.clone(), value.clone()))
    })?;
    time("layer", &mut || {
        read.push(layer.forward(x.clone(), &rotary, None, Some(&mut cache)));
    })?;
    Ok(())
}

/// Steps before the clock starts.
const WARM_UP: usize = 8;

/// The likeliest token `[rows, 1]` after final states `[rows, tokens, hidden]`.
fn last(hidden: Tensor<3>, model: &Qwen3) -> Tensor<2, Int> {
    let tokens = hidden.dims()[1];
    model
        .logits(hidden.narrow(1, tokens - 1, 1))
        .argmax(2)
        .squeeze_dim(2)
}

fn picture(config: &Path, device: &Device, dtype: DType, numbers: [usize; 3]) -> Outcome<()> {
    let [side, text_tokens, steps] = numbers;
    let config: TransformerConfig = serde_json::from_str(&std::fs::read_to_string(config)?)?;
    let model = QwenImageTransformer::init(&config, device).map(&mut As(dtype));
    let waves = |shape: [usize; 3]| {
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|i| (i as f32 * 0.37).sin()).collect();
        Tensor::<3>::from_data(TensorData::new(values, shape), (device, dtype))
    };
    let text = waves([1, text_tokens, config.joint_attention_dim]);
    let latents = waves([1, side * side, config.in_channels]);
    let conditions = model.conditions(text, None, &[ImageShape::new(side, side)])?;
    let mut times = Vec::with_capacity(steps);
    for step in 0..steps + 2 {
        let started = Instant::now();
        let time = Tensor::<1>::from_floats([0.5], device);
        let velocity = model.forward(latents.clone(), time, &conditions)?;
        let finite = velocity.narrow(1, 0, 1).into_data().convert::<f32>();
        if finite.iter::<f32>().any(|value| !value.is_finite()) {
            return Err("the velocity is not finite".into());
        }
        // Two steps to choose kernels.
        if step >= 2 {
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
    }
    times.sort_by(f64::total_cmp);
    println!(
        "{{\"least_ms\": {:.2}, \"median_ms\": {:.2}}}",
        times[0],
        times[times.len() / 2]
    );
    Ok(())
}

/// Compares model folders with the `reference.safetensors` in them.
fn verify(device: &str, folders: &[String]) -> Outcome<()> {
    let device = illumine_models::device::parse_device(device)?;
    for folder in folders {
        let folder = Path::new(folder);
        let reference = folder.join("reference.safetensors");
        let outcome = illumine_models::verify::verify(folder, &reference, &device, 1e-4);
        match outcome {
            Ok(report) => {
                let verdict = if report.passed { "passed" } else { "FAILED" };
                let difference = report.max_abs_diff();
                println!("{}: {verdict} {difference:.2e}", folder.display());
            }
            Err(error) => println!("{}: {error}", folder.display()),
        }
    }
    Ok(())
}

/// Makes each weight, and rounds it.
struct As(DType);

impl ModuleMapper for As {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let id = param.id;
        Param::initialized(id, param.val().cast(self.0))
    }
}
