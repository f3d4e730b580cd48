//! When to try again.

use std::time::Duration;

use crate::ToolError;

/// Attempts at one backend, and the waits between them.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    pub attempts: u32,
    /// Before the second attempt; doubles, and is jittered by half.
    pub first_wait: Duration,
    /// A longer wait that a service asks for sends the call to the next backend.
    pub longest_wait: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 3,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(20),
        }
    }
}

impl Retry {
    /// The wait after attempt number `attempt` (from 1), or `None` to give up.
    /// `jitter` is in 0..1. A time-out is not tried again at the same backend:
    /// it has used its time.
    #[must_use]
    pub fn wait(&self, attempt: u32, error: &ToolError, jitter: f64) -> Option<Duration> {
        let ToolError::Transient {
            code, retry_after, ..
        } = error
        else {
            return None;
        };
        if attempt >= self.attempts || *code == "backend_timeout" {
            return None;
        }
        let doubled = self.first_wait * 2u32.saturating_pow(attempt - 1);
        let jittered = doubled.mul_f64(0.5 + jitter);
        let wait = retry_after.map_or(jittered, |asked| asked.max(jittered));
        (wait <= self.longest_wait).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(seconds: Option<u64>) -> ToolError {
        ToolError::Transient {
            code: "backend_busy",
            message: String::new(),
            retry_after: seconds.map(Duration::from_secs),
        }
    }

    #[test]
    fn waits_double_and_end() {
        let retry = Retry::default();
        let wait = |attempt| retry.wait(attempt, &busy(None), 0.5);
        assert_eq!(wait(1), Some(Duration::from_millis(500)));
        assert_eq!(wait(2), Some(Duration::from_secs(1)));
        assert_eq!(wait(3), None);
        assert_eq!(
            retry.wait(1, &busy(None), 0.0),
            Some(Duration::from_millis(250))
        );
    }

    #[test]
    fn a_service_is_given_the_time_it_asks_for() {
        let retry = Retry::default();
        assert_eq!(
            retry.wait(1, &busy(Some(7)), 0.5),
            Some(Duration::from_secs(7))
        );
        assert_eq!(
            retry.wait(1, &busy(Some(0)), 0.5),
            Some(Duration::from_millis(500))
        );
        assert_eq!(retry.wait(1, &busy(Some(3600)), 0.5), None);
    }

    #[test]
    fn only_transient_failures_are_tried_again() {
        let retry = Retry::default();
        for error in [
            ToolError::permanent("nothing_found", ""),
            ToolError::refused("refused_by_service", ""),
            ToolError::Cancelled,
            ToolError::transient("backend_timeout", ""),
        ] {
            assert_eq!(retry.wait(1, &error, 0.5), None);
        }
    }
}
