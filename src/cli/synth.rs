//! The main job: mels in, speech out.

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{ArgAction, Args};

use super::args::load_bundle;
use super::args::{ConventionArg, FormatArg, LayoutArg, Overwrite, SessionArgs};
use super::batch::{Batch, BatchArgs};
use super::beside;
use super::container::Container;
use super::error::CliError;
use super::jobs::{self, Job, Kinds};
use super::maker::Maker;
use super::manifest;
use super::output::Target;
use super::sampling::SamplingArgs;
use super::setup::load_runtime;
use super::watermark::WatermarkArgs;
use crate::bundle::Bundle;
use crate::mel::{MelConvention, NpyLimits, Prepared, prepare, read_npy, trim_padding};
use crate::runtime::{Provider, Runtime};
use crate::vocoder::{ScheduleChoice, SynthesisOptions, Vocoder};

const KINDS: Kinds = Kinds {
    inputs: &["npy"],
    output: "wav",
    others: &Container::EXTENSIONS,
};

/// Arguments of the main command.
#[derive(Args, Debug)]
pub struct SynthArgs {
    /// Mel spectrograms (.npy), folders of them, or - for standard input
    #[arg(required_unless_present = "manifest", value_name = "MEL")]
    inputs: Vec<PathBuf>,
    /// The file to write (.wav, .flac or .raw), or a folder for several inputs, or - for standard output, where the audio goes as it is made
    /// [default: MEL's name with .wav]
    #[arg(short, long, env = "VOCODE_OUTPUT", value_name = "FILE")]
    output: Option<PathBuf>,
    /// What is written, where no name says it: to standard output, or for several inputs [default: what -o ends in, or wav]
    #[arg(long, env = "VOCODE_CONTAINER", value_enum, value_name = "KIND")]
    pub(super) container: Option<Container>,
    #[command(flatten)]
    pub(super) sampling: SamplingArgs,
    /// Seed of the noise: the same seed gives the same file
    #[arg(long, env = "VOCODE_SEED", default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Sample rate of the audio [default: the model's own]
    #[arg(long, env = "VOCODE_SAMPLE_RATE", value_name = "HZ")]
    pub(super) sample_rate: Option<u32>,
    /// How samples are stored
    #[arg(
        long,
        env = "VOCODE_FORMAT",
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    pub(super) format: FormatArg,
    /// Turn peaks beyond full scale down smoothly where samples are stored as integers; false clips them
    #[arg(long, env = "VOCODE_LIMIT", default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    pub(super) limit: bool,
    /// What the mel's numbers mean: hifigan, tacotron2, matcha and others of conventions/, or a TOML file [default: what the model takes]
    #[arg(long, env = "VOCODE_MEL_CONVENTION", value_name = "NAME|FILE")]
    mel_convention: Option<ConventionArg>,
    /// Which axis of the mel holds the bands
    #[arg(
        long,
        env = "VOCODE_LAYOUT",
        value_enum,
        default_value_t,
        value_name = "LAYOUT"
    )]
    layout: LayoutArg,
    #[command(flatten)]
    watermark: WatermarkArgs,
    /// Cut frames at either end that hold one value in every band: the padding of a batch
    #[arg(long, env = "VOCODE_TRIM_PADDING", value_parser = FalseyValueParser::new())]
    trim_padding: bool,
    /// Print the summary as JSON, on standard output (standard error where the audio goes there)
    #[arg(long, env = "VOCODE_JSON", value_parser = FalseyValueParser::new())]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) overwrite: Overwrite,
    #[command(flatten)]
    batch: BatchArgs,
    #[command(flatten)]
    pub(super) session: SessionArgs,
}

/// Runs the main command.
pub(super) fn run(args: &SynthArgs) -> Result<(), CliError> {
    args.session.verbosity.start_logging();
    let jobs = plan(args)?;
    for job in &jobs {
        Container::of(&job.target, args.container)?.check(args.format)?;
    }
    let alone = jobs.len() == 1 && args.batch.manifest.is_none();
    let (jobs, skipped) = args.batch.left(jobs);
    if let ([job], true) = (jobs.as_slice(), alone) {
        job.target.check(args.overwrite.force)?;
    }
    let verbosity = args.session.verbosity;
    if jobs.is_empty() {
        verbosity.tell(&format!("nothing to do: {skipped} there already"));
        return Ok(());
    }
    if let Some(remark) = args.watermark.remark() {
        verbosity.warn(remark);
    }
    let bundle = load_bundle(&args.session.model)?;
    let (schedule, solver) = args.sampling.choose(&bundle.manifest)?;
    for steps in jobs.iter().filter_map(|job| job.own.steps) {
        let choice = ScheduleChoice::Steps(steps).resolve(&bundle.manifest, solver);
        choice.map_err(|source| CliError::Sampling {
            flags: format!("steps {steps} in the list"),
            source: Box::new(source),
        })?;
    }
    let options = SynthesisOptions {
        seed: args.seed,
        schedule,
        solver,
        watermark: args.watermark.of_model(&bundle.sha256)?,
        ..SynthesisOptions::default()
    };
    let convention = match &args.mel_convention {
        Some(named) => named.load()?,
        None => bundle.manifest.mel.clone(),
    };
    // A single bad mel is found before ONNX Runtime is looked for or the model is loaded.
    let first = match jobs.as_slice() {
        [job] if alone => Some(read(job, &convention, &bundle.manifest.mel, args)?),
        _ => None,
    };
    let runtime = load_runtime(&args.session.engine, verbosity.quiet)?;
    let at_once = beside::side_by_side(&jobs, args.session.engine.options().thread_count());
    let vocoders = vocoders(&bundle, &runtime, args, at_once)?;
    let maker = |vocoder| Maker {
        args,
        convention: convention.clone(),
        options: options.clone(),
        vocoder,
        alone,
    };
    let mut makers: Vec<Maker<'_>> = vocoders.into_iter().map(maker).collect();
    let result = match (jobs.as_slice(), makers.as_mut_slice()) {
        ([job], [maker]) if alone => {
            let to_pipe = job.target == Target::Stdout;
            let made = match to_pipe {
                true => maker.pipe(job, first),
                false => maker.file(job, first).map(Some),
            };
            made.and_then(|summary| match summary {
                Some(summary) => summary.print(args.json, to_pipe, verbosity),
                // Whoever reads the pipe has all that it wants.
                None => Ok(()),
            })
        }
        (jobs, makers) => {
            let results = args.batch.open_results()?;
            let hidden = verbosity.quiet || args.json;
            let workers = makers.iter_mut();
            let workers = workers.map(|maker| move |job: &Job| maker.file(job, None));
            Batch::new(&args.batch, verbosity, hidden, results, jobs.len(), skipped).run(
                jobs,
                args.json,
                workers.collect(),
            )
        }
    };
    // The process ends: the system takes the memory back faster than ONNX Runtime gives it.
    std::mem::forget((makers, runtime));
    result
}

/// A vocoder, or on a CPU as many as work `at_once`, which share the threads.
fn vocoders(
    bundle: &Bundle,
    runtime: &Runtime,
    args: &SynthArgs,
    at_once: usize,
) -> Result<Vec<Vocoder>, CliError> {
    let mut options = args.session.engine.options();
    if at_once > 1 {
        options.threads = Some((options.thread_count() / at_once).max(1));
    }
    let load = || Vocoder::new(bundle.clone(), runtime, &options);
    let mut vocoders = vec![load()?];
    // What is not on a CPU gains nothing from another one beside it.
    let more = match vocoders[0].provider() == Provider::Cpu.name() {
        true => at_once - 1,
        false => 0,
    };
    for _ in 0..more {
        vocoders.push(load()?);
    }
    Ok(vocoders)
}

/// What is to be made of what.
fn plan(args: &SynthArgs) -> Result<Vec<Job>, CliError> {
    let kinds = Kinds {
        output: args.container.unwrap_or_default().extension(),
        ..KINDS
    };
    let Some(list) = &args.batch.manifest else {
        let output = args.output.as_deref();
        return jobs::plan(&args.inputs, output, &kinds, args.batch.recursive);
    };
    let jobs = manifest::read(list, kinds.output)?;
    manifest::make_folders(&jobs)?;
    Ok(jobs)
}

/// Reads one mel and brings it to the model's convention.
pub(super) fn read(
    job: &Job,
    from: &MelConvention,
    to: &MelConvention,
    args: &SynthArgs,
) -> Result<Prepared, CliError> {
    let label = job.source.label();
    let limits = NpyLimits::default();
    let mel = read_npy(
        job.source.open()?,
        Some(from.n_mels),
        args.layout.into(),
        &limits,
    )
    .map_err(|e| CliError::mel(&label, e))?;
    let mel = match args.trim_padding {
        true => trim_padding(mel, from).0,
        false => mel,
    };
    let prepared = prepare(mel, from, to).map_err(|e| CliError::mel(&label, e))?;
    for note in &prepared.notes {
        args.session.verbosity.warn(&format!("{label}: {note}"));
    }
    Ok(prepared)
}
