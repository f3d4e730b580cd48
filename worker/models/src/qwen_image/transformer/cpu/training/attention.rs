//! Attention from queries, keys and values to contexts, a head at a time.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::super::rows::softmax;
use crate::nhwc::tracked::{numbers, recorded, slice, tensor, tracked};
use crate::rows::on_best;
use crate::strided::{Matrix, Place, product};

/// `[batch, tokens, heads, width]`
#[derive(Clone, Copy, Debug)]
struct Sizes {
    batch: usize,
    tokens: usize,
    heads: usize,
    width: usize,
}

impl Sizes {
    fn scale(&self) -> f32 {
        1.0 / (self.width as f32).sqrt()
    }

    fn item(&self) -> usize {
        self.tokens * self.heads * self.width
    }

    /// One head of `[tokens, heads, width]`.
    fn head<'a>(&self, item: &'a [f32], head: usize) -> Matrix<'a> {
        Matrix::rows(&item[head * self.width..], self.heads * self.width)
    }
}

on_best! {
    pub(super) fn add(row: &mut [f32], bias: &[f32]) {
        for (value, bias) in row.iter_mut().zip(bias) {
            *value += bias;
        }
    }
}

on_best! {
    /// The derivative of softmax: `grad` becomes that of the scores.
    pub(super) fn backward_row(shares: &[f32], grad: &mut [f32]) {
        let mut along = 0.0;
        for (share, grad) in shares.iter().zip(grad.iter()) {
            along += share * grad;
        }
        for (share, grad) in shares.iter().zip(grad) {
            *grad = share * (*grad - along);
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
    /// The softmax `[batch, heads, tokens, tokens]`.
    shares: FlexTensor,
}

impl Backward<Flex, 3> for Attention {
    type State = State;

    fn backward(self, ops: Ops<State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = numbers(&grads.consume::<Flex>(&ops.node));
        let State {
            sizes,
            parts,
            shares,
        } = ops.state;
        let Sizes {
            batch,
            tokens,
            heads,
            width,
        } = sizes;
        let [query, key, value] = [0, 1, 2].map(|part| slice(&parts[part]));
        let (shares, grad) = (slice(&shares), slice(&grad));
        let (item, square) = (sizes.item(), tokens * tokens);
        let size = batch * item;
        let (mut by_query, mut by_key, mut by_value) =
            (vec![0.0; size], vec![0.0; size], vec![0.0; size]);
        by_query
            .par_chunks_mut(item)
            .zip(by_key.par_chunks_mut(item))
            .zip(by_value.par_chunks_mut(item))
            .enumerate()
            .for_each_init(
                || vec![0.0; square],
                |by_scores, (number, ((by_query, by_key), by_value))| {
                    let of_item = number * item..(number + 1) * item;
                    let [query, key, value, grad] =
                        [query, key, value, grad].map(|values| &values[of_item.clone()]);
                    for head in 0..heads {
                        let shares = &shares[(number * heads + head) * square..][..square];
                        let matrix = |values| sizes.head(values, head);
                        let (of_shares, stride) = (Matrix::rows(shares, tokens), heads * width);
                        let from = head * width;
                        product(
                            (&mut by_value[from..], stride),
                            of_shares.transposed(),
                            matrix(grad),
                            [tokens, tokens, width],
                            1.0,
                            Place::Fresh,
                        );
                        product(
                            (&mut *by_scores, tokens),
                            matrix(grad),
                            matrix(value).transposed(),
                            [tokens, width, tokens],
                            1.0,
                            Place::Fresh,
                        );
                        let rows = by_scores.chunks_mut(tokens);
                        for (shares, by_scores) in shares.chunks(tokens).zip(rows) {
                            backward_row(shares, by_scores);
                        }
                        let by_scores = Matrix::rows(by_scores, tokens);
                        product(
                            (&mut by_query[from..], stride),
                            by_scores,
                            matrix(key),
                            [tokens, tokens, width],
                            sizes.scale(),
                            Place::Fresh,
                        );
                        product(
                            (&mut by_key[from..], stride),
                            by_scores.transposed(),
                            matrix(query),
                            [tokens, tokens, width],
                            sizes.scale(),
                            Place::Fresh,
                        );
                    }
                },
            );
        let shape = [batch, tokens, heads, width];
        for (node, values) in ops.parents.into_iter().zip([by_query, by_key, by_value]) {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, tensor(values, &shape));
            }
        }
    }
}

/// Contexts `[batch, tokens, heads, width]` of query, key and value of that shape;
/// `bias` `[batch, tokens]` is added to the scores of each key.
pub(in super::super::super) fn attend(parts: [Tensor<4>; 3], bias: Option<Vec<f32>>) -> Tensor<4> {
    let shape = parts[0].dims();
    let [batch, tokens, heads, width] = shape;
    let sizes = Sizes {
        batch,
        tokens,
        heads,
        width,
    };
    recorded(Attention, parts.map(tracked), |parts| {
        let [query, key, value] = [0, 1, 2].map(|part| slice(&parts[part]));
        let (item, square) = (sizes.item(), tokens * tokens);
        let mut out = vec![0.0; batch * item];
        let mut shares = vec![0.0; batch * heads * square];
        out.par_chunks_mut(item)
            .zip(shares.par_chunks_mut(heads * square))
            .enumerate()
            .for_each(|(number, (out, shares))| {
                let of_item = number * item..(number + 1) * item;
                let [query, key, value] =
                    [query, key, value].map(|values| &values[of_item.clone()]);
                let bias = bias.as_ref().map(|bias| &bias[number * tokens..][..tokens]);
                for (head, shares) in shares.chunks_mut(square).enumerate() {
                    let matrix = |values| sizes.head(values, head);
                    product(
                        (&mut *shares, tokens),
                        matrix(query),
                        matrix(key).transposed(),
                        [tokens, width, tokens],
                        sizes.scale(),
                        Place::Fresh,
                    );
                    for row in shares.chunks_mut(tokens) {
                        if let Some(bias) = bias {
                            add(row, bias);
                        }
                        softmax(row);
                    }
                    product(
                        (&mut out[head * width..], heads * width),
                        Matrix::rows(shares, tokens),
                        matrix(value),
                        [tokens, tokens, width],
                        1.0,
                        Place::Fresh,
                    );
                }
            });
        let state = State {
            sizes,
            parts,
            shares: tensor(shares, &[batch, heads, tokens, tokens]),
        };
        (tensor(out, &shape), state)
    })
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Tensor, TensorData, activation};

    use super::super::tests::same;

    #[test]
    fn as_recorded_operation_by_operation() {
        let bias: Vec<f32> = (0..14)
            .map(|at| if at % 7 == 5 { -1e30 } else { at as f32 * 0.1 })
            .collect();
        let shape: &[usize] = &[2, 7, 3, 4];
        same(
            [(shape, 1.0), (shape, 1.0), (shape, 1.0)],
            |parts| super::attend(parts.clone(), Some(bias.clone())),
            |[query, key, value]| {
                let by_head = |x: &Tensor<4>| x.clone().swap_dims(1, 2);
                let scores = by_head(query).matmul(by_head(key).swap_dims(2, 3)) * 0.5;
                let bias = TensorData::new(bias.clone(), [2, 1, 1, 7]);
                let scores = scores + Tensor::from_data(bias, &query.device());
                let contexts = activation::softmax(scores, 3).matmul(by_head(value));
                contexts.swap_dims(1, 2)
            },
        );
    }
}
