//! `vocode bench`: what this machine does.

mod measure;
mod memory;
mod plot;
mod report;
mod streams;

use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;

use super::args::{Overwrite, SessionArgs};
use super::canvas::check_plot;
use super::output::{Target, print};
use super::setup::load_runtime;
use super::{CliError, load_bundle};
use crate::bundle::Bundle;
use crate::diffusion::MAX_STEPS;
use crate::runtime::{Runtime, SessionOptions};
use crate::vocoder::Vocoder;
use measure::{Row, Spread, rows};
use report::Report;
use streams::{MAX_STREAMS, Streams};

/// Longest audio of one synthesis, and longest time that streams play, in seconds.
const MAX_SECONDS: f64 = 600.0;
/// Most threads of one session.
const MAX_THREADS: usize = 1024;

const ABOUT: &str = "\
The real-time factor is the time taken for a second of audio: below 1 is faster than real time. The time to first audio is that of a \
stream whose mel is there, nothing else running, and is measured ten times as often. Streams play in real time in this process, through \
the scheduler that the server uses and without its network; unless --streams names numbers, the most that play without a gap is searched. \
Measure on a machine that does nothing else.";

/// Arguments of `vocode bench`.
#[derive(Args, Debug)]
#[command(after_help = ABOUT)]
pub struct BenchArgs {
    /// Numbers of denoising steps to measure
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "1,2,4,6",
        value_name = "N,..."
    )]
    steps: Vec<usize>,
    /// Numbers of threads to measure [default: 1, 2, 4 and so on up to --threads]
    #[arg(long, value_delimiter = ',', value_name = "N,...")]
    thread_counts: Vec<usize>,
    /// Seconds of audio of one synthesis
    #[arg(long, default_value_t = 10.0, value_name = "S")]
    seconds: f64,
    /// Measurements of each figure; the median is shown
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000), value_name = "N")]
    runs: u32,
    /// Numbers of streams to play at the same time, one number after another; 0: none [default: search the most without a gap]
    #[arg(long, value_delimiter = ',', value_name = "N,...")]
    streams: Vec<u32>,
    /// Seconds over which streams arrive, for each number of streams
    #[arg(long, default_value_t = 8.0, value_name = "S")]
    stream_seconds: f64,
    /// Draw the real-time factor by steps and the times to first audio into this PNG file
    #[arg(long, env = "VOCODE_PLOT", value_name = "PNG")]
    plot: Option<PathBuf>,
    /// Print the results as JSON
    #[arg(long, env = "VOCODE_JSON", value_parser = FalseyValueParser::new())]
    json: bool,
    #[command(flatten)]
    session: SessionArgs,
    #[command(flatten)]
    overwrite: Overwrite,
}

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
    let report = args.measure(&loader)?;
    if let Some(path) = &args.plot {
        Target::write_with(path, args.overwrite.force, |temp| plot::draw(&report, temp))?;
    }
    print(&if args.json {
        report.json()
    } else {
        report.end()
    })
}

/// The model, to be loaded as often as it takes.
struct Loader<'a> {
    bundle: &'a Bundle,
    runtime: &'a Runtime,
    options: SessionOptions,
}

impl Loader<'_> {
    fn load(&self, threads: usize) -> Result<Vocoder, CliError> {
        let options = SessionOptions {
            threads: Some(threads),
            ..self.options.clone()
        };
        Ok(Vocoder::new(self.bundle.clone(), self.runtime, &options)?)
    }
}

impl BenchArgs {
    /// What can be said of the flags before any work.
    fn check(&self) -> Result<(), CliError> {
        each("--steps", &self.steps, MAX_STEPS)?;
        each("--thread-counts", &self.thread_counts, MAX_THREADS)?;
        let streams: Vec<usize> = self.streams.iter().map(|&n| n as usize).collect();
        if streams != [0] {
            each("--streams", &streams, MAX_STREAMS as usize)?;
        }
        for (flag, value) in [
            ("--seconds", self.seconds),
            ("--stream-seconds", self.stream_seconds),
        ] {
            if !(value > 0.0 && value <= MAX_SECONDS) {
                return Err(CliError::usage(format!(
                    "{flag} {value}: expected more than 0 and at most {MAX_SECONDS}"
                )));
            }
        }
        match &self.plot {
            Some(path) => check_plot(path, self.overwrite.force),
            None => Ok(()),
        }
    }

    /// Measures everything. Each table is printed as it grows, unless JSON is wanted.
    fn measure(&self, loader: &Loader<'_>) -> Result<Report, CliError> {
        let threads = loader.options.thread_count();
        let show = |text: &str| if self.json { Ok(()) } else { print(text) };
        let first = loader.load(threads)?;
        let convention = &first.manifest().mel;
        let frames = measure::mel(loader, self.seconds)?.frames();
        let audio = (frames * convention.hop) as f64 / f64::from(convention.sample_rate);
        let mut report = Report::new(&first, threads, audio);
        report.peak_memory_mib.loaded = memory::peak_mib();
        drop(first);
        report.load_seconds = Spread::of(measure::repeat(self.runs, || {
            Ok(loader.load(threads)?.load_time().as_secs_f64())
        })?);
        show(&report.beginning())?;
        for count in self.thread_counts(threads) {
            rows(loader, count, self, &mut |row: Row| {
                show(&row.line())?;
                report.rows.push(row);
                Ok(())
            })?;
        }
        report.peak_memory_mib.syntheses = memory::peak_mib();
        if self.streams != [0] {
            let streams = Streams::measure(loader, threads, self, &show)?;
            report.streams = Some(streams);
            report.peak_memory_mib.streams = memory::peak_mib();
        }
        Ok(report)
    }

    /// Those asked for, or the powers of two below `most` and `most` itself.
    fn thread_counts(&self, most: usize) -> Vec<usize> {
        if !self.thread_counts.is_empty() {
            return self.thread_counts.clone();
        }
        let powers = std::iter::successors(Some(1), |&count| Some(2 * count));
        let mut counts: Vec<usize> = powers.take_while(|&count| count < most).collect();
        counts.push(most);
        counts
    }
}

/// Refuses numbers out of `1..=most`.
fn each(flag: &str, values: &[usize], most: usize) -> Result<(), CliError> {
    match values.iter().find(|value| !(1..=most).contains(*value)) {
        None => Ok(()),
        Some(value) => {
            let none = match flag {
                "--streams" => ", or 0 alone for no streams",
                _ => "",
            };
            Err(CliError::usage(format!(
                "{flag} {value}: expected 1 to {most}{none}"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        bench: BenchArgs,
    }

    fn parse(words: &[&str]) -> BenchArgs {
        Line::parse_from([&["bench"], words].concat()).bench
    }

    #[test]
    fn threads_double_up_to_all() {
        assert_eq!(parse(&[]).thread_counts(1), [1]);
        assert_eq!(parse(&[]).thread_counts(2), [1, 2]);
        assert_eq!(parse(&[]).thread_counts(6), [1, 2, 4, 6]);
        let asked = parse(&["--thread-counts", "3,1"]);
        assert_eq!(asked.thread_counts(8), [3, 1]);
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        for (words, message) in [
            (["--steps", "4,0"], "--steps 0: expected 1 to "),
            (["--thread-counts", "0"], "--thread-counts 0: expected 1 to"),
            (["--streams", "4,0"], "or 0 alone for no streams"),
            (["--seconds", "0"], "--seconds 0: expected more than 0"),
            (["--stream-seconds", "nan"], "--stream-seconds NaN"),
            (["--plot", "a.jpg"], "must end in .png"),
        ] {
            let error = parse(&words).check().unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        parse(&["--streams", "0"]).check().unwrap();
    }
}
