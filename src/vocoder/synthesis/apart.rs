//! Many streams on several sessions: each on one thread from its conditions to its samples, so that no thread waits for another in between.

use std::sync::{Mutex, PoisonError};

use rayon::iter::{IndexedParallelIterator, IntoParallelRefMutIterator, ParallelIterator};

use super::engine::{Outcome, Vocoder};
use super::stream::Stream;
use crate::vocoder::error::VocoderError;
use crate::vocoder::networks::{Conditioner, CpuSessions};
use crate::vocoder::plan::Window;

/// A stream with its place among all, and its windows.
struct Task<'a, 'b> {
    index: usize,
    stream: &'a mut &'b mut Stream,
    windows: Vec<Window>,
}

/// Why a stream's windows did not all run.
enum Fault {
    /// It cannot go on; others can.
    Stream(VocoderError),
    /// The model failed.
    Call(VocoderError),
}

impl Vocoder {
    /// Runs windows as [`Vocoder::run`] does; `None` where there are fewer streams than sessions, or one session.
    pub(super) fn run_apart(
        &mut self,
        streams: &mut [&mut Stream],
        jobs: &[(usize, Window)],
    ) -> Option<Result<Outcome, VocoderError>> {
        let sessions = self.networks.denoiser.side_by_side()?.clone();
        let mut tasks: Vec<_> = streams
            .iter_mut()
            .enumerate()
            .map(|(index, stream)| Task {
                index,
                stream,
                windows: Vec::new(),
            })
            .collect();
        for (index, window) in jobs {
            tasks[*index].windows.push(*window);
        }
        tasks.retain(|task| !task.windows.is_empty());
        if tasks.len() < sessions.count() {
            return None;
        }
        let conditioner = Mutex::new(&mut self.networks.conditioner);
        let run = |task: &mut Task| (task.index, task.run(&sessions, &conditioner));
        let results: Vec<_> = sessions
            .pool()
            .install(|| tasks.par_iter_mut().with_max_len(1).map(run).collect());
        let mut outcome = Outcome::default();
        for (index, result) in results {
            match result {
                Ok(frames) => outcome.advanced += frames,
                Err(Fault::Stream(error)) => outcome.failed.push((index, error)),
                Err(Fault::Call(error)) => return Some(Err(error)),
            }
        }
        Some(Ok(outcome))
    }
}

impl Task<'_, '_> {
    /// Runs the windows, and gives the frames by which the stream's steps advanced.
    fn run(
        &mut self,
        sessions: &CpuSessions,
        conditioner: &Mutex<&mut Conditioner>,
    ) -> Result<u64, Fault> {
        let mut advanced = 0;
        for window in &self.windows {
            if self.stream.missing(window) > 0 {
                let mut conditioner = conditioner.lock().unwrap_or_else(PoisonError::into_inner);
                let conditioned = self.stream.condition(&mut conditioner, window);
                conditioned.map_err(Fault::Stream)?;
            }
            let stream = &mut *self.stream;
            let applied = sessions.with_one(|session| {
                let interface = sessions.interface();
                session.batch.reshape(interface, 1, window.frames, true);
                stream.write(window, &mut session.batch, 0, interface);
                let prediction = session.run(interface)?;
                let state = session.batch.x.as_slice().unwrap_or_default();
                let prediction = prediction.as_slice().unwrap_or_default();
                Ok(stream.apply(window, state, prediction))
            });
            advanced += applied.map_err(Fault::Call)?.map_err(Fault::Stream)?;
        }
        self.stream.collect().map_err(Fault::Stream)?;
        Ok(advanced)
    }
}
