//! How the process holds its memory.
//!
//! A stream holds some 2 MB while it is worked on, and how many are at once depends on the day: after a busy moment the GNU C library would
//! keep what the streams of that moment held, in pieces between what is still in use.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

/// How often unused memory goes back to the system. It takes well under a millisecond where there is little to give.
const EVERY: Duration = Duration::from_secs(10);

/// Gives unused memory back to the system, again and again.
pub(super) async fn give_back() {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // Not on a thread that others wait for.
        if tokio::task::spawn_blocking(trim).await.is_err() {
            return;
        }
    }
}

fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: works on the allocator's own lists, under its locks.
    unsafe {
        libc::malloc_trim(0);
    }
}
