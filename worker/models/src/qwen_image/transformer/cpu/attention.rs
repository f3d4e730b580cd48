//! Joint attention from projections to context.
//!
//! Queries, keys and values are normalised, turned and laid out by head in one
//! pass; then a block of queries at a time meets all keys, head by head, so that
//! its scores stay in the second-level cache.

use burn::tensor::Tensor;
use gemm::{Parallelism, gemm};
use rayon::prelude::*;

use super::rows::softmax;
use super::{tensor, values};
use crate::rows::{on_best, sum};

/// Most queries of a block.
const MAX_BLOCK: usize = 128;

/// The projections of one stream, without their biases, `[batch, tokens, inner]`
/// each, and what is done to them.
pub(in super::super) struct Stream {
    /// Query, key and value.
    pub(in super::super) projected: [Tensor<3>; 3],
    /// Of each, `[inner]`.
    pub(in super::super) biases: [Tensor<1>; 3],
    /// Scales of the norms over a query and a key head, `[head_dim]`.
    pub(in super::super) norms: [Tensor<1>; 2],
    /// Of the norms.
    pub(in super::super) epsilon: f64,
}

/// A stream's numbers.
struct Values {
    projected: [Vec<f32>; 3],
    biases: [Vec<f32>; 3],
    norms: [Vec<f32>; 2],
    epsilon: f32,
    tokens: usize,
}

impl From<Stream> for Values {
    fn from(stream: Stream) -> Self {
        Self {
            tokens: stream.projected[0].dims()[1],
            projected: stream.projected.map(values),
            biases: stream.biases.map(values),
            norms: stream.norms.map(values),
            epsilon: stream.epsilon as f32,
        }
    }
}

on_best! {
    /// A head's `row + bias`, normalised by `norm`, turned by cosines and sines and
    /// times `factor`.
    pub(super) fn turn_head(
        row: &[f32],
        bias: &[f32],
        norm: &[f32],
        turn: (&[f32], &[f32]),
        epsilon_and_factor: [f32; 2],
        out: &mut [f32],
    ) {
        let [epsilon, factor] = epsilon_and_factor;
        for ((out, row), bias) in out.iter_mut().zip(row).zip(bias) {
            *out = row + bias;
        }
        let mean = sum(out, |x| x * x) / out.len() as f32;
        let inverse = factor / (mean + epsilon).sqrt();
        for (out, norm) in out.iter_mut().zip(norm) {
            *out *= inverse * norm;
        }
        let (cos, sin) = turn;
        let (pairs, _) = out.as_chunks_mut::<2>();
        let (cos, _) = cos.as_chunks::<2>();
        let (sin, _) = sin.as_chunks::<2>();
        for ((pair, cos), sin) in pairs.iter_mut().zip(cos).zip(sin) {
            let [a, b] = *pair;
            *pair = [a * cos[0] + b * sin[0], b * cos[1] + a * sin[1]];
        }
    }
}

on_best! {
    /// `out = row + bias`.
    pub(super) fn add(row: &[f32], bias: &[f32], out: &mut [f32]) {
        for ((out, row), bias) in out.iter_mut().zip(row).zip(bias) {
            *out = row + bias;
        }
    }
}

/// The context of both streams `[batch, tokens, inner]`, text first in `cos` and
/// `sin` `[tokens of both, head_dim]` (see [`super::super::rope::Rope`]) and in
/// `bias`, `[batch, tokens of both]`, which is added to the scores of each key.
pub(in super::super) fn attend(
    text: Stream,
    image: Stream,
    heads: usize,
    [cos, sin]: [Tensor<4>; 2],
    bias: Option<Tensor<4>>,
) -> [Tensor<3>; 2] {
    let [batch, _, inner] = image.projected[0].dims();
    let head_dim = inner / heads;
    let streams = [Values::from(text), Values::from(image)];
    let (cos, sin, bias) = (values(cos), values(sin), bias.map(values));
    let tokens = streams[0].tokens + streams[1].tokens;

    // Query, key and value by head: `[batch, heads, tokens, head_dim]`.
    let scale = 1.0 / (head_dim as f32).sqrt();
    let laid_out = [0, 1, 2].map(|part| {
        let mut out = vec![0.0; batch * tokens * inner];
        out.par_chunks_mut(tokens * head_dim)
            .enumerate()
            .for_each(|(number, out)| {
                let (item, head) = (number / heads, number % heads);
                for (at, out) in out.chunks_mut(head_dim).enumerate() {
                    let (stream, token) = match at.checked_sub(streams[0].tokens) {
                        None => (&streams[0], at),
                        Some(token) => (&streams[1], token),
                    };
                    let row = (item * stream.tokens + token) * inner + head * head_dim;
                    let row = &stream.projected[part][row..][..head_dim];
                    let bias = &stream.biases[part][head * head_dim..][..head_dim];
                    let Some(norm) = stream.norms.get(part) else {
                        add(row, bias, out);
                        continue;
                    };
                    let place = at * head_dim..(at + 1) * head_dim;
                    let turn = (&cos[place.clone()], &sin[place]);
                    let factor = if part == 0 { scale } else { 1.0 };
                    turn_head(row, bias, norm, turn, [stream.epsilon, factor], out);
                }
            });
        out
    });
    let sizes = Sizes {
        heads,
        tokens,
        head_dim,
    };
    let mut starts = 0;
    streams.map(|stream| {
        let first = starts;
        starts += stream.tokens;
        let context = contexts(
            &sizes,
            &laid_out,
            first,
            stream.tokens,
            batch,
            bias.as_deref(),
        );
        tensor(context, [batch, stream.tokens, inner])
    })
}

struct Sizes {
    heads: usize,
    tokens: usize,
    head_dim: usize,
}

/// `[batch, count, heads × head_dim]` of the queries from `first` on.
fn contexts(
    sizes: &Sizes,
    [query, key, value]: &[Vec<f32>; 3],
    first: usize,
    count: usize,
    batch: usize,
    bias: Option<&[f32]>,
) -> Vec<f32> {
    let &Sizes {
        heads,
        tokens,
        head_dim,
    } = sizes;
    let inner = heads * head_dim;
    let mut out = vec![0.0; batch * count * inner];
    let shares = rayon::current_num_threads() * 2;
    let block = (count * batch)
        .div_ceil(shares)
        .clamp(1, MAX_BLOCK)
        .min(count);
    for (item, out) in out.chunks_mut(count * inner).enumerate() {
        let bias = bias.map(|bias| &bias[item * tokens..][..tokens]);
        out.par_chunks_mut(block * inner).enumerate().for_each_init(
            Vec::new,
            |scores: &mut Vec<f32>, (number, out)| {
                let queries = out.len() / inner;
                scores.resize(queries * tokens, 0.0);
                for head in 0..heads {
                    let at = (item * heads + head) * tokens * head_dim;
                    let of_head = at..at + tokens * head_dim;
                    let start = at + (first + number * block) * head_dim;
                    let query = &query[start..start + queries * head_dim];
                    product(
                        Left {
                            values: query,
                            rows: queries,
                            columns: head_dim,
                        },
                        Right {
                            values: &key[of_head.clone()],
                            columns: tokens,
                            strides: [1, head_dim],
                        },
                        &mut scores[..],
                        tokens,
                    );
                    for scores in scores.chunks_mut(tokens) {
                        if let Some(bias) = bias {
                            scores
                                .iter_mut()
                                .zip(bias)
                                .for_each(|(score, bias)| *score += bias);
                        }
                        softmax(scores);
                    }
                    product(
                        Left {
                            values: scores,
                            rows: queries,
                            columns: tokens,
                        },
                        Right {
                            values: &value[of_head],
                            columns: head_dim,
                            strides: [head_dim, 1],
                        },
                        &mut out[head * head_dim..],
                        inner,
                    );
                }
            },
        );
    }
    out
}

/// `[rows, columns]`, row-major.
struct Left<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
}

/// As many rows as the left side has columns, of any strides of row and column.
struct Right<'a> {
    values: &'a [f32],
    columns: usize,
    strides: [usize; 2],
}

/// `out = left · right` on this thread, rows of `out` `stride` apart.
fn product(left: Left<'_>, right: Right<'_>, out: &mut [f32], stride: usize) {
    let (rows, inner, columns) = (left.rows, left.columns, right.columns);
    if rows == 0 || inner == 0 || columns == 0 {
        return;
    }
    let [row, column] = right.strides;
    assert!(left.values.len() >= rows * inner, "left side");
    assert!(
        right.values.len() > (inner - 1) * row + (columns - 1) * column,
        "right side"
    );
    assert!(
        out.len() >= (rows - 1) * stride + columns && stride >= columns,
        "result"
    );
    // SAFETY: the three lengths were checked, and the result overlaps nothing.
    unsafe {
        gemm(
            rows,
            columns,
            inner,
            out.as_mut_ptr(),
            1,
            stride as isize,
            false,
            left.values.as_ptr(),
            1,
            inner as isize,
            right.values.as_ptr(),
            column as isize,
            row as isize,
            0.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
