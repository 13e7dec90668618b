//! The engine proper: a bundle's networks and the tick that moves streams forward.

use super::batch::Batch;
use super::chain::Task;
use super::denoiser::Denoiser;
use super::networks::Networks;
use super::sizes::{Limits, Sizes};
use super::stream::Stream;
use super::tail::Filters;
use super::wavefront::Window;
use super::{VocoderError, WindowPlan};
use crate::bundle::{Bundle, Manifest};
use crate::diffusion::Plan;
use crate::runtime::{Placement, Runtime, SessionOptions};
use ndarray::{Array2, s};
use rayon::iter::{IntoParallelRefMutIterator, ParallelIterator};
use std::time::{Duration, Instant};

/// Most windows in one denoiser call.
pub const MAX_BATCH: usize = 256;

/// A loaded model.
pub struct Vocoder {
    manifest: Manifest,
    sha256: String,
    pub(super) networks: Networks,
    filters: Filters,
    /// The inputs of the last denoiser call, for their memory.
    batch: Batch,
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
            batch: Batch::default(),
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
        self.networks.denoiser.provider()
    }

    /// Where the denoiser's nodes run, as its session tells.
    pub fn placement(&self) -> &Placement {
        self.networks.denoiser.placement()
    }

    /// Why the denoiser runs on nothing faster, where `auto` chose.
    pub fn provider_note(&self) -> Option<&str> {
        self.networks.denoiser.provider_note()
    }

    /// Whether a window goes through all of so many steps without a copy in or out between them: the state, the conditions and the noise stay
    /// in the device's memory. So it is on a GPU, for up to 8 steps, and with [`SessionOptions::planned_sizes`].
    pub fn stays_on_device(&self, steps: usize) -> bool {
        self.limits().chains(steps)
    }

    /// Calls the graphs once in every planned size of up to `batch` windows, so that nothing is tuned or built while somebody waits. `tell`
    /// is given the calls made and their number. Where sizes are free, as on the CPU, it does nothing.
    ///
    /// # Errors
    /// A graph that fails.
    pub fn warm(
        &mut self,
        batch: usize,
        tell: &mut dyn FnMut(usize, usize),
    ) -> Result<(), VocoderError> {
        self.networks.warm(batch, tell)
    }

    /// Windows in one call that this provider does best: on a CPU as many as run side by side.
    pub fn best_batch(&self) -> usize {
        self.networks.denoiser.best_batch()
    }

    /// Time that ONNX Runtime has taken for the graphs so far.
    pub fn graph_time(&self) -> Duration {
        self.networks.spent()
    }

    /// How the windows of its streams are bounded.
    pub(super) fn limits(&self) -> Limits {
        self.networks.denoiser.limits()
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
        let limits = self.limits();
        Stream::new(&self.manifest, &self.filters, plan, seed, windows, &limits)
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
        // Windows that go through all steps in a row go with others of as many steps.
        let mut sound: Vec<(Option<usize>, (usize, Window))> = Vec::with_capacity(jobs.len());
        for (index, window) in jobs {
            let stream = &mut streams[*index];
            match stream.condition(&mut self.networks.conditioner, window) {
                Ok(()) => sound.push((stream.chain().map(Plan::steps), (*index, *window))),
                Err(error) => outcome.failed.push((*index, error)),
            }
        }
        let sizes = self.networks.denoiser.sizes.as_ref();
        let most = sizes.map_or(MAX_BATCH, |_| Sizes::largest_batch());
        sound.sort_by_key(|(steps, _)| *steps);
        for alike in sound.chunk_by(|a, b| a.0 == b.0) {
            let alike: Vec<_> = alike.iter().map(|(_, job)| *job).collect();
            for jobs in alike.chunks(most) {
                self.call(streams, jobs, &mut outcome)?;
            }
        }
        Ok(outcome)
    }

    /// One denoiser call for windows of one length, whose conditions are there.
    fn call(
        &mut self,
        streams: &mut [&mut Stream],
        jobs: &[(usize, Window)],
        outcome: &mut Outcome,
    ) -> Result<(), VocoderError> {
        let Some((_, first)) = jobs.first() else {
            return Ok(());
        };
        let denoiser = &mut self.networks.denoiser;
        let (windows, frames) = denoiser.call_size(jobs.len(), first.frames);
        let interface = denoiser.interface.clone();
        let batch = &mut self.batch;
        let exact = (windows, frames) == (jobs.len(), first.frames);
        batch.reshape(&interface, windows, frames, exact);
        for (row, (index, window)) in jobs.iter().enumerate() {
            batch.set(row, &interface, streams[*index], window);
        }
        let predictions = match chain_of(streams, jobs) {
            Some(plans) => through_all_steps(denoiser, batch, streams, jobs, &plans)?,
            None => denoiser.call(batch)?,
        };

        let mut windows = vec![Vec::new(); streams.len()];
        for (row, (index, window)) in jobs.iter().enumerate() {
            windows[*index].push((row, *window));
        }
        let concerned = streams.iter_mut().zip(&windows).enumerate();
        let mut concerned: Vec<_> = concerned.filter(|(_, (_, own))| !own.is_empty()).collect();
        let advance = |(index, (stream, own)): &mut (usize, (&mut &mut Stream, &Vec<_>))| {
            (
                *index,
                advance(stream, own, batch, &predictions, interface.hop),
            )
        };
        // The filters after the diffusion take a tenth of the denoiser's time.
        let results: Vec<_> = match denoiser.pool() {
            Some(pool) if concerned.len() > 1 => {
                pool.install(|| concerned.par_iter_mut().map(advance).collect())
            }
            _ => concerned.iter_mut().map(advance).collect(),
        };
        for (index, result) in results {
            match result {
                Ok(frames) => outcome.advanced += frames,
                Err(error) => outcome.failed.push((index, error)),
            }
        }
        Ok(())
    }
}

/// The plans of windows that go through all steps in a row.
fn chain_of<'a>(streams: &'a [&mut Stream], jobs: &[(usize, Window)]) -> Option<Vec<&'a Plan>> {
    jobs.iter()
        .map(|(index, _)| streams[*index].chain())
        .collect()
}

/// Takes windows through all steps of their plans, of which each has as many.
fn through_all_steps(
    denoiser: &mut Denoiser,
    batch: &Batch,
    streams: &[&mut Stream],
    jobs: &[(usize, Window)],
    plans: &[&Plan],
) -> Result<Array2<f32>, VocoderError> {
    let hop = denoiser.interface.hop;
    let mut inside = Array2::zeros(batch.x.dim());
    for (mut row, (index, window)) in inside.rows_mut().into_iter().zip(jobs) {
        let there = streams[*index].front.inside(window, window.frames * hop);
        row.slice_mut(s![there]).fill(1.0);
    }
    let noise = |step: usize, out: &mut Array2<f32>| {
        for (row, (index, window)) in out.rows_mut().into_iter().zip(jobs) {
            if let Some(row) = row.into_slice() {
                let front = &streams[*index].front;
                front.fill_noise(step as u32 + 1, window, &mut row[..window.frames * hop]);
            }
        }
    };
    denoiser.run_chain(&Task {
        batch,
        plans,
        inside: &inside,
        noise: &noise,
    })
}

/// Takes the answers to a stream's windows, each with its row, and moves on what they finish. Gives the frames by which its steps advanced.
fn advance(
    stream: &mut Stream,
    windows: &[(usize, Window)],
    batch: &Batch,
    predictions: &Array2<f32>,
    hop: usize,
) -> Result<u64, VocoderError> {
    let mut advanced = 0;
    for (row, window) in windows {
        let (state, prediction) = (batch.x.row(*row), predictions.row(*row));
        let (Some(state), Some(prediction)) = (state.to_slice(), prediction.to_slice()) else {
            continue; // Rows of arrays in standard layout, as both are, are slices.
        };
        let samples = window.frames * hop;
        advanced += stream.apply(window, &state[..samples], &prediction[..samples])?;
    }
    stream.collect()?;
    Ok(advanced)
}

/// What a denoiser call did.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Frames by which steps advanced, added up.
    pub advanced: u64,
    /// Streams that cannot go on, by their place, and why.
    pub failed: Vec<(usize, VocoderError)>,
}
