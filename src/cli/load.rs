//! `vocode load`: how many listeners a server keeps content.
//!
//! Listeners arrive at a steady rate whether or not earlier ones are served (an open loop), so that a server that falls behind is seen to fall
//! behind.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::task::JoinSet;

use super::args::Verbosity;
use super::error::CliError;
use super::jobs::Source;
use super::listening::{Arrivals, HEADING, Heard, Listener, StreamsResult};
use super::output::print;
use super::remote::{MelSource, RequestArgs, ServerArgs, block_on};
use crate::client::{Client, ClientError, Event};
use crate::mel::Mel;
use crate::proto;

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

/// Runs `vocode load`.
pub(super) fn run(args: &LoadArgs) -> Result<(), CliError> {
    args.verbosity.start_logging();
    if !(args.seconds > 0.0 && args.seconds <= 86_400.0) {
        return Err(CliError::usage(format!(
            "--seconds {}: expected more than 0 and at most 86400",
            args.seconds
        )));
    }
    let mel = MelSource::open(&Source::parse(&args.input))?;
    block_on(async {
        let (client, info) = args.server.connect().await?;
        let config = args.request.config(&info)?;
        let mel = mel.read(&args.request, &info)?;
        let seconds = mel.frames() as f64 * args.request.frame_seconds(&info)?;
        if !args.json {
            print(HEADING)?;
        }
        for &streams in &args.streams {
            let arrivals = Arrivals {
                streams,
                clip: seconds,
                seconds: args.seconds,
            };
            let row = measure(&client, &config, &mel, arrivals).await;
            print(&if args.json { json(&row) } else { row.line() })?;
        }
        Ok(())
    })
}

async fn measure(
    client: &Client,
    config: &proto::SynthesisConfig,
    mel: &Mel,
    arrivals: Arrivals,
) -> StreamsResult {
    let began = Instant::now();
    let mut calls = JoinSet::new();
    for time in arrivals.times() {
        tokio::time::sleep_until((began + time).into()).await;
        let (client, mel, config) = (client.clone(), mel.clone(), config.clone());
        calls.spawn(async move {
            let called = Instant::now();
            let heard = listen(client, config, &mel).await;
            heard.map_err(|error| Failed {
                error,
                after: called.elapsed(),
            })
        });
    }
    let mut results = Vec::new();
    while let Some(result) = calls.join_next().await {
        // A task that panicked was a stream without an end.
        results.push(result.unwrap_or(Err(Failed {
            error: ClientError::EmptyEvent,
            after: Duration::ZERO,
        })));
    }
    StreamsResult::of(arrivals.streams, &results, |failed| {
        failed.error.is_refusal().then_some(failed.after)
    })
}

/// How a stream ended that did not end well, and how long after it was asked for.
struct Failed {
    error: ClientError,
    after: Duration,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

/// Plays one stream.
async fn listen(
    mut client: Client,
    config: proto::SynthesisConfig,
    mel: &Mel,
) -> Result<Heard, ClientError> {
    let mut listener = Listener::new();
    let mut events = client.stream(config, mel).await?;
    let mut rate = 1.0;
    while let Some(event) = events.next().await {
        match event? {
            Event::Header(header) => rate = f64::from(header.sample_rate_hz.max(1)),
            Event::Chunk(chunk) => listener.take(chunk.start_sample as f64 / rate).await,
            Event::Summary(_) => {}
        }
    }
    Ok(listener.end())
}

fn json(row: &StreamsResult) -> String {
    // A struct of numbers and strings always serialises.
    serde_json::to_string(row).unwrap_or_default() + "\n"
}
