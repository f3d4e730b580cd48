use std::cell::RefCell;
use std::collections::HashMap;

use burn::tensor::{Device, Tensor, TensorData};
use half::bf16;

use super::difference;
use super::emulated::{Emulated, Guarded};
use super::machine::Kernel;
use super::shape::Shape;
use super::step::{Addresses, CacheAddresses, LayerAddresses, Row, Steps};
use crate::load::transpose;
use crate::qwen3::cpu::{CpuDecoder, Scratch, SequenceCache};
use crate::qwen3::rotary::Frequencies;
use crate::qwen3::weights::{Slot, weight_specs};
use crate::qwen3::{Qwen3, Qwen3Config};

/// Three query heads a key head, rows of weights that do not fill the last block, vectors
/// that do not fill a lane's last read.
fn config() -> Qwen3Config {
    Qwen3Config {
        vocab_size: 67,
        hidden_size: 136,
        intermediate_size: 264,
        num_hidden_layers: 2,
        num_attention_heads: 6,
        num_key_value_heads: 2,
        head_dim: 64,
        tie_word_embeddings: false,
        ..Qwen3Config::default()
    }
}

/// Weights of which each is a bf16, in memory and as the CPU has them.
struct Model {
    memory: HashMap<String, Guarded>,
    decoder: CpuDecoder,
}

impl Model {
    fn new(config: &Qwen3Config) -> Self {
        let device = Device::flex();
        let mut model = Qwen3::init(config, &device);
        let mut memory = HashMap::new();
        let mut state = 7_u32;
        for (spec, slot) in weight_specs(config).iter().zip(model.slots()) {
            let count = spec.shape.iter().product();
            let (middle, spread) = match slot {
                Slot::Scale(_) => (1.0, 0.5),
                _ => (0.0, 0.2),
            };
            let halves: Vec<bf16> = (0..count)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let even = (state >> 8) as f32 / (1 << 23) as f32 - 1.0;
                    bf16::from_f32(middle + spread * even)
                })
                .collect();
            let values: Vec<f32> = halves.iter().map(|half| half.to_f32()).collect();
            let shape = spec.shape.clone();
            match slot {
                Slot::Projection(param) => {
                    let values = transpose(&values, shape[0], shape[1]);
                    let data = TensorData::new(values, [shape[1], shape[0]]);
                    *param = burn::module::Param::from_tensor(Tensor::from_data(data, &device));
                }
                Slot::Embedding(param) => {
                    let data = TensorData::new(values, shape);
                    *param = burn::module::Param::from_tensor(Tensor::from_data(data, &device));
                }
                Slot::Scale(param) => {
                    let data = TensorData::new(values, shape);
                    *param = burn::module::Param::from_tensor(Tensor::from_data(data, &device));
                }
            }
            memory.insert(spec.name.clone(), Guarded::of(&halves));
        }
        let decoder = CpuDecoder::new(&model, config).unwrap();
        Self { memory, decoder }
    }

    fn addresses(&self, config: &Qwen3Config) -> Addresses {
        let at = |name: &str| self.memory[name].address();
        let embedding = at("model.embed_tokens.weight");
        Addresses {
            embedding,
            head: self
                .memory
                .get("lm_head.weight")
                .map_or(embedding, Guarded::address),
            norm: at("model.norm.weight"),
            layers: (0..config.num_hidden_layers)
                .map(|index| {
                    let of = |name: &str| at(&format!("model.layers.{index}.{name}.weight"));
                    LayerAddresses {
                        query: of("self_attn.q_proj"),
                        key: of("self_attn.k_proj"),
                        value: of("self_attn.v_proj"),
                        output: of("self_attn.o_proj"),
                        gate: of("mlp.gate_proj"),
                        up: of("mlp.up_proj"),
                        down: of("mlp.down_proj"),
                        input_norm: of("input_layernorm"),
                        post_norm: of("post_attention_layernorm"),
                        query_norm: of("self_attn.q_norm"),
                        key_norm: of("self_attn.k_norm"),
                    }
                })
                .collect(),
        }
    }

    /// Steps on `machine` whose blocks of attention have 16 columns at least.
    fn steps(&self, config: &Qwen3Config, machine: Emulated) -> Steps<Emulated> {
        let shape = Shape::of(config).unwrap();
        let weights = self.addresses(config);
        // SAFETY: the weights are there as long as `self`, which outlives the steps.
        let steps = unsafe { Steps::new(machine, shape, weights, Frequencies::new(config)) };
        let mut steps = steps.unwrap();
        steps.least_split = 16;
        steps
    }
}

/// Keys and values of `rows` sequences, each layer's two after each other.
struct Cache {
    memory: Vec<Guarded>,
    capacity: usize,
}

impl Cache {
    fn new(config: &Qwen3Config, rows: usize, capacity: usize, number_size: usize) -> Self {
        let bytes = rows * config.num_key_value_heads * capacity * config.head_dim * number_size;
        let memory = (0..2 * config.num_hidden_layers).map(|_| Guarded::new(bytes));
        Self {
            memory: memory.collect(),
            capacity,
        }
    }

    fn addresses(&self) -> CacheAddresses {
        let pairs = self.memory.chunks(2);
        CacheAddresses {
            layers: pairs
                .map(|two| (two[0].address(), two[1].address()))
                .collect(),
            capacity: self.capacity,
        }
    }
}

fn machine(backwards: bool, exact_cache: bool) -> Emulated {
    Emulated {
        backwards,
        exact_cache,
        launched: RefCell::default(),
    }
}

/// Sequences that begin in the columns `starts`, up to `columns`: the largest difference of
/// a logit from the CPU decoder's, and the largest logit.
fn compare(
    config: &Qwen3Config,
    model: &Model,
    steps: &mut Steps<Emulated>,
    cache: &Cache,
    starts: &[usize],
    columns: usize,
) -> (f32, f32) {
    let mut caches: Vec<SequenceCache> =
        starts.iter().map(|_| SequenceCache::new(config)).collect();
    let mut scratch = Scratch::default();
    let (mut difference, mut largest) = (0.0_f32, 0.0_f32);
    for column in 0..columns {
        let token = |row: usize| ((column * 31 + row * 17 + 5) % config.vocab_size) as u32;
        let rows: Vec<Row> = starts
            .iter()
            .enumerate()
            .map(|(row, &start)| Row {
                token: token(row),
                // Before its start a row is of no meaning to anyone.
                position: column.saturating_sub(start),
                start,
            })
            .collect();
        // SAFETY: the cache has a row for each, and room.
        let logits = unsafe { steps.step(&rows, column + 1, &cache.addresses()) }.unwrap();
        let by_row = logits.chunks_exact(config.vocab_size);
        for (row, (logits, own)) in by_row.zip(&mut caches).enumerate() {
            if column < starts[row] {
                continue;
            }
            let expected = model
                .decoder
                .step(&[token(row)], &mut [own], &mut scratch)
                .unwrap();
            for (ours, expected) in logits.iter().zip(expected) {
                assert!(ours.is_finite(), "column {column} row {row}");
                difference = difference.max((ours - expected).abs());
                largest = largest.max(expected.abs());
            }
        }
    }
    (difference, largest)
}

#[test]
fn a_sequence_gets_the_decoders_logits_over_several_blocks_of_columns() {
    let config = config();
    let model = Model::new(&config);
    for backwards in [false, true] {
        let mut steps = model.steps(&config, machine(backwards, true));
        // Warps come to their columns of a block more than once.
        steps.least_split = 32;
        let cache = Cache::new(&config, 1, 40, size_of::<f32>());
        let (difference, largest) = compare(&config, &model, &mut steps, &cache, &[0], 35);
        assert!(largest > 1.0, "{largest}");
        assert!(difference < 1e-4, "{difference} of {largest}");
    }
}

#[test]
fn rows_that_start_later_get_what_they_would_get_alone() {
    let config = Qwen3Config {
        tie_word_embeddings: true,
        rope_theta: 100.0,
        ..config()
    };
    let model = Model::new(&config);
    let mut steps = model.steps(&config, machine(false, true));
    // Three rows are done by the kernels for four; the last begins behind a block.
    let cache = Cache::new(&config, 3, 24, size_of::<f32>());
    let (difference, largest) = compare(&config, &model, &mut steps, &cache, &[0, 3, 18], 22);
    assert!(difference < 1e-4, "{difference} of {largest}");
}

#[test]
fn vectors_longer_than_a_block_holds_come_in_chunks() {
    // Eight rows leave 1,024 numbers of each.
    let config = Qwen3Config {
        intermediate_size: 2056,
        num_hidden_layers: 1,
        ..config()
    };
    let model = Model::new(&config);
    let mut steps = model.steps(&config, machine(true, true));
    let cache = Cache::new(&config, 8, 16, size_of::<f32>());
    let (difference, largest) = compare(&config, &model, &mut steps, &cache, &[0; 8], 2);
    assert!(difference < 1e-4, "{difference} of {largest}");
}

#[test]
fn keys_and_values_are_kept_as_the_nearest_bf16() {
    let config = config();
    let model = Model::new(&config);
    let rounded = Cache::new(&config, 1, 16, size_of::<bf16>());
    let mut steps = model.steps(&config, machine(false, false));
    let (difference, largest) = compare(&config, &model, &mut steps, &rounded, &[0], 16);
    assert!(difference < 0.02 * largest, "{difference} of {largest}");
    let exact = Cache::new(&config, 1, 16, size_of::<f32>());
    let mut steps = model.steps(&config, machine(false, true));
    compare(&config, &model, &mut steps, &exact, &[0], 16);
    // In the first layer they depend on no key before them.
    for (rounded, exact) in rounded.memory.iter().zip(&exact.memory).take(2) {
        let expected = exact.slice::<f32>().iter().copied().map(bf16::from_f32);
        assert_eq!(rounded.slice::<bf16>(), expected.collect::<Vec<_>>());
    }
}

#[test]
fn a_layer_is_five_kernels() {
    let config = config();
    let model = Model::new(&config);
    let mut steps = model.steps(&config, machine(false, true));
    let cache = Cache::new(&config, 1, 16, size_of::<f32>());
    compare(&config, &model, &mut steps, &cache, &[0], 1);
    let launched = steps.machine.launched.borrow();
    let layer = [
        Kernel::Project,
        Kernel::Attend,
        Kernel::Output,
        Kernel::GateUp,
        Kernel::Down,
    ];
    let expected = [&[Kernel::Embed], &layer[..], &layer[..], &[Kernel::Head]].concat();
    assert_eq!(*launched, expected);
}

#[test]
fn what_does_not_fit_is_refused_in_words() {
    let config = config();
    let model = Model::new(&config);
    let mut steps = model.steps(&config, machine(false, true));
    let cache = Cache::new(&config, 1, 16, size_of::<f32>());
    let row = Row {
        token: 3,
        position: 0,
        start: 0,
    };
    let strange = Row { token: 67, ..row };
    let cases: [(&[Row], usize, &str); 4] = [
        (&[], 1, "0 rows"),
        (&[row; 9], 1, "9 rows"),
        (&[strange], 1, "67 is outside the vocabulary"),
        (&[row], 17, "column 17 of 16"),
    ];
    for (rows, columns, says) in cases {
        // SAFETY: nothing is launched.
        let refused = unsafe { steps.step(rows, columns, &cache.addresses()) };
        let said = refused.unwrap_err().to_string();
        assert!(said.contains(says), "{said}");
    }
    assert!(steps.machine.launched.borrow().is_empty());
}

#[test]
fn a_difference_is_a_share_and_nonsense_is_large() {
    assert_eq!(difference(&[1.0, 2.0], &[1.0, 2.0]), 0.0);
    assert!((difference(&[0.0, 0.0], &[3.0, 4.0]) - 1.0).abs() < 1e-12);
    assert_eq!(difference(&[f32::NAN, 1.0], &[1.0, 1.0]), f64::MAX);
    assert_eq!(difference(&[1.0], &[0.0]), f64::MAX);
}
