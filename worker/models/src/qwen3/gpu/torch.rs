//! Steps of a module that LibTorch holds on a GPU.

use super::cuda::Cuda;
use super::shape::Shape;
use super::step::{Addresses, CacheAddresses, LayerAddresses, MOST_ROWS, Row, Steps, compiled_for};
use crate::error::Result;
use crate::lora::Linear;
use crate::qwen3::cache::Generation;
use crate::qwen3::rotary::Frequencies;
use crate::qwen3::{KvCache, Qwen3, Qwen3Config};
use crate::torch::on_gpu;

/// Steps of a module in kernels of our own.
pub struct ModuleSteps {
    steps: Steps<Cuda>,
    /// The weights, which the kernels have by address.
    _held: Vec<tch::Tensor>,
    /// Where the cache of the last step is.
    cache: Option<(Generation, CacheAddresses)>,
}

impl std::fmt::Debug for ModuleSteps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModuleSteps").finish_non_exhaustive()
    }
}

impl ModuleSteps {
    /// Sequences that a step has at most.
    pub const MOST_ROWS: usize = MOST_ROWS;

    /// The rows for which kernels are compiled that take a step of `rows`.
    pub fn variant(rows: usize) -> usize {
        compiled_for(rows)
    }

    /// Steps of `module`; none where the kernels do not serve: they are for dense models
    /// without adapters whose weights are bf16 on a GPU of LibTorch's, with projections by
    /// rows ([`crate::torch::by_rows`]).
    ///
    /// # Errors
    /// [`crate::ModelError::Device`] when the driver refuses.
    pub fn new(module: &Qwen3, config: &Qwen3Config) -> Result<Option<Self>> {
        let Some(shape) = Shape::of(config) else {
            return Ok(None);
        };
        let mut held = Vec::new();
        let Some(weights) = addresses(module, &mut held) else {
            return Ok(None);
        };
        let Some(tch::Device::Cuda(ordinal)) = held.first().map(tch::Tensor::device) else {
            return Ok(None);
        };
        let machine = Cuda::new(ordinal)?;
        // SAFETY: the weights are held as long as the steps.
        let steps = unsafe { Steps::new(machine, shape, weights, Frequencies::new(config)) }?;
        Ok(Some(Self {
            steps,
            _held: held,
            cache: None,
        }))
    }

    /// Reads a token of each of the sequences that are the rows of `cache`, whose keys and
    /// values stand in its next column then; the cache does not count it before
    /// [`KvCache::grew`]. `rows` has of each the token, its number in the sequence, and the
    /// sequence's first column. The cache must not be a clone's other half: it is written
    /// where it lies. Returns the logits of what follows, `[rows, vocab]`; none where the
    /// kernels cannot use the cache.
    ///
    /// # Errors
    /// [`crate::ModelError::Request`] for a token outside the vocabulary,
    /// [`crate::ModelError::Device`] when the GPU fails.
    pub fn step(
        &mut self,
        rows: &[(u32, usize, usize)],
        cache: &mut KvCache,
    ) -> Result<Option<Vec<f32>>> {
        let fits = (1..=MOST_ROWS).contains(&rows.len()) && cache.rows() == Some(rows.len());
        if !fits {
            return Ok(None);
        }
        cache.room_for_one();
        let generation = cache.generation();
        let known = self.cache.take().filter(|(of, _)| *of == generation);
        let Some(found) = known
            .map(|(_, found)| found)
            .or_else(|| cache_addresses(cache))
        else {
            return Ok(None);
        };
        let rows: Vec<Row> = rows
            .iter()
            .map(|&(token, position, start)| Row {
                token,
                position,
                start,
            })
            .collect();
        let (_, found) = self.cache.insert((generation, found));
        // SAFETY: the cache is there while it is borrowed, has a row for each sequence and
        // room for a column; nobody else writes it.
        let logits = unsafe { self.steps.step(&rows, cache.len() + 1, found) }?;
        Ok(Some(logits))
    }
}

/// Where the weights of `module` are; they are put into `held`.
fn addresses(module: &Qwen3, held: &mut Vec<tch::Tensor>) -> Option<Addresses> {
    let mut hold = |tensor: Option<tch::Tensor>| {
        let tensor = tensor
            .filter(|tensor| tensor.kind() == tch::Kind::BFloat16 && tensor.is_contiguous())?;
        let address = tensor.data_ptr() as u64;
        held.push(tensor);
        Some(address)
    };
    fn rows(linear: &Linear) -> Option<tch::Tensor> {
        let is_plain = linear.bias.is_none() && linear.lora.is_none();
        let weight = is_plain.then(|| on_gpu(&linear.weight.val()))?;
        Some(weight?.tr())
    }
    let embedding = hold(on_gpu(&module.embed_tokens.weight.val()))?;
    let head = match &module.lm_head {
        Some(head) => hold(rows(head))?,
        None => embedding,
    };
    let norm = hold(on_gpu(&module.norm.gamma.val()))?;
    let mut layers = Vec::with_capacity(module.layers.len());
    for layer in &module.layers {
        let (attention, mlp) = (&layer.self_attn, layer.mlp.dense()?);
        layers.push(LayerAddresses {
            query: hold(rows(&attention.q_proj))?,
            key: hold(rows(&attention.k_proj))?,
            value: hold(rows(&attention.v_proj))?,
            output: hold(rows(&attention.o_proj))?,
            gate: hold(rows(&mlp.gate_proj))?,
            up: hold(rows(&mlp.up_proj))?,
            down: hold(rows(&mlp.down_proj))?,
            input_norm: hold(on_gpu(&layer.input_layernorm.gamma.val()))?,
            post_norm: hold(on_gpu(&layer.post_attention_layernorm.gamma.val()))?,
            query_norm: hold(on_gpu(&attention.q_norm.gamma.val()))?,
            key_norm: hold(on_gpu(&attention.k_norm.gamma.val()))?,
        });
    }
    Some(Addresses {
        embedding,
        head,
        norm,
        layers,
    })
}

/// Where `cache` is; none unless the kernels can use it.
fn cache_addresses(cache: &KvCache) -> Option<CacheAddresses> {
    let mut capacity = 0;
    let address = |tensor: &burn::tensor::Tensor<4>| {
        let tensor = on_gpu(tensor)?;
        let serves = tensor.kind() == tch::Kind::BFloat16 && tensor.is_contiguous();
        serves.then(|| tensor.data_ptr() as u64)
    };
    let mut layers = Vec::with_capacity(cache.layers.len());
    for layer in &cache.layers {
        let (keys, values) = layer.whole()?;
        capacity = keys.dims()[2];
        layers.push((address(keys)?, address(values)?));
    }
    Some(CacheAddresses { layers, capacity })
}
