//! Causal attention of groups of query heads over shared keys and values, a block of
//! queries at a time.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use crate::nhwc::tracked::{self, numbers, place, plain, recorded, slice, tensor, tracked};
use crate::qwen3::cpu::exp::exp;
use crate::rows::{on_best, sum};
use crate::strided::{Matrix, Place, product};

/// Scores of a block: they stay in the second-level cache.
const SCORES: usize = 1 << 16;
/// Most tokens of a block; of the scores behind the diagonal half are computed for nothing.
const MOST: usize = 64;

#[derive(Clone, Copy, Debug)]
struct Sizes {
    tokens: usize,
    /// Query heads to a key head.
    groups: usize,
    kv_heads: usize,
    width: usize,
}

impl Sizes {
    fn scale(&self) -> f32 {
        1.0 / (self.width as f32).sqrt()
    }

    /// Numbers of a token's queries.
    fn queries(&self) -> usize {
        self.kv_heads * self.group_width()
    }

    /// Those over one key head.
    fn group_width(&self) -> usize {
        self.groups * self.width
    }

    /// Numbers of a token's keys.
    fn keys(&self) -> usize {
        self.kv_heads * self.width
    }

    /// Tokens of a block.
    fn block(&self) -> usize {
        let fitting = SCORES / (self.groups * self.tokens).max(1);
        fitting.clamp(8, MOST).min(self.tokens)
    }

    /// First token and number of tokens of each block.
    fn blocks(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (tokens, block) = (self.tokens, self.block());
        (0..tokens)
            .step_by(block.max(1))
            .map(move |first| (first, block.min(tokens - first)))
    }

    /// The heads over key head `head` of `count` tokens from `first` on, one after the other
    /// into `out` `[count × groups, width]`.
    fn gather(&self, values: &[f32], head: usize, (first, count): (usize, usize), out: &mut [f32]) {
        let size = self.group_width();
        for (at, out) in out.chunks_mut(size).take(count).enumerate() {
            let from = (first + at) * self.queries() + head * size;
            out.copy_from_slice(&values[from..from + size]);
        }
    }

    /// The way back of [`Self::gather`].
    fn scatter(&self, from: &[f32], head: usize, (first, count): (usize, usize), out: &mut [f32]) {
        let size = self.group_width();
        for (at, from) in from.chunks(size).take(count).enumerate() {
            let place = (first + at) * self.queries() + head * size;
            out[place..place + size].copy_from_slice(from);
        }
    }

    /// Key head `head` of `[tokens, kv_heads, width]`.
    fn head<'a>(&self, values: &'a [f32], head: usize) -> Matrix<'a> {
        Matrix::rows(&values[head * self.width..], self.keys())
    }
}

on_best! {
    /// Softmax of a row of scores; `total` is the logarithm of the sum of their exponentials.
    pub(super) fn softmax_row(scores: &mut [f32], total: &mut f32) {
        let (lanes, rest) = scores.as_chunks::<16>();
        let mut most = [f32::NEG_INFINITY; 16];
        for chunk in lanes {
            for (most, &x) in most.iter_mut().zip(chunk) {
                *most = if x > *most { x } else { *most };
            }
        }
        let largest = most.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max);
        for score in scores.iter_mut() {
            *score = exp(*score - largest);
        }
        let all = sum(scores, |x| x);
        *total = largest + all.ln();
        let inverse = 1.0 / all;
        for score in scores {
            *score *= inverse;
        }
    }
}

on_best! {
    /// The same again from the logarithm; then the derivative by the scores in place of that
    /// by the shares: `share · (grad − along)`.
    pub(super) fn backward_row(scores: &mut [f32], grad: &mut [f32], total: f32, along: f32) {
        for (score, grad) in scores.iter_mut().zip(grad) {
            *score = exp(*score - total);
            *grad = *score * (*grad - along);
        }
    }
}

#[derive(Debug)]
struct Attention;

#[derive(Clone, Debug)]
struct State {
    sizes: Sizes,
    /// Query, key and value.
    parts: [FlexTensor; 3],
    out: FlexTensor,
    /// Of each query, `[batch, kv_heads, tokens × groups]`.
    totals: Vec<f32>,
}

impl Backward<Flex, 3> for Attention {
    type State = State;

    fn backward(self, ops: Ops<State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = numbers(&grads.consume::<Flex>(&ops.node));
        let State {
            sizes,
            parts,
            out,
            totals,
        } = ops.state;
        let shapes = parts.each_ref().map(|part| part.layout().shape().to_vec());
        let [query, key, value] = parts.each_ref().map(slice);
        let (out, grad) = (slice(&out), slice(&grad));
        let [by_query, by_key, by_value] = [query, key, value].map(|part| vec![0.0; part.len()]);
        let mut found = [by_query, by_key, by_value];
        let [by_query, by_key, by_value] = &mut found;
        let (wide, narrow) = (sizes.tokens * sizes.queries(), sizes.tokens * sizes.keys());
        let totals_of_item = sizes.tokens * sizes.groups * sizes.kv_heads;
        by_query
            .par_chunks_mut(wide)
            .zip(by_key.par_chunks_mut(narrow))
            .zip(by_value.par_chunks_mut(narrow))
            .enumerate()
            .for_each_init(
                Scratch::default,
                |scratch, (number, ((query_, key_), value_))| {
                    let wide = number * wide..(number + 1) * wide;
                    let narrow = number * narrow..(number + 1) * narrow;
                    let item = Item {
                        query: &query[wide.clone()],
                        key: &key[narrow.clone()],
                        value: &value[narrow],
                        out: &out[wide.clone()],
                        grad: &grad[wide],
                        totals: &totals[number * totals_of_item..][..totals_of_item],
                    };
                    for head in 0..sizes.kv_heads {
                        for block in sizes.blocks() {
                            back(&sizes, &item, head, block, scratch, [query_, key_, value_]);
                        }
                    }
                },
            );
        for ((node, values), shape) in ops.parents.into_iter().zip(found).zip(shapes) {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, tensor(values, &shape));
            }
        }
    }
}

/// One sequence of a batch on the way back.
struct Item<'a> {
    query: &'a [f32],
    key: &'a [f32],
    value: &'a [f32],
    out: &'a [f32],
    grad: &'a [f32],
    totals: &'a [f32],
}

/// What a block needs beside its sequence.
#[derive(Default)]
struct Scratch {
    /// `[count × groups, width]`: queries, derivatives by the outcome, and those by queries.
    rows: [Vec<f32>; 3],
    /// `[count × groups, keys]`: scores and derivatives by them.
    scores: [Vec<f32>; 2],
}

/// The derivatives through a block's queries, over key head `head`: those by queries into
/// their places, those by keys and values added to what is there.
fn back(
    sizes: &Sizes,
    item: &Item<'_>,
    head: usize,
    block: (usize, usize),
    scratch: &mut Scratch,
    [by_query, by_key, by_value]: [&mut [f32]; 3],
) {
    let &Sizes {
        tokens,
        groups,
        width,
        ..
    } = sizes;
    let ((first, count), scale) = (block, sizes.scale());
    let (rows, keys) = (count * groups, first + count);
    let Scratch {
        rows: [queries, slopes, outs],
        scores: [scores, by_scores],
    } = scratch;
    for (out, values) in [
        (&mut *queries, item.query),
        (&mut *slopes, item.grad),
        (&mut *outs, item.out),
    ] {
        out.resize(rows * width, 0.0);
        sizes.gather(values, head, block, out);
    }
    scores.resize(rows * keys, 0.0);
    by_scores.resize(rows * keys, 0.0);
    let (key, value) = (sizes.head(item.key, head), sizes.head(item.value, head));
    product(
        (&mut *scores, keys),
        Matrix::rows(queries, width),
        key.transposed(),
        [rows, width, keys],
        scale,
        Place::Fresh,
    );
    product(
        (&mut *by_scores, keys),
        Matrix::rows(slopes, width),
        value.transposed(),
        [rows, width, keys],
        1.0,
        Place::Fresh,
    );
    let totals = &item.totals[(head * tokens + first) * groups..][..rows];
    let of_rows = scores.chunks_mut(keys).zip(by_scores.chunks_mut(keys));
    let vectors = outs.chunks(width).zip(slopes.chunks(width));
    for (at, (((scores, by_scores), (out, slope)), total)) in
        of_rows.zip(vectors).zip(totals).enumerate()
    {
        let seen = first + at / groups + 1;
        let along: f32 = out.iter().zip(slope).map(|(out, slope)| out * slope).sum();
        backward_row(&mut scores[..seen], &mut by_scores[..seen], *total, along);
        scores[seen..].fill(0.0);
        by_scores[seen..].fill(0.0);
    }
    let from = head * width;
    let (shares, by_scores) = (Matrix::rows(scores, keys), Matrix::rows(by_scores, keys));
    product(
        (&mut by_value[from..], sizes.keys()),
        shares.transposed(),
        Matrix::rows(slopes, width),
        [keys, rows, width],
        1.0,
        Place::Sum,
    );
    product(
        (&mut by_key[from..], sizes.keys()),
        by_scores.transposed(),
        Matrix::rows(queries, width),
        [keys, rows, width],
        scale,
        Place::Sum,
    );
    product(
        (&mut *outs, width),
        by_scores,
        key,
        [rows, keys, width],
        scale,
        Place::Fresh,
    );
    sizes.scatter(outs, head, block, by_query);
}

/// The contexts of a sequence over key head `head`, and the totals of its queries.
fn contexts(
    sizes: &Sizes,
    [query, key, value]: [&[f32]; 3],
    head: usize,
    scratch: &mut Scratch,
    out: &mut [f32],
    totals: &mut [f32],
) {
    let &Sizes { groups, width, .. } = sizes;
    let Scratch {
        rows: [queries, contexts, _],
        scores: [scores, _],
    } = scratch;
    for block in sizes.blocks() {
        let (first, count) = block;
        let (rows, keys) = (count * groups, first + count);
        queries.resize(rows * width, 0.0);
        contexts.resize(rows * width, 0.0);
        scores.resize(rows * keys, 0.0);
        sizes.gather(query, head, block, queries);
        product(
            (&mut *scores, keys),
            Matrix::rows(queries, width),
            sizes.head(key, head).transposed(),
            [rows, width, keys],
            sizes.scale(),
            Place::Fresh,
        );
        let totals = &mut totals[first * groups..][..rows];
        for (at, (scores, total)) in scores.chunks_mut(keys).zip(totals).enumerate() {
            let seen = first + at / groups + 1;
            softmax_row(&mut scores[..seen], total);
            scores[seen..].fill(0.0);
        }
        product(
            (&mut *contexts, width),
            Matrix::rows(scores, keys),
            sizes.head(value, head),
            [rows, keys, width],
            1.0,
            Place::Fresh,
        );
        sizes.scatter(contexts, head, block, out);
    }
}

fn compute(sizes: Sizes, parts: [FlexTensor; 3]) -> (FlexTensor, State) {
    let shape = parts[0].layout().shape().to_vec();
    let [query, key, value] = parts.each_ref().map(slice);
    let (wide, narrow) = (sizes.tokens * sizes.queries(), sizes.tokens * sizes.keys());
    let of_head = sizes.tokens * sizes.groups;
    let mut out = vec![0.0; query.len()];
    let mut totals = vec![0.0; query.len() / sizes.width];
    out.par_chunks_mut(wide)
        .zip(totals.par_chunks_mut(of_head * sizes.kv_heads))
        .enumerate()
        .for_each_init(Scratch::default, |scratch, (number, (out, totals))| {
            let narrow = number * narrow..(number + 1) * narrow;
            let parts = [
                &query[number * wide..(number + 1) * wide],
                &key[narrow.clone()],
                &value[narrow],
            ];
            for (head, totals) in totals.chunks_mut(of_head).enumerate() {
                contexts(&sizes, parts, head, scratch, out, totals);
            }
        });
    let out = tensor(out, &shape);
    let state = State {
        sizes,
        parts,
        out: out.clone(),
        totals,
    };
    (out, state)
}

/// Contexts `[batch, tokens, heads, width]` of queries of that shape, and of keys and values
/// `[batch, tokens, kv_heads, width]`; a query sees the keys up to its own place.
pub(in super::super) fn attend(
    query: &Tensor<4>,
    key: &Tensor<4>,
    value: &Tensor<4>,
) -> Option<Tensor<4>> {
    let place = place(query);
    if place != self::place(key) || place != self::place(value) {
        return None;
    }
    let ([_, tokens, heads, width], [_, _, kv_heads, _]) = (query.dims(), key.dims());
    let sizes = Sizes {
        tokens,
        groups: heads / kv_heads,
        kv_heads,
        width,
    };
    let parts = [query, key, value].map(Clone::clone);
    match place {
        tracked::Place::Cpu => {
            let (out, _) = compute(sizes, parts.map(plain));
            Some(Tensor::from_primitive::<Flex>(out))
        }
        tracked::Place::CpuAutodiff => Some(recorded(Attention, parts.map(tracked), |parts| {
            compute(sizes, parts)
        })),
        tracked::Place::Elsewhere => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::attention::grouped_attention;
    use super::super::super::model::causal_bias;
    use super::super::tests::same;

    #[test]
    fn as_operation_by_operation() {
        // In one block, in several, and with groups of one.
        for (tokens, heads, kv_heads) in [(7, 6, 2), (1, 2, 1), (150, 4, 2), (70, 3, 3)] {
            let (queries, keys) = ([2, tokens, heads, 8], [2, tokens, kv_heads, 8]);
            same(
                [(&queries, 1.0), (&keys, 1.0), (&keys, 1.0)],
                |[query, key, value]| super::attend(query, key, value).unwrap(),
                |parts| {
                    let bias = causal_bias(0, tokens, &parts[0].device());
                    let [query, key, value] = parts.each_ref().map(|x| x.clone().swap_dims(1, 2));
                    let contexts = grouped_attention(query, key, value, Some(&bias));
                    contexts.reshape([2, tokens, heads, 8])
                },
            );
        }
    }
}
