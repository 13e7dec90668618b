//! Sessions side by side on a CPU.
//!
//! The denoiser's products are too small to be split well: on two threads a window takes 0.75 of its time on one. So each of up to four
//! sessions has its share of the threads; windows are done side by side, and of a call's windows those left over are cut in parts.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::ThreadPool;

use super::interface::Interface;
use super::part::Part;
use super::runner::{Answer, Job, WindowRunner, run};
use crate::runtime::Graph;
use crate::vocoder::error::VocoderError;

/// Most sessions; each holds the graph's weights once more.
const MAX_SESSIONS: usize = 4;

/// The threads of each session, of `threads` in all: their sum is `threads`.
pub(super) fn shares(threads: usize) -> Vec<usize> {
    let sessions = threads.clamp(1, MAX_SESSIONS);
    let share = |session| threads / sessions + usize::from(session < threads % sessions);
    (0..sessions).map(share).collect()
}

/// Equal sessions of one graph, and a thread for each.
pub(super) struct CpuSessions {
    pool: Arc<ThreadPool>,
    /// The sessions that do nothing at this moment.
    idle: Arc<Mutex<Vec<Graph>>>,
    sessions: usize,
    interface: Arc<Interface>,
}

impl CpuSessions {
    /// Takes over the sessions, at least one.
    ///
    /// # Errors
    /// [`VocoderError::Threads`] where the system gives none for them.
    pub fn new(graphs: Vec<Graph>, interface: Arc<Interface>) -> Result<CpuSessions, VocoderError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(graphs.len())
            .thread_name(|index| format!("vocode-worker-{index}"))
            .build()?;
        Ok(CpuSessions {
            pool: Arc::new(pool),
            sessions: graphs.len(),
            idle: Arc::new(Mutex::new(graphs)),
            interface,
        })
    }

    /// The sessions' threads, for other work between jobs.
    pub fn pool(&self) -> &Arc<ThreadPool> {
        &self.pool
    }
}

impl WindowRunner for CpuSessions {
    fn sessions(&self) -> usize {
        self.sessions
    }

    fn parts(&self, windows: usize, frames: usize) -> Vec<Part> {
        Part::of_batch(windows, frames, self.interface.context, self.sessions)
    }

    fn start(&mut self, job: Job, answers: &Sender<Answer>) {
        let (interface, idle) = (self.interface.clone(), self.idle.clone());
        let answers = answers.clone();
        self.pool.spawn(move || {
            let Job {
                number,
                batch,
                part,
            } = job;
            let idle = || idle.lock().unwrap_or_else(PoisonError::into_inner);
            // There are as many threads as sessions, so one is idle; but a guard must not live while it runs.
            let session = idle().pop();
            let prediction = session.map_or(Err(VocoderError::WorkerLost), |mut graph| {
                let work = || run(&mut graph, &batch.part(&interface, &part));
                let found = catch_unwind(AssertUnwindSafe(work));
                idle().push(graph);
                found.unwrap_or(Err(VocoderError::WorkerLost))
            });
            drop(batch);
            // A caller that has given up hears nothing.
            let _ = answers.send(Answer {
                number,
                part,
                prediction,
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_threads_are_used() {
        for threads in 1..=64 {
            let shares = shares(threads);
            assert_eq!(shares.iter().sum::<usize>(), threads);
            assert!(shares.iter().all(|share| *share >= 1), "{threads}");
            assert!(shares.len() <= MAX_SESSIONS);
        }
        assert_eq!(shares(1), [1]);
        assert_eq!(shares(6), [2, 2, 1, 1]);
        assert_eq!(shares(7), [2, 2, 2, 1]);
    }
}
