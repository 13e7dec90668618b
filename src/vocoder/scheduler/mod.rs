//! Many streams through one model.
//!
//! ```text
//! MelInput::push ──commands──> worker thread: urgent windows of all streams -> Vocoder::run -> Output ──samples──> AudioOutput::next
//! ```
//!
//! The worker owns the [`Vocoder`]. It runs the windows of one denoiser call, then looks again at what has come and what is most urgent: the
//! stream whose listener has the least audio left, see [`StreamClass`]. So a new stream is heard early, a stream that falls behind catches
//! up, and none starves. A stream whose reader does not take its audio, or whose writer brings no
//! mel, waits by itself; one that is dropped is gone before the next call.

mod activity;
#[cfg(debug_assertions)]
mod fault;
mod handles;
mod live;
mod place;
mod request;
mod urgency;
mod worker;

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};

use super::error::VocoderError;
use super::filters::{Filters, Output};
use super::options::Sampling;
use super::plan::window::WindowPlan;
use super::plan::{Timing, WindowBounds};
use super::synthesis::{Stream, Vocoder, check_batch};
use crate::bundle::Manifest;
use crate::diffusion::Noise;
use crate::runtime::{Placement, Precision};
use activity::Activity;
pub use activity::WorkerState;
pub use handles::{AudioOutput, MelInput};
use live::Live;
use place::{Place, Places};
pub use request::{MAX_CHUNK_FRAMES, SchedulerOptions, StreamPlan, StreamRequest, StreamStats};
pub use urgency::StreamClass;
use worker::{Command, Worker};

/// A stream that was opened.
pub struct OpenStream {
    /// What it is.
    pub plan: StreamPlan,
    /// Where its mel goes in.
    pub input: MelInput,
    /// Where its audio comes out.
    pub output: AudioOutput,
}

/// A model on a thread of its own, and the way to it. Clones share the thread, which ends with the last clone and the last stream.
#[derive(Clone)]
pub struct Scheduler {
    shared: Arc<Shared>,
    commands: mpsc::UnboundedSender<Command>,
}

struct Shared {
    manifest: Manifest,
    sha256: String,
    provider: String,
    precision: Precision,
    placement: Placement,
    provider_note: Option<String>,
    filters: Filters,
    bounds: WindowBounds,
    places: Arc<Places>,
    activity: Arc<Activity>,
}

impl Scheduler {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`VocoderError::BatchSize`]; [`VocoderError::Thread`] when the system has none left.
    pub fn start(vocoder: Vocoder, options: SchedulerOptions) -> Result<Scheduler, VocoderError> {
        Scheduler::start_with(vocoder, options, |_, _| Ok(()))
    }

    /// The same once the model is [warm](Vocoder::warm) for the calls that it will be given. What CUDA records is recorded for one thread, so
    /// the scheduler's own does it; `tell` is given the calls made and their number.
    ///
    /// # Errors
    /// Also a graph that fails.
    pub fn start_warm(
        vocoder: Vocoder,
        options: SchedulerOptions,
        mut tell: impl FnMut(usize, usize) + Send + 'static,
    ) -> Result<Scheduler, VocoderError> {
        Scheduler::start_with(vocoder, options, move |vocoder, batch| {
            vocoder.warm(batch, &mut tell)
        })
    }

    fn start_with(
        vocoder: Vocoder,
        options: SchedulerOptions,
        prepare: impl FnOnce(&mut Vocoder, usize) -> Result<(), VocoderError> + Send + 'static,
    ) -> Result<Scheduler, VocoderError> {
        check_batch(options.batch.unwrap_or(1))?;
        let (commands, inbox) = mpsc::unbounded_channel();
        let mut worker = Worker::new(vocoder, &options, inbox);
        let shared = Arc::new(Shared {
            manifest: worker.vocoder().manifest().clone(),
            sha256: worker.vocoder().sha256().to_owned(),
            provider: worker.vocoder().provider().to_owned(),
            precision: worker.vocoder().precision(),
            placement: worker.vocoder().placement().clone(),
            provider_note: worker.vocoder().provider_note().map(str::to_owned),
            filters: worker.vocoder().filters().clone(),
            bounds: worker.vocoder().bounds(),
            places: Places::new(options.max_streams),
            activity: worker.activity().clone(),
        });
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::Builder::new()
            .name("vocode-scheduler".to_owned())
            .spawn(move || {
                let prepared = worker.prepare(prepare);
                let works = prepared.is_ok();
                // Whoever starts a scheduler waits for this.
                let _ = tell.send(prepared);
                if works {
                    worker.run();
                }
            })
            .map_err(|source| VocoderError::Thread { source })?;
        told.recv().map_err(|_| VocoderError::WorkerLost)??;
        Ok(Scheduler { shared, commands })
    }

    /// What the bundle says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.shared.manifest
    }

    /// [`Bundle::sha256`](crate::bundle::Bundle) of the bundle.
    pub fn sha256(&self) -> &str {
        &self.shared.sha256
    }

    /// The execution provider that runs the denoiser.
    pub fn provider(&self) -> &str {
        &self.shared.provider
    }

    /// What the denoiser multiplies in: never `Auto`.
    pub fn precision(&self) -> Precision {
        self.shared.precision
    }

    /// Where the denoiser's nodes run, as its session tells.
    pub fn placement(&self) -> &Placement {
        &self.shared.placement
    }

    /// Why the denoiser runs on nothing faster, where `auto` chose.
    pub fn provider_note(&self) -> Option<&str> {
        self.shared.provider_note.as_deref()
    }

    /// Streams that are open.
    pub fn active(&self) -> usize {
        self.shared.places.taken()
    }

    /// What the thread is doing. A denoiser call takes well under a second on most machines; one that takes many has most likely hung.
    pub fn state(&self) -> WorkerState {
        self.shared.activity.state()
    }

    /// Whether the thread has time to spare: at its last look every listener had audio in hand, and none waited for its first.
    pub fn has_time(&self) -> bool {
        self.shared.activity.has_time()
    }

    /// Streams that may be open at once.
    pub fn max_streams(&self) -> usize {
        self.shared.places.limit()
    }

    /// The work that a stream is: denoiser frames for each frame of mel, those that its windows see twice counted twice.
    ///
    /// # Errors
    /// A schedule or chunk length that cannot be used.
    pub fn work(&self, request: &StreamRequest) -> Result<f64, VocoderError> {
        let manifest = &self.shared.manifest;
        let sampling = request.schedule.resolve(manifest, request.solver)?;
        let filters = self.shared.filters.with_passes(sampling.passes)?;
        let core = request.chunks(filters.reach())?.longest as f64;
        let context = 2.0 * manifest.context.denoiser as f64;
        Ok(sampling.plan.steps() as f64 * (core + context) / core)
    }

    /// Opens a stream.
    ///
    /// # Errors
    /// [`VocoderError::Busy`] when all places are taken; [`VocoderError::Stopped`] when the thread has ended; a schedule, chunk length or
    /// sample rate that cannot be used; [`VocoderError::StartContext`].
    pub fn open(&self, request: &StreamRequest) -> Result<OpenStream, VocoderError> {
        let manifest = &self.shared.manifest;
        let sampling = request.schedule.resolve(manifest, request.solver)?;
        let filters = self.shared.filters.with_passes(sampling.passes)?;
        let Sampling {
            name, solver, plan, ..
        } = sampling;
        let chunks = request.chunks(filters.reach())?;
        let windows = WindowPlan::streaming(chunks, manifest.context, plan.steps())?;
        let rate = request.sample_rate.unwrap_or(manifest.mel.sample_rate);
        let mut output = Output::new(request.shift_samples, manifest.mel.sample_rate, rate)?;
        let timing = Timing {
            hop: manifest.mel.hop,
            shift: request.shift_samples,
            from: manifest.mel.sample_rate,
            to: rate,
        };
        let context = manifest.context;
        let reach = plan.steps() * context.denoiser + context.conditioner + filters.reach();
        let first_frame = request.start.first_frame(timing, reach)?;
        if first_frame > 0 && request.watermark.is_some() && !filters.carry_marks() {
            return Err(VocoderError::StartWithMark);
        }
        let made = first_frame * manifest.mel.hop as u64;
        output.resume(made, request.start.sample)?;
        let stream_plan = StreamPlan {
            schedule: name,
            solver,
            steps: plan.steps(),
            sample_rate: rate,
            seed: request.seed,
            lead_frames: timing.lead(reach),
        };
        let place = Place::take(&self.shared.places)?;
        let stream = Stream::new(
            manifest,
            &filters,
            plan,
            Noise::new(request.seed).starting_at(made),
            windows,
            self.shared.bounds,
            request.watermark.as_ref(),
        )
        .sharpened(request.sharpening)?;
        let windows = stream.windows();
        // Room for what one window needs at once, and as much again to work ahead.
        let room = 2 * (windows.chunks.longest + windows.look_ahead()) + handles::PIECE;
        let frames = Arc::new(Semaphore::new(room));
        let (live, ends) = Live::new(
            stream,
            output,
            rate,
            windows.chunks.longest * manifest.mel.hop,
            request.class,
            place,
            frames.clone(),
        );
        let id = live.id;
        let stopped = |_| VocoderError::Stopped;
        self.commands
            .send(Command::Open(Box::new(live)))
            .map_err(stopped)?;
        Ok(OpenStream {
            plan: stream_plan,
            input: MelInput::new(
                id,
                self.commands.clone(),
                frames,
                &manifest.mel,
                request.start.frame..first_frame,
            ),
            output: AudioOutput::new(ends, self.commands.clone()),
        })
    }
}
