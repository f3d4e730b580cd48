//! Running tokens through the model. Follows [`crate::qwen3::layer`] operation by
//! operation; what a token gets does not depend on which others are in the pass.

use super::attention::attend_rows;
use super::cache::SequenceCache;
use super::decoder::{CpuDecoder, Layer};
use super::feed_forward::Buffers;
use super::low_rank::{self, Changes, CpuAdapter, LayerChange};
use crate::error::{ModelError, Result};
use crate::qwen3::Qwen3Config;
use crate::qwen3::rotary::Frequencies;

/// Buffers that a pass reuses. Keep one per thread of decoding.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    residual: Vec<f32>,
    normed: Vec<f32>,
    qkv: Vec<f32>,
    context: Vec<f32>,
    projected: Vec<f32>,
    feed_forward: Box<Buffers>,
    low_rank: low_rank::Buffers,
    scores: Vec<f32>,
    logits: Vec<f32>,
}

/// A token of a pass: whose it is and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// Index of the sequence among those of the pass.
    pub(super) sequence: usize,
    pub(super) position: usize,
}

/// What a layer needs to know of a pass.
struct Place<'p> {
    config: &'p Qwen3Config,
    /// The layer's number.
    index: usize,
    rows: &'p [Row],
    /// What the rows' adapters change in the layer.
    changes: &'p Changes<'p, LayerChange>,
}

impl CpuDecoder {
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
        if tokens.is_empty() || tokens.len() != caches.len() {
            let reason = format!("{} tokens for {} caches", tokens.len(), caches.len());
            return Err(refuse(reason));
        }
        if adapters.len() != tokens.len() {
            let reason = format!("{} tokens for {} adapters", tokens.len(), adapters.len());
            return Err(refuse(reason));
        }
        let rows: Vec<Row> = caches
            .iter()
            .enumerate()
            .map(|(sequence, cache)| Row {
                sequence,
                position: cache.len,
            })
            .collect();
        self.embed(tokens, scratch)?;
        let changes = Changes::new(adapters.iter().copied());
        self.run(&rows, caches, &changes, true, scratch);

        let config = &self.config;
        let Scratch {
            residual,
            normed,
            logits,
            ..
        } = scratch;
        rms_norm_rows(residual, &self.norm, config.rms_norm_eps, normed);
        logits.resize(rows.len() * config.vocab_size, 0.0);
        let head = self.head.as_ref().unwrap_or(&self.embedding);
        head.apply(normed, logits);
        Ok(logits)
    }

    /// Reads `tokens`, which follow what `cache` holds; it then holds them too.
    ///
    /// # Errors
    /// [`ModelError::Request`] for a token outside the vocabulary.
    pub fn read(
        &self,
        tokens: &[u32],
        cache: &mut SequenceCache,
        scratch: &mut Scratch,
    ) -> Result<()> {
        self.read_adapted(tokens, cache, None, scratch)
    }

    /// [`Self::read`] with an adapter, where there is one.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_adapted(
        &self,
        tokens: &[u32],
        cache: &mut SequenceCache,
        adapter: Option<&CpuAdapter>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let rows: Vec<Row> = (cache.len..cache.len + tokens.len())
            .map(|position| Row {
                sequence: 0,
                position,
            })
            .collect();
        self.embed(tokens, scratch)?;
        let changes = Changes::new(rows.iter().map(|_| adapter));
        self.run(&rows, &mut [cache], &changes, false, scratch);
        Ok(())
    }

    fn embed(&self, tokens: &[u32], scratch: &mut Scratch) -> Result<()> {
        let config = &self.config;
        if let Some(token) = tokens
            .iter()
            .find(|token| **token as usize >= config.vocab_size)
        {
            return Err(refuse(format!("{token} is outside the vocabulary")));
        }
        scratch.fit(config, tokens.len());
        let rows = scratch.residual.chunks_exact_mut(config.hidden_size);
        for (token, row) in tokens.iter().zip(rows) {
            self.embedding.copy_row(*token as usize, row);
        }
        Ok(())
    }

    /// Takes the embedded rows through the layers. `whole` asks for the last
    /// layer's output; without it the caches are all that is wanted.
    fn run(
        &self,
        rows: &[Row],
        caches: &mut [&mut SequenceCache],
        changes: &Changes<'_, CpuAdapter>,
        whole: bool,
        scratch: &mut Scratch,
    ) {
        let rotations: Vec<Rotation> = rows
            .iter()
            .map(|row| Rotation::at(row.position, &self.frequencies))
            .collect();
        for row in rows {
            caches[row.sequence].make_room(row.position);
        }
        for (index, layer) in self.layers.iter().enumerate() {
            let place = Place {
                config: &self.config,
                index,
                rows,
                changes: &changes.part(|adapter| adapter.layer(index)),
            };
            layer.keys_and_values(&place, &rotations, caches, scratch);
            if !whole && index + 1 == self.layers.len() {
                break;
            }
            layer.attention(&place, caches, scratch);
            layer.feed_forward(&place, scratch);
        }
        for row in rows {
            caches[row.sequence].len = row.position + 1;
        }
    }
}

fn refuse(reason: String) -> ModelError {
    ModelError::Request {
        field: "tokens",
        reason,
    }
}

impl Layer {
    /// Projects the rows; their keys and values go to the caches.
    fn keys_and_values(
        &self,
        place: &Place<'_>,
        rotations: &[Rotation],
        caches: &mut [&mut SequenceCache],
        scratch: &mut Scratch,
    ) {
        let config = place.config;
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
        let changes = place.changes;
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

        let projected = scratch.qkv.chunks_exact_mut(self.qkv.rows());
        for ((projected, row), rotation) in projected.zip(place.rows).zip(rotations) {
            let (queries, rest) = projected.split_at_mut(query_width);
            let (keys, values) = rest.split_at_mut(key_width);
            for query in queries.chunks_exact_mut(head_dim) {
                rms_norm(query, &self.query_norm, eps);
                rotation.apply(query);
            }
            for key in keys.chunks_exact_mut(head_dim) {
                rms_norm(key, &self.key_norm, eps);
                rotation.apply(key);
            }
            caches[row.sequence].write(place.index, row.position, keys, values);
        }
    }

    /// Each row over what its sequence holds up to it.
    fn attention(&self, place: &Place<'_>, caches: &[&mut SequenceCache], scratch: &mut Scratch) {
        let Place {
            config,
            index,
            rows,
            changes,
        } = *place;
        let caches: Vec<&SequenceCache> = caches.iter().map(|cache| &**cache).collect();
        let queries = scratch.qkv.as_slice();
        let (context, scores) = (&mut scratch.context, &mut scratch.scores);
        attend_rows(
            &caches,
            index,
            rows,
            queries,
            config.head_dim,
            context,
            scores,
        );
        self.output.apply(&scratch.context, &mut scratch.projected);
        let changes = changes.part(|change| change.output.as_ref());
        let buffers = &mut scratch.low_rank;
        changes.add(&scratch.context, &mut scratch.projected, 0, buffers);
        add(&mut scratch.residual, &scratch.projected);
    }

    fn feed_forward(&self, place: &Place<'_>, scratch: &mut Scratch) {
        rms_norm_rows(
            &scratch.residual,
            &self.post_norm,
            place.config.rms_norm_eps,
            &mut scratch.normed,
        );
        self.feed_forward.apply(
            &scratch.normed,
            &mut scratch.projected,
            place.changes,
            &mut scratch.feed_forward,
        );
        add(&mut scratch.residual, &scratch.projected);
    }
}

impl Scratch {
    /// Sizes the buffers for `count` rows.
    fn fit(&mut self, config: &Qwen3Config, count: usize) {
        let query_width = config.num_attention_heads * config.head_dim;
        let key_width = config.num_key_value_heads * config.head_dim;
        let sizes = [
            (&mut self.residual, config.hidden_size),
            (&mut self.normed, config.hidden_size),
            (&mut self.qkv, query_width + 2 * key_width),
            (&mut self.context, query_width),
            (&mut self.projected, config.hidden_size),
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
