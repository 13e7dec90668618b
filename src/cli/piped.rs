//! The audio of one mel on standard output, while it is made.

use std::ops::ControlFlow;
use std::time::Instant;

use ndarray::Axis;

use super::container::Container;
use super::error::CliError;
use super::interrupt::{self, Watch};
use super::jobs::Job;
use super::maker::{Maker, Written};
use super::pipe::Pipe;
use super::summary::Summary;
use crate::audio::Limiter;
use crate::mel::Prepared;
use crate::vocoder::{Output, Sampling, Synthesis, SynthesisOptions};

/// Frames of the mel that are handed over at once.
const PIECE: usize = 32;

impl Maker<'_> {
    /// Writes the audio of one mel to standard output as it is made: the bytes of the file. `None` where the reader has gone before its end.
    pub(super) fn pipe(
        &mut self,
        job: &Job,
        ready: Option<Prepared>,
    ) -> Result<Option<Summary>, CliError> {
        let prepared = self.prepared(job, ready)?;
        let (began, graph_time) = (Instant::now(), self.vocoder.graph_time());
        let options = self.options_of(job);
        let mut synthesis = self.begun(&options)?;
        let (own, mel) = (synthesis.sample_rate, &prepared.mel);
        let rate = self.args.sample_rate.unwrap_or(own);
        let label = job.target.label();
        let failed = |error| CliError::audio(&label, error);
        let made = mel.frames() * self.vocoder.manifest().mel.hop;
        let container = Container::of(&job.target, self.args.container)?;
        let mut sound = Sound {
            output: Output::new(prepared.shift_samples, own, rate).map_err(failed)?,
            limiter: self.limits().then(|| Limiter::new(rate)),
            pipe: Pipe::new(
                container.encoding(self.args.format),
                rate,
                Some(Output::samples(made, prepared.shift_samples, own, rate) as u64),
                self.provenance(&synthesis, &prepared),
            )?,
            samples: 0,
            label: &label,
        };

        let _watch = Watch::start();
        let mut bar = self.bar();
        let mut stream = self.vocoder.open(&options)?;
        let mut done = 0;
        for piece in mel.view().axis_chunks_iter(Axis(1), PIECE) {
            interrupt::check()?;
            stream.push(piece)?;
            self.vocoder.advance(&mut stream)?;
            if sound.push(&stream.take())?.is_break() {
                return Ok(None);
            }
            done += piece.ncols();
            bar.set(done as f64 / mel.frames() as f64);
        }
        stream.end()?;
        self.vocoder.advance(&mut stream)?;
        bar.finish();
        if sound.push(&stream.take())?.is_break() {
            return Ok(None);
        }
        let Some(written) = sound.finish(rate)? else {
            return Ok(None);
        };
        synthesis.graph_time = self.vocoder.graph_time() - graph_time;
        Ok(Some(
            self.summary(job, &prepared, &synthesis, &written, began),
        ))
    }

    /// What is known of a synthesis before its audio.
    fn begun(&self, options: &SynthesisOptions) -> Result<Synthesis, CliError> {
        let manifest = self.vocoder.manifest();
        let Sampling {
            name, solver, plan, ..
        } = options.schedule.resolve(manifest, options.solver)?;
        Ok(Synthesis {
            samples: Vec::new(),
            sample_rate: manifest.mel.sample_rate,
            steps: plan.steps(),
            schedule: name,
            solver,
            seed: options.seed,
            provider: self.vocoder.provider().to_owned(),
            window_frames: 0,
            calls: 0,
            elapsed: std::time::Duration::ZERO,
            graph_time: std::time::Duration::ZERO,
        })
    }
}

/// From the model's samples to bytes on standard output.
struct Sound<'a> {
    output: Output,
    /// Where peaks are turned down.
    limiter: Option<Limiter>,
    pipe: Pipe,
    samples: usize,
    label: &'a str,
}

impl Sound<'_> {
    fn push(&mut self, made: &[f32]) -> Result<ControlFlow<()>, CliError> {
        let mut ready = Vec::new();
        let placed = self.output.push(made, &mut ready);
        placed.map_err(|e| CliError::audio(self.label, e))?;
        if let Some(limiter) = &mut self.limiter {
            let mut limited = Vec::with_capacity(ready.len());
            limiter.push(&ready, &mut limited);
            ready = limited;
        }
        self.samples += ready.len();
        match ready.is_empty() {
            true => Ok(ControlFlow::Continue(())),
            false => self.pipe.push(&ready),
        }
    }

    /// `None` where the reader has gone.
    fn finish(mut self, rate: u32) -> Result<Option<Written>, CliError> {
        let mut last = Vec::new();
        let ended = self.output.finish(&mut last);
        ended.map_err(|e| CliError::audio(self.label, e))?;
        if let Some(limiter) = &mut self.limiter {
            let mut limited = Vec::new();
            limiter.push(&last, &mut limited);
            limiter.finish(&mut limited);
            last = limited;
        }
        if self.pipe.push(&last)?.is_break() || self.pipe.finish()?.is_break() {
            return Ok(None);
        }
        Ok(Some(Written {
            rate,
            samples: self.samples + last.len(),
            clipped: self.pipe.clipped(),
            limited: self.limiter.and_then(|limiter| limiter.limited()),
        }))
    }
}
