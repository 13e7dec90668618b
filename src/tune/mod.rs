//! Finding the schedule of a number of steps that brings a model closest to recordings.
//!
//! Every schedule is tried on the same clips with the same noise, so that two of them differ by the schedule alone. A small grid of
//! shapes is followed by a pattern search from the best of them (Hooke and Jeeves 1961).
//!
//! ```no_run
//! use std::ops::ControlFlow;
//!
//! use vocode::Vocoder;
//! use vocode::tune::{Clip, Tuner};
//!
//! # fn example(vocoder: &mut Vocoder, clips: Vec<Clip>) -> Result<(), vocode::tune::TuneError> {
//! let mut tuner = Tuner::new(vocoder, clips, 0)?;
//! let found = tuner.tune(2, None, 200, &mut |_| ControlFlow::Continue(()))?;
//! println!("{:?}: {:?} instead of {:?}", found.schedule, found.after, found.before);
//! # Ok(())
//! # }
//! ```

mod search;
mod shape;

use std::ops::ControlFlow;

use thiserror::Error;

use crate::diffusion::{Grid, Schedule, Solver};
use crate::mel::{Mel, MelError};
use crate::quality::{Distances, Recording};
use crate::vocoder::{Sampling, ScheduleChoice, SynthesisOptions, Vocoder, VocoderError};
use search::minimise;
use shape::Shape;

/// Errors of [`Tuner`].
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TuneError {
    /// There is nothing to compare with.
    #[error("there are no clips to tune on")]
    NoClips,
    /// A recording that is not the one its mel was made of.
    #[error(
        "{name}: the mel has {frames} frames, which is {expected} samples, and the recording has {found}: they do not belong together"
    )]
    Length {
        /// The clip.
        name: String,
        /// Frames of the mel.
        frames: usize,
        /// Samples that they take.
        expected: usize,
        /// Samples of the recording, at the model's rate.
        found: usize,
    },
    /// A recording that cannot be analysed.
    #[error("{name}: {source}")]
    Recording {
        /// The clip.
        name: String,
        /// What is wrong with it.
        source: MelError,
    },
    /// A schedule that cannot be run, or a model that fails.
    #[error(transparent)]
    Vocoder(#[from] VocoderError),
}

/// A mel in the model's convention, and the recording that it was made of, mono at the model's rate.
pub struct Clip {
    /// What messages call it.
    pub name: String,
    /// The mel.
    pub mel: Mel,
    /// The recording, within a frame of the mel's length.
    pub samples: Vec<f32>,
}

struct Target {
    mel: Mel,
    recording: Recording,
}

/// What was found for a number of steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuned {
    /// The best schedule that was tried; the one from before where none is better.
    pub schedule: Schedule,
    /// Name of the schedule from before: the bundle's of that length, or `uniform-N`.
    pub replaced: String,
    /// What the schedule from before comes to, the mean over the clips.
    pub before: Distances,
    /// What the best one comes to.
    pub after: Distances,
    /// Schedules that were tried.
    pub tried: usize,
}

impl Tuned {
    /// The error of the best schedule in units of the one from before: at most 1, and 1 where none is better.
    pub fn error(&self) -> f64 {
        relative(&self.after, &self.before)
    }
}

/// The mean of both distances, each in units of what it was before.
fn relative(found: &Distances, before: &Distances) -> f64 {
    let ratio = |a: f64, b: f64| if b > 0.0 { a / b } else { 1.0 };
    0.5 * (ratio(found.log_mel, before.log_mel) + ratio(found.mr_stft, before.mr_stft))
}

/// Tries schedules of one model on some clips.
pub struct Tuner<'a> {
    vocoder: &'a mut Vocoder,
    targets: Vec<Target>,
    seed: u64,
}

impl<'a> Tuner<'a> {
    /// Analyses the recordings. `seed` is that of the noise, the same for all.
    ///
    /// # Errors
    /// [`TuneError::NoClips`], [`TuneError::Length`], [`TuneError::Recording`].
    pub fn new(
        vocoder: &'a mut Vocoder,
        clips: Vec<Clip>,
        seed: u64,
    ) -> Result<Tuner<'a>, TuneError> {
        let convention = vocoder.manifest().mel.clone();
        let target = |clip: Clip| {
            let Clip {
                name,
                mel,
                mut samples,
            } = clip;
            let (frames, found) = (mel.frames(), samples.len());
            let expected = frames * convention.hop;
            if found.abs_diff(expected) > convention.hop {
                return Err(TuneError::Length {
                    name,
                    frames,
                    expected,
                    found,
                });
            }
            samples.resize(expected, 0.0);
            let recording = Recording::new(&samples, &convention)
                .map_err(|source| TuneError::Recording { name, source })?;
            Ok(Target { mel, recording })
        };
        let targets: Vec<Target> = clips.into_iter().map(target).collect::<Result<_, _>>()?;
        if targets.is_empty() {
            return Err(TuneError::NoClips);
        }
        Ok(Tuner {
            vocoder,
            targets,
            seed,
        })
    }

    /// Searches the schedules of `steps` steps, with `solver` instead of that of the schedule from before where it is given. At most
    /// `limit` are tried. `observer` is told how many have been after each, and may stop the search.
    ///
    /// # Errors
    /// [`VocoderError::Cancelled`] when the observer breaks off; a number of steps or a solver that does not fit the model.
    pub fn tune(
        &mut self,
        steps: usize,
        solver: Option<Solver>,
        limit: usize,
        observer: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Tuned, TuneError> {
        let manifest = self.vocoder.manifest();
        let process = manifest.process();
        let choice = ScheduleChoice::Steps(steps);
        let Sampling { name, .. } = choice.resolve(manifest, solver)?;
        let mut start = match manifest.schedules.named.get(&name) {
            Some(spec) => spec.schedule().map_err(VocoderError::from)?,
            None => Grid::Uniform(steps).into(),
        };
        start.solver = solver.or(start.solver);
        let before = self.distances(&start, observer, 0)?;
        let mut tuned = Tuned {
            schedule: start.clone(),
            replaced: name,
            before,
            after: before,
            tried: 1,
        };
        let shape = Shape::new(&process, steps);
        let starts = shape.starts(&start.grid);
        minimise(&starts, limit.saturating_sub(1), |point| {
            let schedule = Schedule {
                grid: shape.grid(point),
                ..start.clone()
            };
            if self.vocoder.manifest().plan(&schedule).is_err() {
                return Ok(None);
            }
            let after = self.distances(&schedule, observer, tuned.tried)?;
            tuned.tried += 1;
            let error = relative(&after, &before);
            if error < tuned.error() {
                (tuned.schedule, tuned.after) = (schedule, after);
            }
            Ok::<_, TuneError>(Some(error))
        })?;
        Ok(tuned)
    }

    /// What a schedule comes to, the mean over the clips.
    fn distances(
        &mut self,
        schedule: &Schedule,
        observer: &mut dyn FnMut(usize) -> ControlFlow<()>,
        tried: usize,
    ) -> Result<Distances, TuneError> {
        let options = SynthesisOptions {
            seed: self.seed,
            schedule: ScheduleChoice::Custom(schedule.clone()),
            ..SynthesisOptions::default()
        };
        let mut sum = Distances::default();
        for Target { mel, recording } in &self.targets {
            let made = self
                .vocoder
                .synthesize_observed(mel, &options, &mut |_| observer(tried))?;
            let found = recording.compare(&made.samples);
            let found = found.map_err(|source| TuneError::Recording {
                name: "the audio that was made".to_owned(),
                source,
            })?;
            sum.log_mel += found.log_mel;
            sum.mr_stft += found.mr_stft;
        }
        let count = self.targets.len() as f64;
        Ok(Distances {
            log_mel: sum.log_mel / count,
            mr_stft: sum.mr_stft / count,
        })
    }
}
