//! Blocks of prompts that were read before.
//!
//! A tree: a node is a full block of tokens behind its parent's. What a block
//! holds depends on all tokens before it, so that it is found by its parent and
//! its own tokens (Zheng et al., *RadixAttention*, arXiv:2312.07104, §3, with
//! blocks for edges). It also depends on the adapter that read them: each has a
//! tree of its own.

use std::collections::HashMap;
use std::sync::Arc;

use burn::tensor::Tensor;
use sha2::{Digest, Sha256};

use crate::lora::AdapterId;
use crate::qwen3::cpu::KvBlock;
use crate::qwen25_vl::{Grid, Patches, Qwen25VlConfig};

/// The tokens of `prompt`, with numbers of what each picture shows in its places: a block is
/// that of another prompt only if both see the same up to its end.
pub(super) fn keys(prompt: &[u32], config: &Qwen25VlConfig, pictures: &Patches) -> Vec<u32> {
    let merge = config.vision.spatial_merge_size;
    let mut values = &pictures.pixel_values[..];
    let mut words = pictures.image_grid_thw.iter().flat_map(|grid| {
        let count = grid.t * grid.h * grid.w * config.vision.patch_width();
        let (own, others) = values.split_at(count.min(values.len()));
        values = others;
        digest(grid, own)
            .into_iter()
            .cycle()
            .take(grid.merged(merge))
    });
    let key = |&token: &u32| match token == config.image_token_id {
        true => words.next().unwrap_or(token),
        false => token,
    };
    prompt.iter().map(key).collect()
}

/// Numbers of a picture.
fn digest(grid: &Grid, values: &[f32]) -> [u32; 8] {
    let mut hash = Sha256::new();
    for side in [grid.t, grid.h, grid.w] {
        hash.update((side as u64).to_le_bytes());
    }
    for value in values {
        hash.update(value.to_le_bytes());
    }
    let bytes: [u8; 32] = hash.finalize().into();
    std::array::from_fn(|word| u32::from_le_bytes(std::array::from_fn(|i| bytes[word * 4 + i])))
}

/// A place in a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum NodeId {
    /// The beginning of every prompt that is read with this adapter, or with none.
    Root(Option<AdapterId>),
    /// Behind a block.
    Block(u64),
}

/// The beginning without adapter.
#[cfg(test)]
const ROOT: NodeId = NodeId::Root(None);

/// Keys and values `[1, kv_heads, tokens, head_dim]` of each layer, on a device.
pub(super) type Columns = Vec<(Tensor<4>, Tensor<4>)>;

/// What was read of a block of tokens.
#[derive(Clone, Debug)]
pub(super) enum Block {
    /// By the CPU's own code; sequences hold it too.
    Paged(Arc<KvBlock>),
    /// By a module; sequences copy it.
    Columns(Arc<Columns>),
}

impl Block {
    /// Whether nobody but the cache holds it.
    fn is_free(&self) -> bool {
        match self {
            Self::Paged(block) => Arc::strong_count(block) == 1,
            Self::Columns(block) => Arc::strong_count(block) == 1,
        }
    }
}

type Key = (NodeId, Box<[u32]>);

#[derive(Debug, Default)]
pub(super) struct PrefixCache {
    children: HashMap<Key, NodeId>,
    nodes: HashMap<NodeId, Node>,
    last_id: u64,
    clock: u64,
}

#[derive(Debug)]
struct Node {
    key: Key,
    block: Block,
    children: usize,
    last_used: u64,
}

impl PrefixCache {
    /// Blocks held.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The block of `tokens` behind `parent`, if it was read before.
    pub(super) fn get(&mut self, parent: NodeId, tokens: &[u32]) -> Option<(NodeId, Block)> {
        let id = *self.children.get(&(parent, tokens.into()))?;
        let node = self.nodes.get_mut(&id)?;
        self.clock += 1;
        node.last_used = self.clock;
        Some((id, node.block.clone()))
    }

    /// Keeps the block of `tokens` behind `parent`, made if there is none yet.
    pub(super) fn insert(
        &mut self,
        parent: NodeId,
        tokens: &[u32],
        block: impl FnOnce() -> Block,
    ) -> NodeId {
        let key: Key = (parent, tokens.into());
        if let Some(id) = self.children.get(&key) {
            return *id;
        }
        self.last_id += 1;
        self.clock += 1;
        let id = NodeId::Block(self.last_id);
        self.children.insert(key.clone(), id);
        let node = Node {
            key,
            block: block(),
            children: 0,
            last_used: self.clock,
        };
        self.nodes.insert(id, node);
        if let Some(parent) = self.nodes.get_mut(&parent) {
            parent.children += 1;
        }
        id
    }

    /// Forgets the least recently used block that no sequence holds and no other
    /// block follows; false when there is none.
    pub(super) fn evict(&mut self) -> bool {
        let free = self
            .nodes
            .iter()
            .filter(|(_, node)| node.children == 0 && node.block.is_free())
            .min_by_key(|(_, node)| node.last_used)
            .map(|(id, _)| *id);
        let Some(node) = free.and_then(|id| self.nodes.remove(&id)) else {
            return false;
        };
        self.children.remove(&node.key);
        if let Some(parent) = self.nodes.get_mut(&node.key.0) {
            parent.children -= 1;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Qwen3Config;
    use crate::qwen3::cpu::SequenceCache;

    fn block() -> Block {
        let config = Qwen3Config {
            num_hidden_layers: 1,
            num_key_value_heads: 1,
            head_dim: 2,
            ..Qwen3Config::default()
        };
        Block::Paged(SequenceCache::empty_block(&config))
    }

    #[test]
    fn a_block_is_found_behind_its_own_beginning_alone() {
        let mut cache = PrefixCache::default();
        let first = cache.insert(ROOT, &[1, 2], block);
        let second = cache.insert(first, &[3], block);
        assert_eq!(cache.get(ROOT, &[1, 2]).unwrap().0, first);
        assert_eq!(cache.get(first, &[3]).unwrap().0, second);
        assert!(cache.get(ROOT, &[3]).is_none());
        assert!(cache.get(first, &[1, 2]).is_none());
        assert_eq!(cache.insert(ROOT, &[1, 2], block), first);
        assert_eq!(cache.len(), 2);
    }

    #[test]
    fn the_least_recently_used_free_leaf_goes_first() {
        let mut cache = PrefixCache::default();
        let trunk = cache.insert(ROOT, &[1], block);
        cache.insert(trunk, &[2], block);
        cache.insert(trunk, &[3], block);
        let (_, held) = cache.get(trunk, &[2]).unwrap();
        // 3 is older than the look at 2; then only 2, which is held, has no child.
        assert!(cache.evict());
        assert!(cache.get(trunk, &[3]).is_none());
        assert!(!cache.evict());
        drop(held);
        assert!(cache.evict() && cache.evict());
        assert_eq!(cache.len(), 0);
        assert!(!cache.evict());
    }
}
