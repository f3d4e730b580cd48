//! Arithmetic of KV memory.

use super::module_lane::MODULE_BLOCK;
use crate::error::{ModelError, Result};
use crate::qwen3::Qwen3Config;
use crate::qwen3::cpu::{BLOCK_TOKENS, SequenceCache};

/// The module's cache grows by at least this many tokens, and doubles.
const MODULE_CHUNK: usize = 256;

/// The budget and the sizes that it is spent in.
#[derive(Clone, Copy, Debug)]
pub(super) struct KvBudget {
    pub(super) bytes: usize,
    /// Bytes of [`BLOCK_TOKENS`] tokens.
    pub(super) block: usize,
    /// Whether sequences are in blocks, as the CPU's own code has them.
    paged: bool,
}

impl KvBudget {
    /// Of `bytes`, for a model whose keys and values take `number` bytes each.
    pub(super) const fn new(
        bytes: usize,
        config: &Qwen3Config,
        number: usize,
        paged: bool,
    ) -> Self {
        Self {
            bytes,
            block: SequenceCache::block_bytes(config) / size_of::<f32>() * number,
            paged,
        }
    }

    /// Bytes of a block of a prompt that is kept for others.
    pub(super) const fn kept(&self) -> usize {
        match self.paged {
            true => self.block,
            false => self.block * MODULE_BLOCK / BLOCK_TOKENS,
        }
    }

    /// Bytes of the blocks that hold `tokens`.
    pub(super) const fn blocks(&self, tokens: usize) -> usize {
        tokens.div_ceil(BLOCK_TOKENS).saturating_mul(self.block)
    }

    /// The most that the module's own cache takes for `tokens`, which doubles
    /// when it is full.
    pub(super) fn module(&self, tokens: usize) -> usize {
        let capacity = tokens.saturating_mul(2).next_multiple_of(MODULE_CHUNK);
        self.block.saturating_mul(capacity) / BLOCK_TOKENS
    }

    /// The most that a request of `total` tokens ever takes alone.
    fn most(&self, total: usize) -> usize {
        match self.paged {
            true => self.blocks(total),
            false => self.module(total),
        }
    }

    /// The most tokens in all that a request can have alone.
    pub(super) const fn longest(&self) -> usize {
        match self.paged {
            true => self.bytes / self.block * BLOCK_TOKENS,
            // Twice the tokens, rounded up.
            false => (self.bytes / self.block * BLOCK_TOKENS / 2).saturating_sub(MODULE_CHUNK),
        }
    }

    /// # Errors
    /// [`ModelError::Request`] when a request would not fit even alone.
    pub(super) fn check(&self, prompt: usize, total: usize) -> Result<()> {
        let needed = self.most(total);
        if needed <= self.bytes {
            return Ok(());
        }
        Err(ModelError::Request {
            field: "max_tokens",
            reason: format!(
                "{total} tokens ({prompt} of prompt) need {} MiB of keys and values; the budget \
                 is {} MiB: ask for fewer tokens, or raise the budget",
                needed.div_ceil(1 << 20),
                self.bytes >> 20
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_never_fits_is_refused_with_its_numbers() {
        let config = Qwen3Config {
            num_hidden_layers: 4,
            num_key_value_heads: 2,
            head_dim: 64,
            ..Qwen3Config::default()
        };
        // 4 KiB a token, 256 KiB a block.
        let budget = KvBudget::new(8 << 20, &config, 4, true);
        assert_eq!(budget.blocks(65), 512 << 10);
        budget.check(100, 1700).unwrap();
        let error = budget.check(100, 3000).unwrap_err().to_string();
        for part in ["max_tokens", "3000", "100", "12 MiB", "8 MiB"] {
            assert!(error.contains(part), "{part} in {error}");
        }
        assert!(budget.check(300, budget.longest() + 1).is_err());
        let module = KvBudget::new(8 << 20, &config, 4, false);
        assert!(module.check(1, 2000).is_err());
        for budget in [budget, module] {
            let longest = budget.longest();
            assert!(longest > 100);
            budget.check(100, longest).unwrap();
        }
        // Numbers of half the size.
        let half = KvBudget::new(8 << 20, &config, 2, false);
        half.check(1, 2000).unwrap();
        assert_eq!((module.kept(), half.kept()), (1 << 20, 512 << 10));
    }
}
