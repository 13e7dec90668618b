//! `vocode warm`: everything that is done for the first time, done now.

use std::time::Instant;

use clap::Args;
use clap::builder::{FalseyValueParser, RangedU64ValueParser};

use super::args::SessionArgs;
use super::args::load_bundle;
use super::error::CliError;
use super::output::print;
use super::setup::load_runtime;
use super::summary::Bar;
use crate::vocoder::{MAX_BATCH, Vocoder};

const ABOUT: &str = "\
On the CPU there is nothing to prepare, and the command tells that the model loads. On a GPU it calls the model once in every size that a \
synthesis may use: TensorRT builds its engines for that, which takes minutes, and keeps them in the folder that --engine-cache names.";

/// Arguments of `vocode warm`.
#[derive(Args, Debug)]
#[command(after_help = ABOUT)]
pub struct WarmArgs {
    /// Most windows in one call to prepare for, as in `vocode serve --batch` [default: what the provider does best]
    #[arg(long, env = "VOCODE_BATCH", value_parser = RangedU64ValueParser::<usize>::new().range(1..=MAX_BATCH as u64), value_name = "N")]
    batch: Option<usize>,
    /// Print what was done as JSON
    #[arg(long, env = "VOCODE_JSON", value_parser = FalseyValueParser::new())]
    json: bool,
    #[command(flatten)]
    session: SessionArgs,
}

/// Runs `vocode warm`.
pub(super) fn run(args: &WarmArgs) -> Result<(), CliError> {
    let session = &args.session;
    session.verbosity.start_logging();
    let runtime = load_runtime(&session.engine, session.verbosity.quiet)?;
    let bundle = load_bundle(&session.model)?;
    let mut vocoder = Vocoder::new(bundle, &runtime, &session.engine.options())?;
    let began = Instant::now();
    let mut bar = Bar::new(session.verbosity.quiet || args.json);
    let mut calls = 0;
    let batch = args.batch.unwrap_or_else(|| vocoder.best_batch());
    let result = vocoder.warm(batch, &mut |done, total| {
        calls = done;
        bar.set(done as f64 / total.max(1) as f64);
    });
    bar.finish();
    result?;
    let seconds = began.elapsed().as_secs_f64();
    if args.json {
        let value = serde_json::json!({
            "model": vocoder.manifest().name,
            "provider": vocoder.provider(),
            "provider_nodes": vocoder.placement().nodes(),
            "provider_note": vocoder.provider_note(),
            "load_seconds": vocoder.load_time().as_secs_f64(),
            "calls": calls,
            "seconds": seconds,
        });
        return print(&format!("{value}\n"));
    }
    let work = match calls {
        0 => "nothing to prepare".to_owned(),
        calls => format!("{calls} sizes prepared in {seconds:.1} s"),
    };
    session.verbosity.tell(&format!(
        "{}: loaded in {:.2} s on {} ({}), {work}",
        vocoder.manifest().name,
        vocoder.load_time().as_secs_f64(),
        vocoder.provider(),
        vocoder.placement()
    ));
    Ok(())
}
