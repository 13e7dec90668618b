//! From the flags to the denoising steps.

use clap::Args;

use super::args::read_toml;
use super::error::CliError;
use crate::bundle::{Manifest, ScheduleSpec};
use crate::diffusion::{Grid, Process, Solver, SolverKind};
use crate::text::quoted;
use crate::vocoder::{ScheduleChoice, VocoderError};

/// Which denoising steps are taken.
#[derive(Args, Clone, Debug, Default)]
pub struct SamplingArgs {
    /// Number of denoising steps: the model's schedule of that length, or an even one [default: the model's own]
    #[arg(
        long,
        env = "VOCODE_STEPS",
        value_name = "N",
        conflicts_with = "schedule"
    )]
    steps: Option<usize>,
    /// A schedule of the model by name (see vocode schedules), times or betas with commas between, or a TOML file
    #[arg(long, env = "VOCODE_SCHEDULE", value_name = "NAME|LIST|FILE")]
    schedule: Option<String>,
    /// How to go from step to step: ancestral, ddim, euler, heun, midpoint, dpm-solver++ or predictor-corrector [default: the schedule's]
    #[arg(long, env = "VOCODE_SOLVER", value_name = "NAME")]
    solver: Option<SolverKind>,
}

impl SamplingArgs {
    /// The schedule, and the solver where one is asked for; both fit the model.
    ///
    /// # Errors
    /// [`CliError::Usage`] for a list of something else than numbers, [`CliError::Read`] and [`CliError::Bundle`] for a file that cannot be
    /// used, [`CliError::Sampling`] for what does not fit the model.
    pub(super) fn choose(
        &self,
        manifest: &Manifest,
    ) -> Result<(ScheduleChoice, Option<Solver>), CliError> {
        let choice = match (&self.schedule, self.steps) {
            (Some(text), _) => parse(text, manifest)?,
            (None, Some(steps)) => ScheduleChoice::Steps(steps),
            (None, None) => ScheduleChoice::Default,
        };
        let unfit = |source: VocoderError| CliError::Sampling {
            flags: self.words(),
            source: Box::new(source),
        };
        let solver = self.solver.map(|kind| kind.with(None, None)).transpose();
        let solver = solver.map_err(|e| unfit(e.into()))?;
        choice.resolve(manifest, solver).map_err(unfit)?;
        Ok((choice, solver))
    }

    /// Whether a schedule or a solver was asked for.
    pub(super) fn is_chosen(&self) -> bool {
        self.schedule.is_some() || self.solver.is_some()
    }

    /// The flags as they would be typed.
    fn words(&self) -> String {
        let flags = [
            self.steps.map(|steps| format!("--steps {steps}")),
            self.schedule
                .as_ref()
                .map(|text| format!("--schedule {}", quoted(text))),
            self.solver.map(|kind| format!("--solver {}", kind.name())),
        ];
        flags.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

fn parse(text: &str, manifest: &Manifest) -> Result<ScheduleChoice, CliError> {
    if text.ends_with(".toml") {
        let spec = ScheduleSpec::from_toml(&read_toml(text)?)?;
        let schedule = spec.schedule().map_err(VocoderError::from)?;
        return Ok(ScheduleChoice::Custom(schedule));
    }
    let named = manifest.schedules.named.contains_key(text);
    let Some(values) = list(text, named)? else {
        return Ok(ScheduleChoice::Named(text.to_owned()));
    };
    let grid = match manifest.process() {
        Process::Flow => Grid::Times(values),
        Process::Ddpm { .. } => Grid::Betas(values),
    };
    Ok(ScheduleChoice::Custom(grid.into()))
}

/// The numbers of a `--schedule`, or `None` where it is a name. A name of the model's (`named`) beats a number, as `6` can be either.
pub(super) fn list(text: &str, named: bool) -> Result<Option<Vec<f64>>, CliError> {
    if named || !(text.contains(',') || text.trim().parse::<f64>().is_ok()) {
        return Ok(None);
    }
    let number = |part: &str| {
        part.trim().parse().map_err(|_| {
            CliError::usage(format!(
                "--schedule {}: {} is no number; give numbers with commas between, a name or a .toml file",
                quoted(text),
                quoted(part)
            ))
        })
    };
    text.split(',')
        .map(number)
        .collect::<Result<_, _>>()
        .map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Bundle;

    fn manifest(name: &str) -> Manifest {
        let folder = format!("tests/fixtures/{name}");
        Bundle::from_dir(folder.as_ref()).unwrap().manifest
    }

    fn choose(model: &str, schedule: &str) -> Result<ScheduleChoice, CliError> {
        let args = SamplingArgs {
            schedule: Some(schedule.to_owned()),
            ..SamplingArgs::default()
        };
        args.choose(&manifest(model)).map(|(choice, _)| choice)
    }

    #[test]
    fn a_list_is_of_times_or_of_betas_as_the_model_asks() {
        let custom = |grid: Grid| ScheduleChoice::Custom(grid.into());
        for text in ["0,0.5,0.75", " 0, .5 , 7.5e-1 "] {
            let times = custom(Grid::Times(vec![0.0, 0.5, 0.75]));
            assert_eq!(choose("tiny_flow", text).unwrap(), times);
        }
        assert_eq!(
            choose("tiny_flow", "0").unwrap(),
            custom(Grid::Times(vec![0.0]))
        );
        assert_eq!(
            choose("tiny_ddpm", "1e-4,0.01,0.2").unwrap(),
            custom(Grid::Betas(vec![1e-4, 0.01, 0.2]))
        );
    }

    #[test]
    fn a_name_of_the_models_may_be_a_number() {
        let mut flow = manifest("tiny_flow");
        let two = flow.schedules.named["two"].clone();
        flow.schedules.named.insert("6".to_owned(), two);
        assert_eq!(
            parse("6", &flow).unwrap(),
            ScheduleChoice::Named("6".to_owned())
        );
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_flag_and_what_would() {
        for (model, schedule, words) in [
            ("tiny_flow", "0,0.5,0.5", "increase from 0 and stay below 1"),
            ("tiny_flow", "0.2,0.5", "starts at 0"),
            ("tiny_ddpm", "0.05,0.5,0.9", "a beta of 0.000001 to 0.41"),
            ("tiny_ddpm", "0,0.5", "between 0 and 1"),
            ("tiny_flow", "0,half", "\"half\" is no number"),
            ("tiny_flow", "turbo", "it has fast, two"),
        ] {
            let message = choose(model, schedule).unwrap_err().to_string();
            assert!(message.contains("--schedule"), "{message}");
            assert!(message.contains(words), "{words}: {message}");
        }
    }

    #[test]
    fn a_solver_of_another_process_is_refused_with_those_that_fit() {
        let args = SamplingArgs {
            steps: Some(3),
            solver: Some(SolverKind::Ddim),
            ..SamplingArgs::default()
        };
        let message = args.choose(&manifest("tiny_flow")).unwrap_err().to_string();
        assert_eq!(
            message,
            "--steps 3 --solver ddim: a flow model cannot be run with the solver ddim; those that fit are euler, heun, midpoint, \
             dpm-solver++, predictor-corrector"
        );
    }
}
