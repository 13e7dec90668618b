//! The main job: mels in, speech out.

use std::path::PathBuf;
use std::time::Instant;

use clap::builder::FalseyValueParser;
use clap::{ArgAction, Args};

use super::args::load_bundle;
use super::args::{ConventionArg, FormatArg, LayoutArg, Overwrite, SessionArgs};
use super::batch::{Batch, BatchArgs};
use super::beside;
use super::container::Container;
use super::error::CliError;
use super::flags::with_flags;
use super::interrupt::{self, Watch};
use super::jobs::{self, Job, Kinds};
use super::manifest;
use super::output::Target;
use super::sampling::SamplingArgs;
use super::setup::load_runtime;
use super::summary::{Bar, Summary};
use super::watermark::WatermarkArgs;
use crate::audio::{Encoded, InfoId, Provenance, limit, too_loud};
use crate::bundle::Bundle;
use crate::mel::{MelConvention, NpyLimits, Prepared, prepare, read_npy, trim_padding};
use crate::runtime::{Provider, Runtime};
use crate::vocoder::{Output, ScheduleChoice, Synthesis, SynthesisOptions, Vocoder, VocoderError};

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
    /// The file to write (.wav, .flac or .raw), or a folder for several inputs, or - for standard output [default: MEL's name with .wav]
    #[arg(short, long, env = "VOCODE_OUTPUT", value_name = "FILE")]
    output: Option<PathBuf>,
    /// What is written, where no name says it: to standard output, or for several inputs [default: what -o ends in, or wav]
    #[arg(long, env = "VOCODE_CONTAINER", value_enum, value_name = "KIND")]
    container: Option<Container>,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Seed of the noise: the same seed gives the same file
    #[arg(long, env = "VOCODE_SEED", default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Sample rate of the audio [default: the model's own]
    #[arg(long, env = "VOCODE_SAMPLE_RATE", value_name = "HZ")]
    sample_rate: Option<u32>,
    /// How samples are stored
    #[arg(
        long,
        env = "VOCODE_FORMAT",
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    format: FormatArg,
    /// Turn peaks beyond full scale down smoothly where samples are stored as integers; false clips them
    #[arg(long, env = "VOCODE_LIMIT", default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    limit: bool,
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
    json: bool,
    #[command(flatten)]
    overwrite: Overwrite,
    #[command(flatten)]
    batch: BatchArgs,
    #[command(flatten)]
    session: SessionArgs,
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
        ([job], [maker]) if alone => maker
            .one(job, first)
            .and_then(|summary| summary.print(args.json, job.target == Target::Stdout, verbosity)),
        (jobs, makers) => {
            let results = args.batch.open_results()?;
            let hidden = verbosity.quiet || args.json;
            let workers = makers.iter_mut();
            let workers = workers.map(|maker| move |job: &Job| maker.one(job, None));
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
fn read(
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

/// Everything that stays the same from one input to the next.
struct Maker<'a> {
    args: &'a SynthArgs,
    convention: MelConvention,
    options: SynthesisOptions,
    vocoder: Vocoder,
    /// Whether there is one mel, whose progress is shown.
    alone: bool,
}

impl Maker<'_> {
    fn one(&mut self, job: &Job, ready: Option<Prepared>) -> Result<Summary, CliError> {
        let (args, force) = (self.args, self.args.overwrite.force);
        job.target.check(force)?;
        let prepared = match ready {
            Some(prepared) => prepared,
            None => read(job, &self.convention, &self.vocoder.manifest().mel, args)?,
        };
        let began = Instant::now();
        let synthesis = self.synthesise(job, &prepared)?;
        let rate = args.sample_rate.unwrap_or(synthesis.sample_rate);
        let label = job.target.label();
        let mut samples = Vec::new();
        Output::new(prepared.shift_samples, synthesis.sample_rate, rate)
            .and_then(|mut output| {
                output.push(&synthesis.samples, &mut samples)?;
                output.finish(&mut samples)
            })
            .map_err(|e| CliError::audio(&label, e))?;
        let provenance = self.provenance(&synthesis, &prepared);
        let limited = match args.format {
            FormatArg::S16 | FormatArg::S24 if args.limit => limit(&mut samples, rate),
            _ => None,
        };
        let container = Container::of(&job.target, args.container)?;
        let Encoded { bytes, clipped } = container
            .encode(&samples, rate, args.format, &provenance)
            .map_err(|e| CliError::audio(&label, e))?;
        interrupt::check()?;
        job.target.write(&bytes, force)?;
        let mut warnings = prepared.notes.clone();
        if let Some(why) = limited.and_then(|l| too_loud(l.beyond, samples.len())) {
            args.session.verbosity.warn(&format!("{label}: {why}"));
            warnings.push(why);
        }
        if clipped > 0 {
            let why = too_loud(clipped, samples.len());
            let why = why.map_or_else(String::new, |why| format!(": {why}"));
            let note = format!(
                "{clipped} samples beyond full scale were clipped; --format f32 keeps them{why}"
            );
            args.session.verbosity.warn(&format!("{label}: {note}"));
            warnings.push(note);
        }
        let warnings = warnings
            .iter()
            .map(|note| with_flags(note).into_owned())
            .collect();
        Ok(Summary {
            output: label,
            tell_solver: args.sampling.is_chosen(),
            model: self.vocoder.manifest().name.clone(),
            model_sha256: self.vocoder.sha256().to_owned(),
            sample_rate: rate,
            samples: samples.len(),
            clipped,
            limited_decibels: limited.map_or(0.0, |l| l.decibels),
            load_seconds: self.vocoder.load_time().as_secs_f64(),
            seconds: began.elapsed().as_secs_f64(),
            graph_seconds: synthesis.graph_time.as_secs_f64(),
            steps: synthesis.steps,
            schedule: synthesis.schedule,
            solver: synthesis.solver.to_string(),
            provider: synthesis.provider,
            precision: self.vocoder.precision().name(),
            provider_nodes: self.vocoder.placement().nodes(),
            provider_note: self.vocoder.provider_note().map(str::to_owned),
            seed: synthesis.seed,
            watermark: self.watermark(),
            warnings,
        })
    }

    /// What the audio's watermark says, in hexadecimal.
    fn watermark(&self) -> Option<String> {
        let watermark = self.options.watermark.as_ref()?;
        Some(format!("{:08x}", watermark.payload()))
    }

    fn synthesise(&mut self, job: &Job, prepared: &Prepared) -> Result<Synthesis, CliError> {
        let mut options = self.options.clone();
        options.seed = job.own.seed.unwrap_or(options.seed);
        if let Some(steps) = job.own.steps {
            options.schedule = ScheduleChoice::Steps(steps);
        }
        let _watch = Watch::start();
        tracing::info!(frames = prepared.mel.frames(), "synthesising");
        let quiet = self.args.session.verbosity.quiet || self.args.json;
        let mut bar = Bar::new(quiet || !self.alone);
        let result = self
            .vocoder
            .synthesize_observed(&prepared.mel, &options, &mut |progress| {
                bar.set(progress.fraction());
                interrupt::go_on()
            });
        bar.finish();
        match result {
            Err(VocoderError::Cancelled) => Err(CliError::Interrupted),
            other => Ok(other?),
        }
    }

    /// What it takes to make the file again; nothing that differs between two equal runs.
    fn provenance(&self, synthesis: &Synthesis, prepared: &Prepared) -> Provenance {
        let manifest = self.vocoder.manifest();
        let mut comment = format!(
            "model={} {} sha256={} schedule={} solver={} steps={} seed={} frames={} mel={} provider={} precision={}",
            manifest.name,
            manifest.version,
            self.vocoder.sha256(),
            synthesis.schedule,
            synthesis.solver,
            synthesis.steps,
            synthesis.seed,
            prepared.mel.frames(),
            self.convention.name,
            synthesis.provider,
            self.vocoder.precision()
        );
        if let Some(watermark) = self.watermark() {
            comment.push_str(&format!(" watermark={watermark}"));
        }
        let software = format!("vocode {}", env!("CARGO_PKG_VERSION"));
        Provenance {
            fields: vec![(InfoId::Software, software), (InfoId::Comment, comment)],
        }
    }
}
