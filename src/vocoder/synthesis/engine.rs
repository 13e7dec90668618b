//! A loaded model, and the call that moves streams forward.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ndarray::Array2;
use rayon::iter::{IntoParallelRefMutIterator, ParallelIterator};

use super::stream::Stream;
use crate::bundle::{Bundle, Manifest};
use crate::diffusion::Noise;
use crate::dsp::Watermark;
use crate::runtime::{Placement, Precision, Runtime, SessionOptions};
use crate::vocoder::error::VocoderError;
use crate::vocoder::filters::Filters;
use crate::vocoder::networks::{Batch, Networks};
use crate::vocoder::options::{Sampling, SynthesisOptions};
use crate::vocoder::plan::window::Chunks;
use crate::vocoder::plan::{Sizes, Window, WindowBounds, WindowPlan};

/// Most windows in one denoiser call.
pub const MAX_BATCH: usize = 256;

/// A loaded model.
pub struct Vocoder {
    manifest: Manifest,
    sha256: String,
    pub(super) networks: Networks,
    filters: Filters,
    /// The inputs of the last denoiser call, for their memory.
    batch: Arc<Batch>,
    load_time: Duration,
}

impl Vocoder {
    /// Loads a bundle's graphs, checks them against its manifest, and runs each once on a few silent frames.
    ///
    /// # Errors
    /// Graphs that ONNX Runtime refuses, whose inputs and outputs are not the contract's, or whose outputs do not fit the manifest's hop.
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
            batch: Arc::default(),
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
        self.networks.denoiser.provider().name()
    }

    /// What the denoiser multiplies in: never `Auto`.
    pub fn precision(&self) -> Precision {
        self.networks.denoiser.precision()
    }

    /// Where the denoiser's nodes run, as its session tells.
    pub fn placement(&self) -> &Placement {
        self.networks.denoiser.placement()
    }

    /// Why the denoiser runs on nothing faster, where `auto` chose.
    pub fn provider_note(&self) -> Option<&str> {
        self.networks.denoiser.provider_note()
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

    /// Windows in one call that this provider does best: on a CPU three for each session that runs beside others.
    pub fn best_batch(&self) -> usize {
        self.networks.denoiser.best_batch()
    }

    /// Time that ONNX Runtime has taken for the graphs so far.
    pub fn graph_time(&self) -> Duration {
        self.networks.spent()
    }

    /// How the windows of its streams are bounded.
    pub(in crate::vocoder) fn bounds(&self) -> WindowBounds {
        self.networks.denoiser.bounds()
    }

    /// What finished samples go through.
    pub(in crate::vocoder) fn filters(&self) -> &Filters {
        &self.filters
    }

    /// Time that [`Vocoder::new`] took.
    pub fn load_time(&self) -> Duration {
        self.load_time
    }

    /// Starts a synthesis whose mel comes in pieces, in the bundle's convention, with the least look-ahead: [`Stream::push`] takes frames,
    /// [`Vocoder::advance`] runs what they make possible, [`Stream::take`] gives the samples. Any number of streams may be under way.
    ///
    /// `window_frames` of the options are the frames of a chunk once the stream is under way; `batch` is without effect.
    ///
    /// # Errors
    /// A schedule or window that cannot be used.
    ///
    /// # Examples
    /// ```no_run
    /// use vocode::{Bundle, LoadOptions, Mel, Runtime, SessionOptions, SynthesisOptions, Vocoder};
    ///
    /// # fn example(pieces: Vec<Mel>, mut play: impl FnMut(&[f32])) -> Result<(), Box<dyn std::error::Error>> {
    /// let runtime = Runtime::load(&LoadOptions::default())?;
    /// let mut vocoder = Vocoder::new(Bundle::embedded()?, &runtime, &SessionOptions::default())?;
    /// let mut stream = vocoder.open(&SynthesisOptions::default())?;
    /// for piece in pieces {
    ///     stream.push(piece.view())?;
    ///     vocoder.advance(&mut stream)?;
    ///     play(&stream.take());
    /// }
    /// stream.end()?;
    /// vocoder.advance(&mut stream)?;
    /// play(&stream.take());
    /// # Ok(())
    /// # }
    /// ```
    pub fn open(&self, options: &SynthesisOptions) -> Result<Stream, VocoderError> {
        let sampling = options.schedule.resolve(self.manifest(), options.solver)?;
        let held = self.filters.with_passes(sampling.passes)?.reach();
        let chunks = Chunks::of_stream(None, options.window_frames, held);
        let steps = sampling.plan.steps();
        let windows = WindowPlan::streaming(chunks, self.manifest.context, steps)?;
        let watermark = options.watermark.as_ref();
        let stream = self.stream(&sampling, options.seed, windows, watermark)?;
        stream.sharpened(options.sharpening)
    }

    /// Runs all that can be run of a stream of [`Vocoder::open`], with the mel that was pushed so far.
    ///
    /// # Errors
    /// A graph that fails or answers with other shapes or numbers than it should. The stream cannot go on then.
    pub fn advance(&mut self, stream: &mut Stream) -> Result<(), VocoderError> {
        while self.run_ready(stream, 1, &mut |_| ControlFlow::Continue(()))? {}
        Ok(())
    }

    /// Starts a synthesis of a mel in the bundle's convention, in windows of the caller's own.
    ///
    /// # Errors
    /// A number of passes that the model cannot make.
    #[doc(hidden)]
    pub fn stream(
        &self,
        sampling: &Sampling,
        seed: u64,
        windows: WindowPlan,
        watermark: Option<&Watermark>,
    ) -> Result<Stream, VocoderError> {
        Ok(Stream::new(
            &self.manifest,
            &self.filters.with_passes(sampling.passes)?,
            sampling.plan.clone(),
            Noise::new(seed),
            windows,
            self.bounds(),
            watermark,
        ))
    }

    /// Runs windows of one length, of any steps and streams, in one denoiser call. `jobs` names each stream by its place in `streams`.
    ///
    /// # Errors
    /// A graph that fails or answers with another shape than it should. What is wrong with one stream alone (its conditions or predictions
    /// are not finite) is in the [`Outcome`] and does not touch the others. A stream cannot go on after an error.
    ///
    /// # Panics
    /// Never, for windows that [`Stream::ready`] gave since the stream's last call.
    #[doc(hidden)]
    pub fn run(
        &mut self,
        streams: &mut [&mut Stream],
        jobs: &[(usize, Window)],
    ) -> Result<Outcome, VocoderError> {
        if let Some(outcome) = self.run_apart(streams, jobs) {
            return outcome;
        }
        let mut outcome = Outcome::default();
        let mut sound: Vec<(usize, Window)> = Vec::with_capacity(jobs.len());
        for (index, window) in jobs {
            match streams[*index].condition(&mut self.networks.conditioner, window) {
                Ok(()) => sound.push((*index, *window)),
                Err(error) => outcome.failed.push((*index, error)),
            }
        }
        let sizes = self.networks.denoiser.sizes.as_ref();
        let most = sizes.map_or(MAX_BATCH, |_| Sizes::largest_batch());
        for jobs in sound.chunks(most) {
            self.call(streams, jobs, &mut outcome)?;
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
        self.fill_batch(streams, jobs, first.frames);
        let denoiser = &mut self.networks.denoiser;
        let (hop, batch) = (denoiser.interface.hop, &self.batch);
        let predictions = denoiser.call(batch)?;

        let mut windows = vec![Vec::new(); streams.len()];
        for (place, (index, window)) in jobs.iter().enumerate() {
            windows[*index].push((place, *window));
        }
        let concerned = streams.iter_mut().zip(&windows).enumerate();
        let mut concerned: Vec<_> = concerned.filter(|(_, (_, own))| !own.is_empty()).collect();
        let advance = |(index, (stream, own)): &mut (usize, (&mut &mut Stream, &Vec<_>))| {
            (*index, advance(stream, own, batch, &predictions, hop))
        };
        // The filters after the diffusion take a tenth of the denoiser's time.
        let results: Vec<_> = match denoiser.pool() {
            Some(pool) => pool.install(|| concerned.par_iter_mut().map(advance).collect()),
            None => concerned.iter_mut().map(advance).collect(),
        };
        for (index, result) in results {
            match result {
                Ok(frames) => outcome.advanced += frames,
                Err(error) => outcome.failed.push((index, error)),
            }
        }
        Ok(())
    }

    /// Writes windows of `frames` frames, in the order of `jobs`, and what a planned size adds to them, into the batch.
    fn fill_batch(&mut self, streams: &[&mut Stream], jobs: &[(usize, Window)], frames: usize) {
        let denoiser = &self.networks.denoiser;
        let interface = denoiser.interface.clone();
        let size = denoiser.call_size(jobs.len(), frames);
        // Only a call that failed may have left a part of it with a session.
        if Arc::get_mut(&mut self.batch).is_none() {
            self.batch = Arc::default();
        }
        if let Some(batch) = Arc::get_mut(&mut self.batch) {
            batch.reshape(&interface, size.0, size.1, size == (jobs.len(), frames));
            for (place, (index, window)) in jobs.iter().enumerate() {
                streams[*index].write(window, batch, place, &interface);
            }
        }
    }
}

/// Takes the answers to a stream's windows, each with its place in the batch, and moves on what they finish. Gives the frames by which its steps advanced.
fn advance(
    stream: &mut Stream,
    windows: &[(usize, Window)],
    batch: &Batch,
    predictions: &Array2<f32>,
    hop: usize,
) -> Result<u64, VocoderError> {
    let mut advanced = 0;
    for (place, window) in windows {
        let (state, prediction) = (batch.x.row(*place), predictions.row(*place));
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

/// Refuses batches of no windows, and those that are too large to allocate for.
pub(in crate::vocoder) fn check_batch(found: usize) -> Result<(), VocoderError> {
    let limit = MAX_BATCH;
    if (1..=limit).contains(&found) {
        Ok(())
    } else {
        Err(VocoderError::BatchSize { found, limit })
    }
}
