//! Keys and values of one sequence, in blocks of a fixed number of tokens.
//!
//! Source: Kwon et al., *PagedAttention* (arXiv:2309.06180), §4. A sequence
//! grows block by block, so that nothing is ever copied to a larger place, and
//! sequences with the same beginning share its blocks.

use std::sync::Arc;

use super::panels::PANEL;
use crate::error::{ModelError, Result};
use crate::qwen3::Qwen3Config;

/// Tokens that a block holds.
pub const BLOCK_TOKENS: usize = 64;

/// The cache of one sequence for the CPU decoder. Cloning it forks the
/// sequence, for several samples of one prompt: blocks are shared until one of
/// the two writes to them.
#[derive(Clone, Debug)]
pub struct SequenceCache {
    layout: Layout,
    blocks: Vec<Arc<KvBlock>>,
    pub(super) len: usize,
    /// What is added to a token's number in the sequence to give its rotary
    /// position.
    pub(super) rope_offset: i64,
}

/// Keys and values of [`BLOCK_TOKENS`] tokens, for each layer and head
///
/// - the keys in panels, as weights are: `[BLOCK_TOKENS / 16, head_dim, 16]`;
/// - the values `[BLOCK_TOKENS, head_dim]`.
#[derive(Clone, Debug)]
pub struct KvBlock {
    values: Box<[f32]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    layers: usize,
    kv_heads: usize,
    head_dim: usize,
}

impl Layout {
    const fn of(config: &Qwen3Config) -> Self {
        Self {
            layers: config.num_hidden_layers,
            kv_heads: config.num_key_value_heads,
            head_dim: config.head_dim,
        }
    }

    /// Numbers in the keys (or the values) of one head in one block.
    const fn plane(self) -> usize {
        BLOCK_TOKENS * self.head_dim
    }

    const fn block(self) -> usize {
        self.layers * self.kv_heads * 2 * self.plane()
    }

    const fn place(self, layer: usize, head: usize) -> usize {
        (layer * self.kv_heads + head) * 2 * self.plane()
    }
}

impl SequenceCache {
    /// An empty cache.
    pub fn new(config: &Qwen3Config) -> Self {
        Self {
            layout: Layout::of(config),
            blocks: Vec::new(),
            len: 0,
            rope_offset: 0,
        }
    }

    /// An empty cache of a sequence whose tokens behind the prompt have rotary
    /// positions `rope_offset` above their number: a picture takes more tokens
    /// than it counts positions.
    pub fn with_rope_offset(config: &Qwen3Config, rope_offset: i64) -> Self {
        Self {
            rope_offset,
            ..Self::new(config)
        }
    }

    /// Tokens held.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds no token.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The blocks, the last one perhaps not full.
    pub fn blocks(&self) -> &[Arc<KvBlock>] {
        &self.blocks
    }

    /// Whether the next token needs a new block.
    pub fn is_full(&self) -> bool {
        self.len == self.blocks.len() * BLOCK_TOKENS
    }

    /// Appends a full block that another sequence with the same beginning has.
    ///
    /// # Errors
    /// [`ModelError::Request`] inside a block, and for one of another model.
    pub fn share(&mut self, block: Arc<KvBlock>) -> Result<()> {
        if !self.is_full() || block.values.len() != self.layout.block() {
            return Err(refuse("a block is shared out of place".to_owned()));
        }
        self.blocks.push(block);
        self.len += BLOCK_TOKENS;
        Ok(())
    }

    /// A block for tests.
    #[cfg(test)]
    pub(crate) fn empty_block(config: &Qwen3Config) -> Arc<KvBlock> {
        Arc::new(KvBlock::empty(Layout::of(config)))
    }

    /// Bytes of one block of a model.
    pub const fn block_bytes(config: &Qwen3Config) -> usize {
        Layout::of(config).block() * size_of::<f32>()
    }

    /// Room for the token at `position`, in a block of this sequence's own.
    pub(super) fn make_room(&mut self, position: usize) {
        while self.blocks.len() * BLOCK_TOKENS <= position {
            self.blocks.push(Arc::new(KvBlock::empty(self.layout)));
        }
    }

    /// Writes the keys and values of `layer` for the token at `position`,
    /// `[kv_heads, head_dim]` each; [`Self::make_room`] came before.
    pub(super) fn write(&mut self, layer: usize, position: usize, keys: &[f32], values: &[f32]) {
        let head_dim = self.layout.head_dim;
        let (block, row) = (position / BLOCK_TOKENS, position % BLOCK_TOKENS);
        let parts = keys
            .chunks_exact(head_dim)
            .zip(values.chunks_exact(head_dim));
        // A block that is shared is copied first.
        let block = &mut Arc::make_mut(&mut self.blocks[block]).values;
        for (head, (key, value)) in parts.enumerate() {
            let place = self.layout.place(layer, head);
            let (keys, values) = block[place..].split_at_mut(self.layout.plane());
            let panel = &mut keys[row / PANEL * PANEL * head_dim..];
            let places = panel.iter_mut().skip(row % PANEL).step_by(PANEL);
            for (place, number) in places.zip(key) {
                *place = *number;
            }
            values[row * head_dim..][..head_dim].copy_from_slice(value);
        }
    }

    pub(super) const fn kv_heads(&self) -> usize {
        self.layout.kv_heads
    }

    /// Keys and values of one head over the first `tokens` tokens, block by block: whole panels
    /// of keys, and values `[tokens of the block, head_dim]`.
    pub(super) fn head(
        &self,
        layer: usize,
        head: usize,
        tokens: usize,
    ) -> impl Iterator<Item = (&[f32], &[f32])> {
        let place = self.layout.place(layer, head);
        let (plane, head_dim) = (self.layout.plane(), self.layout.head_dim);
        // A prompt's later tokens may be there already.
        let blocks = self.blocks.iter().take(tokens.div_ceil(BLOCK_TOKENS));
        blocks.enumerate().map(move |(index, block)| {
            let rows = (tokens - index * BLOCK_TOKENS).min(BLOCK_TOKENS);
            let keys = &block.values[place..][..rows.next_multiple_of(PANEL) * head_dim];
            let values = &block.values[place + plane..][..rows * head_dim];
            (keys, values)
        })
    }
}

impl KvBlock {
    fn empty(layout: Layout) -> Self {
        Self {
            values: vec![0.0; layout.block()].into_boxed_slice(),
        }
    }
}

fn refuse(reason: String) -> ModelError {
    ModelError::Request {
        field: "cache",
        reason,
    }
}
