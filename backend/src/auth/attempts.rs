//! Slows down guessing: few failed sign-ins an address a minute.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::error::{ApiError, Result};

const WINDOW: Duration = Duration::from_secs(60);
const FAILURES: u32 = 10;
/// Addresses remembered at most; beyond it, forgotten windows make room.
const ADDRESSES: usize = 10_000;

/// Failed sign-ins by address.
#[derive(Debug, Default)]
pub struct Attempts {
    failures: Mutex<HashMap<IpAddr, (Instant, u32)>>,
}

impl Attempts {
    /// # Errors
    /// 429 when this address has failed too often in the last minute.
    pub fn check(&self, address: IpAddr) -> Result<()> {
        let failures = self
            .failures
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        match failures.get(&address) {
            Some((since, count)) if *count >= FAILURES && since.elapsed() < WINDOW => {
                let left = WINDOW.saturating_sub(since.elapsed());
                Err(ApiError::TooManyAttempts {
                    retry_after_s: left.as_secs() + 1,
                })
            }
            _ => Ok(()),
        }
    }

    /// Notes a failure.
    pub fn failed(&self, address: IpAddr) {
        let mut failures = self
            .failures
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if failures.len() >= ADDRESSES {
            failures.retain(|_, (since, _)| since.elapsed() < WINDOW);
        }
        let entry = failures.entry(address).or_insert((Instant::now(), 0));
        if entry.0.elapsed() >= WINDOW {
            *entry = (Instant::now(), 0);
        }
        entry.1 += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_fails_too_often_waits_and_others_do_not() {
        let attempts = Attempts::default();
        let guesser = IpAddr::from([192, 0, 2, 1]);
        for _ in 0..FAILURES {
            attempts.check(guesser).unwrap();
            attempts.failed(guesser);
        }
        assert_eq!(
            attempts.check(guesser).unwrap_err().code(),
            "too_many_attempts"
        );
        attempts.check(IpAddr::from([192, 0, 2, 2])).unwrap();
    }
}
