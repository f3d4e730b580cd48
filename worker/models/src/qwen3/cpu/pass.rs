//! Running tokens through the model. Follows [`crate::qwen3::layer`] operation by
//! operation; what a token gets does not depend on which others are in the pass.

use super::attention::attend_rows;
use super::cache::SequenceCache;
use super::decoder::{CpuDecoder, Layer};
use super::feed_forward::Buffers;
use super::low_rank::{self, Changes, CpuAdapter, LayerChange};
use super::matrix::PARALLEL_WORK;
use super::pictures::PromptPictures;
use super::rotation::{Place as RopePlace, Rotation};
use super::team;
use crate::error::{ModelError, Result};
use crate::qwen3::Qwen3Config;
use crate::rows::{on_best, sum};

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
    logits: Vec<f32>,
}

/// A token of a pass: whose it is and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// Index of the sequence among those of the pass.
    pub(super) sequence: usize,
    /// Its number in the sequence.
    pub(super) position: usize,
    /// Its rotary position.
    pub(super) rope: RopePlace,
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
                rope: [cache.len as i64 + cache.rope_offset; 3],
            })
            .collect();
        self.embed(tokens, scratch)?;
        let mut step = || {
            let changes = Changes::new(adapters.iter().copied());
            self.run(&rows, caches, &changes, true, scratch);
            self.head_of(scratch, rows.len());
        };
        // Very small models are done before another thread is awake.
        match self.largest_product() * rows.len() < PARALLEL_WORK {
            true => step(),
            false => team::during(step),
        }
        Ok(&scratch.logits)
    }

    /// Multiplications of a layer's largest product with one vector.
    fn largest_product(&self) -> usize {
        self.config.hidden_size * self.config.intermediate_size
    }

    /// The logits of the last layer's output.
    fn head_of(&self, scratch: &mut Scratch, rows: usize) {
        let config = &self.config;
        let Scratch {
            residual,
            normed,
            logits,
            ..
        } = scratch;
        rms_norm_rows(residual, &self.norm, config.rms_norm_eps, normed);
        logits.resize(rows * config.vocab_size, 0.0);
        let head = self.head.as_ref().unwrap_or(&self.embedding);
        head.apply(normed, logits);
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
        self.read_with(tokens, cache, None, adapter, false, scratch)
    }

    /// [`Self::read_adapted`] of a part of a prompt with pictures; `tokens` are its
    /// tokens behind those in `cache`.
    ///
    /// # Errors
    /// As [`Self::read`], and for pictures of another prompt.
    pub fn read_pictured(
        &self,
        tokens: &[u32],
        cache: &mut SequenceCache,
        pictures: &PromptPictures,
        adapter: Option<&CpuAdapter>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        self.read_with(tokens, cache, Some(pictures), adapter, false, scratch)
    }

    /// Reads `tokens` as [`Self::read_pictured`] does and returns their final states
    /// behind the last norm, `[tokens, hidden]`: what a model that is steered by
    /// text is given of it.
    ///
    /// # Errors
    /// As [`Self::read_pictured`].
    pub fn states<'s>(
        &self,
        tokens: &[u32],
        cache: &mut SequenceCache,
        pictures: Option<&PromptPictures>,
        scratch: &'s mut Scratch,
    ) -> Result<&'s [f32]> {
        self.read_with(tokens, cache, pictures, None, true, scratch)?;
        let Scratch {
            residual, normed, ..
        } = scratch;
        rms_norm_rows(residual, &self.norm, self.config.rms_norm_eps, normed);
        Ok(normed)
    }

    fn read_with(
        &self,
        tokens: &[u32],
        cache: &mut SequenceCache,
        pictures: Option<&PromptPictures>,
        adapter: Option<&CpuAdapter>,
        whole: bool,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let range = cache.len..cache.len + tokens.len();
        let offset = cache.rope_offset;
        let rope = |position: usize| match pictures {
            Some(pictures) => pictures.places.get(position).copied(),
            None => Some([position as i64 + offset; 3]),
        };
        let row = |position: usize| {
            Some(Row {
                sequence: 0,
                position,
                rope: rope(position)?,
            })
        };
        let rows: Option<Vec<Row>> = range.clone().map(row).collect();
        let rows = rows.ok_or_else(|| refuse("are more than those of the pictures' prompt"))?;
        self.embed(tokens, scratch)?;
        if let Some(pictures) = pictures {
            let hidden = self.config.hidden_size;
            let rows = scratch.residual.chunks_exact_mut(hidden);
            for (position, row) in range.zip(rows) {
                if let Some(vector) = pictures.vector(position, hidden)? {
                    row.copy_from_slice(vector);
                }
            }
        }
        let changes = Changes::new(rows.iter().map(|_| adapter));
        self.run(&rows, &mut [cache], &changes, whole, scratch);
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
        let rotations: Vec<Rotation> = rows.iter().map(|row| self.rotor.at(row.rope)).collect();
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

fn refuse(reason: impl Into<String>) -> ModelError {
    ModelError::Request {
        field: "tokens",
        reason: reason.into(),
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
        if let Some(bias) = &self.qkv_bias {
            for row in scratch.qkv.chunks_exact_mut(bias.len()) {
                add(row, bias);
            }
        }
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

        let width = self.qkv.rows();
        by_rows(&mut scratch.qkv, width, |first, projected| {
            let rows = projected.chunks_exact_mut(width);
            for (projected, rotation) in rows.zip(&rotations[first..]) {
                let (queries, rest) = projected.split_at_mut(query_width);
                let keys = &mut rest[..key_width];
                if let Some(norms) = &self.head_norms {
                    for query in queries.chunks_exact_mut(head_dim) {
                        rms_norm(query, &norms.query, eps);
                    }
                    for key in keys.chunks_exact_mut(head_dim) {
                        rms_norm(key, &norms.key, eps);
                    }
                }
                for head in queries.chunks_exact_mut(head_dim) {
                    rotation.apply(head);
                }
                for head in keys.chunks_exact_mut(head_dim) {
                    rotation.apply(head);
                }
            }
        });
        for (projected, row) in scratch.qkv.chunks_exact(width).zip(place.rows) {
            let (keys, values) = projected[query_width..].split_at(key_width);
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
        let context = &mut scratch.context;
        attend_rows(&caches, index, rows, queries, config.head_dim, context);
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

/// Calls `work(first, part)` for parts of a few rows of `width`, on several threads where
/// there are many; `first` is the number of a part's first row.
fn by_rows(rows: &mut [f32], width: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    const FEW: usize = 8;
    match rows.len() <= FEW * width {
        true => work(0, rows),
        false => team::each_part(rows, FEW * width, |part, rows| work(part * FEW, rows)),
    }
}

fn rms_norm_rows(rows: &[f32], scale: &[f32], eps: f64, out: &mut [f32]) {
    let width = scale.len();
    by_rows(out, width, |first, out| {
        out.copy_from_slice(&rows[first * width..][..out.len()]);
        for row in out.chunks_exact_mut(width) {
            rms_norm(row, scale, eps);
        }
    });
}

on_best! {
    pub(super) fn rms_norm(row: &mut [f32], scale: &[f32], eps: f64) {
        let sum_of_squares = sum(row, |x| x * x);
        let inverse = 1.0 / (sum_of_squares / row.len() as f32 + eps as f32).sqrt();
        for (x, scale) in row.iter_mut().zip(scale) {
            *x = *x * inverse * scale;
        }
    }
}

fn add(to: &mut [f32], from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}
