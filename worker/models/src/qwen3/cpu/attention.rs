//! Attention of new tokens over their sequences' caches.

use rayon::prelude::*;

use super::cache::{BLOCK_TOKENS, SequenceCache};
use super::exp::softmax;
use super::kernel::{products, weighted_sum};
use super::pass::Row;

/// Multiply-adds below which one thread is faster.
const PARALLEL_WORK: usize = 512 * 1024;

/// The context of every query head of `layer` for each of `rows`, over its
/// sequence up to and with its own place.
///
/// `projected` is `[rows, width]`, beginning with the queries `[heads, head_dim]`,
/// the heads of a group side by side; `context` is `[rows, heads, head_dim]`;
/// `scores` is scratch that grows as needed.
pub(super) fn attend_rows(
    caches: &[&SequenceCache],
    layer: usize,
    rows: &[Row],
    projected: &[f32],
    head_dim: usize,
    context: &mut [f32],
    scores: &mut Vec<f32>,
) {
    let width = projected.len() / rows.len();
    let query_width = context.len() / rows.len();
    let attend = |row: &Row, projected: &[f32], context: &mut [f32], scores: &mut Vec<f32>| {
        let sequence = Sequence {
            cache: caches[row.sequence],
            layer,
            tokens: row.position + 1,
            head_dim,
        };
        sequence.attend(&projected[..query_width], context, scores);
    };
    let work: usize = rows.iter().map(|row| row.position + 1).sum::<usize>() * 2 * query_width;
    if rows.len() == 1 || work < PARALLEL_WORK {
        let rows = rows.iter().zip(projected.chunks_exact(width));
        for ((row, projected), context) in rows.zip(context.chunks_exact_mut(query_width)) {
            attend(row, projected, context, scores);
        }
        return;
    }
    rows.par_iter()
        .zip(projected.par_chunks_exact(width))
        .zip(context.par_chunks_exact_mut(query_width))
        .for_each_init(Vec::new, |scores, ((row, projected), context)| {
            attend(row, projected, context, scores);
        });
}

/// What one row looks at.
struct Sequence<'c> {
    cache: &'c SequenceCache,
    layer: usize,
    tokens: usize,
    head_dim: usize,
}

impl Sequence<'_> {
    /// `queries` and `context` are `[heads, head_dim]`.
    fn attend(&self, queries: &[f32], context: &mut [f32], scores: &mut Vec<f32>) {
        let kv_heads = self.cache.kv_heads();
        let group_width = queries.len() / kv_heads;
        let group_scores = group_width / self.head_dim * self.tokens;
        scores.resize(group_scores * kv_heads, 0.0);
        let group = |head: usize, queries: &[f32], context: &mut [f32], scores: &mut [f32]| {
            let blocks = || self.cache.head(self.layer, head, self.tokens);
            attend_group(blocks, queries, self.head_dim, self.tokens, context, scores);
        };
        if 2 * queries.len() * self.tokens < PARALLEL_WORK {
            let parts = queries
                .chunks_exact(group_width)
                .zip(context.chunks_exact_mut(group_width))
                .zip(scores.chunks_exact_mut(group_scores));
            for (head, ((queries, context), scores)) in parts.enumerate() {
                group(head, queries, context, scores);
            }
            return;
        }
        queries
            .par_chunks_exact(group_width)
            .zip(context.par_chunks_exact_mut(group_width))
            .zip(scores.par_chunks_exact_mut(group_scores))
            .enumerate()
            .for_each(|(head, ((queries, context), scores))| {
                group(head, queries, context, scores);
            });
    }
}

/// The query heads that share one key head, whose keys and values come in
/// `blocks`.
fn attend_group<'a, I: Iterator<Item = (&'a [f32], &'a [f32])>>(
    blocks: impl Fn() -> I,
    queries: &[f32],
    head_dim: usize,
    tokens: usize,
    context: &mut [f32],
    scores: &mut [f32],
) {
    for (number, (keys, _)) in blocks().enumerate() {
        let scores = &mut scores[number * BLOCK_TOKENS..];
        products(keys, queries, head_dim, scores, tokens);
    }
    let scale = 1.0 / (head_dim as f32).sqrt();
    for scores in scores.chunks_exact_mut(tokens) {
        softmax(scores, scale);
    }
    context.fill(0.0);
    for (number, (_, values)) in blocks().enumerate() {
        for (scores, context) in scores
            .chunks_exact(tokens)
            .zip(context.chunks_exact_mut(head_dim))
        {
            let rows = values.len() / head_dim;
            weighted_sum(&scores[number * BLOCK_TOKENS..][..rows], values, context);
        }
    }
}
