//! A synthesis of two seconds, to see that it works and what it takes.

use std::ops::ControlFlow;

use super::Speed;
use crate::bundle::Bundle;
use crate::cli::args::SessionArgs;
use crate::cli::error::CliError;
use crate::cli::sample::syllables;
use crate::cli::summary::Bar;
use crate::runtime::Runtime;
use crate::vocoder::{SynthesisOptions, Vocoder};

const SECONDS: f64 = 2.0;

/// Loads the model and makes the audio of [`syllables`] with its own schedule.
///
/// # Errors
/// Whatever would fail a synthesis.
pub(super) fn run(
    bundle: Bundle,
    runtime: &Runtime,
    args: &SessionArgs,
    hidden: bool,
) -> Result<Speed, CliError> {
    let mel = syllables(&bundle.manifest.mel, SECONDS)
        .map_err(|error| CliError::mel("the mel of the trial", error))?;
    let options = args.engine.options();
    let mut vocoder = Vocoder::new(bundle, runtime, &options)?;
    let mut bar = Bar::new(hidden);
    let result = vocoder.synthesize_observed(&mel, &SynthesisOptions::default(), &mut |progress| {
        bar.set(progress.fraction());
        ControlFlow::Continue(())
    });
    bar.finish();
    let synthesis = result?;
    Ok(Speed {
        load_seconds: vocoder.load_time().as_secs_f64(),
        audio_seconds: synthesis.seconds(),
        seconds: synthesis.elapsed.as_secs_f64(),
        real_time_factor: synthesis.real_time_factor(),
        steps: synthesis.steps,
        schedule: synthesis.schedule,
        provider: synthesis.provider,
        precision: vocoder.precision().name(),
        provider_nodes: vocoder.placement().nodes(),
        threads: options.thread_count(),
    })
}
