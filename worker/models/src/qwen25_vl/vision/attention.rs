//! Attention within segments: windows, or whole frames.
//!
//! Follows `Qwen2_5_VLVisionAttention`, which splits the sequence as well; no
//! mask is needed.

use burn::module::Module;
use burn::tensor::{Tensor, activation::softmax};

use super::layout::Run;
use crate::lora::Linear;
use crate::qwen3::rotary::Rotary;

/// Most attention scores held at once, 64 MiB in f32: a frame of 16,384 merged
/// squares would have 10¹² of them.
const MAX_SCORES: usize = 1 << 24;

/// Multi-head attention over the patches of a segment.
#[derive(Module, Debug)]
pub struct VisionAttention {
    /// `[hidden, 3 × hidden]`: query, key, value.
    pub qkv: Linear,
    /// `[hidden, hidden]`
    pub proj: Linear,
    /// Heads.
    pub num_heads: usize,
}

impl VisionAttention {
    /// `[patches, hidden]` → the same shape; `runs` cover all patches.
    pub fn forward(&self, x: Tensor<2>, rotary: &Rotary, runs: &[Run]) -> Tensor<2> {
        let [patches, hidden] = x.dims();
        let heads = self.num_heads;
        let head_dim = hidden / heads;
        let [query, key, value] = self
            .qkv
            .forward(x)
            .reshape([patches, 3, heads, head_dim])
            .permute([1, 2, 0, 3])
            .split(1, 0)
            .try_into()
            .unwrap_or_else(|_| unreachable!("three parts of size one"));
        let shape = [heads, patches, head_dim];
        let scale = 1.0 / (head_dim as f64).sqrt();
        let query = (rotary.apply(query) * scale).reshape(shape);
        let key = rotary.apply(key).reshape(shape);
        let value = value.reshape(shape);

        let mut start = 0;
        let mut contexts = Vec::with_capacity(runs.len());
        for run in runs {
            let length = run.count * run.len;
            let part = |x: &Tensor<3>| {
                x.clone()
                    .narrow(1, start, length)
                    .reshape([heads, run.count, run.len, head_dim])
            };
            let context = attend_in_pieces(part(&query), part(&key), part(&value), MAX_SCORES);
            contexts.push(context.reshape([heads, length, head_dim]));
            start += length;
        }
        let context = Tensor::cat(contexts, 1)
            .swap_dims(0, 1)
            .reshape([patches, hidden]);
        self.proj.forward(context)
    }
}

/// Attention of `[heads, segments, len, head_dim]`, a few segments at a time, or
/// a few queries of one, so that no more than about `max_scores` exist at once.
fn attend_in_pieces(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    max_scores: usize,
) -> Tensor<4> {
    let [heads, count, len, _] = query.dims();
    let segments = (max_scores / (heads * len * len)).clamp(1, count);
    let queries = (max_scores / (heads * segments * len)).clamp(1, len);
    let mut done = Vec::new();
    for first in (0..count).step_by(segments) {
        let size = segments.min(count - first);
        let part = |x: &Tensor<4>| x.clone().narrow(1, first, size);
        let (query, key, value) = (part(&query), part(&key).swap_dims(2, 3), part(&value));
        let rows = (0..len).step_by(queries).map(|row| {
            let query = query.clone().narrow(2, row, queries.min(len - row));
            softmax(query.matmul(key.clone()), 3).matmul(value.clone())
        });
        done.push(Tensor::cat(rows.collect(), 2));
    }
    Tensor::cat(done, 1)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;

    #[test]
    fn pieces_of_any_size_give_the_same() {
        let device = Device::flex();
        let random = || Tensor::<4>::random([2, 5, 7, 4], Distribution::Default, &device);
        let (query, key, value) = (random(), random(), random());
        let run = |most| {
            attend_in_pieces(query.clone(), key.clone(), value.clone(), most)
                .into_data()
                .try_to_vec::<f32>()
                .unwrap()
        };
        let whole = run(usize::MAX / 2);
        for most in [1, 3 * 2 * 7, 200, 300] {
            for (a, b) in run(most).iter().zip(&whole) {
                assert!((a - b).abs() < 1e-6);
            }
        }
    }
}
