//! The main job: mels in, speech out.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use clap::builder::FalseyValueParser;

use super::args::load_bundle;
use super::args::{ConventionArg, FormatArg, LayoutArg, Overwrite, SessionArgs};
use super::error::CliError;
use super::interrupt::{self, Watch};
use super::jobs::each;
use super::jobs::{self, Job, Kinds};
use super::output::Target;
use super::sampling::SamplingArgs;
use super::setup::load_runtime;
use super::summary::{Bar, Summary};
use crate::audio::{Encoded, InfoId, Provenance, encode_wav};
use crate::mel::{MelConvention, NpyLimits, Prepared, prepare, read_npy, trim_padding};
use crate::vocoder::{Output, Synthesis, SynthesisOptions, Vocoder, VocoderError};

const KINDS: Kinds = Kinds {
    inputs: &["npy"],
    output: "wav",
};

/// Arguments of the main command.
#[derive(Args, Debug)]
pub struct SynthArgs {
    /// Mel spectrograms (.npy), folders of them, or - for standard input
    #[arg(required = true, value_name = "MEL")]
    inputs: Vec<PathBuf>,
    /// The WAV file to write, or a folder for several inputs, or - for standard output
    #[arg(
        short,
        long,
        required = true,
        env = "VOCODE_OUTPUT",
        value_name = "FILE"
    )]
    output: Option<PathBuf>,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Seed of the noise: the same seed gives the same file
    #[arg(long, env = "VOCODE_SEED", default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Sample rate of the WAV file [default: the model's own]
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
    /// What the mel's numbers mean: hifigan, tacotron2, lmnt, vocos24k, or a TOML file [default: what the model takes]
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
    /// Cut frames at either end that hold one value in every band: the padding of a batch
    #[arg(long, env = "VOCODE_TRIM_PADDING", value_parser = FalseyValueParser::new())]
    trim_padding: bool,
    /// Print the summary as JSON, on standard output (standard error where the audio goes there)
    #[arg(long, env = "VOCODE_JSON", value_parser = FalseyValueParser::new())]
    json: bool,
    #[command(flatten)]
    overwrite: Overwrite,
    #[command(flatten)]
    session: SessionArgs,
}

/// Runs the main command.
pub(super) fn run(args: &SynthArgs) -> Result<(), CliError> {
    args.session.verbosity.start_logging();
    let output = args.output.as_deref().unwrap_or(Path::new("-"));
    let jobs = jobs::plan(&args.inputs, output, &KINDS)?;
    if let [job] = jobs.as_slice() {
        job.target.check(args.overwrite.force)?;
    }
    let bundle = load_bundle(&args.session.model)?;
    let (schedule, solver) = args.sampling.choose(&bundle.manifest)?;
    let options = SynthesisOptions {
        seed: args.seed,
        schedule,
        solver,
        ..SynthesisOptions::default()
    };
    let convention = match &args.mel_convention {
        Some(named) => named.load()?,
        None => bundle.manifest.mel.clone(),
    };
    // A single bad mel is found before ONNX Runtime is looked for or the model is loaded.
    let first = match jobs.as_slice() {
        [job] => Some(read(job, &convention, &bundle.manifest.mel, args)?),
        _ => None,
    };
    let runtime = load_runtime(&args.session.engine, args.session.verbosity.quiet)?;
    let vocoder = Vocoder::new(bundle, &runtime, &args.session.engine.options())?;
    let mut maker = Maker {
        args,
        convention,
        options,
        vocoder,
    };
    let mut first = first;
    let result = each(&jobs, |job| maker.one(job, first.take()));
    // The process ends: the system takes the memory back faster than ONNX Runtime gives it.
    std::mem::forget((maker, runtime));
    result
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
}

impl Maker<'_> {
    fn one(&mut self, job: &Job, ready: Option<Prepared>) -> Result<(), CliError> {
        let (args, force) = (self.args, self.args.overwrite.force);
        job.target.check(force)?;
        let prepared = match ready {
            Some(prepared) => prepared,
            None => read(job, &self.convention, &self.vocoder.manifest().mel, args)?,
        };
        let began = Instant::now();
        let synthesis = self.synthesise(&prepared)?;
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
        let Encoded { bytes, clipped } =
            encode_wav(&samples, rate, args.format.into(), &provenance)
                .map_err(|e| CliError::audio(&label, e))?;
        interrupt::check()?;
        job.target.write(&bytes, force)?;
        if clipped > 0 {
            args.session.verbosity.warn(&format!(
                "{label}: {clipped} samples beyond full scale were clipped; --format f32 keeps them"
            ));
        }
        let summary = Summary {
            output: label,
            model: self.vocoder.manifest().name.clone(),
            model_sha256: self.vocoder.sha256().to_owned(),
            sample_rate: rate,
            samples: samples.len(),
            clipped,
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
        };
        summary.print(
            args.json,
            job.target == Target::Stdout,
            args.session.verbosity,
        )
    }

    fn synthesise(&mut self, prepared: &Prepared) -> Result<Synthesis, CliError> {
        let _watch = Watch::start();
        tracing::info!(frames = prepared.mel.frames(), "synthesising");
        let mut bar = Bar::new(self.args.session.verbosity.quiet || self.args.json);
        let result =
            self.vocoder
                .synthesize_observed(&prepared.mel, &self.options, &mut |progress| {
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
        let comment = format!(
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
        let software = format!("vocode {}", env!("CARGO_PKG_VERSION"));
        Provenance {
            fields: vec![(InfoId::Software, software), (InfoId::Comment, comment)],
        }
    }
}
