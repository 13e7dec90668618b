//! Whether the system gives the threads that a command needs.
//!
//! The libraries that start threads, the async runtime and the log's writer among them, panic where they get none.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::error::CliError;
use crate::runtime::processors;

/// Threads that any command may start beside those that compute: for signals, a progress line, a decoder.
pub(super) const FEW: usize = 4;

/// Most threads that are tried: there is time for these, and a machine that is asked for more seldom has so low a limit.
const MOST: usize = 512;

/// Threads of a model: those of its two graphs, each `threads` or as many as there are processors, and of the work beside them.
pub(super) fn of_model(threads: Option<usize>) -> usize {
    threads
        .unwrap_or_else(processors)
        .saturating_mul(2)
        .saturating_add(FEW)
}

/// Threads of a server with so many models: theirs, and those of its async runtime and its log.
#[cfg(feature = "server")]
pub(super) fn of_server(models: usize, threads: Option<usize>) -> usize {
    let models = of_model(threads).saturating_mul(models.max(1));
    models.saturating_add(processors() + FEW)
}

/// Starts so many threads at once, though no more than [`MOST`], and ends them.
///
/// # Errors
/// [`CliError::Threads`] when the system refuses one.
pub(super) fn check(count: usize) -> Result<(), CliError> {
    try_all(count.min(MOST)).map_err(|source| CliError::Threads { source })
}

fn try_all(count: usize) -> io::Result<()> {
    let gate = Arc::new(Mutex::new(()));
    let held = gate.lock().unwrap_or_else(PoisonError::into_inner);
    let start = |_| {
        let gate = gate.clone();
        let waits = move || drop(gate.lock());
        thread::Builder::new().spawn(waits)
    };
    // Each waits at the gate, so that all of them are there together.
    let started: io::Result<Vec<_>> = (0..count).map(start).collect();
    drop(held);
    for thread in started? {
        // It cannot panic.
        let _ = thread.join();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_threads_are_to_be_had() {
        assert!(check(FEW).is_ok());
    }
}
