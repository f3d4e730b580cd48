//! A sequence in the CPU's own code, its keys and values in blocks.

use super::budget::KvBudget;
use super::lane::{Opening, of_another_model};
use super::model::{EngineAdapter, EngineModel};
use super::prefix::{Block, NodeId, PrefixCache};
use crate::error::Result;
use crate::qwen3::cpu::{
    BLOCK_TOKENS, CpuAdapter, CpuDecoder, PromptPictures, Scratch, SequenceCache,
};
use crate::qwen25_vl::Patches;

#[derive(Debug)]
pub(super) struct Paged {
    cache: SequenceCache,
    adapter: Option<EngineAdapter>,
    /// Leading blocks that the prefix cache holds too.
    shared: usize,
    /// The last of those in the prefix cache.
    node: NodeId,
    /// The prompt's pictures as vectors, while some of it is still to be read.
    pictures: Option<PromptPictures>,
}

impl Paged {
    pub(super) fn new(
        decoder: &CpuDecoder,
        adapter: Option<&EngineAdapter>,
        rope_offset: i64,
    ) -> Self {
        Self {
            cache: SequenceCache::with_rope_offset(decoder.config(), rope_offset),
            adapter: adapter.cloned(),
            shared: 0,
            node: NodeId::Root(adapter.map(EngineAdapter::id)),
            pictures: None,
        }
    }

    /// Tokens read.
    pub(super) fn len(&self) -> usize {
        self.cache.len()
    }

    /// Bytes for `tokens` in all, shared blocks left out.
    pub(super) const fn bytes(&self, budget: &KvBudget, tokens: usize) -> usize {
        budget.blocks(tokens) - self.shared * budget.block
    }

    /// What a step needs.
    pub(super) fn parts(&mut self) -> (&mut SequenceCache, Option<&CpuAdapter>) {
        let adapter = self.adapter.as_ref().and_then(EngineAdapter::cpu);
        (&mut self.cache, adapter)
    }

    /// See [`super::lane::Lane::reuse`].
    pub(super) fn reuse(&mut self, keys: &[u32], prefix: &mut PrefixCache) -> Result<usize> {
        let before = self.cache.len();
        // Behind a block of its own there is none to share.
        if before != self.shared * BLOCK_TOKENS {
            return Ok(0);
        }
        for block_keys in keys[before..].chunks_exact(BLOCK_TOKENS) {
            let Some((id, Block::Paged(block))) = prefix.get(self.node, block_keys) else {
                break;
            };
            self.cache.share(block)?;
            (self.node, self.shared) = (id, self.shared + 1);
        }
        Ok(self.cache.len() - before)
    }

    /// See [`super::lane::Lane::read`].
    pub(super) fn read(
        &mut self,
        model: &EngineModel,
        opening: &Opening<'_>,
        prefix: Option<&mut PrefixCache>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let decoder = model.decoder().ok_or_else(of_another_model)?;
        let from = self.cache.len();
        let until = opening.tokens.len().min(from + BLOCK_TOKENS);
        let chunk = &opening.tokens[from..until];
        if let Some(pictures) = opening.pictures
            && self.pictures.is_none()
        {
            self.pictures = self.look(model, opening.tokens, pictures)?;
        }
        let pictures = self.pictures.as_ref();
        let adapter = self.adapter.as_ref().and_then(EngineAdapter::cpu);
        let cache = &mut self.cache;
        match pictures {
            None => decoder.read_adapted(chunk, cache, adapter, scratch)?,
            Some(pictures) => decoder.read_pictured(chunk, cache, pictures, adapter, scratch)?,
        }
        if until == opening.tokens.len() {
            self.pictures = None;
        }
        if let Some(prefix) = prefix
            && let Some(block) = self.cache.blocks().last()
            && chunk.len() == BLOCK_TOKENS
        {
            let keys = &opening.keys[from..until];
            self.node = prefix.insert(self.node, keys, || Block::Paged(block.clone()));
            self.shared += 1;
        }
        Ok(())
    }

    fn look(
        &self,
        model: &EngineModel,
        prompt: &[u32],
        pictures: &Patches,
    ) -> Result<Option<PromptPictures>> {
        let EngineModel::Vision(model) = model else {
            return Err(of_another_model());
        };
        let adapter = self.adapter.as_ref().and_then(EngineAdapter::vision);
        let adapter = adapter.map(|adapter| &adapter.model);
        model.look(adapter, prompt, self.cache.len(), pictures)
    }
}
