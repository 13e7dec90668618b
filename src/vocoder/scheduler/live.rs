//! One open stream, as the worker sees it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ndarray::Array2;
use tokio::sync::{Semaphore, mpsc};

use super::place::Place;
use super::request::StreamStats;
use super::urgency::StreamClass;
use super::urgency::{Account, Urgency};
use crate::vocoder::plan::Window;
use crate::vocoder::{Output, Stream, VocoderError};

/// Names a stream for its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(u64);

/// What a worker tells the reader of a stream. A channel that closes before an end came belongs to a worker that is gone.
pub(super) enum Audio {
    /// The next finished samples.
    Samples(Vec<f32>),
    /// All samples have been sent.
    End,
    /// There will be no more samples, though some are missing.
    Failed(VocoderError),
}

/// What the reader of a stream shares with its worker.
pub(super) struct Ends {
    pub audio: mpsc::UnboundedReceiver<Audio>,
    /// Samples sent and not taken.
    pub unread: Arc<AtomicUsize>,
    /// As many unread samples make the worker wait.
    pub enough: usize,
    pub stats: Arc<Mutex<StreamStats>>,
}

pub(super) struct Live {
    pub id: Id,
    pub stream: Stream,
    /// `None` once the last sample is through.
    output: Option<Output>,
    rate: u32,
    audio: mpsc::UnboundedSender<Audio>,
    unread: Arc<AtomicUsize>,
    enough: usize,
    stats: StreamStats,
    shared_stats: Arc<Mutex<StreamStats>>,
    room: Arc<Semaphore>,
    /// Frames whose room was given back.
    released: usize,
    place: Place,
    pub account: Account,
    taken: Vec<f32>,
    /// Whether its end was sent after all of its samples.
    is_complete: bool,
    /// A fault on purpose: the next sample is not sent.
    #[cfg(debug_assertions)]
    pub loses_sample: bool,
}

impl Live {
    pub fn new(
        stream: Stream,
        output: Output,
        rate: u32,
        chunk_samples: usize,
        class: StreamClass,
        place: Place,
        room: Arc<Semaphore>,
    ) -> (Live, Ends) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (sender, audio) = mpsc::unbounded_channel();
        let (unread, stats) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(Mutex::new(StreamStats::default())),
        );
        let enough = 2 * chunk_samples;
        let ends = Ends {
            audio,
            unread: unread.clone(),
            enough,
            stats: stats.clone(),
        };
        let live = Live {
            id: Id(NEXT.fetch_add(1, Ordering::Relaxed)),
            stream,
            output: Some(output),
            rate,
            audio: sender,
            unread,
            enough,
            stats: StreamStats::default(),
            shared_stats: stats,
            room,
            released: 0,
            account: Account::new(class, place.since),
            place,
            taken: Vec::new(),
            is_complete: false,
            #[cfg(debug_assertions)]
            loses_sample: false,
        };
        (live, ends)
    }

    /// Takes mel frames that its [`MelInput`](super::MelInput) has checked.
    pub fn push(&mut self, mel: &Array2<f32>) -> Result<(), VocoderError> {
        self.stream.push(mel.view())?;
        self.stats.frames += mel.ncols() as u64;
        Ok(())
    }

    /// Counts frames that came before those that matter.
    pub fn pass_over(&mut self, frames: usize) {
        self.stats.frames += frames as u64;
    }

    /// Says that the mel is complete.
    pub fn end(&mut self) -> Result<(), VocoderError> {
        self.stream.end()?;
        self.deliver()
    }

    /// Whether nobody listens any more.
    pub fn is_abandoned(&self) -> bool {
        self.audio.is_closed()
    }

    /// Whether the last sample was sent.
    pub fn is_done(&self) -> bool {
        self.output.is_none()
    }

    /// Whether all of its samples were made and sent.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// The windows that can run now and are wanted, the one nearest to the ear first.
    pub fn windows(&self) -> Vec<Window> {
        if self.unread.load(Ordering::Acquire) >= self.enough {
            return Vec::new();
        }
        let mut ready = self.stream.ready();
        ready.reverse();
        ready
    }

    /// How soon it must be served, where a denoiser call takes `call`.
    pub fn urgency(&mut self, now: Instant, call: Duration) -> Urgency {
        let made = self.stats.samples as f64 / f64::from(self.rate);
        self.account.urgency(made, now, call)
    }

    /// Notes that the model is about to work for it.
    pub fn begins(&mut self, now: Instant) {
        if self.stats.inference.is_zero() {
            self.stats.queue = now - self.place.since;
        }
    }

    /// Takes its part of the time of a denoiser call, and sends what that finished.
    pub fn worked(&mut self, time: Duration) -> Result<(), VocoderError> {
        self.stats.inference += time;
        self.account.charge(time);
        self.deliver()
    }

    /// Sends an error, after which there is nothing more.
    pub fn fail(&mut self, error: VocoderError) {
        self.output = None;
        let _ = self.audio.send(Audio::Failed(error));
    }

    /// Its figures so far.
    pub fn stats(&self) -> StreamStats {
        self.stats
    }

    /// Its sample rate in hertz.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    fn deliver(&mut self) -> Result<(), VocoderError> {
        let consumed = self.stream.frames() - self.stream.frames_held();
        self.room.add_permits(consumed - self.released);
        self.released = consumed;
        self.taken.clear();
        self.stream.take_into(&mut self.taken);
        let mut samples = Vec::new();
        if let Some(output) = &mut self.output {
            output.push(&self.taken, &mut samples)?;
        }
        let last = self.output.take_if(|_| self.stream.is_done());
        let is_complete = last.is_some();
        if let Some(output) = last {
            output.finish(&mut samples)?;
        }
        #[cfg(debug_assertions)]
        if self.loses_sample && samples.pop().is_some() {
            self.loses_sample = false;
        }
        self.note(samples.len());
        if !samples.is_empty() {
            self.unread.fetch_add(samples.len(), Ordering::AcqRel);
            let _ = self.audio.send(Audio::Samples(samples));
        }
        if is_complete {
            self.is_complete = true;
            let _ = self.audio.send(Audio::End);
        }
        Ok(())
    }

    fn note(&mut self, samples: usize) {
        let now = Instant::now();
        self.stats.samples += samples as u64;
        self.stats.total = now - self.place.since;
        if samples > 0 {
            self.account.plays(now);
            self.stats.first_audio.get_or_insert(self.stats.total);
        }
        *self
            .shared_stats
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner()) = self.stats;
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // A writer that waits for room learns that there will be none.
        self.room.close();
    }
}
