//! The denoiser graph: on a GPU one session, on a CPU several side by side.
//!
//! The denoiser's products are too small to be split well: on two threads a window takes 0.75 of its time on one. So on a CPU each of up to
//! four lanes has a session of its own on its share of the threads; windows are done side by side, and one that is alone is cut in pieces.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};

use super::VocoderError;
use super::batch::Batch;
use super::chain::{Chain, Task};
use super::interface::{Inputs, Interface};
use super::piece::Piece;
use super::sizes::{Limits, Sizes};
use super::window::{CORE_OF_LANES, DEFAULT_CORE};
use crate::diffusion::{Noise, Plan, Row};
use crate::runtime::{Graph, Placement};
use ndarray::{Array1, Array2, ArrayD, Ix2, Zip, s};
use rayon::ThreadPool;

/// Most lanes; each holds the graph's weights once more.
pub(super) const MOST_LANES: usize = 4;

/// Windows in one call of a GPU when nothing is asked for; not measured.
const BATCH_OF_A_GPU: usize = 16;

/// How far a chain may be from the same steps one by one; the state's own size is about 1.
const SAME: f32 = 1e-3;

pub(super) struct Denoiser {
    first: Graph,
    /// The sessions of further lanes.
    others: Vec<Graph>,
    /// A thread for each lane; `None` where there is one.
    pool: Option<ThreadPool>,
    pub interface: Arc<Interface>,
    /// The only sizes of calls; any size where `None`.
    pub sizes: Option<Sizes>,
    /// For all steps of a window in a row, where there are planned sizes.
    chain: Option<Chain>,
}

impl Denoiser {
    /// Lanes of equal sessions of one graph.
    ///
    /// # Errors
    /// [`VocoderError::Threads`] where the system gives none for the lanes.
    pub fn new(
        first: Graph,
        others: Vec<Graph>,
        interface: Arc<Interface>,
        sizes: Option<Sizes>,
    ) -> Result<Denoiser, VocoderError> {
        let pool = || {
            rayon::ThreadPoolBuilder::new()
                .num_threads(1 + others.len())
                .thread_name(|index| format!("vocode-lane-{index}"))
                .build()
        };
        Ok(Denoiser {
            pool: (!others.is_empty()).then(pool).transpose()?,
            first,
            others,
            interface,
            sizes,
            chain: None,
        })
    }

    /// Takes a chain, unless it fails or makes something else than step by step is made.
    pub fn try_chain(&mut self, chain: Chain) {
        let (windows, frames) = self.call_size(1, 1);
        self.chain = Some(chain);
        let reason = match self.deviation(windows, frames) {
            Ok(worst) if worst < SAME => return,
            Ok(worst) => format!("its samples are off by {worst:.1e}"),
            Err(error) => error.to_string(),
        };
        let provider = self.provider();
        tracing::warn!(
            provider,
            reason,
            "the steps of a window do not run in a row; each is copied in and out"
        );
        self.chain = None;
    }

    /// How far the chain is from the same steps one by one, in the worst of some samples.
    fn deviation(&mut self, windows: usize, frames: usize) -> Result<f32, VocoderError> {
        let plan = full_plan(2);
        let noise = |step: usize, out: &mut Array2<f32>| {
            let room = out.as_slice_mut().unwrap_or_default();
            Noise::new(0).fill(step as u32, 0, room);
        };
        let mut batch = Batch::new(&self.interface, windows, frames);
        noise(0, &mut batch.x);
        let task = Task {
            inside: &Array2::ones(batch.x.dim()),
            batch: &batch,
            plans: &[&plan],
            noise: &|step, out| noise(step + 1, out),
        };
        // The first run of a size may be recorded, the second is replayed then.
        self.run_chain(&task)?;
        let found = self.run_chain(&task)?;
        let mut fresh = Array2::zeros(batch.x.dim());
        let mut remembered = fresh.clone();
        for (step, row) in plan.rows.iter().enumerate() {
            noise(step + 1, &mut fresh);
            batch.t.fill(row.t as f32);
            let answer = whole(&mut self.first, &self.interface, &batch)?;
            Zip::from(&mut batch.x)
                .and(&answer)
                .and(&fresh)
                .and(&mut remembered)
                .for_each(|x, &answer, &fresh, remembered| {
                    let next = row.next([*x, answer, fresh, *remembered]);
                    *remembered = row.remember(*x, answer);
                    *x = next as f32;
                });
        }
        let differences = batch.x.iter().zip(&found).map(|(a, b)| (a - b).abs());
        // NaN is as far as can be.
        Ok(differences.fold(0.0, |worst, d| if d <= worst { worst } else { d }))
    }

    /// How windows are bounded.
    pub fn limits(&self) -> Limits {
        Limits {
            planned: self.sizes.is_some(),
            chained: self.chain.is_some(),
            context: self.interface.context,
        }
    }

    /// Longest core of a window when none is asked for.
    pub fn usual_core(&self, steps: usize) -> usize {
        match self.limits().chained_core(steps) {
            Some(core) => core,
            None if self.lanes() > 1 => CORE_OF_LANES,
            None => DEFAULT_CORE,
        }
    }

    /// The finished samples of windows, see [`Chain::run`].
    ///
    /// # Errors
    /// [`VocoderError::Stopped`] where there is no chain.
    pub fn run_chain(&mut self, task: &Task<'_>) -> Result<Array2<f32>, VocoderError> {
        let chain = self.chain.as_mut().ok_or(VocoderError::Stopped)?;
        chain.run(&mut self.first, task)
    }

    /// A call of as many steps as may run in a row on zeros, or of one where none do.
    pub fn warm_up(&mut self, windows: usize, frames: usize) -> Result<(), VocoderError> {
        let Some(steps) = self.limits().longest_chain() else {
            return self.call_silence(windows, frames);
        };
        let plan = full_plan(steps);
        let batch = Batch::new(&self.interface, windows, frames);
        let task = Task {
            inside: &Array2::zeros(batch.x.dim()),
            batch: &batch,
            plans: &[&plan],
            noise: &|_, _| (),
        };
        self.run_chain(&task).map(drop)
    }

    /// The execution provider.
    pub fn provider(&self) -> &str {
        self.first.provider().name()
    }

    /// Where the nodes run.
    pub fn placement(&self) -> &Placement {
        self.first.placement()
    }

    /// Why it runs on nothing faster, where that was left open.
    pub fn provider_note(&self) -> Option<&str> {
        self.first.provider_note()
    }

    /// How many windows are worked on at once.
    pub fn lanes(&self) -> usize {
        1 + self.others.len()
    }

    /// The lanes' threads, for other work between calls.
    pub fn pool(&self) -> Option<&ThreadPool> {
        self.pool.as_ref()
    }

    /// Windows in one call that are done best.
    pub fn best_batch(&self) -> usize {
        match self.sizes {
            Some(_) if self.others.is_empty() => BATCH_OF_A_GPU,
            _ => self.lanes(),
        }
    }

    /// Windows and frames of the call that `windows` windows of `frames` frames go into.
    pub fn call_size(&self, windows: usize, frames: usize) -> (usize, usize) {
        match &self.sizes {
            Some(sizes) => (sizes.batch(windows), sizes.frames(frames)),
            None => (windows, frames),
        }
    }

    /// A call on zeros, for what it alone does.
    fn call_silence(&mut self, windows: usize, frames: usize) -> Result<(), VocoderError> {
        let (windows, frames) = self.call_size(windows, frames);
        let mut batch = Batch::new(&self.interface, windows, frames);
        batch.t = Array1::from_elem(windows, 0.5);
        self.call(&batch).map(drop)
    }

    /// A call on zeros of all windows at once, to see that the graph takes a batch.
    pub fn probe(&mut self, windows: usize, frames: usize) -> Result<(), VocoderError> {
        let batch = Batch::new(&self.interface, windows, frames);
        whole(&mut self.first, &self.interface, &batch).map(drop)
    }

    /// The answer, `[windows, frames * hop]`. With several lanes it is zero in the context of a window that was cut.
    pub fn call(&mut self, batch: &Batch) -> Result<Array2<f32>, VocoderError> {
        let Some(pool) = &self.pool else {
            return whole(&mut self.first, &self.interface, batch);
        };
        let (windows, samples) = batch.x.dim();
        let interface = &*self.interface;
        let lanes = 1 + self.others.len();
        let frames = samples / interface.hop;
        let pieces = Piece::of_batch(windows, frames, interface.context, lanes);
        let (pieces, next) = (&pieces, &AtomicUsize::new(0));
        let answer = Mutex::new(Ok(Array2::zeros((windows, samples))));
        pool.scope(|scope| {
            for graph in std::iter::once(&mut self.first).chain(&mut self.others) {
                let answer = &answer;
                scope.spawn(move |_| {
                    while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let part = interface.part(batch, piece.row, piece.frames.clone());
                        let found = run(graph, &part);
                        let mut answer = answer.lock().unwrap_or_else(PoisonError::into_inner);
                        match (&mut *answer, found) {
                            (Ok(answer), Ok(found)) => {
                                let source = found.slice(s![0, piece.source(interface.hop)]);
                                let target = s![piece.row, piece.target(interface.hop)];
                                answer.slice_mut(target).assign(&source);
                            }
                            (Ok(_), Err(error)) => *answer = Err(error),
                            (Err(_), _) => {}
                        }
                    }
                });
            }
        });
        answer.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `lead` on this thread while the lanes answer what it sends. Where there is one lane, it has a thread of its own for that time.
    pub fn attended<T>(&mut self, lead: impl FnOnce(Desk) -> T) -> T {
        let (jobs_in, jobs_out) = mpsc::channel();
        let (answers_in, answers_out) = mpsc::channel();
        let desk = Desk {
            jobs: jobs_in,
            answers: answers_out,
        };
        let interface = &*self.interface;
        let jobs = &Mutex::new(jobs_out);
        std::thread::scope(|scope| {
            for graph in std::iter::once(&mut self.first).chain(&mut self.others) {
                let answers = answers_in.clone();
                scope.spawn(move || attend(graph, interface, jobs, &answers));
            }
            drop(answers_in);
            lead(desk)
        })
    }
}

/// Where pieces of windows are sent to, and their answers come from in any order.
pub(super) struct Desk {
    jobs: Sender<Job>,
    answers: Receiver<Answer>,
}

/// A piece of a window that is alone in its batch.
pub(super) struct Job {
    pub step: usize,
    pub batch: Arc<Batch>,
    pub piece: Piece,
}

/// What came of a job.
pub(super) struct Answer {
    pub step: usize,
    pub piece: Piece,
    /// `[1, piece.frames * hop]`.
    pub found: Result<Array2<f32>, VocoderError>,
}

impl Desk {
    /// Sends a job to whichever lane is free first.
    ///
    /// # Errors
    /// [`VocoderError::Stopped`] when no lane is left.
    pub fn send(&self, job: Job) -> Result<(), VocoderError> {
        self.jobs.send(job).map_err(|_| VocoderError::Stopped)
    }

    /// An answer, if one has come.
    ///
    /// # Errors
    /// [`VocoderError::Stopped`] when no lane is left.
    pub fn try_answer(&self) -> Result<Option<Answer>, VocoderError> {
        match self.answers.try_recv() {
            Ok(answer) => Ok(Some(answer)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(VocoderError::Stopped),
        }
    }

    /// Waits for an answer.
    ///
    /// # Errors
    /// [`VocoderError::Stopped`] when no lane is left.
    pub fn answer(&self) -> Result<Answer, VocoderError> {
        self.answers.recv().map_err(|_| VocoderError::Stopped)
    }
}

/// Rows in which everything counts.
pub(super) fn full_plan(steps: usize) -> Plan {
    let row = Row {
        t: 0.25,
        a: 0.7,
        b: 0.4,
        c: 0.1,
        d: 0.0,
        u: 0.5,
        v: 0.3,
    };
    let later = Row {
        t: 0.75,
        d: 0.2,
        ..row
    };
    let mut rows = vec![later; steps];
    if let Some(first) = rows.first_mut() {
        *first = row;
    }
    Plan { rows, clamp: None }
}

/// Works on jobs until no more can come.
fn attend(
    graph: &mut Graph,
    interface: &Interface,
    jobs: &Mutex<Receiver<Job>>,
    answers: &Sender<Answer>,
) {
    let next = || {
        let jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.recv().ok()
    };
    while let Some(Job { step, batch, piece }) = next() {
        let part = interface.part(&batch, piece.row, piece.frames.clone());
        let found = run(graph, &part);
        // Given back before the answer tells that it is free.
        drop(part);
        drop(batch);
        if answers.send(Answer { step, piece, found }).is_err() {
            return;
        }
    }
}

/// A call of all windows of a batch.
fn whole(
    graph: &mut Graph,
    interface: &Interface,
    batch: &Batch,
) -> Result<Array2<f32>, VocoderError> {
    run(graph, &interface.inputs(batch))
}

/// One run of the graph; its answer has the shape of `x`, which comes first.
fn run(graph: &mut Graph, inputs: &Inputs<'_>) -> Result<Array2<f32>, VocoderError> {
    let expected = inputs.first().map_or(&[][..], |(_, x)| x.shape());
    let answer = graph.run(inputs)?.into_iter().next();
    let answer = answer.unwrap_or_else(|| ArrayD::zeros(vec![0]));
    let found = answer.shape().to_vec();
    match answer.into_dimensionality::<Ix2>() {
        Ok(answer) if answer.shape() == expected => Ok(answer),
        _ => Err(VocoderError::shape(
            "denoiser",
            "prediction",
            expected,
            &found,
        )),
    }
}
