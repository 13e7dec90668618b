//! A whole clip, from its first frame to its last.

use super::engine::Outcome;
use super::{
    MAX_BATCH, Progress, Sampling, Stream, Synthesis, SynthesisOptions, Vocoder, VocoderError,
    WindowPlan,
};
use crate::mel::Mel;
use crate::runtime::Provider;
use ndarray::Axis;
use std::ops::ControlFlow;
use std::time::Instant;

/// Frames, over all steps, of a clip that is worth the copies of the denoiser which several windows at once need on a CPU: they take 0.04 s
/// and 40 MB to load, and save 4 ms a second of audio.
const LONG: usize = 8192;

impl Vocoder {
    /// Makes the waveform of `mel`, which is in the bundle's convention: `frames * hop` samples.
    ///
    /// The mel goes through in pieces, so that memory does not grow with its length beyond the mel and the samples themselves. `observer`
    /// is called after every denoiser call and may stop the synthesis.
    ///
    /// # Errors
    /// [`VocoderError::Cancelled`] when the observer breaks off; a mel with other bands than the bundle's, a schedule or window that
    /// cannot be used, a graph that fails or answers with other shapes or numbers than it should.
    pub fn synthesize(
        &mut self,
        mel: &Mel,
        options: &SynthesisOptions,
        observer: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Synthesis, VocoderError> {
        let (began, graph_time) = (Instant::now(), self.graph_time());
        let Sampling { name, solver, plan } =
            options.schedule.resolve(self.manifest(), options.solver)?;
        let steps = plan.steps();
        let short = self.provider() == Provider::Cpu.name() && mel.frames() * steps < LONG;
        let usual = if short { 1 } else { self.best_batch() };
        let batch = options.batch.unwrap_or(usual);
        check_batch(batch)?;
        let context = self.manifest().context;
        let windows = match options.window_frames {
            Some(frames) => WindowPlan::exact(frames, context, steps)?,
            None => WindowPlan::balanced(mel.frames(), context, steps)?,
        };
        let windows = windows.at_most(self.longest_core());
        let mut progress = Progress {
            done: 0,
            total: (mel.frames() * steps) as u64,
        };
        let mut calls = 0;
        let mut watch = |frames| {
            progress.done += frames;
            calls += 1;
            observer(progress)
        };

        let mut stream = self.stream(plan, options.seed, windows);
        if batch > 1 {
            // Beside a single window on all threads they would hold up every one of its operators.
            stream = stream.deferring();
        }
        let mut samples = Vec::with_capacity(mel.frames() * self.manifest().mel.hop);
        for piece in mel.view().axis_chunks_iter(Axis(1), windows.chunks.longest) {
            stream.push(piece)?;
            // One round a piece lets the windows of all steps come ready together; alone they may as well run at once.
            while self.advance(&mut stream, batch, &mut watch)? && batch == 1 {}
            stream.take(&mut samples);
        }
        stream.end()?;
        while self.advance(&mut stream, batch, &mut watch)? {}
        stream.settle()?;
        stream.take(&mut samples);
        Ok(Synthesis {
            samples,
            sample_rate: self.manifest().mel.sample_rate,
            steps,
            schedule: name,
            solver,
            seed: options.seed,
            provider: self.provider().to_owned(),
            window_frames: windows.chunks.longest,
            calls,
            elapsed: began.elapsed(),
            graph_time: self.graph_time() - graph_time,
        })
    }

    /// Runs the windows that are ready, at most one a step, in calls of up to `batch` windows of one length. Returns whether there was any.
    fn advance(
        &mut self,
        stream: &mut Stream,
        batch: usize,
        observer: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<bool, VocoderError> {
        let jobs: Vec<_> = stream
            .ready()
            .into_iter()
            .map(|window| (0, window))
            .collect();
        for alike in jobs.chunk_by(|a, b| a.1.frames == b.1.frames) {
            for jobs in alike.chunks(batch) {
                let Outcome { advanced, failed } = self.run(&mut [&mut *stream], jobs)?;
                if let Some((_, error)) = failed.into_iter().next() {
                    return Err(error);
                }
                if observer(advanced).is_break() {
                    return Err(VocoderError::Cancelled);
                }
            }
        }
        Ok(!jobs.is_empty())
    }
}

/// Refuses batches of no windows, and those that are too large to allocate for.
pub(super) fn check_batch(found: usize) -> Result<(), VocoderError> {
    let limit = MAX_BATCH;
    if (1..=limit).contains(&found) {
        Ok(())
    } else {
        Err(VocoderError::BatchSize { found, limit })
    }
}
