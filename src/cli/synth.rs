//! The main job: mels in, speech out.

use super::args::ConventionArg;
use super::batch::Batch;
use super::beside;
use super::choice::{self, Chosen, Shaped};
use super::container::Container;
use super::error::CliError;
use super::jobs::{self, Job, Kinds};
use super::maker::{Maker, bring, read};
use super::manifest;
use super::output::Target;
use super::setup::load_runtime;
use super::synth_args::SynthArgs;
use crate::bundle::Bundle;
use crate::mel::{Mel, MelConvention};
use crate::runtime::{Provider, Runtime};
use crate::vocoder::{ScheduleChoice, SynthesisOptions, Vocoder};

const KINDS: Kinds = Kinds {
    inputs: &["npy"],
    output: "wav",
    others: &Container::EXTENSIONS,
};

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
    let said = args.mel_convention.as_ref().map(ConventionArg::load);
    let said = said.transpose()?;
    let alone = alone.then_some(jobs.first()).flatten();
    let (chosen, mel) = choose(args, said.as_ref(), alone, &jobs)?;
    if let Some(why) = &chosen.why {
        verbosity.tell(why);
    }
    let bundle = chosen.bundle;
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
        sharpening: args.sharpen,
        ..SynthesisOptions::default()
    };
    let own = &bundle.manifest.mel;
    let convention = said.unwrap_or_else(|| own.clone());
    // A single bad mel is found before ONNX Runtime is looked for or the model is loaded.
    let first = match (alone, mel) {
        (Some(job), Some(mel)) => Some(bring(job, mel, &convention, own, args)?),
        (Some(job), None) => Some(read(job, &convention, own, args)?),
        (None, _) => None,
    };
    let runtime = load_runtime(&args.session.engine, verbosity.quiet)?;
    let at_once = beside::side_by_side(&jobs, args.session.engine.options().thread_count());
    let vocoders = vocoders(&bundle, &runtime, args, at_once)?;
    let maker = |vocoder| Maker {
        args,
        convention: convention.clone(),
        options: options.clone(),
        vocoder,
        alone: alone.is_some(),
    };
    let mut makers: Vec<Maker<'_>> = vocoders.into_iter().map(maker).collect();
    let result = match (jobs.as_slice(), makers.as_mut_slice()) {
        ([job], [maker]) if alone.is_some() => {
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

/// The model for the mels; with the mel that was read to choose it where there is one `alone`.
fn choose(
    args: &SynthArgs,
    said: Option<&MelConvention>,
    alone: Option<&Job>,
    jobs: &[Job],
) -> Result<(Chosen, Option<Mel>), CliError> {
    let named = choice::by_flags(&args.session.model, said, args.approximate_mel)?;
    match (named, alone) {
        (Some(chosen), _) => Ok((chosen, None)),
        (None, None) => Ok((choice::for_many(jobs, args.layout.into())?, None)),
        (None, Some(job)) => {
            let label = job.source.label();
            let shaped = Shaped::read(job.source.open()?, args.layout.into());
            let chosen = shaped.chosen(&label)?;
            let mel = shaped.mel.map_err(|e| CliError::mel(&label, e))?;
            Ok((chosen, Some(mel)))
        }
    }
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
