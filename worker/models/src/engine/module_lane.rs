//! A sequence that a module reads and writes, its keys and values on the device.

use std::sync::Arc;

use super::lane::Opening;
use super::model::{EngineAdapter, EngineModel};
use super::module::Module;
use super::prefix::{Block, Columns, NodeId, PrefixCache};
use super::together::Ticket;
use crate::error::Result;
use crate::generate::PromptReader;
use crate::lora::AdapterId;
use crate::qwen3::KvCache;

/// Tokens of a prompt that the module reads at once, and that prompts share. Larger than a
/// block of the CPU's: a device is given enough to do.
pub(super) const MODULE_BLOCK: usize = 256;

#[derive(Debug)]
pub(super) struct ModuleLane {
    held: Held,
    adapter: Option<EngineAdapter>,
    /// What the position of a token behind the prompt is above its number.
    rope_offset: i64,
    /// Leading blocks that the prefix cache holds too, and the last of them there.
    shared: usize,
    node: NodeId,
    reader: PromptReader,
}

/// Where keys and values are.
#[derive(Debug)]
enum Held {
    /// While the prompt is read: what was read, and behind it blocks that others had read
    /// before. They are copied when more is read or written, and a sequence that waits for
    /// room costs no copies.
    Alone {
        cache: KvCache,
        found: Vec<Arc<Columns>>,
    },
    /// While the answer is written: `len` tokens, in a row of the batch.
    Batched { ticket: Ticket, len: usize },
}

impl ModuleLane {
    pub(super) fn new(
        model: &EngineModel,
        adapter: Option<&EngineAdapter>,
        rope_offset: i64,
    ) -> Self {
        let layers = model.folder().config.num_hidden_layers;
        Self::holding(KvCache::new(layers), adapter, rope_offset)
    }

    /// One that has read what `cache` holds.
    pub(super) fn holding(
        cache: KvCache,
        adapter: Option<&EngineAdapter>,
        rope_offset: i64,
    ) -> Self {
        Self {
            held: Held::Alone {
                cache,
                found: Vec::new(),
            },
            adapter: adapter.cloned(),
            rope_offset,
            shared: 0,
            node: NodeId::Root(adapter.map(EngineAdapter::id)),
            reader: PromptReader::default(),
        }
    }

    /// Tokens read.
    pub(super) fn len(&self) -> usize {
        match &self.held {
            Held::Alone { cache, found } => cache.len() + found.len() * MODULE_BLOCK,
            Held::Batched { len, .. } => *len,
        }
    }

    /// The rotary position of the token that is read next, once the prompt is read.
    pub(super) fn position(&self) -> i64 {
        self.len() as i64 + self.rope_offset
    }

    pub(super) const fn adapter(&self) -> Option<&EngineAdapter> {
        self.adapter.as_ref()
    }

    pub(super) fn adapter_id(&self) -> Option<AdapterId> {
        self.adapter().map(EngineAdapter::id)
    }

    /// The row of the batch that it has.
    pub(super) const fn ticket(&self) -> Option<Ticket> {
        match &self.held {
            Held::Alone { .. } => None,
            Held::Batched { ticket, .. } => Some(*ticket),
        }
    }

    /// Gives what it holds to a row of the batch, if it has none; what it held.
    pub(super) fn join(&mut self, ticket: Ticket) -> Option<KvCache> {
        let len = self.len();
        let held = std::mem::replace(&mut self.held, Held::Batched { ticket, len });
        match held {
            Held::Alone { mut cache, found } => {
                take_up(&mut cache, found);
                Some(cache)
            }
            Held::Batched { ticket, len } => {
                self.held = Held::Batched { ticket, len };
                None
            }
        }
    }

    /// One more token was read with the batch.
    pub(super) const fn grew(&mut self) {
        if let Held::Batched { len, .. } = &mut self.held {
            *len += 1;
        }
    }

    /// See [`super::lane::Lane::reuse`].
    pub(super) fn reuse(&mut self, keys: &[u32], prefix: &mut PrefixCache) -> usize {
        let before = self.len();
        let Held::Alone { found, .. } = &mut self.held else {
            return 0;
        };
        // Behind a block of its own there is none to share.
        if before != self.shared * MODULE_BLOCK {
            return 0;
        }
        for block_keys in keys[before..].chunks_exact(MODULE_BLOCK) {
            let Some((id, Block::Columns(block))) = prefix.get(self.node, block_keys) else {
                break;
            };
            found.push(block);
            (self.node, self.shared) = (id, self.shared + 1);
        }
        self.len() - before
    }

    /// See [`super::lane::Lane::read`].
    pub(super) fn read(
        &mut self,
        model: &EngineModel,
        opening: &Opening<'_>,
        prefix: Option<&mut PrefixCache>,
    ) -> Result<()> {
        let module = Module::of(model, self.adapter.as_ref())?;
        let Held::Alone { cache, found } = &mut self.held else {
            return Ok(());
        };
        take_up(cache, std::mem::take(found));
        let from = cache.len();
        module.read(opening, MODULE_BLOCK, &mut self.reader, cache)?;
        if let Some(prefix) = prefix
            && cache.len() == from + MODULE_BLOCK
            && from == self.shared * MODULE_BLOCK
        {
            let keys = &opening.keys[from..cache.len()];
            self.node = prefix.insert(self.node, keys, || {
                Block::Columns(Arc::new(cache.columns(from, MODULE_BLOCK)))
            });
            self.shared += 1;
        }
        Ok(())
    }
}

fn take_up(cache: &mut KvCache, found: Vec<Arc<Columns>>) {
    for block in found {
        cache.extend(&block);
    }
}
