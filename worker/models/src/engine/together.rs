//! Answers decoded together by the module, on devices other than the CPU.
//!
//! ```text
//! columns of the batch's cache   0 1 2 3 4 5 6      a step adds one column for all:
//! answer of 7 tokens read        k k k k k k k      rows end together, and what stands
//! answer of 3 tokens read        · · · · k k k      before a row's own start is hidden
//! ```
//!
//! Keys are turned by their own positions before they are kept, so that a row may stand
//! in any columns. Rows come and go when requests do; until then nothing is copied.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use super::lane::of_another_model;
use super::module::Module;
use super::module_lane::ModuleLane;
#[cfg(feature = "tch")]
use super::own_steps::OwnSteps;
use crate::error::Result;
use crate::lora::AdapterId;
use crate::qwen3::{KvCache, LayerCache, Qwen3Config};

/// The batches of a model: one for each adapter, and one for the base.
#[derive(Debug)]
pub(super) struct Together {
    batches: HashMap<Option<AdapterId>, Batch>,
    #[cfg(feature = "tch")]
    steps: OwnSteps,
}

/// Tells apart the rows of batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

impl Ticket {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Together {
    /// No batches yet, of a model of the shapes `config`.
    #[cfg_attr(
        not(feature = "tch"),
        expect(
            unused_variables,
            reason = "kernels of our own are compiled for the shapes"
        )
    )]
    pub(super) fn new(config: &Qwen3Config) -> Self {
        Self {
            batches: HashMap::new(),
            #[cfg(feature = "tch")]
            steps: OwnSteps::new(config.clone()),
        }
    }

    /// Reads a token of each lane with `module`, the base's or the adapter's; the logits
    /// `[lanes × vocab]` of what follows them. Lanes of the last step with this adapter
    /// that are not among these leave the batch for good.
    pub(super) fn step(
        &mut self,
        adapter: Option<AdapterId>,
        module: Module<'_>,
        lanes: &mut [&mut ModuleLane],
        tokens: &[u32],
    ) -> Result<Vec<f32>> {
        let batch = self.batches.entry(adapter).or_default();
        batch.arrange(lanes)?;
        #[cfg(feature = "tch")]
        let logits = match (adapter, module) {
            (None, Module::Text(module)) => self.steps.step(batch, module, lanes, tokens),
            _ => batch.step(module, lanes, tokens),
        };
        #[cfg(not(feature = "tch"))]
        let logits = batch.step(module, lanes, tokens);
        if logits.is_err() {
            // What was half done is of no use to anyone.
            self.batches.remove(&adapter);
        }
        logits
    }

    /// Forgets the batches of all other adapters.
    pub(super) fn keep(&mut self, adapters: &[Option<AdapterId>]) {
        self.batches.retain(|adapter, _| adapters.contains(adapter));
    }
}

#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Whose row it is, and the column of the row's first token.
    pub(super) rows: Vec<(Ticket, usize)>,
    /// `[rows, …]`
    pub(super) cache: KvCache,
    /// `[rows, 1]`, where any row starts later than the first column.
    starts: Option<Tensor<2, Int>>,
}

impl Batch {
    /// Makes the rows those of `lanes`, in their order.
    pub(super) fn arrange(&mut self, lanes: &mut [&mut ModuleLane]) -> Result<()> {
        let same = lanes.len() == self.rows.len()
            && lanes
                .iter()
                .zip(&self.rows)
                .all(|(lane, (ticket, _))| lane.ticket() == Some(*ticket));
        if same {
            return Ok(());
        }
        let width = lanes.iter().map(|lane| lane.len()).max().unwrap_or(0);
        let mut from = Vec::with_capacity(lanes.len());
        let mut rows = Vec::with_capacity(lanes.len());
        for lane in lanes.iter_mut() {
            let len = lane.len();
            let ticket = lane.ticket().unwrap_or_else(Ticket::next);
            let source = match lane.join(ticket) {
                Some(cache) => Source::Alone(cache),
                None => {
                    let row = self.rows.iter().position(|(known, _)| *known == ticket);
                    Source::Row(row.ok_or_else(of_another_model)?)
                }
            };
            from.push((source, len));
            rows.push((ticket, width - len));
        }
        let layers = from.iter().map(|(source, _)| match source {
            Source::Row(_) => self.cache.layers.len(),
            Source::Alone(cache) => cache.layers.len(),
        });
        let layers = layers.max().unwrap_or(0);
        let mut old = std::mem::take(&mut self.cache).layers;
        old.resize_with(layers, LayerCache::default);
        for (layer, old) in old.into_iter().enumerate() {
            // One layer at a time: the old keys go as the new ones come.
            self.cache
                .layers
                .push(rearranged(&old, &mut from, layer, width));
        }
        self.starts = rows.iter().any(|(_, start)| *start > 0).then(|| {
            let starts: Vec<i64> = rows.iter().map(|(_, start)| *start as i64).collect();
            let device = self.device();
            Tensor::from_data(TensorData::new(starts, [rows.len(), 1]), &device)
        });
        self.rows = rows;
        Ok(())
    }

    fn device(&self) -> Device {
        let first = self.cache.layers.first();
        first
            .and_then(LayerCache::filled)
            .map_or_else(Device::default, |(keys, _)| keys.device())
    }

    /// A step by the module.
    pub(super) fn step(
        &mut self,
        module: Module<'_>,
        lanes: &mut [&mut ModuleLane],
        tokens: &[u32],
    ) -> Result<Vec<f32>> {
        let (device, rows) = (module.device(), lanes.len());
        let positions: Vec<i64> = lanes.iter().map(|lane| lane.position()).collect();
        let columns = self.cache.len() + 1;
        let hidden: Option<Tensor<4, Bool>> = self.starts.clone().map(|starts| {
            Tensor::<1, Int>::arange(0..columns as i64, &device)
                .unsqueeze::<2>()
                .lower(starts)
                .reshape([rows, 1, 1, columns])
        });
        let logits = module.step(tokens, &positions, hidden, &mut self.cache)?;
        for lane in lanes {
            lane.grew();
        }
        Ok(logits)
    }
}

/// Where a row's keys and values are.
enum Source {
    Row(usize),
    Alone(KvCache),
}

/// Rows of `width` columns, of the batch's layer `old` and of caches that join it.
fn rearranged(
    old: &LayerCache,
    from: &mut [(Source, usize)],
    layer: usize,
    width: usize,
) -> LayerCache {
    let found = from.iter_mut().map(|(source, len)| match source {
        Source::Row(row) => old.filled().map(|(keys, values)| {
            let own = |all: Tensor<4>| {
                let columns = all.dims()[2];
                all.narrow(0, *row, 1).narrow(2, columns - *len, *len)
            };
            (own(keys), own(values))
        }),
        Source::Alone(cache) => std::mem::take(&mut cache.layers[layer]).filled(),
    });
    let found: Vec<Option<(Tensor<4>, Tensor<4>)>> = found.collect();
    let mut together = LayerCache::default();
    let Some((like, _)) = found.iter().flatten().next().cloned() else {
        return together;
    };
    // Of a prompt of one token nothing is read before its first step.
    let nothing = || {
        let [_, heads, _, head_dim] = like.dims();
        Tensor::zeros([1, heads, width, head_dim], (&like.device(), like.dtype()))
    };
    let (keys, values) = found
        .into_iter()
        .map(|found| match found {
            Some((key, value)) => (right_aligned(key, width), right_aligned(value, width)),
            None => (nothing(), nothing()),
        })
        .unzip();
    together.append(Tensor::cat(keys, 0), Tensor::cat(values, 0));
    together
}

/// `[1, kv_heads, tokens, head_dim]` → `[1, kv_heads, width, head_dim]`, zeros before it.
fn right_aligned(x: Tensor<4>, width: usize) -> Tensor<4> {
    let [rows, heads, tokens, head_dim] = x.dims();
    if tokens == width {
        return x;
    }
    let before = [rows, heads, width - tokens, head_dim];
    let zeros = Tensor::zeros(before, (&x.device(), x.dtype()));
    Tensor::cat(vec![zeros, x], 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::read_f32;
    use crate::qwen3::{Qwen3, token_ids};

    fn config() -> Qwen3Config {
        Qwen3Config {
            vocab_size: 32,
            hidden_size: 16,
            intermediate_size: 24,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            head_dim: 8,
            initializer_range: 0.5,
            ..Qwen3Config::default()
        }
    }

    fn model() -> Qwen3 {
        Qwen3::init(&config(), &Device::flex())
    }

    /// A lane that has read `tokens`.
    fn lane(model: &Qwen3, tokens: &[u32]) -> ModuleLane {
        let mut cache = KvCache::new(model.layers.len());
        if !tokens.is_empty() {
            let ids = token_ids(tokens, &Device::flex());
            model.forward_cached(ids, None, None, &mut cache);
        }
        ModuleLane::holding(cache, None, 0)
    }

    fn alone(model: &Qwen3, tokens: &[u32]) -> Vec<f32> {
        let hidden = model.hidden_states(token_ids(tokens, &Device::flex()), None, None);
        read_f32(model.logits(hidden.narrow(1, tokens.len() - 1, 1))).unwrap()
    }

    #[test]
    fn rows_that_come_and_go_get_what_they_would_get_alone() {
        let model = model();
        let mut together = Together::new(&config());
        // One of a single token, of which nothing is read before the first step.
        let mut texts = vec![vec![3, 1, 4, 1, 5, 9, 2, 6], vec![7], vec![2, 7, 1]];
        let open = |text: &[u32]| lane(&model, &text[..text.len() - 1]);
        let mut lanes: Vec<ModuleLane> = texts.iter().map(|text| open(text)).collect();
        for round in 0..12_u32 {
            match round {
                // The longest leaves.
                3 => drop((texts.remove(0), lanes.remove(0))),
                // A longer one joins, in the middle.
                5 => {
                    let text: Vec<u32> = (0..20).map(|i| i * 5 % 32).collect();
                    lanes.insert(1, open(&text));
                    texts.insert(1, text);
                }
                8 => drop((texts.pop(), lanes.pop())),
                _ => {}
            }
            let tokens: Vec<u32> = texts
                .iter()
                .filter_map(|text| text.last())
                .copied()
                .collect();
            let mut all: Vec<&mut ModuleLane> = lanes.iter_mut().collect();
            let logits = together
                .step(None, Module::Text(&model), &mut all, &tokens)
                .unwrap();
            let batch = &together.batches[&None];
            let (keys, _) = batch.cache.layers[1].filled().unwrap();
            assert_eq!(keys.dims()[0], texts.len(), "one pass for all");
            let longest = texts.iter().map(Vec::len).max();
            // What was left of the longest goes when rows change.
            assert!(keys.dims()[2] <= longest.unwrap() + 3);
            for (text, row) in texts.iter_mut().zip(logits.chunks(32)) {
                for (a, b) in row.iter().zip(alone(&model, text)) {
                    assert!((a - b).abs() < 1e-4, "round {round}: {a} {b}");
                }
                text.push((round * 11 + text.len() as u32) % 32);
            }
        }
    }

    #[test]
    fn a_row_that_left_cannot_come_back() {
        let model = model();
        let mut together = Together::new(&config());
        let (mut one, mut two) = (lane(&model, &[1, 2]), lane(&model, &[3]));
        together
            .step(
                None,
                Module::Text(&model),
                &mut [&mut one, &mut two],
                &[5, 6],
            )
            .unwrap();
        together
            .step(None, Module::Text(&model), &mut [&mut two], &[7])
            .unwrap();
        let error = together
            .step(
                None,
                Module::Text(&model),
                &mut [&mut one, &mut two],
                &[8, 9],
            )
            .unwrap_err();
        assert_eq!(error.code(), "model_engine");
    }
}
