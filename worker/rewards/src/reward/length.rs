//! A soft penalty for answers that run into their limit.

use serde::{Deserialize, Serialize};

use crate::error::{Result, RewardError};

/// Where the penalty begins and where it is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LengthLimit {
    /// Tokens of the answer, thinking included, from which the penalty is −1.
    pub max_tokens: u64,
    /// Tokens before `max_tokens` in which it grows; 0 makes it a step.
    pub buffer_tokens: u64,
}

impl LengthLimit {
    /// # Errors
    /// [`RewardError::Config`] naming the field.
    pub fn validate(&self) -> Result<()> {
        let refused = |field, reason: String| Err(RewardError::Config { field, reason });
        if self.max_tokens == 0 {
            return refused("length.max_tokens", "must be at least 1".into());
        }
        if self.buffer_tokens > self.max_tokens {
            let reason = format!("must not exceed max_tokens ({})", self.max_tokens);
            return refused("length.buffer_tokens", reason);
        }
        Ok(())
    }
}

/// `L`, from −1 to 0: the soft overlong punishment of DAPO (arXiv 2503.14476,
/// eq. 13). 0 up to `max − buffer`, `((max − buffer) − tokens)/buffer` up to
/// `max`, −1 beyond.
#[must_use]
pub fn length_penalty(limit: LengthLimit, tokens: u64) -> f64 {
    let free = limit.max_tokens.saturating_sub(limit.buffer_tokens);
    if tokens <= free {
        0.0
    } else if tokens <= limit.max_tokens {
        // Here the buffer holds a token, so it is no division by 0.
        -((tokens - free) as f64) / limit.buffer_tokens as f64
    } else {
        -1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_then_linear_then_whole() {
        let limit = |max_tokens, buffer_tokens| LengthLimit {
            max_tokens,
            buffer_tokens,
        };
        for (limit, tokens, expected) in [
            (limit(100, 20), 0, 0.0),
            (limit(100, 20), 80, 0.0),
            (limit(100, 20), 81, -0.05),
            (limit(100, 20), 90, -0.5),
            (limit(100, 20), 100, -1.0),
            (limit(100, 20), 101, -1.0),
            (limit(100, 20), u64::MAX, -1.0),
            (limit(100, 0), 100, 0.0),
            (limit(100, 0), 101, -1.0),
            (limit(100, 100), 25, -0.25),
        ] {
            let penalty = length_penalty(limit, tokens);
            assert!(
                (penalty - expected).abs() < 1e-12,
                "{limit:?} {tokens}: {penalty}"
            );
        }
    }

    #[test]
    fn a_limit_that_cannot_be_is_named() {
        for (max_tokens, buffer_tokens, field) in [
            (0, 0, "length.max_tokens"),
            (10, 11, "length.buffer_tokens"),
        ] {
            let limit = LengthLimit {
                max_tokens,
                buffer_tokens,
            };
            let error = limit.validate().unwrap_err().to_string();
            assert!(error.contains(field), "{error}");
        }
    }
}
