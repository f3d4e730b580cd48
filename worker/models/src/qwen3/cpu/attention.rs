//! Attention of new tokens over their sequences' caches.

use std::cell::RefCell;

use super::cache::{BLOCK_TOKENS, SequenceCache};
use super::exp::softmax;
use super::kernel::{products, weighted_sum};
use super::pass::Row;
use super::team;

/// Multiply-adds below which one thread is faster.
const PARALLEL_WORK: usize = 512 * 1024;

thread_local! {
    /// Scores of a group, `[heads of the group, tokens]`: scratch that grows as needed.
    static SCORES: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// The context of every query head of `layer` for each of `rows`, over its
/// sequence up to and with its own place.
///
/// `projected` is `[rows, width]`, beginning with the queries `[heads, head_dim]`,
/// the heads of a group side by side; `context` is `[rows, heads, head_dim]`.
pub(super) fn attend_rows(
    caches: &[&SequenceCache],
    layer: usize,
    rows: &[Row],
    projected: &[f32],
    head_dim: usize,
    context: &mut [f32],
) {
    let Some(kv_heads) = caches.first().map(|cache| cache.kv_heads()) else {
        return;
    };
    let width = projected.len() / rows.len();
    let query_width = context.len() / rows.len();
    let group_width = query_width / kv_heads;
    let attend = |group: usize, context: &mut [f32]| {
        let (row, head) = (&rows[group / kv_heads], group % kv_heads);
        let (cache, tokens) = (caches[row.sequence], row.position + 1);
        let queries = &projected[group / kv_heads * width + head * group_width..][..group_width];
        SCORES.with_borrow_mut(|scores| {
            scores.resize(group_width / head_dim * tokens, 0.0);
            let blocks = || cache.head(layer, head, tokens);
            attend_group(blocks, queries, head_dim, tokens, context, scores);
        });
    };
    let work: usize = rows.iter().map(|row| row.position + 1).sum::<usize>() * 2 * query_width;
    if work < team::worth_while(PARALLEL_WORK) {
        let groups = context.chunks_exact_mut(group_width).enumerate();
        groups.for_each(|(group, context)| attend(group, context));
    } else {
        team::each_part(context, group_width, attend);
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
