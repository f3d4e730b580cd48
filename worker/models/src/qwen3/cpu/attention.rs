//! Attention of one new token over a sequence's cache.

use rayon::prelude::*;

use super::cache::HeadCache;
use super::kernel::{products, weighted_sum};

/// Multiply-adds below which one thread is faster.
const PARALLEL_WORK: usize = 512 * 1024;

/// The context of every query head.
///
/// `queries` and `context` are `[heads, head_dim]`, the heads of a group side by
/// side; `scores` is scratch that grows as needed.
pub(super) fn attend(
    heads: &[HeadCache],
    queries: &[f32],
    head_dim: usize,
    context: &mut [f32],
    scores: &mut Vec<f32>,
) {
    let group_width = queries.len() / heads.len();
    let tokens = heads.first().map_or(0, |head| head.keys.len() / head_dim);
    let group_scores = group_width / head_dim * tokens;
    scores.resize(group_scores * heads.len(), 0.0);
    let parts = (
        queries.chunks_exact(group_width),
        context.chunks_exact_mut(group_width),
        scores.chunks_exact_mut(group_scores),
    );
    let work = 2 * queries.len() * tokens;
    if work < PARALLEL_WORK {
        for (((head, queries), context), scores) in
            heads.iter().zip(parts.0).zip(parts.1).zip(parts.2)
        {
            attend_group(head, queries, head_dim, context, scores);
        }
        return;
    }
    heads
        .par_iter()
        .zip(queries.par_chunks_exact(group_width))
        .zip(context.par_chunks_exact_mut(group_width))
        .zip(scores.par_chunks_exact_mut(group_scores))
        .for_each(|(((head, queries), context), scores)| {
            attend_group(head, queries, head_dim, context, scores);
        });
}

/// The query heads that share one key head.
fn attend_group(
    head: &HeadCache,
    queries: &[f32],
    head_dim: usize,
    context: &mut [f32],
    scores: &mut [f32],
) {
    let tokens = head.keys.len() / head_dim;
    products(&head.keys, queries, head_dim, scores, tokens);
    let scale = 1.0 / (head_dim as f32).sqrt();
    for (scores, context) in scores
        .chunks_exact_mut(tokens)
        .zip(context.chunks_exact_mut(head_dim))
    {
        softmax(scores, scale);
        context.fill(0.0);
        weighted_sum(scores, &head.values, context);
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
