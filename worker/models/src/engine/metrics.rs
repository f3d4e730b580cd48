//! What an engine is doing.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::Serialize;

/// Figures of one moment; the `total` ones only grow.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Metrics {
    /// Requests being read or written.
    pub running: usize,
    /// Requests that wait.
    pub waiting: usize,
    /// Tokens written a second, over the last seconds.
    pub tokens_per_s: f64,
    /// Bytes of keys and values in use, those kept for reuse included.
    pub kv_used_bytes: usize,
    /// Of those, bytes kept for reuse, in use or not.
    pub kv_prefix_bytes: usize,
    /// Bytes that may be in use.
    pub kv_budget_bytes: usize,
    /// Requests that ended.
    pub requests_total: u64,
    /// Prompt tokens of admitted requests.
    pub prompt_tokens_total: u64,
    /// Of those, tokens that had been read before.
    pub cache_hit_tokens_total: u64,
    /// Tokens written.
    pub completion_tokens_total: u64,
    /// Requests that gave their memory back for a while.
    pub preemptions_total: u64,
}

/// A rate over a window of time.
#[derive(Debug, Default)]
pub(super) struct Rate {
    events: VecDeque<(Instant, usize)>,
}

impl Rate {
    const WINDOW: Duration = Duration::from_secs(5);

    pub(super) fn add(&mut self, now: Instant, count: usize) {
        if count > 0 {
            self.events.push_back((now, count));
        }
    }

    /// Events a second.
    pub(super) fn per_second(&mut self, now: Instant) -> f64 {
        while let Some((at, _)) = self.events.front()
            && now.duration_since(*at) > Self::WINDOW
        {
            self.events.pop_front();
        }
        let Some((first, _)) = self.events.front() else {
            return 0.0;
        };
        let count: usize = self.events.iter().map(|(_, count)| count).sum();
        // A window that has only begun would exaggerate.
        let time = now.duration_since(*first).max(Duration::from_secs(1));
        count as f64 / time.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_forgets() {
        let mut rate = Rate::default();
        let start = Instant::now();
        rate.add(start, 10);
        rate.add(start + Duration::from_secs(2), 10);
        assert_eq!(rate.per_second(start + Duration::from_secs(2)), 10.0);
        assert_eq!(rate.per_second(start + Duration::from_secs(20)), 0.0);
    }
}
