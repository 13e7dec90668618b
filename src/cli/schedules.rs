//! `vocode schedules`: what `--schedule` and `--solver` can be for a model.

use clap::Args;
use clap::builder::FalseyValueParser;
use serde::Serialize;

use super::args::ModelArgs;
use super::args::load_bundle;
use super::error::CliError;
use super::output::{columns, print};
use crate::bundle::Manifest;
use crate::diffusion::{Solver, SolverKind};
use crate::vocoder::{Sampling, ScheduleChoice};

/// Longer lists of timesteps are shortened where people read them.
const MAX_SHOWN: usize = 12;

/// Arguments of `vocode schedules`.
#[derive(Args, Debug)]
pub struct SchedulesArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Print JSON
    #[arg(long, env = "VOCODE_JSON", value_parser = FalseyValueParser::new())]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Listing {
    model: String,
    version: String,
    process: &'static str,
    prediction: &'static str,
    schedules: Vec<ScheduleLine>,
    solvers: Vec<SolverLine>,
}

#[derive(Debug, Serialize)]
struct ScheduleLine {
    name: String,
    default: bool,
    solver: String,
    denoiser_calls: usize,
    /// What the denoiser is given, call by call.
    timesteps: Vec<f64>,
    /// Passes that bring the audio closer to its mel.
    passes: usize,
}

/// A solver that fits the model.
#[derive(Debug, Serialize)]
struct SolverLine {
    name: &'static str,
    default: bool,
    about: &'static str,
}

/// Runs `vocode schedules`.
pub(super) fn run(args: &SchedulesArgs) -> Result<(), CliError> {
    let listing = Listing::of(&load_bundle(&args.model)?.manifest)?;
    if args.json {
        return print(&format!("{:#}\n", serde_json::json!(listing)));
    }
    print(&listing.words())
}

impl Listing {
    fn of(manifest: &Manifest) -> Result<Listing, CliError> {
        let process = manifest.process();
        let schedules = manifest.schedules.named.keys().map(|name| {
            let choice = ScheduleChoice::Named(name.clone());
            let Sampling {
                name,
                solver,
                plan,
                passes,
            } = choice.resolve(manifest, None)?;
            Ok(ScheduleLine {
                default: name == manifest.schedules.default,
                name,
                solver: solver.to_string(),
                denoiser_calls: plan.steps(),
                timesteps: plan.rows.iter().map(|row| row.t).collect(),
                passes,
            })
        });
        let usual = Solver::default_of(&process).kind();
        let solvers = SolverKind::fitting(&process).map(|kind| SolverLine {
            name: kind.name(),
            default: kind == usual,
            about: kind.about(),
        });
        Ok(Listing {
            model: manifest.name.clone(),
            version: manifest.version.clone(),
            process: process.name(),
            prediction: manifest.diffusion.prediction.name(),
            schedules: schedules.collect::<Result<_, CliError>>()?,
            solvers: solvers.collect(),
        })
    }

    fn words(&self) -> String {
        let mark = |default: bool| if default { " (default)" } else { "" };
        let schedules = self.schedules.iter().map(|line| {
            [
                format!("{}{}", line.name, mark(line.default)),
                line.solver.clone(),
                line.denoiser_calls.to_string(),
                line.passes.to_string(),
                timesteps(&line.timesteps),
            ]
        });
        let solvers = self.solvers.iter().map(|line| {
            [
                format!("{}{}", line.name, mark(line.default)),
                line.about.to_owned(),
            ]
        });
        format!(
            "{} {}: {}, {} prediction\n\n{}\n{}",
            self.model,
            self.version,
            self.process,
            self.prediction,
            columns(
                [
                    "schedule",
                    "solver",
                    "denoiser calls",
                    "passes",
                    "timesteps"
                ],
                schedules
            ),
            columns(["solver", "what it is"], solvers)
        )
    }
}

fn timesteps(all: &[f64]) -> String {
    let words = |part: &[f64]| {
        let rounded = part.iter().map(|t| ((t * 1e4).round() / 1e4).to_string());
        rounded.collect::<Vec<_>>().join(" ")
    };
    if all.len() <= MAX_SHOWN {
        return words(all);
    }
    let ends = MAX_SHOWN / 2;
    format!(
        "{} ... {}",
        words(&all[..ends]),
        words(&all[all.len() - ends..])
    )
}
