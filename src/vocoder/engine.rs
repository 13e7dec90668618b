//! The engine proper: a bundle's networks and the tick that moves streams forward.

use super::batch::Batch;
use super::networks::Networks;
use super::stream::Stream;
use super::tail::Filters;
use super::wavefront::Window;
use super::{VocoderError, WindowPlan};
use crate::bundle::{Bundle, Manifest};
use crate::diffusion::Plan;
use crate::runtime::{Runtime, SessionOptions};
use std::time::{Duration, Instant};

/// Most windows in one denoiser call.
pub const MAX_BATCH: usize = 256;

/// A loaded model.
pub struct Vocoder {
    manifest: Manifest,
    sha256: String,
    networks: Networks,
    filters: Filters,
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
        Ok(Vocoder {
            filters: Filters::new(&manifest)?,
            manifest,
            sha256,
            networks,
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

    /// What finished samples go through.
    pub(super) fn filters(&self) -> &Filters {
        &self.filters
    }

    /// Time that [`Vocoder::new`] took.
    pub fn load_time(&self) -> Duration {
        self.load_time
    }

    /// Starts a synthesis of a mel in the bundle's convention.
    pub fn stream(&self, plan: Plan, seed: u64, windows: WindowPlan) -> Stream {
        Stream::new(&self.manifest, &self.filters, plan, seed, windows)
    }

    /// Runs windows of one length, of any steps and streams, in one denoiser call. `jobs` names each stream by its place in `streams`.
    ///
    /// # Errors
    /// A graph that fails or answers with another shape than it should. What is wrong with one stream alone (its conditions or predictions
    /// are not finite) is in the [`Outcome`] and does not touch the others. A stream cannot go on after an error.
    ///
    /// # Panics
    /// Never, for windows that [`Stream::ready`] gave since the stream's last call.
    pub fn run(
        &mut self,
        streams: &mut [&mut Stream],
        jobs: &[(usize, Window)],
    ) -> Result<Outcome, VocoderError> {
        let mut outcome = Outcome::default();
        let mut sound: Vec<(usize, Window)> = Vec::with_capacity(jobs.len());
        for (index, window) in jobs {
            match streams[*index].condition(&mut self.networks, window) {
                Ok(()) => sound.push((*index, *window)),
                Err(error) => outcome.failed.push((*index, error)),
            }
        }
        let Some((_, first)) = sound.first() else {
            return Ok(outcome);
        };
        let mut batch = Batch::new(&self.networks, sound.len(), first.frames);
        for (row, (index, window)) in sound.iter().enumerate() {
            batch.set(row, &self.networks, streams[*index], window);
        }
        let predictions = self.networks.denoise(&batch)?;
        for ((index, window), (state, prediction)) in sound
            .iter()
            .zip(batch.x.rows().into_iter().zip(predictions.rows()))
        {
            match streams[*index].apply(window, &state.to_vec(), &prediction.to_vec()) {
                Ok(frames) => outcome.advanced += frames,
                Err(error) => outcome.failed.push((*index, error)),
            }
        }
        Ok(outcome)
    }
}

/// What a denoiser call did.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Frames by which steps advanced, added up.
    pub advanced: u64,
    /// Streams that cannot go on, by their place, and why.
    pub failed: Vec<(usize, VocoderError)>,
}
