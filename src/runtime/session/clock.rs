//! How long ONNX Runtime ran graphs, whichever threads called it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Adds up the time in which at least one run of a graph was under way. Clones share the sum.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<Mutex<Sum>>);

#[derive(Debug, Default)]
struct Sum {
    calls: usize,
    since: Option<Instant>,
    total: Duration,
}

/// A call under way.
struct Call<'a>(&'a Clock);

impl Clock {
    /// Does `work`, which counts.
    pub(super) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        let mut sum = self.sum();
        sum.calls += 1;
        sum.since.get_or_insert_with(Instant::now);
        drop(sum);
        let _call = Call(self);
        work()
    }

    /// The time of the calls that have ended; of those that overlapped, once.
    pub fn total(&self) -> Duration {
        self.sum().total
    }

    fn sum(&self) -> MutexGuard<'_, Sum> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let mut sum = self.0.sum();
        sum.calls -= 1;
        if sum.calls == 0
            && let Some(since) = sum.since.take()
        {
            sum.total += since.elapsed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::thread;

    #[test]
    fn calls_that_overlap_count_once() {
        let (clock, together) = (Clock::default(), Barrier::new(3));
        let began = Instant::now();
        let call = || {
            clock.during(|| {
                together.wait();
                thread::sleep(Duration::from_millis(20));
            });
        };
        thread::scope(|scope| (0..3).for_each(|_| drop(scope.spawn(call))));
        let taken = began.elapsed();
        assert!(clock.total() >= Duration::from_millis(20));
        assert!(clock.total() <= taken);
        clock.during(|| ());
        assert!(clock.total() <= began.elapsed());
    }
}
