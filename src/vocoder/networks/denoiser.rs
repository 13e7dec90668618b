//! The denoiser graph, in whichever sessions run it.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use ndarray::Array2;
use rayon::ThreadPool;

use super::batch::Batch;
use super::cpu_sessions::CpuSessions;
use super::device_session::DeviceSession;
use super::interface::Interface;
use super::runner::{Answer, Job, WindowRunner, run};
use crate::runtime::{Graph, Placement, Precision, Provider};
use crate::vocoder::error::VocoderError;
use crate::vocoder::plan::{Sizes, WindowBounds};

/// Windows in one call of a GPU when nothing is asked for; not measured.
const GPU_BATCH: usize = 16;

/// Windows in one call for each of several sessions, so that few wait at its end: on two, with 32 streams of 4 s, 39 of 61 had gaps with one each, 29
/// with three.
const WINDOWS_EACH: usize = 3;

pub(in crate::vocoder) struct Denoiser {
    runner: Box<dyn WindowRunner>,
    /// Several sessions on a CPU, where those run it.
    side_by_side: Option<CpuSessions>,
    pub interface: Arc<Interface>,
    /// The only sizes of calls; any size where `None`.
    pub sizes: Option<Sizes>,
    provider: Provider,
    precision: Precision,
    placement: Placement,
    provider_note: Option<String>,
}

impl Denoiser {
    /// Sessions of one graph that multiplies in `precision`, at least one, the first being the one that tells where it runs. With planned `sizes` the first alone is used, its
    /// tensors bound; else they work side by side.
    ///
    /// # Errors
    /// [`VocoderError::Threads`] where the system gives none for the sessions; a first call, of two windows, that fails or whose answer does not
    /// fit the manifest's hop.
    pub fn new(
        mut first: Graph,
        others: Vec<Graph>,
        interface: Arc<Interface>,
        sizes: Option<Sizes>,
        precision: Precision,
    ) -> Result<Denoiser, VocoderError> {
        let provider = first.provider();
        let placement = first.placement().clone();
        let provider_note = first.provider_note().map(str::to_owned);
        try_batch(&mut first, &interface, sizes.as_ref())?;
        let mut side_by_side = None;
        let runner: Box<dyn WindowRunner> = if sizes.is_some() {
            Box::new(DeviceSession::new(first, interface.clone()))
        } else {
            let graphs = std::iter::once(first).chain(others).collect::<Vec<_>>();
            let sessions = CpuSessions::new(graphs, interface.clone())?;
            side_by_side = (sessions.count() > 1).then(|| sessions.clone());
            Box::new(sessions)
        };
        Ok(Denoiser {
            runner,
            side_by_side,
            interface,
            sizes,
            provider,
            precision,
            placement,
            provider_note,
        })
    }

    /// How windows are bounded.
    pub fn bounds(&self) -> WindowBounds {
        WindowBounds {
            planned: self.sizes.is_some(),
            sessions: self.sessions(),
        }
    }

    /// The execution provider.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// What it multiplies in: never `Auto`.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Where the nodes run.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// Why it runs on nothing faster, where that was left open.
    pub fn provider_note(&self) -> Option<&str> {
        self.provider_note.as_deref()
    }

    /// How many windows are worked on at once.
    pub fn sessions(&self) -> usize {
        self.runner.sessions()
    }

    /// The sessions on a CPU, for other ways to run them; `None` where there is one session.
    pub fn side_by_side(&self) -> Option<&CpuSessions> {
        self.side_by_side.as_ref()
    }

    /// Their threads, for other work between calls.
    pub fn pool(&self) -> Option<&ThreadPool> {
        self.side_by_side.as_ref().map(CpuSessions::pool)
    }

    /// Windows in one call that are done best.
    pub fn best_batch(&self) -> usize {
        match (&self.sizes, self.sessions()) {
            (Some(_), _) => GPU_BATCH,
            (None, 1) => 1,
            (None, sessions) => WINDOWS_EACH * sessions,
        }
    }

    /// Windows and frames of the call that `windows` windows of `frames` frames go into.
    pub fn call_size(&self, windows: usize, frames: usize) -> (usize, usize) {
        size_of_call(self.sizes.as_ref(), windows, frames)
    }

    /// The predictions for a batch, `[windows, frames * hop]`. With several sessions they are zero in the context of a window that was cut.
    ///
    /// # Errors
    /// A run that fails or whose answer has another shape.
    pub fn call(&mut self, batch: &Arc<Batch>) -> Result<Array2<f32>, VocoderError> {
        self.runner.run(batch, self.interface.hop)
    }

    /// Runs a job when a session is free and sends its answer.
    pub fn start(&mut self, job: Job, answers: &Sender<Answer>) {
        self.runner.start(job, answers);
    }

    /// A call on zeros, so that nothing is tuned or built for its size while somebody waits.
    ///
    /// # Errors
    /// As [`Denoiser::call`].
    pub fn warm_up(&mut self, windows: usize, frames: usize) -> Result<(), VocoderError> {
        let mut batch = Batch::new(&self.interface, windows, frames);
        batch.t.fill(0.5);
        self.call(&Arc::new(batch)).map(drop)
    }
}

/// Sees that the hop is right and that a batch of two windows is taken.
fn try_batch(
    graph: &mut Graph,
    interface: &Interface,
    sizes: Option<&Sizes>,
) -> Result<(), VocoderError> {
    const FRAMES: usize = 4;
    let (windows, frames) = size_of_call(sizes, 2, FRAMES);
    let batch = Batch::new(interface, windows, frames);
    run(graph, &batch.inputs(interface)).map(drop)
}

fn size_of_call(sizes: Option<&Sizes>, windows: usize, frames: usize) -> (usize, usize) {
    match sizes {
        Some(sizes) => (sizes.batch(windows), sizes.frames(frames)),
        None => (windows, frames),
    }
}
