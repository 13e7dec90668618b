//! What a caller asks for and gets.

use super::VocoderError;
use crate::bundle::Manifest;
use crate::diffusion::{Plan, Schedule};
use std::time::Duration;

/// Which schedule to run.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ScheduleChoice {
    /// The bundle's default.
    #[default]
    Default,
    /// One of the bundle's, by name.
    Named(String),
    /// This many steps: the bundle's named schedule of that length where it has one (the default first), evenly spaced ones otherwise.
    Steps(usize),
    /// Any other.
    Custom(Schedule),
}

/// How to make one clip.
#[derive(Clone, Debug, PartialEq)]
pub struct SynthesisOptions {
    /// The noise: same seed, same samples.
    pub seed: u64,
    /// The steps.
    pub schedule: ScheduleChoice,
    /// Frames by which each window advances; chosen for speed when `None`. It changes nothing beyond rounding.
    pub window_frames: Option<usize>,
    /// Most windows that go through the denoiser in one call. On CPUs, one at a time is fastest.
    pub batch: usize,
}

impl Default for SynthesisOptions {
    fn default() -> SynthesisOptions {
        SynthesisOptions {
            seed: 0,
            schedule: ScheduleChoice::Default,
            window_frames: None,
            batch: 1,
        }
    }
}

/// How far a synthesis has come, told after every denoiser call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Frames done, added up over the steps.
    pub done: u64,
    /// Frames of the clip times steps.
    pub total: u64,
}

impl Progress {
    /// From 0 to 1.
    pub fn fraction(&self) -> f64 {
        self.done as f64 / self.total.max(1) as f64
    }
}

/// A finished clip.
#[derive(Clone, Debug, PartialEq)]
pub struct Synthesis {
    /// Mono, `frames * hop` of them, full scale 1.
    pub samples: Vec<f32>,
    /// Samples a second.
    pub sample_rate: u32,
    /// Network calls for each sample.
    pub steps: usize,
    /// Name of the schedule: the bundle's, `uniform-N` or `custom`.
    pub schedule: String,
    /// The seed of the noise.
    pub seed: u64,
    /// The execution provider that ran the denoiser.
    pub provider: String,
    /// Frames by which each window advanced.
    pub window_frames: usize,
    /// Denoiser calls.
    pub calls: usize,
    /// Time taken, model load excluded.
    pub elapsed: Duration,
}

impl Synthesis {
    /// Length of the audio in seconds.
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.sample_rate)
    }

    /// Seconds taken for a second of audio.
    pub fn real_time_factor(&self) -> f64 {
        self.elapsed.as_secs_f64() / self.seconds().max(f64::MIN_POSITIVE)
    }
}

/// The name and the plan of the schedule that is chosen.
///
/// # Errors
/// A name that the bundle does not have, or a schedule that does not fit its process.
pub(super) fn resolve(
    manifest: &Manifest,
    choice: &ScheduleChoice,
) -> Result<(String, Plan), VocoderError> {
    match choice {
        ScheduleChoice::Default => named(manifest, &manifest.schedules.default),
        ScheduleChoice::Named(name) => named(manifest, name),
        ScheduleChoice::Custom(schedule) => Ok(("custom".to_owned(), manifest.plan(schedule)?)),
        ScheduleChoice::Steps(steps) => {
            let names =
                std::iter::once(&manifest.schedules.default).chain(manifest.schedules.named.keys());
            for name in names {
                let found = named(manifest, name)?;
                if found.1.steps() == *steps {
                    return Ok(found);
                }
            }
            Ok((
                format!("uniform-{steps}"),
                manifest.plan(&Schedule::Uniform(*steps))?,
            ))
        }
    }
}

fn named(manifest: &Manifest, name: &str) -> Result<(String, Plan), VocoderError> {
    let named = &manifest.schedules.named;
    let unknown = || VocoderError::UnknownSchedule {
        name: name.to_owned(),
        known: named.keys().cloned().collect(),
    };
    let schedule = named.get(name).ok_or_else(unknown)?.schedule()?;
    Ok((name.to_owned(), manifest.plan(&schedule)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Bundle;

    fn manifest(name: &str) -> Manifest {
        Bundle::from_dir(format!("tests/fixtures/{name}").as_ref())
            .unwrap()
            .manifest
    }

    #[test]
    fn schedules_are_found_by_name_length_and_hand() {
        let flow = manifest("tiny_flow");
        let name = |choice| {
            resolve(&flow, &choice)
                .map(|(name, plan)| (name, plan.steps()))
                .unwrap()
        };
        assert_eq!(name(ScheduleChoice::Default), ("fast".to_owned(), 4));
        assert_eq!(
            name(ScheduleChoice::Named("two".to_owned())),
            ("two".to_owned(), 2)
        );
        assert_eq!(name(ScheduleChoice::Steps(2)), ("two".to_owned(), 2));
        assert_eq!(name(ScheduleChoice::Steps(5)), ("uniform-5".to_owned(), 5));
        assert_eq!(
            name(ScheduleChoice::Custom(Schedule::Times(vec![0.0]))),
            ("custom".to_owned(), 1)
        );
    }

    #[test]
    fn an_unknown_name_lists_those_there_are() {
        let error = resolve(
            &manifest("tiny_flow"),
            &ScheduleChoice::Named("slow".to_owned()),
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"the model has no schedule named "slow"; it has fast, two"#
        );
    }

    #[test]
    fn the_clamp_of_the_manifest_is_in_the_plan() {
        assert_eq!(
            resolve(&manifest("tiny_ddpm"), &ScheduleChoice::Default)
                .unwrap()
                .1
                .clamp,
            Some([-1.0, 1.0])
        );
    }
}
