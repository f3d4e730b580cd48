//! Attention of new tokens over their sequences' caches.

use std::cell::RefCell;

use super::cache::{BLOCK_TOKENS, SequenceCache};
use super::exp::softmax;
use super::kernel::add_weighted;
use super::outputs::Outputs;
use super::panels::{self, PANEL};
use super::pass::Row;
use super::team;

/// Multiply-adds below which one thread is faster.
const PARALLEL_WORK: usize = 512 * 1024;

/// Rows of a prompt that are taken together, so that a key or value that is loaded serves
/// several.
const TALL: usize = 8;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Memory that grows as needed.
#[derive(Default)]
struct Scratch {
    /// `[rows, heads of the group, head_dim]`, as the context.
    queries: Vec<f32>,
    context: Vec<f32>,
    /// `[rows, heads of the group, tokens]`, the tokens in whole panels.
    scores: Vec<f32>,
}

/// The context of every query head of `layer` for each of `rows`, over its
/// sequence up to and with its own place.
///
/// `projected` is `[rows, width]`, beginning with the queries `[heads, head_dim]`,
/// the heads of a group side by side; `context` is `[rows, heads, head_dim]`. What a row gets
/// does not depend on the others.
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
    let follow = |pair: &[Row]| {
        pair[0].sequence == pair[1].sequence && pair[0].position + 1 == pair[1].position
    };
    let is_prompt = rows.len() > 1 && rows.windows(2).all(follow);
    // Some rows by all heads, or a row by the heads of a group: what lies together in `context`.
    let tall = if is_prompt { TALL } else { 1 };
    let (part, heads) = match is_prompt {
        true => (tall * query_width, kv_heads),
        false => (group_width, 1),
    };
    let attend = |number: usize, context: &mut [f32]| {
        let place = number * part;
        let row = place / query_width;
        let rows = &rows[row..][..(context.len() / query_width).max(1)];
        let cache = caches[rows[0].sequence];
        let first = place % query_width / group_width;
        for head in first..first + heads {
            let of_head = |row: usize| (row * width + head * group_width, group_width);
            SCRATCH.with_borrow_mut(|scratch| {
                scratch.queries.clear();
                for number in row..row + rows.len() {
                    let (from, length) = of_head(number);
                    let queries = &projected[from..][..length];
                    scratch.queries.extend_from_slice(queries);
                }
                let tokens = rows[0].position + 1;
                let blocks = || cache.head(layer, head, tokens + rows.len() - 1);
                attend_group(blocks, head_dim, tokens, rows.len(), scratch);
                let context = context[(head - first) * group_width..].chunks_mut(query_width);
                for (context, row) in context.zip(scratch.context.chunks_exact(group_width)) {
                    context[..group_width].copy_from_slice(row);
                }
            });
        }
    };
    let work: usize = rows.iter().map(|row| row.position + 1).sum::<usize>() * 2 * query_width;
    if work < team::worth_while(PARALLEL_WORK) {
        let parts = context.chunks_mut(part).enumerate();
        parts.for_each(|(number, context)| attend(number, context));
    } else {
        team::each_part(context, part, attend);
    }
}

/// The query heads that share one key head, of `rows` rows that follow each other, the first
/// over `tokens` tokens. Their keys and values come in `blocks`.
fn attend_group<'a, I: Iterator<Item = (&'a [f32], &'a [f32])>>(
    blocks: impl Fn() -> I,
    head_dim: usize,
    tokens: usize,
    rows: usize,
    scratch: &mut Scratch,
) {
    let Scratch {
        queries,
        context,
        scores,
    } = scratch;
    let vectors = queries.len() / head_dim;
    let heads = vectors / rows;
    let stride = (tokens + rows - 1).next_multiple_of(PANEL);
    scores.resize(vectors * stride, 0.0);
    for (number, (keys, _)) in blocks().enumerate() {
        let scores = &mut scores[number * BLOCK_TOKENS..];
        let outputs = Outputs::new(scores, keys.len() / head_dim, stride);
        panels::products(keys, head_dim, queries, outputs);
    }
    let scale = 1.0 / (head_dim as f32).sqrt();
    for (vector, scores) in scores.chunks_exact_mut(stride).enumerate() {
        softmax(&mut scores[..tokens + vector / heads], scale);
    }
    context.clear();
    context.resize(queries.len(), 0.0);
    for (number, (_, values)) in blocks().enumerate() {
        let first = number * BLOCK_TOKENS;
        // What all rows see, then what later ones see beyond: each its tokens in their order.
        let common = tokens.saturating_sub(first).min(values.len() / head_dim);
        let (seen, rest) = values.split_at(common * head_dim);
        add_weighted(&scores[first..], stride, seen, head_dim, context);
        for row in 1..rows {
            let beyond = (tokens + row).saturating_sub(first + common);
            let rest = &rest[..rest.len().min(beyond * head_dim)];
            let scores = &scores[row * heads * stride + first + common..];
            let context = &mut context[row * heads * head_dim..][..heads * head_dim];
            add_weighted(scores, stride, rest, head_dim, context);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qwen3::Qwen3Config;

    /// A prompt's rows beside one by one, and both beside the formula.
    #[test]
    fn rows_together_get_what_each_gets_alone() {
        let (heads, kv_heads, head_dim, count) = (6, 2, 20, 150);
        let config = Qwen3Config {
            num_hidden_layers: 1,
            num_attention_heads: heads,
            num_key_value_heads: kv_heads,
            head_dim,
            ..Qwen3Config::default()
        };
        let width = (heads + 2 * kv_heads) * head_dim;
        let projected: Vec<f32> = (0..count * width)
            .map(|i| (i * 7919 % 1013) as f32 / 300.0 - 1.6)
            .collect();
        let mut cache = SequenceCache::new(&config);
        for (position, row) in projected.chunks_exact(width).enumerate() {
            let (keys, values) = row[heads * head_dim..].split_at(kv_heads * head_dim);
            cache.make_room(position);
            cache.write(0, position, keys, values);
        }
        let row = |position: usize| Row {
            sequence: 0,
            position,
            rope: [0; 3],
        };
        let rows: Vec<Row> = (0..count).map(row).collect();
        let mut together = vec![f32::NAN; count * heads * head_dim];
        attend_rows(&[&cache], 0, &rows, &projected, head_dim, &mut together);
        let of = |position: usize, head: usize| &projected[position * width + head * head_dim..];
        for position in 0..count {
            let mut alone = vec![f32::NAN; heads * head_dim];
            let own = &projected[position * width..][..width];
            attend_rows(&[&cache], 0, &[row(position)], own, head_dim, &mut alone);
            assert_eq!(together[position * alone.len()..][..alone.len()], alone);
            for head in 0..heads {
                let shared = head / (heads / kv_heads);
                let mut shares: Vec<f64> = (0..=position)
                    .map(|t| {
                        let pairs = of(position, head).iter().zip(of(t, heads + shared));
                        let dot: f64 = pairs
                            .take(head_dim)
                            .map(|(q, k)| f64::from(*q) * f64::from(*k))
                            .sum();
                        (dot / (head_dim as f64).sqrt()).exp()
                    })
                    .collect();
                let total: f64 = shares.iter().sum();
                shares.iter_mut().for_each(|share| *share /= total);
                for d in 0..head_dim {
                    let values = |t: usize| f64::from(of(t, heads + kv_heads + shared)[d]);
                    let exact: f64 = (0..=position).map(|t| shares[t] * values(t)).sum();
                    let got = f64::from(alone[head * head_dim + d]);
                    assert!(
                        (got - exact).abs() < 1e-5,
                        "{position} {head} {d}: {got} {exact}"
                    );
                }
            }
        }
    }
}
