//! Whole syntheses and first chunks, timed.

use std::time::Duration;

use serde::Serialize;

use super::args::BenchArgs;
use super::loader::Loader;
use crate::cli::error::CliError;
use crate::cli::remote::block_on;
use crate::cli::sample::syllables;
use crate::mel::Mel;
use crate::vocoder::{
    OpenStream, ScheduleChoice, Scheduler, SchedulerOptions, StreamRequest, Synthesis,
    SynthesisOptions, Vocoder, VocoderError,
};

/// Times to first audio for each real-time factor: they are short, and their tail matters.
const FIRST_AUDIOS: u32 = 10;

/// The figures of one number of steps on one number of threads.
#[derive(Clone, Debug, Serialize)]
pub(super) struct SpeedResult {
    pub(super) steps: usize,
    pub(super) threads: usize,
    pub(super) real_time_factor: Spread,
    /// From the opening of a stream whose mel is there to its first samples, nothing else running.
    pub(super) first_audio_ms: Latency,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Spread {
    pub(super) fn of(mut values: Vec<f64>) -> Spread {
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            at(middle)
        } else {
            0.5 * (at(middle.saturating_sub(1)) + at(middle))
        };
        Spread {
            median,
            min: at(0),
            max: at(values.len().saturating_sub(1)),
        }
    }
}

/// A time that a listener waits, many times over.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Latency {
    #[serde(flatten)]
    pub(super) spread: Spread,
    /// What 19 of 20 do not exceed.
    pub(super) p95: f64,
    /// All of them, ascending.
    #[serde(skip)]
    pub(super) all: Vec<f64>,
}

impl Latency {
    pub(super) fn of(mut values: Vec<f64>) -> Latency {
        values.sort_by(f64::total_cmp);
        let rank = (0.95 * values.len() as f64).ceil() as usize;
        Latency {
            spread: Spread::of(values.clone()),
            p95: values
                .get(rank.saturating_sub(1))
                .copied()
                .unwrap_or(f64::NAN),
            all: values,
        }
    }
}

/// One measurement to warm up, which is dropped, then as many as are asked for.
pub(super) fn repeat(
    runs: u32,
    mut measure: impl FnMut() -> Result<f64, CliError>,
) -> Result<Vec<f64>, CliError> {
    measure()?;
    (0..runs).map(|_| measure()).collect()
}

/// The mel of the measurements.
pub(super) fn mel(loader: &Loader<'_>, seconds: f64) -> Result<Mel, CliError> {
    syllables(&loader.bundle.manifest.mel, seconds)
        .map_err(|e| CliError::mel("the mel of the measurement", e))
}

/// Measures each number of steps on `threads` threads.
pub(super) fn rows(
    loader: &Loader<'_>,
    threads: usize,
    args: &BenchArgs,
    done: &mut dyn FnMut(SpeedResult) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let mel = mel(loader, args.seconds)?;
    let mut vocoder = loader.load(threads)?;
    let scheduler = Scheduler::start(loader.load(threads)?, SchedulerOptions::default())?;
    for &steps in args.steps() {
        let factors = repeat(args.runs, || {
            let made = whole(&mut vocoder, &mel, ScheduleChoice::Steps(steps))?;
            Ok(made.real_time_factor())
        })?;
        let firsts = repeat(FIRST_AUDIOS * args.runs, || {
            first_audio(&scheduler, &mel, steps)
        })?;
        done(SpeedResult {
            steps,
            threads,
            real_time_factor: Spread::of(factors),
            first_audio_ms: Latency::of(firsts),
        })?;
    }
    Ok(())
}

/// One synthesis, model load left out.
pub(super) fn whole(
    vocoder: &mut Vocoder,
    mel: &Mel,
    schedule: ScheduleChoice,
) -> Result<Synthesis, CliError> {
    let options = SynthesisOptions {
        schedule,
        ..SynthesisOptions::default()
    };
    Ok(vocoder.synthesize(mel, &options)?)
}

/// Opens a stream, hands over the mel, and hangs up once the first audio is there.
fn first_audio(scheduler: &Scheduler, mel: &Mel, steps: usize) -> Result<f64, CliError> {
    let request = StreamRequest {
        schedule: ScheduleChoice::Steps(steps),
        ..StreamRequest::default()
    };
    block_on(async {
        let OpenStream {
            mut input,
            mut output,
            ..
        } = scheduler.open(&request)?;
        let values = mel.view().to_owned();
        let writer = tokio::spawn(async move {
            // The stream is dropped before it has taken the whole mel.
            if input.push(values).await.is_ok() {
                input.end();
            }
        });
        output.next().await.ok_or(VocoderError::Stopped)??;
        let first = output.stats().first_audio.unwrap_or(Duration::ZERO);
        drop(output);
        let _ = writer.await;
        while scheduler.active() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(1000.0 * first.as_secs_f64())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        let spread = |median, min, max| Spread { median, min, max };
        assert_eq!(Spread::of(vec![3.0, 1.0, 2.0]), spread(2.0, 1.0, 3.0));
        assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 3.0]), spread(2.5, 1.0, 4.0));
    }

    #[test]
    fn nineteen_of_twenty_do_not_exceed_p95() {
        let hundred = Latency::of((1..=100).rev().map(f64::from).collect());
        assert_eq!((hundred.p95, hundred.spread.median), (95.0, 50.5));
        assert_eq!(Latency::of(vec![7.0]).p95, 7.0);
    }
}
