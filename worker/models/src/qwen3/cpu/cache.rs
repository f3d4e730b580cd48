//! Keys and values of one sequence.

use burn::tensor::Tensor;

use crate::error::{ModelError, Result};
use crate::qwen3::{KvCache, Qwen3Config};

/// The cache of one sequence for the CPU decoder. Cloning it forks the
/// sequence, for several samples of one prompt.
#[derive(Clone, Debug)]
pub struct SequenceCache {
    /// By layer, then by key head.
    pub(super) heads: Vec<Vec<HeadCache>>,
    pub(super) len: usize,
}

/// Keys and values of one head, `[tokens, head_dim]` each, growing at the end.
#[derive(Clone, Debug, Default)]
pub(super) struct HeadCache {
    pub(super) keys: Vec<f32>,
    pub(super) values: Vec<f32>,
}

impl SequenceCache {
    /// An empty cache.
    pub fn new(config: &Qwen3Config) -> Self {
        let layer = vec![HeadCache::default(); config.num_key_value_heads];
        Self {
            heads: vec![layer; config.num_hidden_layers],
            len: 0,
        }
    }

    /// The first row of the module's cache (an unpadded prompt).
    ///
    /// # Errors
    /// [`ModelError::Request`] when it is empty or cannot be read.
    pub fn from_module(cache: &KvCache) -> Result<Self> {
        let read = |tensor: Tensor<2>| {
            tensor
                .into_data()
                .try_into_vec::<f32>()
                .map_err(|error| ModelError::Request {
                    field: "cache",
                    reason: error.to_string(),
                })
        };
        let mut heads = Vec::with_capacity(cache.num_layers());
        for layer in 0..cache.num_layers() {
            let (keys, values) = cache.filled(layer).ok_or(ModelError::Request {
                field: "cache",
                reason: "the module has read no prompt".to_owned(),
            })?;
            let [_, num_heads, _, _] = keys.dims();
            let mut layer_heads = Vec::with_capacity(num_heads);
            for head in 0..num_heads {
                let of_head = |buffer: &Tensor<4>| {
                    let [_, _, tokens, head_dim] = buffer.dims();
                    buffer
                        .clone()
                        .slice([0..1, head..head + 1, 0..tokens, 0..head_dim])
                        .reshape([tokens, head_dim])
                };
                layer_heads.push(HeadCache {
                    keys: read(of_head(&keys))?,
                    values: read(of_head(&values))?,
                });
            }
            heads.push(layer_heads);
        }
        Ok(Self {
            heads,
            len: cache.len(),
        })
    }

    /// Tokens held.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds no token.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}
