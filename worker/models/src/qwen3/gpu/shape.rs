//! A model's shapes, as the kernels are compiled for them.

use crate::qwen3::Qwen3Config;

/// Warps of a block of the products.
pub(super) const WARPS: usize = 8;
/// Threads of a warp.
pub(super) const LANES: usize = 32;
/// Rows of weights that a warp multiplies at a time.
pub(super) const OUT: usize = 2;
/// Warps of a block of attention.
pub(super) const ATTENTION_WARPS: usize = 4;
/// Columns that those score at a time.
const AT_ONCE: usize = 16;
/// Numbers of vectors that a block of the products holds, of all sequences together: 32 KiB.
const HELD: usize = 8192;
/// Blocks at most among which a sequence's columns are shared, for each key head.
pub(super) const MOST_SPLITS: usize = 64;

/// Shapes of a dense Qwen3.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shape {
    pub(super) hidden: usize,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) head_dim: usize,
    pub(super) inner: usize,
    pub(super) vocab: usize,
    pub(super) eps: f64,
}

impl Shape {
    /// Those of `config`; none where the kernels do not serve.
    pub(super) fn of(config: &Qwen3Config) -> Option<Self> {
        let shape = Self {
            hidden: config.hidden_size,
            heads: config.num_attention_heads,
            kv_heads: config.num_key_value_heads,
            head_dim: config.head_dim,
            inner: config.intermediate_size,
            vocab: config.vocab_size,
            eps: config.rms_norm_eps,
        };
        let is_dense = (0..config.num_hidden_layers).all(|index| config.sparse(index).is_none());
        let widths = [shape.hidden, shape.query_width(), shape.inner];
        // A lane reads eight weights at once, and has an even share of a half head.
        let is_even = widths.iter().all(|width| width.is_multiple_of(8));
        // More of either would not leave a block room.
        let is_small = shape.groups() <= 8 && shape.head_dim <= 256;
        let serves = is_dense && is_even && is_small && shape.head_dim.is_multiple_of(64);
        serves.then_some(shape)
    }

    /// Query heads that share a key head.
    pub(super) const fn groups(&self) -> usize {
        self.heads / self.kv_heads
    }

    pub(super) const fn query_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Width of queries, keys and values together.
    pub(super) const fn projected(&self) -> usize {
        self.query_width() + 2 * self.kv_heads * self.head_dim
    }

    /// Numbers that a block of attention leaves behind.
    pub(super) const fn partial(&self) -> usize {
        self.groups() * (self.head_dim + 2)
    }

    /// The constants of `step.cu` for `rows` sequences.
    pub(super) fn constants(&self, rows: usize) -> Vec<(&'static str, String)> {
        vec![
            ("ROWS", rows.to_string()),
            ("HIDDEN", self.hidden.to_string()),
            ("HEADS", self.heads.to_string()),
            ("KV_HEADS", self.kv_heads.to_string()),
            ("HEAD_DIM", self.head_dim.to_string()),
            ("INNER", self.inner.to_string()),
            ("VOCAB", self.vocab.to_string()),
            ("EPS", format!("{:e}f", self.eps)),
            ("WARPS", WARPS.to_string()),
            ("CHUNK", (HELD / rows).to_string()),
        ]
    }

    /// Columns of a block of attention over `columns`, at least `least`, and such blocks.
    pub(super) fn split(columns: usize, least: usize) -> (usize, usize) {
        let split = columns.div_ceil(MOST_SPLITS).next_multiple_of(AT_ONCE);
        let split = split.max(least);
        (split, columns.div_ceil(split))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Qwen3Config {
        Qwen3Config {
            hidden_size: 256,
            num_attention_heads: 8,
            num_key_value_heads: 2,
            head_dim: 128,
            intermediate_size: 512,
            ..Qwen3Config::default()
        }
    }

    #[test]
    fn shapes_that_lanes_cannot_share_are_left_to_the_library() {
        assert!(Shape::of(&config()).is_some());
        let small_heads = Qwen3Config {
            head_dim: 32,
            ..config()
        };
        assert_eq!(Shape::of(&small_heads), None);
        let odd = Qwen3Config {
            intermediate_size: 500,
            ..config()
        };
        assert_eq!(Shape::of(&odd), None);
        let one_key_head_for_many = Qwen3Config {
            num_attention_heads: 32,
            ..config()
        };
        assert_eq!(Shape::of(&one_key_head_for_many), None);
    }

    #[test]
    fn columns_are_shared_among_few_blocks_without_rest() {
        for columns in [1, 63, 64, 65, 4096, 4097, 40_960, 262_144] {
            let (split, splits) = Shape::split(columns, 64);
            assert!(split >= 64 && splits <= MOST_SPLITS, "{columns}");
            assert!(split * splits >= columns && split * (splits - 1) < columns);
        }
    }
}
