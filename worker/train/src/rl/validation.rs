//! What a run does on prompts that it does not learn from, and which of its policies
//! was the best.

use serde::{Deserialize, Serialize};

/// A validation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// Steps done.
    pub step: u64,
    /// Mean over held-out prompts.
    pub reward: f64,
}

/// The best validation so far, and how long ago it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Best {
    /// None before the first.
    pub best: Option<Validation>,
    /// Validations since then.
    pub since: u32,
    /// The newest.
    pub last: Option<Validation>,
}

impl Best {
    /// Takes in a validation; whether it is the best so far.
    pub fn take(&mut self, new: Validation) -> bool {
        self.last = Some(new);
        let is_best = self.best.is_none_or(|best| new.reward > best.reward);
        if is_best {
            self.best = Some(new);
            self.since = 0;
        } else {
            self.since += 1;
        }
        is_best
    }

    /// Whether `patience` validations passed without a better one; 0 waits for ever.
    pub const fn is_exhausted(&self, patience: u32) -> bool {
        patience > 0 && self.since >= patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equals_is_the_best_and_patience_counts_from_it() {
        let mut best = Best::default();
        let rewards = [0.2, 0.5, 0.5, 0.4, 0.6];
        let better: Vec<bool> = (0..)
            .zip(rewards)
            .map(|(step, reward)| best.take(Validation { step, reward }))
            .collect();
        assert_eq!(better, [true, true, false, false, true]);
        assert_eq!(best.since, 0);
        for step in 5..8 {
            assert!(!best.is_exhausted(3));
            best.take(Validation { step, reward: 0.1 });
        }
        assert!(best.is_exhausted(3) && !best.is_exhausted(4) && !best.is_exhausted(0));
        assert_eq!(best.best.map(|best| best.step), Some(4));
        assert_eq!(best.last.map(|last| last.step), Some(7));
    }
}
