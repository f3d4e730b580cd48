//! How long a cluster may be out of reach.

use std::time::{Duration, Instant};

/// Pauses between two questions meanwhile.
const PAUSES: [Duration; 4] = [
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(30),
];

/// Since when nothing answered.
#[derive(Clone, Debug)]
pub struct Outage {
    since: Option<Instant>,
    tries: usize,
    limit: Duration,
}

/// What to do about a question without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask again after so long.
    Wait(Duration),
    /// It has lasted too long.
    GiveUp,
}

impl Outage {
    pub const fn new(limit: Duration) -> Self {
        Self {
            since: None,
            tries: 0,
            limit,
        }
    }

    pub fn failed(&mut self, now: Instant) -> Next {
        let since = *self.since.get_or_insert(now);
        if now.duration_since(since) >= self.limit {
            return Next::GiveUp;
        }
        let pause = PAUSES[self.tries.min(PAUSES.len() - 1)];
        self.tries += 1;
        Next::Wait(pause)
    }

    /// Whether that ends an outage.
    pub fn answered(&mut self) -> bool {
        self.tries = 0;
        self.since.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_waited_out_up_to_its_limit() {
        let begun = Instant::now();
        let at = |seconds: u64| begun + Duration::from_secs(seconds);
        let mut outage = Outage::new(Duration::from_secs(60));
        let wait = |seconds: u64| Next::Wait(Duration::from_secs(seconds));
        assert_eq!(outage.failed(at(0)), wait(2));
        assert_eq!(outage.failed(at(2)), wait(5));
        assert!(outage.answered() && !outage.answered());
        assert_eq!(outage.failed(at(100)), wait(2));
        assert_eq!(outage.failed(at(159)), wait(5));
        assert_eq!(outage.failed(at(160)), Next::GiveUp);
    }
}
