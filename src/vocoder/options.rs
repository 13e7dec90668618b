//! What a caller asks for and gets.

use super::error::VocoderError;
use crate::bundle::Manifest;
use crate::diffusion::{Grid, Plan, Schedule, Solver};
use crate::dsp::Watermark;
use crate::mel::Sharpening;
use crate::setters::setters;
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
    /// A solver may call the network several times a step.
    Steps(usize),
    /// Any other.
    Custom(Schedule),
}

/// How to make one clip.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SynthesisOptions {
    /// The noise: same seed, same samples.
    pub seed: u64,
    /// The steps.
    pub schedule: ScheduleChoice,
    /// The solver, instead of the schedule's own.
    pub solver: Option<Solver>,
    /// Frames by which each window advances; chosen for speed when `None`. It changes nothing beyond rounding.
    pub window_frames: Option<usize>,
    /// Most windows that go through the denoiser in one call. When `None`, as many as a GPU does best; on a CPU each session then takes the
    /// next window as soon as it is free. It changes nothing beyond rounding.
    pub batch: Option<usize>,
    /// The watermark to put in: gains of 0.8 dB up or down in cells of 86 Hz and 46 ms between 0.9 and 7.5 kHz.
    /// [`watermark::detect`](crate::watermark::detect) finds it.
    pub watermark: Option<Watermark>,
    /// How the mel is sharpened; as the bundle says when `None`.
    pub sharpening: Option<Sharpening>,
}

setters!(SynthesisOptions {
    seed: u64,
    schedule: ScheduleChoice,
    solver: Option<Solver>,
    window_frames: Option<usize>,
    batch: Option<usize>,
    watermark: Option<Watermark>,
    sharpening: Option<Sharpening>,
});

impl Default for SynthesisOptions {
    fn default() -> SynthesisOptions {
        SynthesisOptions {
            seed: 0,
            schedule: ScheduleChoice::Default,
            solver: None,
            window_frames: None,
            batch: None,
            watermark: None,
            sharpening: None,
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
    /// The solver that was used.
    pub solver: Solver,
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
    /// The part of it in which ONNX Runtime was at work on a graph, on whichever threads.
    pub graph_time: Duration,
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

/// What a choice comes to for one model.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Name of the schedule: the bundle's, `uniform-N` or `custom`.
    pub name: String,
    /// The solver.
    pub solver: Solver,
    /// The network calls.
    pub plan: Plan,
    /// Passes that bring the finished audio closer to its mel.
    pub passes: usize,
}

impl ScheduleChoice {
    /// What is run for a model when this is chosen, with `solver` instead of the schedule's own where it is given.
    ///
    /// # Errors
    /// A name that the bundle does not have; a schedule or solver that does not fit its process.
    pub fn resolve(
        &self,
        manifest: &Manifest,
        solver: Option<Solver>,
    ) -> Result<Sampling, VocoderError> {
        let (name, mut schedule) = match self {
            ScheduleChoice::Default => named(manifest, &manifest.schedules.default)?,
            ScheduleChoice::Named(name) => named(manifest, name)?,
            ScheduleChoice::Custom(schedule) => ("custom".to_owned(), schedule.clone()),
            ScheduleChoice::Steps(steps) => of_length(manifest, *steps)?,
        };
        schedule.solver = solver.or(schedule.solver);
        Ok(Sampling {
            name,
            solver: schedule.solver(&manifest.process()),
            plan: manifest.plan(&schedule)?,
            passes: manifest.passes(&schedule)?,
        })
    }
}

fn of_length(manifest: &Manifest, steps: usize) -> Result<(String, Schedule), VocoderError> {
    let process = manifest.process();
    let schedules = &manifest.schedules;
    for name in std::iter::once(&schedules.default).chain(schedules.named.keys()) {
        let (name, schedule) = named(manifest, name)?;
        if schedule.grid.steps(&process) == steps {
            return Ok((name, schedule));
        }
    }
    Ok((format!("uniform-{steps}"), Grid::Uniform(steps).into()))
}

fn named(manifest: &Manifest, name: &str) -> Result<(String, Schedule), VocoderError> {
    let named = &manifest.schedules.named;
    let unknown = || VocoderError::UnknownSchedule {
        name: name.to_owned(),
        known: named.keys().cloned().collect(),
    };
    let schedule = named.get(name).ok_or_else(unknown)?.schedule()?;
    Ok((name.to_owned(), schedule))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Bundle;
    use crate::diffusion::SolverKind;
    use crate::dsp::ConsistencyParameters;

    fn manifest(name: &str) -> Manifest {
        Bundle::from_dir(format!("tests/fixtures/{name}").as_ref())
            .unwrap()
            .manifest
    }

    #[test]
    fn schedules_are_found_by_name_length_and_hand() {
        let flow = manifest("tiny_flow");
        let name = |choice: ScheduleChoice| {
            let found = choice.resolve(&flow, None).unwrap();
            (found.name, found.plan.steps())
        };
        assert_eq!(name(ScheduleChoice::Default), ("fast".to_owned(), 4));
        assert_eq!(
            name(ScheduleChoice::Named("two".to_owned())),
            ("two".to_owned(), 2)
        );
        assert_eq!(name(ScheduleChoice::Steps(2)), ("two".to_owned(), 2));
        assert_eq!(name(ScheduleChoice::Steps(5)), ("uniform-5".to_owned(), 5));
        assert_eq!(
            name(ScheduleChoice::Custom(Grid::Times(vec![0.0]).into())),
            ("custom".to_owned(), 1)
        );
    }

    #[test]
    fn the_solver_asked_for_replaces_that_of_the_schedule() {
        let mut flow = manifest("tiny_flow");
        flow.schedules.named.get_mut("two").unwrap().solver = Some(SolverKind::Midpoint);
        let calls = |choice: ScheduleChoice, solver| {
            let found = choice.resolve(&flow, solver).unwrap();
            (found.solver, found.plan.steps())
        };
        let two = || ScheduleChoice::Steps(2);
        assert_eq!(calls(two(), None), (Solver::Midpoint, 4));
        assert_eq!(calls(two(), Some(Solver::Heun)), (Solver::Heun, 3));
        assert_eq!(calls(ScheduleChoice::Default, None), (Solver::Euler, 4));
        let ddim = Some(Solver::Ddim { eta: 0.0 });
        assert!(ScheduleChoice::Default.resolve(&flow, ddim).is_err());
    }

    #[test]
    fn a_schedule_names_its_passes_or_has_those_of_the_model() {
        let mut flow = manifest("tiny_flow");
        let found = |flow: &Manifest, passes| {
            let schedule = Schedule {
                passes,
                ..Grid::Uniform(3).into()
            };
            let found = ScheduleChoice::Custom(schedule).resolve(flow, None);
            found.map(|s| s.passes).map_err(|e| e.to_string())
        };
        flow.consistency = None;
        assert_eq!(found(&flow, None), Ok(0));
        assert_eq!(
            found(&flow, Some(2)).unwrap_err(),
            "passes is 2, expected none: the model has no [consistency]"
        );
        flow.consistency = Some(ConsistencyParameters {
            passes: 4,
            momentum: 0.0,
        });
        assert_eq!(
            [found(&flow, None), found(&flow, Some(16))],
            [Ok(4), Ok(16)]
        );
        for bad in [0, 17] {
            let error = found(&flow, Some(bad)).unwrap_err();
            assert!(error.contains("expected 1 to 16"), "{error}");
        }
    }

    #[test]
    fn an_unknown_name_lists_those_there_are() {
        let choice = ScheduleChoice::Named("slow".to_owned());
        let error = choice.resolve(&manifest("tiny_flow"), None).unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"the model has no schedule named "slow"; it has fast, two"#
        );
    }

    #[test]
    fn the_clamp_of_the_manifest_is_in_the_plan() {
        let found = ScheduleChoice::Default.resolve(&manifest("tiny_ddpm"), None);
        assert_eq!(found.unwrap().plan.clamp, Some([-1.0, 1.0]));
    }
}
