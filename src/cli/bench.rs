//! `vocode bench`: what this machine does, by steps.

use std::ops::ControlFlow;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::args::SessionArgs;
use super::output::print;
use super::remote::block_on;
use super::sample::syllables;
use super::setup::load_runtime;
use super::{CliError, load_bundle};
use crate::mel::Mel;
use crate::vocoder::{
    OpenStream, ScheduleChoice, Scheduler, SchedulerOptions, StreamRequest, SynthesisOptions,
    Vocoder, VocoderError,
};

/// Arguments of `vocode bench`.
#[derive(Args, Debug)]
pub struct BenchArgs {
    /// Numbers of denoising steps to measure
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "1,2,4,6",
        value_name = "N,..."
    )]
    steps: Vec<usize>,
    /// Seconds of audio of one synthesis
    #[arg(long, default_value_t = 10.0, value_name = "S")]
    seconds: f64,
    /// Measurements of each figure; the median is shown
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000), value_name = "N")]
    runs: u32,
    /// Print the results as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    session: SessionArgs,
}

#[derive(Debug, Serialize)]
struct Report {
    model: String,
    provider: String,
    threads: usize,
    load_seconds: f64,
    audio_seconds: f64,
    rows: Vec<Row>,
}

/// The figures of one number of steps: medians, and the least and greatest.
#[derive(Debug, Serialize)]
struct Row {
    steps: usize,
    real_time_factor: Spread,
    /// From the opening of a stream whose mel is there to its first samples, nothing else running.
    first_audio_ms: Spread,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Spread {
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

/// Runs `vocode bench`.
pub(super) fn run(args: &BenchArgs) -> Result<(), CliError> {
    let session = &args.session;
    session.verbosity.start_logging();
    let runtime = load_runtime(&session.engine, session.verbosity.quiet)?;
    let load = || -> Result<Vocoder, CliError> {
        Ok(Vocoder::new(
            load_bundle(&session.model)?,
            &runtime,
            &session.engine.options(),
        )?)
    };
    let mut vocoder = load()?;
    let mel = syllables(&vocoder.manifest().mel, args.seconds)
        .map_err(|e| CliError::mel("the mel of the measurement", e))?;
    let scheduler = Scheduler::start(load()?, SchedulerOptions::default())?;
    let mut rows = Vec::new();
    for &steps in &args.steps {
        let real_time_factor = Spread::of(repeat(args.runs, || whole(&mut vocoder, &mel, steps))?);
        let first_audio_ms =
            Spread::of(repeat(args.runs, || first_audio(&scheduler, &mel, steps))?);
        rows.push(Row {
            steps,
            real_time_factor,
            first_audio_ms,
        });
    }
    let convention = &vocoder.manifest().mel;
    let report = Report {
        model: vocoder.manifest().name.clone(),
        provider: vocoder.provider().to_owned(),
        threads: session.engine.options().thread_count(),
        load_seconds: vocoder.load_time().as_secs_f64(),
        audio_seconds: (mel.frames() * convention.hop) as f64 / f64::from(convention.sample_rate),
        rows,
    };
    // A struct of numbers and strings always serialises.
    print(&if args.json {
        serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"
    } else {
        report.words()
    })
}

/// One measurement to warm up, which is dropped, then as many as are asked for.
fn repeat(
    runs: u32,
    mut measure: impl FnMut() -> Result<f64, CliError>,
) -> Result<Vec<f64>, CliError> {
    measure()?;
    (0..runs).map(|_| measure()).collect()
}

fn whole(vocoder: &mut Vocoder, mel: &Mel, steps: usize) -> Result<f64, CliError> {
    let options = SynthesisOptions {
        schedule: ScheduleChoice::Steps(steps),
        ..SynthesisOptions::default()
    };
    let made = vocoder.synthesize(mel, &options, &mut |_| ControlFlow::Continue(()))?;
    Ok(made.real_time_factor())
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

impl Report {
    fn words(&self) -> String {
        let mut text = format!(
            "{}, {}, {} threads; loaded in {:.2} s; {:.1} s of audio, median (least to most)\n\nsteps   real-time factor         first audio, ms\n",
            self.model, self.provider, self.threads, self.load_seconds, self.audio_seconds
        );
        for row in &self.rows {
            let (rtf, first) = (row.real_time_factor, row.first_audio_ms);
            text += &format!(
                "{:5}   {:.3} ({:.3} to {:.3})   {:5.0} ({:.0} to {:.0})\n",
                row.steps, rtf.median, rtf.min, rtf.max, first.median, first.min, first.max
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn the_median_is_the_middle() {
        let spread = |median, min, max| Spread { median, min, max };
        assert_eq!(Spread::of(vec![3.0, 1.0, 2.0]), spread(2.0, 1.0, 3.0));
        assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 3.0]), spread(2.5, 1.0, 4.0));
    }
}
