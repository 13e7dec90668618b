//! `vocode bench`: what this machine does.

mod args;
mod loader;
mod measure;
mod memory;
mod plot;
mod report;
mod streams;

use super::args::load_bundle;
use super::error::CliError;
use super::output::{Target, print};
use super::setup::load_runtime;
pub use args::BenchArgs;
use loader::Loader;
use measure::{SpeedResult, Spread, rows};
use report::Report;
use streams::Streams;

/// Runs `vocode bench`.
pub(super) fn run(args: &BenchArgs) -> Result<(), CliError> {
    let session = &args.session;
    session.verbosity.start_logging();
    args.check()?;
    let bundle = load_bundle(&session.model)?;
    let runtime = load_runtime(&session.engine, session.verbosity.quiet)?;
    let loader = Loader {
        bundle: &bundle,
        runtime: &runtime,
        options: session.engine.options(),
    };
    let report = measure_all(args, &loader)?;
    if let Some(path) = &args.plot {
        Target::write_with(path, args.overwrite.force, |temp| plot::draw(&report, temp))?;
    }
    print(&if args.json {
        report.json()
    } else {
        report.end()
    })
}

/// Measures everything. Each table is printed as it grows, unless JSON is wanted.
fn measure_all(args: &BenchArgs, loader: &Loader<'_>) -> Result<Report, CliError> {
    let threads = loader.options.thread_count();
    let show = |text: &str| if args.json { Ok(()) } else { print(text) };
    let first = loader.load(threads)?;
    let convention = &first.manifest().mel;
    let frames = measure::mel(loader, args.seconds)?.frames();
    let audio = (frames * convention.hop) as f64 / f64::from(convention.sample_rate);
    let mut report = Report::new(&first, threads, audio);
    report.peak_memory_mib.loaded = memory::peak_mib();
    drop(first);
    report.load_seconds = Spread::of(measure::repeat(args.runs, || {
        Ok(loader.load(threads)?.load_time().as_secs_f64())
    })?);
    show(&report.beginning())?;
    for count in args.thread_counts(threads) {
        rows(loader, count, args, &mut |row: SpeedResult| {
            show(&row.line())?;
            report.rows.push(row);
            Ok(())
        })?;
    }
    report.peak_memory_mib.syntheses = memory::peak_mib();
    if args.streams != [0] {
        for schedule in args.stream_schedules() {
            let streams = Streams::measure(loader, threads, &schedule, args, &show)?;
            report.streams.push(streams);
        }
        report.peak_memory_mib.streams = memory::peak_mib();
    }
    Ok(report)
}
