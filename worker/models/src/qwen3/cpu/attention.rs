//! Attention of one new token over a sequence's cache.

use rayon::prelude::*;

use super::cache::{BLOCK_TOKENS, SequenceCache};
use super::kernel::{products, weighted_sum};

/// Multiply-adds below which one thread is faster.
const PARALLEL_WORK: usize = 512 * 1024;

/// The context of every query head of `layer` over the first `tokens` tokens.
///
/// `queries` and `context` are `[heads, head_dim]`, the heads of a group side by
/// side; `scores` is scratch that grows as needed.
pub(super) fn attend(
    cache: &SequenceCache,
    layer: usize,
    tokens: usize,
    queries: &[f32],
    head_dim: usize,
    context: &mut [f32],
    scores: &mut Vec<f32>,
) {
    let kv_heads = cache.kv_heads();
    let group_width = queries.len() / kv_heads;
    let group_scores = group_width / head_dim * tokens;
    scores.resize(group_scores * kv_heads, 0.0);
    let parts = (
        queries.chunks_exact(group_width),
        context.chunks_exact_mut(group_width),
        scores.chunks_exact_mut(group_scores),
    );
    let group = |head: usize, queries: &[f32], context: &mut [f32], scores: &mut [f32]| {
        let blocks = || cache.head(layer, head, tokens);
        attend_group(blocks, queries, head_dim, tokens, context, scores);
    };
    let work = 2 * queries.len() * tokens;
    if work < PARALLEL_WORK {
        for (head, ((queries, context), scores)) in parts.0.zip(parts.1).zip(parts.2).enumerate() {
            group(head, queries, context, scores);
        }
        return;
    }
    queries
        .par_chunks_exact(group_width)
        .zip(context.par_chunks_exact_mut(group_width))
        .zip(scores.par_chunks_exact_mut(group_scores))
        .enumerate()
        .for_each(|(head, ((queries, context), scores))| group(head, queries, context, scores));
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

/// `softmax(scale · scores)` in place.
fn softmax(scores: &mut [f32], scale: f32) {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = ((*score - largest) * scale).exp();
        sum += *score;
    }
    let inverse = 1.0 / sum;
    for score in scores {
        *score *= inverse;
    }
}
