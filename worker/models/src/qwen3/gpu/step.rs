//! A step, kernel by kernel.

use std::collections::BTreeMap;

use super::arguments::Arguments;
use super::machine::{Kernel, Machine};
use super::shape::{ATTENTION_WARPS, LANES, MOST_SPLITS, OUT, Shape, WARPS};
use crate::error::{ModelError, Result};
use crate::qwen3::rotary::Frequencies;

/// Sequences that a step has at most: with more, a library's products are faster.
pub(super) const MOST_ROWS: usize = 8;

/// Columns of a block of attention at least.
const LEAST_SPLIT: usize = 64;

/// The rows for which kernels are compiled that take `rows`: not every number has its own.
pub(super) const fn compiled_for(rows: usize) -> usize {
    rows.next_power_of_two()
}

/// Where a model's weights lie: bf16, a projection's rows `[out, in]` one after the other.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    /// `[vocab, hidden]`
    pub(super) embedding: u64,
    /// `[vocab, hidden]`
    pub(super) head: u64,
    /// `[hidden]`
    pub(super) norm: u64,
    pub(super) layers: Vec<LayerAddresses>,
}

/// Those of a layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct LayerAddresses {
    pub(super) query: u64,
    pub(super) key: u64,
    pub(super) value: u64,
    pub(super) output: u64,
    pub(super) gate: u64,
    pub(super) up: u64,
    pub(super) down: u64,
    pub(super) input_norm: u64,
    pub(super) post_norm: u64,
    pub(super) query_norm: u64,
    pub(super) key_norm: u64,
}

/// Where the keys and values of a batch lie: of each layer `[rows, kv_heads, capacity,
/// head_dim]`, bf16.
#[derive(Clone, Debug)]
pub(super) struct CacheAddresses {
    /// Keys and values of each layer.
    pub(super) layers: Vec<(u64, u64)>,
    pub(super) capacity: usize,
}

/// A sequence's part in a step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// What it reads.
    pub(crate) token: u32,
    /// Its number in the sequence.
    pub(crate) position: usize,
    /// The first column that the sequence has.
    pub(crate) start: usize,
}

/// Steps of a model on a machine.
pub(super) struct Steps<M: Machine> {
    pub(super) machine: M,
    shape: Shape,
    weights: Addresses,
    frequencies: Frequencies,
    /// By the rows that they are for.
    kernels: BTreeMap<usize, M::Kernels>,
    buffers: Buffers<M::Memory>,
    /// Columns of a block of attention at least.
    pub(super) least_split: usize,
}

struct Buffers<T> {
    residual: T,
    projected: T,
    context: T,
    inner: T,
    logits: T,
    partial: T,
    arrived: T,
    /// Tokens, starts, cosines and sines, each for [`MOST_ROWS`].
    given: T,
}

impl<M: Machine> Steps<M> {
    /// Steps of the model of `weights`.
    ///
    /// # Errors
    /// [`ModelError::Device`] when its buffers do not fit the machine.
    ///
    /// # Safety
    /// The weights must be where `weights` says while this is used.
    pub(super) unsafe fn new(
        machine: M,
        shape: Shape,
        weights: Addresses,
        frequencies: Frequencies,
    ) -> Result<Self> {
        let numbers = |a_row: usize| machine.allocate(MOST_ROWS * a_row * size_of::<f32>());
        let buffers = Buffers {
            residual: numbers(shape.hidden)?,
            projected: numbers(shape.projected())?,
            context: numbers(shape.query_width())?,
            inner: numbers(shape.inner)?,
            logits: numbers(shape.vocab)?,
            partial: numbers(shape.kv_heads * MOST_SPLITS * shape.partial())?,
            arrived: numbers(shape.kv_heads)?,
            given: numbers(2 + shape.head_dim)?,
        };
        Ok(Self {
            machine,
            shape,
            weights,
            frequencies,
            kernels: BTreeMap::new(),
            buffers,
            least_split: LEAST_SPLIT,
        })
    }

    /// Reads a token of each of `rows`, whose keys and values become column `columns - 1`
    /// of `cache`. Returns the logits of what follows them, `[rows, vocab]`.
    ///
    /// # Errors
    /// [`ModelError::Request`] for a token outside the vocabulary, no or too many rows, a
    /// column that the cache has no room for; [`ModelError::Device`] when the machine fails.
    ///
    /// # Safety
    /// The cache must be where `cache` says, with as many rows, and nobody else's.
    pub(super) unsafe fn step(
        &mut self,
        rows: &[Row],
        columns: usize,
        cache: &CacheAddresses,
    ) -> Result<Vec<f32>> {
        self.check(rows, columns, cache)?;
        self.give(rows)?;
        let compiled = compiled_for(rows.len());
        if !self.kernels.contains_key(&compiled) {
            let kernels = self.machine.compile(&self.shape.constants(compiled))?;
            self.kernels.insert(compiled, kernels);
        }
        let kernels = &self.kernels[&compiled];
        let (shape, machine) = (&self.shape, &self.machine);
        let product = |rows: usize| [rows.div_ceil(WARPS * OUT) as u32, 1, 1];
        let threads = (WARPS * LANES) as u32;
        let launch = |kernel, grid, threads, arguments: &Arguments| {
            // SAFETY: the buffers are of this machine and as large as `step.cu` says;
            // weights and cache are, as the callers promise.
            unsafe { machine.launch(kernels, kernel, grid, threads, arguments) }
        };

        let common = self.arguments(rows.len(), columns, cache.capacity);
        let embed = Arguments {
            first: self.weights.embedding,
            ..common
        };
        launch(Kernel::Embed, [rows.len() as u32, 1, 1], threads, &embed)?;
        for (layer, &(keys, values)) in self.weights.layers.iter().zip(&cache.layers) {
            let project = Arguments {
                first: layer.query,
                second: layer.key,
                third: layer.value,
                norm: layer.input_norm,
                ..common
            };
            launch(
                Kernel::Project,
                product(shape.projected()),
                threads,
                &project,
            )?;
            let attend = Arguments {
                query_norm: layer.query_norm,
                key_norm: layer.key_norm,
                keys,
                values,
                ..common
            };
            let grid = [
                common.splits as u32,
                shape.kv_heads as u32,
                rows.len() as u32,
            ];
            let warps = (ATTENTION_WARPS * LANES) as u32;
            launch(Kernel::Attend, grid, warps, &attend)?;
            let output = Arguments {
                first: layer.output,
                ..common
            };
            launch(Kernel::Output, product(shape.hidden), threads, &output)?;
            let gate_up = Arguments {
                first: layer.gate,
                second: layer.up,
                norm: layer.post_norm,
                ..common
            };
            // A warp takes a row of each.
            launch(Kernel::GateUp, product(2 * shape.inner), threads, &gate_up)?;
            let down = Arguments {
                first: layer.down,
                ..common
            };
            launch(Kernel::Down, product(shape.hidden), threads, &down)?;
        }
        let head = Arguments {
            first: self.weights.head,
            norm: self.weights.norm,
            ..common
        };
        launch(Kernel::Head, product(shape.vocab), threads, &head)?;
        machine.read(&self.buffers.logits, rows.len() * shape.vocab)
    }

    fn check(&self, rows: &[Row], columns: usize, cache: &CacheAddresses) -> Result<()> {
        let refuse = |reason: String| {
            Err(ModelError::Request {
                field: "tokens",
                reason,
            })
        };
        if rows.is_empty() || rows.len() > MOST_ROWS {
            return refuse(format!("{} rows; 1 to {MOST_ROWS} are taken", rows.len()));
        }
        let outside = rows
            .iter()
            .find(|row| row.token as usize >= self.shape.vocab);
        if let Some(row) = outside {
            return refuse(format!("{} is outside the vocabulary", row.token));
        }
        if columns == 0
            || columns > cache.capacity
            || cache.layers.len() != self.weights.layers.len()
        {
            let (capacity, layers) = (cache.capacity, cache.layers.len());
            return refuse(format!("column {columns} of {capacity}, {layers} layers"));
        }
        Ok(())
    }

    /// Hands over what a step is told of its rows.
    fn give(&mut self, rows: &[Row]) -> Result<()> {
        let half = self.shape.head_dim / 2;
        let mut given = vec![0_u32; MOST_ROWS * (2 + 2 * half)];
        let (tokens, rest) = given.split_at_mut(MOST_ROWS);
        let (starts, rest) = rest.split_at_mut(MOST_ROWS);
        let (cosines, sines) = rest.split_at_mut(MOST_ROWS * half);
        let factor = self.frequencies.attention_factor;
        for (number, row) in rows.iter().enumerate() {
            tokens[number] = row.token;
            starts[number] = row.start as u32;
            let turns = self.frequencies.inverse.iter().enumerate();
            for (i, frequency) in turns {
                let (sine, cosine) = (row.position as f32 * frequency).sin_cos();
                cosines[number * half + i] = (cosine * factor).to_bits();
                sines[number * half + i] = (sine * factor).to_bits();
            }
        }
        let bytes: Vec<u8> = given.iter().flat_map(|word| word.to_ne_bytes()).collect();
        self.machine.write(&mut self.buffers.given, &bytes)
    }

    /// What all kernels of a step are given.
    fn arguments(&self, rows: usize, columns: usize, capacity: usize) -> Arguments {
        let (split, splits) = Shape::split(columns, self.least_split);
        let buffers = &self.buffers;
        let given = M::address(&buffers.given);
        let words = |count: usize| given + (count * size_of::<u32>()) as u64;
        Arguments {
            residual: M::address(&buffers.residual),
            projected: M::address(&buffers.projected),
            context: M::address(&buffers.context),
            inner: M::address(&buffers.inner),
            logits: M::address(&buffers.logits),
            partial: M::address(&buffers.partial),
            arrived: M::address(&buffers.arrived),
            tokens: given,
            starts: words(MOST_ROWS),
            cosines: words(2 * MOST_ROWS),
            sines: words(MOST_ROWS * (2 + self.shape.head_dim / 2)),
            rows: rows as i32,
            columns: columns as i32,
            capacity: capacity as i32,
            split: split as i32,
            splits: splits as i32,
            ..Arguments::default()
        }
    }
}
