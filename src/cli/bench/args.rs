//! The flags of `vocode bench`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;

use crate::cli::args::{Overwrite, SessionArgs};
use crate::cli::canvas::check_plot;
use crate::cli::error::CliError;
use crate::diffusion::MAX_STEPS;
use crate::vocoder::ScheduleChoice;

/// Most streams at once.
pub(super) const MAX_STREAMS: u32 = 1024;
/// Longest audio of one synthesis, and longest time that streams play, in seconds.
const MAX_SECONDS: f64 = 600.0;
/// Most threads of one session.
const MAX_THREADS: usize = 1024;

const ABOUT: &str = "\
The real-time factor is the time taken for a second of audio: below 1 is faster than real time. The time to first audio is that of a \
stream whose mel is there, nothing else running, and is measured ten times as often. Streams play in real time in this process, through \
the scheduler that the server uses and without its network, at each number of --steps, or by the model's own schedule where none is given; \
unless --streams names numbers, the most that play without a gap is searched. Measure on a machine that does nothing else.";

/// Arguments of `vocode bench`.
#[derive(Args, Debug)]
#[command(after_help = ABOUT)]
pub struct BenchArgs {
    /// Numbers of denoising steps to measure, streams too [default: 1,2,4,6, and streams by the model's own schedule]
    #[arg(long, value_delimiter = ',', value_name = "N,...")]
    steps: Vec<usize>,
    /// Numbers of threads to measure [default: 1, 2, 4 and so on up to --threads]
    #[arg(long, value_delimiter = ',', value_name = "N,...")]
    pub(super) thread_counts: Vec<usize>,
    /// Seconds of audio of one synthesis
    #[arg(long, default_value_t = 10.0, value_name = "S")]
    pub(super) seconds: f64,
    /// Measurements of each figure; the median is shown
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000), value_name = "N")]
    pub(super) runs: u32,
    /// Numbers of streams to play at the same time, one number after another; 0: none [default: search the most without a gap]
    #[arg(long, value_delimiter = ',', value_name = "N,...")]
    pub(super) streams: Vec<u32>,
    /// Seconds over which streams arrive, for each number of streams
    #[arg(long, default_value_t = 8.0, value_name = "S")]
    pub(super) stream_seconds: f64,
    /// Draw the real-time factor by steps and the times to first audio into this PNG file
    #[arg(long, env = "VOCODE_PLOT", value_name = "PNG")]
    pub(super) plot: Option<PathBuf>,
    /// Print the results as JSON
    #[arg(long, env = "VOCODE_JSON", value_parser = FalseyValueParser::new())]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) session: SessionArgs,
    #[command(flatten)]
    pub(super) overwrite: Overwrite,
}

impl BenchArgs {
    /// What can be said of the flags before any work.
    pub(super) fn check(&self) -> Result<(), CliError> {
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

    /// The numbers of steps of whole syntheses.
    pub(super) fn steps(&self) -> &[usize] {
        match self.steps.as_slice() {
            [] => &[1, 2, 4, 6],
            asked => asked,
        }
    }

    /// The schedules of streams.
    pub(super) fn stream_schedules(&self) -> Vec<ScheduleChoice> {
        match self.steps.as_slice() {
            [] => vec![ScheduleChoice::Default],
            asked => asked.iter().copied().map(ScheduleChoice::Steps).collect(),
        }
    }

    /// Those asked for, or the powers of two below `most` and `most` itself.
    pub(super) fn thread_counts(&self, most: usize) -> Vec<usize> {
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
