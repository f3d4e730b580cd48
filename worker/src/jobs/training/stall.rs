//! An alarm for a run whose steps no longer end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// No alarm before so long, however short steps are.
const LEAST: Duration = Duration::from_secs(120);
/// A step may take so many times the usual.
const FACTOR: f64 = 6.0;

#[derive(Debug)]
struct State {
    since: Instant,
    /// Mean seconds of a step, over the last few.
    usual_s: Option<f64>,
    told: bool,
}

/// When the last step ended, shared with who watches it.
#[derive(Clone, Debug)]
pub struct Stall(Arc<Mutex<State>>);

impl Stall {
    pub fn new(now: Instant) -> Self {
        Self(Arc::new(Mutex::new(State {
            since: now,
            usual_s: None,
            told: false,
        })))
    }

    /// A step ended.
    pub fn ended(&self, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let took = now.duration_since(state.since).as_secs_f64();
        state.usual_s = Some(state.usual_s.map_or(took, |usual| 0.8 * usual + 0.2 * took));
        state.since = now;
        state.told = false;
    }

    /// The run waits for something that it has told of.
    pub fn paused(&self, now: Instant) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).since = now;
    }

    /// What is wrong, once for each time that it is.
    pub fn alarm(&self, now: Instant) -> Option<String> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The first step also loads and compiles: only later ones can be late.
        let usual = state.usual_s?;
        let waited = now.duration_since(state.since);
        let is_late = waited > LEAST && waited.as_secs_f64() > FACTOR * usual;
        if !is_late || state.told {
            return None;
        }
        state.told = true;
        Some(format!(
            "no step has ended for {} s; they usually take {usual:.0} s",
            waited.as_secs()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_step_is_told_once_and_again_when_it_happens_again() {
        let begun = Instant::now();
        let at = |seconds: u64| begun + Duration::from_secs(seconds);
        let stall = Stall::new(begun);
        assert_eq!(stall.alarm(at(10_000)), None, "nothing is usual yet");
        let stall = Stall::new(begun);
        stall.ended(at(60));
        assert_eq!(stall.alarm(at(60 + 200)), None);
        let words = stall.alarm(at(60 + 400)).unwrap();
        assert!(words.contains("400 s") && words.contains("60 s"), "{words}");
        assert_eq!(stall.alarm(at(60 + 500)), None);
        stall.ended(at(600));
        assert_eq!(stall.alarm(at(700)), None);
        assert!(stall.alarm(at(600 + 1200)).is_some());
    }

    #[test]
    fn quick_steps_have_two_minutes() {
        let begun = Instant::now();
        let stall = Stall::new(begun);
        stall.ended(begun + Duration::from_secs(1));
        assert_eq!(stall.alarm(begun + Duration::from_secs(100)), None);
        stall.paused(begun + Duration::from_secs(100));
        assert_eq!(stall.alarm(begun + Duration::from_secs(200)), None);
        assert!(stall.alarm(begun + Duration::from_secs(300)).is_some());
    }
}
