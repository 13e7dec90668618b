//! The thread that runs the model.

use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{gauge, histogram};
use ndarray::Array2;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;

use super::activity::{Activity, Watched};
#[cfg(debug_assertions)]
use super::fault::Faults;
use super::live::{Id, Live};
use super::request::SchedulerOptions;
use super::urgency::Urgency;
use crate::vocoder::plan::Window;
use crate::vocoder::{Stream, Vocoder, VocoderError};

/// What is left of a long denoiser call in the estimate after each that is shorter.
const FORGOTTEN: f64 = 0.95;

/// What the worker is told.
pub(super) enum Command {
    Open(Box<Live>),
    Mel(Id, Array2<f32>),
    /// So many frames came that are too early to matter.
    Early(Id, usize),
    End(Id),
    Cancel(Id),
    /// Something that it can see by itself has changed.
    Wake,
}

pub(super) struct Worker {
    vocoder: Vocoder,
    batch: usize,
    label: String,
    inbox: mpsc::UnboundedReceiver<Command>,
    streams: Vec<Live>,
    /// How long a denoiser call takes: the longest one, forgotten by and by.
    call: Duration,
    activity: Arc<Activity>,
    #[cfg(debug_assertions)]
    faults: Faults,
}

impl Worker {
    pub fn new(
        vocoder: Vocoder,
        options: &SchedulerOptions,
        inbox: mpsc::UnboundedReceiver<Command>,
    ) -> Worker {
        Worker {
            batch: options.batch.unwrap_or_else(|| vocoder.best_batch()),
            vocoder,
            label: options.label.clone(),
            inbox,
            streams: Vec::new(),
            call: Duration::ZERO,
            activity: Arc::new(Activity::new()),
            #[cfg(debug_assertions)]
            faults: Faults::of_environment(),
        }
    }

    pub fn vocoder(&self) -> &Vocoder {
        &self.vocoder
    }

    /// What it is doing, for those who watch it.
    pub fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// Does something with the model before the work begins, given also the windows of a call.
    pub fn prepare<T>(&mut self, work: impl FnOnce(&mut Vocoder, usize) -> T) -> T {
        work(&mut self.vocoder, self.batch)
    }

    /// Works until nobody can ask for anything any more.
    pub fn run(mut self) {
        let _watched = Watched(self.activity.clone());
        let mut idle = true;
        while self.listen(idle) {
            self.clear();
            idle = !self.tick();
        }
    }

    /// Takes the commands that have come, waiting for one where there is nothing else to do. False when none can come any more.
    fn listen(&mut self, idle: bool) -> bool {
        if idle {
            self.activity.waits();
            match self.inbox.blocking_recv() {
                Some(command) => self.obey(command),
                None => return false,
            }
        }
        self.activity.works();
        loop {
            match self.inbox.try_recv() {
                Ok(command) => self.obey(command),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return !self.streams.is_empty(),
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Open(live) => self.open(*live),
            Command::Mel(id, mel) => self.with(id, |live| live.push(&mel)),
            Command::Early(id, frames) => self.with(id, |live| {
                live.pass_over(frames);
                Ok(())
            }),
            Command::End(id) => self.with(id, Live::end),
            Command::Cancel(id) => self.with(id, |_| Err(VocoderError::Cancelled)),
            Command::Wake => {}
        }
    }

    /// Takes a stream in, with as much of the model's time behind it as the one that had least.
    fn open(&mut self, mut live: Live) {
        let shares = self.streams.iter().map(|other| other.account.share());
        live.account
            .begin_at(shares.min_by(f64::total_cmp).unwrap_or(0.0));
        self.streams.push(live);
    }

    /// Does something with a stream that may be gone already.
    fn with(&mut self, id: Id, work: impl FnOnce(&mut Live) -> Result<(), VocoderError>) {
        if let Some(live) = self.streams.iter_mut().find(|live| live.id == id)
            && let Err(error) = work(live)
        {
            live.fail(error);
        }
    }

    /// Forgets the streams that are done, have failed or have lost their listener.
    fn clear(&mut self) {
        let label = &self.label;
        self.streams.retain(|live| {
            // Its reader may have left in the meantime, with all that it wanted.
            if live.is_complete() {
                record(label, live);
            }
            !live.is_done() && !live.is_abandoned()
        });
        gauge!("vocode_active_streams", "model" => label.clone()).set(self.streams.len() as f64);
    }

    /// One denoiser call for the most urgent streams. False when there is nothing to do.
    fn tick(&mut self) -> bool {
        let now = Instant::now();
        let jobs = self.choose(now);
        if jobs.is_empty() {
            return false;
        }
        for (index, _) in &jobs {
            self.streams[*index].begins(now);
        }
        let mut streams: Vec<&mut Stream> = self
            .streams
            .iter_mut()
            .map(|live| &mut live.stream)
            .collect();
        #[cfg(debug_assertions)]
        self.faults.strike();
        let result = self.vocoder.run(&mut streams, &jobs);
        let time = now.elapsed();
        self.call = time.max(self.call.mul_f64(FORGOTTEN));
        histogram!("vocode_tick_windows", "model" => self.label.clone()).record(jobs.len() as f64);
        histogram!("vocode_tick_seconds", "model" => self.label.clone()).record(time.as_secs_f64());
        let failed = match result {
            Ok(outcome) => outcome.failed,
            Err(error) => {
                let source = Arc::new(error);
                let each = |(index, _): &(usize, Window)| {
                    let source = source.clone();
                    (*index, VocoderError::Call { source })
                };
                jobs.iter().map(each).collect()
            }
        };
        for (index, error) in failed {
            self.streams[index].fail(error);
        }
        // Before a stream ends: whoever hears its end may ask for the next one at once.
        let has_time = !self.others_need(&jobs);
        self.activity.spares(has_time);
        #[cfg(debug_assertions)]
        let loses_samples = self.faults.shortens();
        for (index, _) in &jobs {
            let live = &mut self.streams[*index];
            #[cfg(debug_assertions)]
            {
                live.loses_sample |= loses_samples;
            }
            if let Err(error) = live.worked(time / jobs.len() as u32) {
                live.fail(error);
            }
        }
        true
    }

    /// Whether a listener waits for work that is none of `jobs`.
    fn others_need(&mut self, jobs: &[(usize, Window)]) -> bool {
        let (now, call) = (Instant::now(), self.call);
        let mut others = self.streams.iter_mut().enumerate();
        others.any(|(index, live)| {
            let is_other = jobs.iter().all(|(job, _)| *job != index);
            is_other && live.urgency(now, call).is_near() && !live.windows().is_empty()
        })
    }

    /// The windows of the next call: the most urgent one, and others of its length.
    fn choose(&mut self, now: Instant) -> Vec<(usize, Window)> {
        let mut ready: Vec<(Urgency, usize, Window)> = Vec::new();
        for (index, live) in self.streams.iter_mut().enumerate() {
            let urgency = live.urgency(now, self.call);
            ready.extend(
                live.windows()
                    .into_iter()
                    .map(|window| (urgency, index, window)),
            );
        }
        ready.sort_by(|a, b| a.0.order(&b.0));
        let is_needed = ready.first().is_some_and(|(urgency, ..)| urgency.is_near());
        self.activity.spares(!is_needed);
        let length = ready.first().map(|(_, _, window)| window.frames);
        ready
            .into_iter()
            .filter(|(_, _, window)| Some(window.frames) == length)
            .take(self.batch)
            .map(|(_, index, window)| (index, window))
            .collect()
    }
}

/// Writes down what a finished stream was like.
fn record(label: &str, live: &Live) {
    let stats = live.stats();
    let label = || label.to_owned();
    histogram!("vocode_queue_seconds", "model" => label()).record(stats.queue.as_secs_f64());
    if let Some(first) = stats.first_audio {
        histogram!("vocode_first_audio_seconds", "model" => label()).record(first.as_secs_f64());
    }
    let seconds = stats.samples as f64 / f64::from(live.rate());
    if seconds > 0.0 {
        histogram!("vocode_real_time_factor", "model" => label())
            .record(stats.inference.as_secs_f64() / seconds);
    }
}
