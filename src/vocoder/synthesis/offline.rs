//! A whole clip, from its first frame to its last.

use std::ops::ControlFlow;
use std::time::Instant;

use ndarray::Axis;

use super::engine::{Outcome, Vocoder, check_batch};
use super::pipeline;
use super::stream::Stream;
use crate::mel::Mel;
use crate::vocoder::error::VocoderError;
use crate::vocoder::options::{Progress, Sampling, Synthesis, SynthesisOptions};
use crate::vocoder::plan::WindowPlan;

impl Vocoder {
    /// Makes the waveform of `mel`, which is in the bundle's convention: `frames * hop` samples.
    ///
    /// The mel goes through in pieces, so that memory does not grow with its length beyond the mel and the samples themselves.
    ///
    /// # Errors
    /// A mel with other bands than the bundle's, a schedule or window that cannot be used, a graph that fails or answers with other shapes
    /// or numbers than it should.
    pub fn synthesize(
        &mut self,
        mel: &Mel,
        options: &SynthesisOptions,
    ) -> Result<Synthesis, VocoderError> {
        self.synthesize_observed(mel, options, &mut |_| ControlFlow::Continue(()))
    }

    /// [`Vocoder::synthesize`] with an `observer` that is called after every denoiser call and may break the synthesis off.
    ///
    /// # Errors
    /// [`VocoderError::Cancelled`] when the observer breaks off, and those of [`Vocoder::synthesize`].
    pub fn synthesize_observed(
        &mut self,
        mel: &Mel,
        options: &SynthesisOptions,
        observer: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Synthesis, VocoderError> {
        let (began, graph_time) = (Instant::now(), self.graph_time());
        let sampling = options.schedule.resolve(self.manifest(), options.solver)?;
        let steps = sampling.plan.steps();
        options.batch.map_or(Ok(()), check_batch)?;
        let context = self.manifest().context;
        let bounds = self.bounds();
        let windows = match options.window_frames {
            Some(frames) => WindowPlan::exact(frames, context, steps)?,
            None => {
                let longest = bounds.usual_core(mel.frames(), context.denoiser);
                WindowPlan::balanced(mel.frames(), context, steps, longest)?
            }
        };
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

        let watermark = options.watermark.as_ref();
        let stream = self.stream(&sampling, options.seed, windows, watermark)?;
        let mut stream = stream.sharpened(options.sharpening)?;
        let Sampling { name, solver, .. } = sampling;
        let window_frames = stream.windows().chunks.longest;
        let samples = match options.batch {
            None if bounds.sessions > 1 => {
                pipeline::synthesize(&mut self.networks, &mut stream, mel, &mut watch)?
            }
            batch => {
                let batch = batch.unwrap_or(self.best_batch());
                self.in_batches(&mut stream, mel, batch, &mut watch)?
            }
        };
        Ok(Synthesis {
            samples,
            sample_rate: self.manifest().mel.sample_rate,
            steps,
            schedule: name,
            solver,
            seed: options.seed,
            provider: self.provider().to_owned(),
            window_frames,
            calls,
            elapsed: began.elapsed(),
            graph_time: self.graph_time() - graph_time,
        })
    }

    /// Sends the whole of `mel` through a new stream, in calls of up to `batch` windows.
    fn in_batches(
        &mut self,
        stream: &mut Stream,
        mel: &Mel,
        batch: usize,
        watch: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Vec<f32>, VocoderError> {
        let longest = stream.windows().chunks.longest;
        let mut samples = Vec::with_capacity(mel.frames() * self.manifest().mel.hop);
        for piece in mel.view().axis_chunks_iter(Axis(1), longest) {
            stream.push(piece)?;
            // One round a piece lets the windows of all steps come ready together; alone they may as well run at once.
            while self.run_ready(stream, batch, watch)? && batch == 1 {}
            stream.take_into(&mut samples);
        }
        stream.end()?;
        while self.run_ready(stream, batch, watch)? {}
        stream.take_into(&mut samples);
        Ok(samples)
    }

    /// Runs the windows that are ready, at most one a step, in calls of up to `batch` windows of one length. Returns whether there was any.
    pub(super) fn run_ready(
        &mut self,
        stream: &mut Stream,
        batch: usize,
        observer: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<bool, VocoderError> {
        let jobs: Vec<_> = stream
            .ready_up_to(batch)
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
