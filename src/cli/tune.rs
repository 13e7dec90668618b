//! `vocode tune`: schedules that fit a model better.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::FalseyValueParser;
use serde::Serialize;

use super::args::SessionArgs;
use super::args::load_bundle;
use super::error::CliError;
use super::interrupt::{self, Watch};
use super::jobs::{Source, expand};
use super::mel::{AUDIO, LengthArg, read_clip};
use super::output::{Target, print};
use super::setup::load_runtime;
use super::summary::Bar;
use crate::audio::resample;
use crate::bundle::{MANIFEST, ScheduleSpec, with_schedule};
use crate::diffusion::{MAX_STEPS, Solver, SolverKind};
use crate::mel::{Layout, Mel, MelConvention, NpyLimits, analyse, prepare, read_npy};
use crate::quality::Distances;
use crate::tune::{Clip, TuneError, Tuned, Tuner};
use crate::vocoder::{Vocoder, VocoderError};

const ABOUT: &str = "\
The mel of NAME.wav is NAME.npy beside it, in the model's convention, or is made of the recording. Each schedule is judged by the \
difference of log mels and the multi-resolution STFT distance between what the model makes and the recordings, on the same noise. What is \
better than the schedule of that length so far takes its place in DIR/bundle.toml; give recordings that the model did not learn from.";

/// Arguments of `vocode tune`.
#[derive(Args, Debug)]
#[command(after_help = ABOUT)]
pub struct TuneArgs {
    /// Recordings, or folders of them
    #[arg(required = true, value_name = "AUDIO")]
    inputs: Vec<PathBuf>,
    /// Numbers of steps to search a schedule for
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "1,2,3,4,6",
        value_name = "N,..."
    )]
    steps: Vec<usize>,
    /// How to go from step to step [default: as the schedule so far does]
    #[arg(long, env = "VOCODE_SOLVER", value_name = "NAME")]
    solver: Option<SolverKind>,
    /// Most schedules to try for each number of steps [default: 12 for each step]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000), value_name = "N")]
    tries: Option<u32>,
    /// Recordings to use, spread evenly over those that are given
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=100_000), value_name = "N")]
    clips: u32,
    /// Seed of the noise
    #[arg(long, env = "VOCODE_SEED", default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Tell what is found, and leave the model as it is
    #[arg(long)]
    dry_run: bool,
    /// Print JSON, a line for each number of steps
    #[arg(long, env = "VOCODE_JSON", value_parser = FalseyValueParser::new())]
    json: bool,
    #[command(flatten)]
    length: LengthArg,
    #[command(flatten)]
    session: SessionArgs,
}

/// What is told of a number of steps.
#[derive(Debug, Serialize)]
struct Finding {
    steps: usize,
    schedule: String,
    spec: ScheduleSpec,
    before: Figures,
    after: Figures,
    /// 1 for the schedule from before, less for a better one.
    error: f64,
    tried: usize,
    written: bool,
}

#[derive(Debug, Serialize)]
struct Figures {
    log_mel: f64,
    mr_stft: f64,
}

impl From<Distances> for Figures {
    fn from(Distances { log_mel, mr_stft }: Distances) -> Figures {
        Figures { log_mel, mr_stft }
    }
}

/// Runs `vocode tune`.
pub(super) fn run(args: &TuneArgs) -> Result<(), CliError> {
    let session = &args.session;
    session.verbosity.start_logging();
    let folder = folder(args)?;
    if let Some(steps) = args.steps.iter().find(|n| !(1..=MAX_STEPS).contains(*n)) {
        return Err(CliError::usage(format!(
            "--steps {steps}: expected 1 to {MAX_STEPS}"
        )));
    }
    let bundle = load_bundle(&session.model)?;
    let solver = args.solver.map(|kind| kind.with(None, None)).transpose();
    let solver = solver.map_err(VocoderError::from)?;
    let clips = clips(args, &bundle.manifest.mel)?;
    let runtime = load_runtime(&session.engine, session.verbosity.quiet)?;
    let mut vocoder = Vocoder::new(bundle, &runtime, &session.engine.options())?;
    let mut tuner = Tuner::new(&mut vocoder, clips, args.seed)?;
    for &steps in &args.steps {
        let limit = args.tries.map_or(12 * steps, |tries| tries as usize);
        let tuned = search(&mut tuner, steps, limit, args, solver)?;
        let finding = finish(steps, &tuned, folder)?;
        print(&if args.json {
            // A struct of numbers and strings always serialises.
            serde_json::to_string(&finding).unwrap_or_default() + "\n"
        } else {
            finding.line()
        })?;
    }
    Ok(())
}

/// The model's folder where it is to be changed.
fn folder(args: &TuneArgs) -> Result<Option<&Path>, CliError> {
    match (args.dry_run, args.session.model.folder()) {
        (true, _) => Ok(None),
        (false, Some(folder)) => Ok(Some(folder)),
        (false, None) => Err(CliError::usage(
            "a built-in model cannot be changed: name a model with --model DIR, or give --dry-run to be told only",
        )),
    }
}

/// The recordings that are used, with their mels.
fn clips(args: &TuneArgs, convention: &MelConvention) -> Result<Vec<Clip>, CliError> {
    let sources = expand(&args.inputs, AUDIO)?;
    let count = sources.len().min(args.clips as usize);
    let chosen = (0..count).map(|n| &sources[n * sources.len() / count]);
    chosen
        .map(|source| clip(source, convention, args.length))
        .collect()
}

fn clip(source: &Source, convention: &MelConvention, length: LengthArg) -> Result<Clip, CliError> {
    let name = source.label();
    let recording = read_clip(source, length)?;
    let samples = resample(
        recording.samples,
        recording.sample_rate,
        convention.sample_rate,
    )
    .map_err(|e| CliError::audio(&name, e))?;
    let mel = match source {
        Source::File(path) if path.with_extension("npy").is_file() => {
            stored(&path.with_extension("npy"), convention)?
        }
        _ => analyse(&samples, convention).map_err(|e| CliError::mel(&name, e))?,
    };
    Ok(Clip { name, mel, samples })
}

fn stored(path: &Path, convention: &MelConvention) -> Result<Mel, CliError> {
    let source = Source::File(path.to_owned());
    let label = source.label();
    let failed = |e| CliError::mel(&label, e);
    let limits = NpyLimits::default();
    let mel = read_npy(
        source.open()?,
        Some(convention.n_mels),
        Layout::Auto,
        &limits,
    );
    let prepared = prepare(mel.map_err(failed)?, convention, convention).map_err(failed)?;
    Ok(prepared.mel)
}

fn search(
    tuner: &mut Tuner,
    steps: usize,
    limit: usize,
    args: &TuneArgs,
    solver: Option<Solver>,
) -> Result<Tuned, CliError> {
    let _watch = Watch::start();
    let mut bar = Bar::new(args.session.verbosity.quiet || args.json);
    let found = tuner.tune(steps, solver, limit, &mut |tried| {
        bar.set(tried as f64 / limit as f64);
        interrupt::go_on()
    });
    bar.finish();
    match found {
        Err(TuneError::Vocoder(VocoderError::Cancelled)) => Err(CliError::Interrupted),
        other => Ok(other?),
    }
}

/// Writes what was found into the model of `folder`, where it is better.
fn finish(steps: usize, tuned: &Tuned, folder: Option<&Path>) -> Result<Finding, CliError> {
    let spec = ScheduleSpec::from(&tuned.schedule);
    let name = match tuned.replaced.starts_with("uniform-") {
        true => format!("steps-{steps}"),
        false => tuned.replaced.clone(),
    };
    let better = tuned.error() < 1.0;
    if let (Some(folder), true) = (folder, better) {
        let path = folder.join(MANIFEST);
        let failed = |e| CliError::read(path.display().to_string(), e);
        let text = std::fs::read_to_string(&path).map_err(failed)?;
        let text = with_schedule(&text, &name, &spec)?;
        Target::File(path).write(text.as_bytes(), true)?;
    }
    Ok(Finding {
        steps,
        schedule: name,
        spec,
        before: tuned.before.into(),
        after: tuned.after.into(),
        error: tuned.error(),
        tried: tuned.tried,
        written: better && folder.is_some(),
    })
}

impl Finding {
    fn line(&self) -> String {
        let Finding {
            steps,
            schedule,
            tried,
            before,
            after,
            ..
        } = self;
        let steps = format!("{steps} step{}", if *steps == 1 { "" } else { "s" });
        if self.error >= 1.0 {
            return format!(
                "{steps}: none of {tried} schedules is better than the one so far (log mel {:.4}, MR-STFT {:.4})\n",
                before.log_mel, before.mr_stft
            );
        }
        // A struct of numbers, lists and names always serialises.
        let spec = toml::Value::try_from(&self.spec).map(|spec| spec.to_string());
        format!(
            "{steps}: {schedule} = {}{}; log mel {:.4} -> {:.4}, MR-STFT {:.4} -> {:.4}, error {:.3} of before; {tried} tried\n",
            spec.unwrap_or_default(),
            if self.written { " (written)" } else { "" },
            before.log_mel,
            after.log_mel,
            before.mr_stft,
            after.mr_stft,
            self.error
        )
    }
}
