//! The decode step. Follows [`crate::qwen3::layer`] operation by operation.

use burn::tensor::Tensor;

use super::attention::attend;
use super::cache::SequenceCache;
use super::feed_forward::{Buffers, FeedForward, Mlp, Moe};
use super::low_rank::{self, Changes, CpuAdapter, LayerChange};
use super::matrix::{Matrix, Precision};
use crate::error::{ModelError, Result};
use crate::load::transpose;
use crate::qwen3::rotary::Frequencies;
use crate::qwen3::weights::{Slot, weight_specs};
use crate::qwen3::{Qwen3, Qwen3Config};

/// A copy of a model's weights laid out for decoding on the CPU.
#[derive(Clone, Debug)]
pub struct CpuDecoder {
    config: Qwen3Config,
    embedding: Matrix,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    /// Absent when the embedding is the head.
    head: Option<Matrix>,
    frequencies: Frequencies,
}

#[derive(Clone, Debug)]
struct Layer {
    /// Rows: query, key, value.
    qkv: Matrix,
    output: Matrix,
    feed_forward: FeedForward,
    query_norm: Vec<f32>,
    key_norm: Vec<f32>,
    input_norm: Vec<f32>,
    post_norm: Vec<f32>,
}

/// Buffers that a step reuses. Keep one per thread of decoding.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    residual: Vec<f32>,
    normed: Vec<f32>,
    qkv: Vec<f32>,
    context: Vec<f32>,
    projected: Vec<f32>,
    feed_forward: Box<Buffers>,
    low_rank: Box<low_rank::Buffers>,
    scores: Vec<f32>,
    logits: Vec<f32>,
}

impl CpuDecoder {
    /// Copies the weights of `model` from its device, as exact as they are.
    ///
    /// # Errors
    /// [`ModelError::Config`] when `model` has another shape than `config`.
    pub fn new(model: &Qwen3, config: &Qwen3Config) -> Result<Self> {
        Self::with_precision(model, config, Precision::Exact)
    }

    /// [`Self::new`] with a choice of the projections' numbers. Norms, routers
    /// and an embedding that is not the head stay exact.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_precision(
        model: &Qwen3,
        config: &Qwen3Config,
        precision: Precision,
    ) -> Result<Self> {
        let mut model = model.clone();
        let mismatch = |reason: String| ModelError::Config {
            field: "model",
            reason,
        };
        let mut weights = Vec::new();
        for (spec, slot) in weight_specs(config).iter().zip(model.slots()) {
            let values = match slot {
                // `[in, out]` in the module.
                Slot::Projection(param) => {
                    let values = read(param.val())?;
                    transpose(&values, spec.shape[1], spec.shape[0])
                }
                Slot::Embedding(param) => read(param.val())?,
                Slot::Scale(param) => read(param.val())?,
            };
            if values.len() != spec.shape.iter().product::<usize>() {
                return Err(mismatch(format!("`{}` has another shape", spec.name)));
            }
            weights.push(values);
        }

        let mut weights = weights.into_iter();
        let mut next = || {
            weights
                .next()
                .ok_or_else(|| mismatch("it has fewer weights".to_owned()))
        };
        let hidden = config.hidden_size;
        let query_width = config.num_attention_heads * config.head_dim;
        let stack = |parts, columns| Matrix::stack(parts, columns, precision);
        let embedding = match config.tie_word_embeddings {
            true => stack(vec![next()?], hidden),
            false => Matrix::stack(vec![next()?], hidden, Precision::Exact),
        };
        let mut layers = Vec::with_capacity(config.num_hidden_layers);
        for index in 0..config.num_hidden_layers {
            layers.push(Layer {
                qkv: stack(vec![next()?, next()?, next()?], hidden),
                output: stack(vec![next()?], query_width),
                query_norm: next()?,
                key_norm: next()?,
                feed_forward: feed_forward(config, index, precision, &mut next)?,
                input_norm: next()?,
                post_norm: next()?,
            });
        }
        let norm = next()?;
        let head = match config.tie_word_embeddings {
            true => None,
            false => Some(stack(vec![next()?], hidden)),
        };
        Ok(Self {
            config: config.clone(),
            embedding,
            layers,
            norm,
            head,
            frequencies: Frequencies::new(config),
        })
    }

    /// The shapes.
    pub fn config(&self) -> &Qwen3Config {
        &self.config
    }

    /// Bytes of weights that a step reads.
    pub fn weight_bytes(&self) -> usize {
        let layers: usize = self
            .layers
            .iter()
            .map(|layer| layer.qkv.bytes() + layer.output.bytes() + layer.feed_forward.bytes())
            .sum();
        layers + self.head.as_ref().unwrap_or(&self.embedding).bytes()
    }

    /// Reads one more token of each sequence.
    ///
    /// `tokens[i]` follows what `caches[i]` holds; the caches then hold it too.
    /// Returns the logits of what comes next, `[sequences, vocab]`, row-major.
    ///
    /// # Errors
    /// [`ModelError::Request`] for a token outside the vocabulary and for
    /// another number of caches than of tokens.
    pub fn step<'s>(
        &self,
        tokens: &[u32],
        caches: &mut [&mut SequenceCache],
        scratch: &'s mut Scratch,
    ) -> Result<&'s [f32]> {
        self.step_adapted(tokens, caches, &vec![None; tokens.len()], scratch)
    }

    /// [`Self::step`] with `adapters[i]` for the sequence `i`, where it has one.
    /// A sequence's logits do not depend on the others', nor on their adapters.
    ///
    /// # Errors
    /// As [`Self::step`], and for another number of adapters than of tokens.
    pub fn step_adapted<'s>(
        &self,
        tokens: &[u32],
        caches: &mut [&mut SequenceCache],
        adapters: &[Option<&CpuAdapter>],
        scratch: &'s mut Scratch,
    ) -> Result<&'s [f32]> {
        self.check(tokens, caches, adapters)?;
        let changes = Changes::new(adapters.iter().copied());
        let config = &self.config;
        let hidden = config.hidden_size;
        let count = tokens.len();
        scratch.fit(config, count);
        for cache in caches.iter_mut() {
            cache.make_room();
        }

        for (token, row) in tokens.iter().zip(scratch.residual.chunks_exact_mut(hidden)) {
            self.embedding.copy_row(*token as usize, row);
        }
        for (index, layer) in self.layers.iter().enumerate() {
            let changes = changes.part(|adapter| adapter.layer(index));
            layer.attention(config, &self.frequencies, index, caches, &changes, scratch);
            layer.feed_forward(config, &changes, scratch);
        }
        for cache in caches.iter_mut() {
            cache.len += 1;
        }
        rms_norm_rows(
            &scratch.residual,
            &self.norm,
            config.rms_norm_eps,
            &mut scratch.normed,
        );
        let head = self.head.as_ref().unwrap_or(&self.embedding);
        head.apply(&scratch.normed, &mut scratch.logits);
        Ok(&scratch.logits)
    }

    fn check(
        &self,
        tokens: &[u32],
        caches: &[&mut SequenceCache],
        adapters: &[Option<&CpuAdapter>],
    ) -> Result<()> {
        let refuse = |reason: String| ModelError::Request {
            field: "tokens",
            reason,
        };
        if tokens.is_empty() || tokens.len() != caches.len() {
            let reason = format!("{} tokens for {} caches", tokens.len(), caches.len());
            return Err(refuse(reason));
        }
        if adapters.len() != tokens.len() {
            let reason = format!("{} tokens for {} adapters", tokens.len(), adapters.len());
            return Err(refuse(reason));
        }
        match tokens
            .iter()
            .find(|token| **token as usize >= self.config.vocab_size)
        {
            Some(token) => Err(refuse(format!("{token} is outside the vocabulary"))),
            None => Ok(()),
        }
    }
}

impl Layer {
    fn attention(
        &self,
        config: &Qwen3Config,
        frequencies: &Frequencies,
        index: usize,
        caches: &mut [&mut SequenceCache],
        changes: &Changes<'_, LayerChange>,
        scratch: &mut Scratch,
    ) {
        let (eps, head_dim) = (config.rms_norm_eps, config.head_dim);
        let query_width = config.num_attention_heads * head_dim;
        let key_width = config.num_key_value_heads * head_dim;
        rms_norm_rows(
            &scratch.residual,
            &self.input_norm,
            eps,
            &mut scratch.normed,
        );
        self.qkv.apply(&scratch.normed, &mut scratch.qkv);
        let parts = [
            (changes.part(|change| change.query.as_ref()), 0),
            (changes.part(|change| change.key.as_ref()), query_width),
            (
                changes.part(|change| change.value.as_ref()),
                query_width + key_width,
            ),
        ];
        let buffers = &mut scratch.low_rank;
        for (changes, start) in parts {
            changes.add(&scratch.normed, &mut scratch.qkv, start, buffers);
        }

        let rows = scratch.qkv.chunks_exact_mut(self.qkv.rows());
        let contexts = scratch.context.chunks_exact_mut(query_width);
        for ((row, context), cache) in rows.zip(contexts).zip(caches.iter_mut()) {
            let (queries, rest) = row.split_at_mut(query_width);
            let (keys, values) = rest.split_at_mut(key_width);
            let rotation = Rotation::at(cache.len, frequencies);
            for query in queries.chunks_exact_mut(head_dim) {
                rms_norm(query, &self.query_norm, eps);
                rotation.apply(query);
            }
            for key in keys.chunks_exact_mut(head_dim) {
                rms_norm(key, &self.key_norm, eps);
                rotation.apply(key);
            }
            cache.write(index, keys, values);
            let (cache, tokens) = (&**cache, cache.len + 1);
            let scores = &mut scratch.scores;
            attend(cache, index, tokens, queries, head_dim, context, scores);
        }

        self.output.apply(&scratch.context, &mut scratch.projected);
        let changes = changes.part(|change| change.output.as_ref());
        let buffers = &mut scratch.low_rank;
        changes.add(&scratch.context, &mut scratch.projected, 0, buffers);
        add(&mut scratch.residual, &scratch.projected);
    }

    fn feed_forward(
        &self,
        config: &Qwen3Config,
        changes: &Changes<'_, LayerChange>,
        scratch: &mut Scratch,
    ) {
        rms_norm_rows(
            &scratch.residual,
            &self.post_norm,
            config.rms_norm_eps,
            &mut scratch.normed,
        );
        self.feed_forward.apply(
            &scratch.normed,
            &mut scratch.projected,
            changes,
            &mut scratch.feed_forward,
        );
        add(&mut scratch.residual, &scratch.projected);
    }
}

/// The block of layer `index` from the weights that come next.
fn feed_forward(
    config: &Qwen3Config,
    index: usize,
    precision: Precision,
    next: &mut impl FnMut() -> Result<Vec<f32>>,
) -> Result<FeedForward> {
    let hidden = config.hidden_size;
    let mlp = |inner: usize, next: &mut dyn FnMut() -> Result<Vec<f32>>| {
        Ok::<_, ModelError>(Mlp {
            gate_up: Matrix::stack(vec![next()?, next()?], hidden, precision),
            down: Matrix::stack(vec![next()?], inner, precision),
        })
    };
    let Some(moe) = config.sparse(index) else {
        return Ok(FeedForward::Dense(mlp(config.intermediate_size, next)?));
    };
    let router = Matrix::stack(vec![next()?], hidden, Precision::Exact);
    let experts = (0..moe.num_experts).map(|_| mlp(moe.moe_intermediate_size, next));
    Ok(FeedForward::Sparse(Moe {
        router,
        experts: experts.collect::<Result<_>>()?,
        experts_per_token: moe.num_experts_per_tok,
        normalise: moe.norm_topk_prob,
    }))
}

impl Scratch {
    /// Sizes the buffers for `count` sequences.
    fn fit(&mut self, config: &Qwen3Config, count: usize) {
        let query_width = config.num_attention_heads * config.head_dim;
        let key_width = config.num_key_value_heads * config.head_dim;
        let sizes = [
            (&mut self.residual, config.hidden_size),
            (&mut self.normed, config.hidden_size),
            (&mut self.qkv, query_width + 2 * key_width),
            (&mut self.context, query_width),
            (&mut self.projected, config.hidden_size),
            (&mut self.logits, config.vocab_size),
        ];
        for (buffer, width) in sizes {
            buffer.resize(count * width, 0.0);
        }
    }
}

/// Cosines and sines of one position.
struct Rotation {
    cos_sin: Vec<(f32, f32)>,
}

impl Rotation {
    fn at(position: usize, frequencies: &Frequencies) -> Self {
        let factor = frequencies.attention_factor;
        let cos_sin = frequencies
            .inverse
            .iter()
            .map(|frequency| {
                let (sin, cos) = (position as f32 * frequency).sin_cos();
                (cos * factor, sin * factor)
            })
            .collect();
        Self { cos_sin }
    }

    fn apply(&self, head: &mut [f32]) {
        let (first, second) = head.split_at_mut(self.cos_sin.len());
        for ((first, second), (cos, sin)) in first.iter_mut().zip(second).zip(&self.cos_sin) {
            let (a, b) = (*first, *second);
            *first = a * cos - b * sin;
            *second = b * cos + a * sin;
        }
    }
}

fn rms_norm_rows(rows: &[f32], scale: &[f32], eps: f64, out: &mut [f32]) {
    out.copy_from_slice(rows);
    for row in out.chunks_exact_mut(scale.len()) {
        rms_norm(row, scale, eps);
    }
}

fn rms_norm(row: &mut [f32], scale: &[f32], eps: f64) {
    let sum_of_squares: f32 = row.iter().map(|x| x * x).sum();
    let inverse = 1.0 / (sum_of_squares / row.len() as f32 + eps as f32).sqrt();
    for (x, scale) in row.iter_mut().zip(scale) {
        *x = *x * inverse * scale;
    }
}

fn add(to: &mut [f32], from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}

fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    tensor
        .into_data()
        .convert::<f32>()
        .try_into_vec::<f32>()
        .map_err(|error| ModelError::Config {
            field: "model",
            reason: error.to_string(),
        })
}
