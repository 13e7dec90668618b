//! Sessions side by side on a CPU.
//!
//! The denoiser's products are too small to be split well: on two threads a window takes 0.75 of its time on one. So each of up to four
//! sessions has its share of the threads; windows are done side by side, and of a call's windows those left over are cut in parts.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use ndarray::Array2;
use rayon::ThreadPool;

use super::batch::Batch;
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

/// Equal sessions of one graph, and a thread for each. Cheap to clone: the sessions are the same.
#[derive(Clone)]
pub(in crate::vocoder) struct CpuSessions {
    pool: Arc<ThreadPool>,
    /// The sessions that do nothing at this moment.
    idle: Arc<Mutex<Vec<CpuSession>>>,
    sessions: usize,
    interface: Arc<Interface>,
}

/// A session, and the inputs of its last call of its own, for their memory.
pub(in crate::vocoder) struct CpuSession {
    graph: Graph,
    pub batch: Batch,
}

impl CpuSession {
    /// Runs the whole of its batch.
    ///
    /// # Errors
    /// A run that fails, or whose answer has another shape.
    pub fn run(&mut self, interface: &Interface) -> Result<Array2<f32>, VocoderError> {
        run(&mut self.graph, &self.batch.inputs(interface))
    }
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
        let session = |graph| CpuSession {
            graph,
            batch: Batch::default(),
        };
        Ok(CpuSessions {
            pool: Arc::new(pool),
            sessions: graphs.len(),
            idle: Arc::new(Mutex::new(graphs.into_iter().map(session).collect())),
            interface,
        })
    }

    /// The sessions' threads, for other work between jobs.
    pub fn pool(&self) -> &ThreadPool {
        &self.pool
    }

    /// The inputs and outputs of the graph.
    pub fn interface(&self) -> &Interface {
        &self.interface
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.sessions
    }

    /// Does something with a session, on one of their threads: there are as many as sessions, so that one is idle.
    ///
    /// # Errors
    /// Those of `work`, and [`VocoderError::WorkerLost`] where it panics.
    pub fn with_one<T>(
        &self,
        work: impl FnOnce(&mut CpuSession) -> Result<T, VocoderError>,
    ) -> Result<T, VocoderError> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // A guard must not live while it runs.
        let session = idle().pop();
        session.map_or(Err(VocoderError::WorkerLost), |mut session| {
            let found = catch_unwind(AssertUnwindSafe(|| work(&mut session)));
            idle().push(session);
            found.unwrap_or(Err(VocoderError::WorkerLost))
        })
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
        let (sessions, answers) = (self.clone(), answers.clone());
        self.pool.spawn(move || {
            let Job {
                number,
                batch,
                part,
            } = job;
            let inputs = batch.part(&sessions.interface, &part);
            let prediction = sessions.with_one(|session| run(&mut session.graph, &inputs));
            drop(inputs);
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
