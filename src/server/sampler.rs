//! Lines of a log that callers could make many of.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Lines in [`PERIOD`].
const LINES: u32 = 10;
const PERIOD: Duration = Duration::from_secs(1);

/// Lets ten lines a second through and counts the others.
pub(super) struct Sampler(Mutex<State>);

struct State {
    since: Option<Instant>,
    passed: u32,
    held_back: u64,
}

impl Sampler {
    pub const fn new() -> Sampler {
        Sampler(Mutex::new(State {
            since: None,
            passed: 0,
            held_back: 0,
        }))
    }

    /// Whether a line may be written, and how many were held back since the last that was.
    pub fn pass(&self) -> Option<u64> {
        self.pass_at(Instant::now())
    }

    fn pass_at(&self, now: Instant) -> Option<u64> {
        let mut state = self
            .0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if state.since.is_none_or(|since| now - since >= PERIOD) {
            state.since = Some(now);
            state.passed = 0;
        }
        if state.passed == LINES {
            state.held_back += 1;
            return None;
        }
        state.passed += 1;
        Some(std::mem::take(&mut state.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_ten_a_second_are_counted() {
        let (sampler, now) = (Sampler::new(), Instant::now());
        let passed = (0..100).filter(|_| sampler.pass_at(now).is_some()).count();
        assert_eq!(passed, 10);
        assert_eq!(sampler.pass_at(now + PERIOD), Some(90));
        assert_eq!(sampler.pass_at(now + PERIOD), Some(0));
    }
}
