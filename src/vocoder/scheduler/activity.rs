//! Whether the thread that runs the model is at work, and since when.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What the worker of a [`Scheduler`](super::Scheduler) is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerState {
    /// It waits for work.
    Idle,
    /// It has worked on one denoiser call for this long.
    Busy(Duration),
    /// It has ended, as by a panic: nothing will be made any more.
    Lost,
}

const IDLE: u64 = 0;
const LOST: u64 = u64::MAX;

/// Written by the worker, read by anybody.
pub(super) struct Activity {
    origin: Instant,
    /// [`IDLE`], [`LOST`], or milliseconds since `origin`, from 1.
    busy_since: AtomicU64,
    has_time: AtomicBool,
}

impl Activity {
    pub fn new() -> Activity {
        Activity {
            origin: Instant::now(),
            busy_since: AtomicU64::new(IDLE),
            has_time: AtomicBool::new(true),
        }
    }

    pub fn waits(&self) {
        self.busy_since.store(IDLE, Ordering::Relaxed);
        self.spares(true);
    }

    pub fn works(&self) {
        self.busy_since.store(self.now(), Ordering::Relaxed);
    }

    /// Notes whether a listener needs what is worked on next, or nobody does soon.
    pub fn spares(&self, has_time: bool) {
        self.has_time.store(has_time, Ordering::Relaxed);
    }

    pub fn has_time(&self) -> bool {
        self.has_time.load(Ordering::Relaxed)
    }

    pub fn state(&self) -> WorkerState {
        match self.busy_since.load(Ordering::Relaxed) {
            IDLE => WorkerState::Idle,
            LOST => WorkerState::Lost,
            since => WorkerState::Busy(Duration::from_millis(self.now().saturating_sub(since))),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis())
            .unwrap_or(LOST - 1)
            .clamp(1, LOST - 1)
    }
}

/// Says that the worker is lost when it goes, however it goes.
pub(super) struct Watched(pub std::sync::Arc<Activity>);

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.busy_since.store(LOST, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_worker_that_goes_is_lost_whatever_it_did() {
        let activity = Arc::new(Activity::new());
        assert_eq!(activity.state(), WorkerState::Idle);
        let copy = activity.clone();
        let thread = std::thread::spawn(move || {
            let watched = Watched(copy);
            watched.0.works();
            assert!(matches!(watched.0.state(), WorkerState::Busy(_)));
            panic!("on purpose");
        });
        assert!(thread.join().is_err());
        assert_eq!(activity.state(), WorkerState::Lost);
    }
}
