//! `vocode load`: how many listeners a server keeps content.
//!
//! Listeners arrive at a steady rate whether or not earlier ones are served (an open loop), so that a server that falls behind is seen to fall
//! behind. Each plays its audio in real time from its first chunk on; a chunk that arrives after the one before has ended is an underrun.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::task::JoinSet;

use super::CliError;
use super::args::Verbosity;
use super::output::print;
use super::remote::{RequestArgs, ServerArgs, block_on, read_mel};
use crate::client::{Client, ClientError, Event};
use crate::mel::Mel;
use crate::proto;

/// Audio that a listener holds beyond what it plays, before it waits to take more.
const BUFFER: Duration = Duration::from_millis(500);

/// Arguments of `vocode load`.
#[derive(Args, Debug)]
pub struct LoadArgs {
    /// The mel spectrogram (.npy) that every stream sends
    #[arg(value_name = "MEL")]
    input: PathBuf,
    /// Streams that play at the same time; a list measures one after another
    #[arg(long, value_delimiter = ',', default_value = "1", value_name = "N,...")]
    streams: Vec<u32>,
    /// Seconds over which streams arrive, for each number of streams
    #[arg(long, default_value_t = 20.0, value_name = "S")]
    seconds: f64,
    /// Print the results as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    request: RequestArgs,
    #[command(flatten)]
    verbosity: Verbosity,
}

/// What one number of streams came to.
#[derive(Debug, Serialize)]
struct Row {
    streams: u32,
    started: usize,
    failed: usize,
    /// Streams whose audio ran dry at least once.
    underruns: usize,
    first_audio_ms: Quantiles,
    /// How late chunks arrived, of all chunks but the first of each stream; those in time count as 0.
    lateness_ms: Quantiles,
    /// The first of the failures.
    failure: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Quantiles {
    p50: f64,
    p95: f64,
    p99: f64,
    max: f64,
}

impl Quantiles {
    /// Of durations in microseconds.
    fn of(histogram: &Histogram<u64>) -> Quantiles {
        let at = |q: f64| histogram.value_at_quantile(q) as f64 / 1000.0;
        Quantiles {
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
            max: histogram.max() as f64 / 1000.0,
        }
    }
}

/// One stream, heard to its end.
struct Heard {
    first_audio: Duration,
    lateness: Vec<Duration>,
}

/// Runs `vocode load`.
pub(super) fn run(args: &LoadArgs) -> Result<(), CliError> {
    args.verbosity.start_logging();
    if !(args.seconds > 0.0 && args.seconds <= 86_400.0) {
        return Err(CliError::usage(format!(
            "--seconds {}: expected more than 0 and at most 86400",
            args.seconds
        )));
    }
    let mel = read_mel(&args.input, None)?;
    block_on(async {
        let (client, info) = args.server.connect().await?;
        let config = args.request.config(&info)?;
        let seconds = clip_seconds(info, &mel)?;
        if !args.json {
            print(HEADING)?;
        }
        for &streams in &args.streams {
            let arrivals = Arrivals {
                streams,
                clip: seconds,
                seconds: args.seconds,
            };
            let row = measure(&client, &config, &mel, &arrivals).await;
            print(&if args.json { row.json() } else { row.line() })?;
        }
        Ok(())
    })
}

/// How long the mel plays.
fn clip_seconds(info: proto::GetInfoResponse, mel: &Mel) -> Result<f64, CliError> {
    let convention = info.models.into_iter().next().and_then(|model| model.mel);
    let convention = convention.ok_or(ClientError::EmptyEvent)?;
    Ok(mel.frames() as f64 * f64::from(convention.hop)
        / f64::from(convention.sample_rate_hz.max(1)))
}

/// As many arrivals as keep `streams` playing at any time, evenly spaced over `seconds`, each `clip` seconds long.
struct Arrivals {
    streams: u32,
    clip: f64,
    seconds: f64,
}

async fn measure(
    client: &Client,
    config: &proto::SynthesisConfig,
    mel: &Mel,
    arrivals: &Arrivals,
) -> Row {
    let streams = arrivals.streams;
    let gap = Duration::from_secs_f64(arrivals.clip / f64::from(streams.max(1)));
    let began = Instant::now();
    let mut calls = JoinSet::new();
    let mut next = Duration::ZERO;
    while next.as_secs_f64() < arrivals.seconds {
        tokio::time::sleep_until((began + next).into()).await;
        let (client, mel, config) = (client.clone(), mel.clone(), config.clone());
        calls.spawn(async move { listen(client, config, &mel).await });
        next += gap;
    }
    let mut results = Vec::new();
    while let Some(result) = calls.join_next().await {
        results.push(result.unwrap_or(Err(ClientError::EmptyEvent)));
    }
    tally(streams, results)
}

/// Plays one stream.
async fn listen(
    mut client: Client,
    config: proto::SynthesisConfig,
    mel: &Mel,
) -> Result<Heard, ClientError> {
    let called = Instant::now();
    let mut events = client.stream(config, mel).await?;
    let (mut rate, mut playing) = (1.0, None);
    let mut heard = Heard {
        first_audio: Duration::ZERO,
        lateness: Vec::new(),
    };
    while let Some(event) = events.next().await {
        let chunk = match event? {
            Event::Header(header) => {
                rate = f64::from(header.sample_rate_hz.max(1));
                continue;
            }
            Event::Chunk(chunk) => chunk,
            Event::Summary(_) => continue,
        };
        let now = Instant::now();
        let Some(since) = playing else {
            heard.first_audio = now - called;
            playing = Some(now);
            continue;
        };
        // An underrun stops the playing: what comes after is measured from there.
        let due = since + Duration::from_secs_f64(chunk.start_sample as f64 / rate);
        let late = now.saturating_duration_since(due);
        heard.lateness.push(late);
        playing = Some(since + late);
        tokio::time::sleep_until((due + late).checked_sub(BUFFER).unwrap_or(now).into()).await;
    }
    Ok(heard)
}

fn tally(streams: u32, results: Vec<Result<Heard, ClientError>>) -> Row {
    // Three digits of up to an hour; what is beyond counts as an hour.
    let empty = || {
        Histogram::<u64>::new_with_max(3_600_000_000, 3).unwrap_or_else(|_| {
            unreachable!("an hour at three digits is within hdrhistogram's limits")
        })
    };
    let (mut first, mut late) = (empty(), empty());
    let mut row = Row {
        streams,
        started: results.len(),
        failed: 0,
        underruns: 0,
        first_audio_ms: Quantiles::of(&first),
        lateness_ms: Quantiles::of(&late),
        failure: None,
    };
    for result in results {
        match result {
            Ok(heard) => {
                first.saturating_record(micros(heard.first_audio));
                row.underruns += usize::from(heard.lateness.iter().any(|late| !late.is_zero()));
                heard
                    .lateness
                    .iter()
                    .for_each(|&value| late.saturating_record(micros(value)));
            }
            Err(error) => {
                row.failed += 1;
                row.failure.get_or_insert_with(|| error.to_string());
            }
        }
    }
    row.first_audio_ms = Quantiles::of(&first);
    row.lateness_ms = Quantiles::of(&late);
    row
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

const HEADING: &str = "\
streams  started  failed  underruns   first audio ms: p50    p95    p99    max   lateness ms: p50    p95    p99    max
";

impl Row {
    fn line(&self) -> String {
        let numbers =
            |q: &Quantiles| format!("{:6.0} {:6.0} {:6.0} {:6.0}", q.p50, q.p95, q.p99, q.max);
        let mut line = format!(
            "{:7}  {:7}  {:6}  {:9}  {:>19} {}  {:>15} {}\n",
            self.streams,
            self.started,
            self.failed,
            self.underruns,
            "",
            numbers(&self.first_audio_ms),
            "",
            numbers(&self.lateness_ms)
        );
        if let Some(failure) = &self.failure {
            line += &format!("         the first failure: {failure}\n");
        }
        line
    }

    fn json(&self) -> String {
        // A struct of numbers and strings always serialises.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(first: u64, lateness: &[u64]) -> Result<Heard, ClientError> {
        Ok(Heard {
            first_audio: Duration::from_millis(first),
            lateness: lateness
                .iter()
                .map(|&ms| Duration::from_millis(ms))
                .collect(),
        })
    }

    #[test]
    fn a_late_chunk_is_an_underrun_of_its_stream() {
        let row = tally(
            2,
            vec![
                heard(100, &[0, 0]),
                heard(200, &[0, 40, 10]),
                Err(ClientError::EmptyEvent),
            ],
        );
        assert_eq!((row.started, row.failed, row.underruns), (3, 1, 1));
        assert!((row.first_audio_ms.max - 200.0).abs() < 1.0);
        assert_eq!(row.lateness_ms.p50, 0.0);
        assert!((row.lateness_ms.max - 40.0).abs() < 0.5);
        assert!(row.line().contains("empty event"));
    }
}
