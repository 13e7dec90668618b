//! The engine proper: a bundle's networks and the tick that moves streams forward.

use super::batch::Batch;
use super::networks::Networks;
use super::stream::Stream;
use super::wavefront::Window;
use super::{VocoderError, WindowPlan};
use crate::bundle::{Bundle, Manifest};
use crate::diffusion::Plan;
use crate::dsp::EnvelopeFilter;
use crate::runtime::{Runtime, SessionOptions};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// Most windows in one denoiser call.
pub const MAX_BATCH: usize = 256;

/// A loaded model.
pub struct Vocoder {
    manifest: Manifest,
    sha256: String,
    networks: Networks,
    envelope: Option<EnvelopeFilter>,
    load_time: Duration,
}

impl Vocoder {
    /// Loads a bundle's graphs, checks them against its manifest, and runs each once on a few silent frames.
    ///
    /// # Errors
    /// Graphs that ONNX Runtime refuses, whose ports are not the contract's, or whose outputs do not fit the manifest's hop.
    pub fn new(
        bundle: Bundle,
        runtime: &Runtime,
        options: &SessionOptions,
    ) -> Result<Vocoder, VocoderError> {
        let began = Instant::now();
        let networks = Networks::load(&bundle, runtime, options)?;
        let Bundle {
            manifest, sha256, ..
        } = bundle;
        let filter = |parameters| EnvelopeFilter::new(&manifest.mel, parameters);
        let envelope = manifest.envelope.as_ref().map(filter).transpose()?;
        Ok(Vocoder {
            manifest,
            sha256,
            networks,
            envelope,
            load_time: began.elapsed(),
        })
    }

    /// What the bundle says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// [`Bundle::sha256`] of the bundle.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The execution provider that runs the denoiser.
    pub fn provider(&self) -> &str {
        self.networks.provider()
    }

    /// Time that [`Vocoder::new`] took.
    pub fn load_time(&self) -> Duration {
        self.load_time
    }

    /// Starts a synthesis of a mel in the bundle's convention.
    pub fn stream(&self, plan: Plan, seed: u64, windows: WindowPlan) -> Stream {
        Stream::new(&self.manifest, self.envelope.as_ref(), plan, seed, windows)
    }

    /// Runs every window that is ready, at most one a step and stream, in calls of up to `batch` windows of one shape. Returns
    /// whether there was any.
    ///
    /// `observer` is called after each denoiser call with the frames by which steps advanced, added up; it may stop the work there.
    ///
    /// # Errors
    /// [`VocoderError::Cancelled`] when the observer breaks off; graphs that fail or answer with other shapes or numbers than they
    /// should. The streams cannot go on after an error.
    pub fn tick(
        &mut self,
        streams: &mut [&mut Stream],
        batch: usize,
        observer: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<bool, VocoderError> {
        if !(1..=MAX_BATCH).contains(&batch) {
            return Err(VocoderError::BatchSize {
                found: batch,
                limit: MAX_BATCH,
            });
        }
        let mut jobs = Vec::new();
        for (index, stream) in streams.iter_mut().enumerate() {
            let ready = stream.ready();
            stream.condition(&mut self.networks, &ready)?;
            jobs.extend(ready.into_iter().map(|window| (index, window)));
        }
        let frames: Vec<usize> = streams
            .iter()
            .map(|stream| stream.front.windows().frames())
            .collect();
        for alike in jobs.chunk_by(|a, b| frames[a.0] == frames[b.0]) {
            for jobs in alike.chunks(batch) {
                let advanced = self.denoise(streams, jobs, frames[jobs[0].0])?;
                if observer(advanced).is_break() {
                    return Err(VocoderError::Cancelled);
                }
            }
        }
        Ok(!jobs.is_empty())
    }

    /// One denoiser call on windows of `frames` frames; returns the frames by which steps advanced.
    fn denoise(
        &mut self,
        streams: &mut [&mut Stream],
        jobs: &[(usize, Window)],
        frames: usize,
    ) -> Result<u64, VocoderError> {
        let mut batch = Batch::new(&self.networks, jobs.len(), frames);
        for (row, (index, window)) in jobs.iter().enumerate() {
            batch.set(row, &self.networks, streams[*index], window);
        }
        let predictions = self.networks.denoise(&batch)?;
        let mut advanced = 0;
        for ((index, window), (state, prediction)) in jobs
            .iter()
            .zip(batch.x.rows().into_iter().zip(predictions.rows()))
        {
            advanced += streams[*index].apply(window, &state.to_vec(), &prediction.to_vec())?;
        }
        Ok(advanced)
    }
}
