//! `vocode client`: one mel through a server.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::args::{FormatArg, Overwrite, Verbosity};
use super::container::Container;
use super::error::CliError;
use super::expected::Expected;
use super::flags::with_flags;
use super::jobs::{self, Job, Kinds};
use super::output::{Target, print, say};
use super::pipe::Pipe;
use super::remote::{MelSource, RequestArgs, ServerArgs, block_on, floats};
use crate::audio::{Encoded, Encoding, InfoId, Provenance};
use crate::client::{Client, ClientError, Event, Events};
use crate::mel::Mel;
use crate::proto;
use crate::text::{counted, visible};
use ndarray::{Axis, Slice};

const KINDS: Kinds = Kinds {
    inputs: &["npy"],
    output: "wav",
    others: &Container::EXTENSIONS,
};

/// How the mel is sent and the audio received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Method {
    /// The whole mel at once, audio as it is made
    #[default]
    Stream,
    /// The mel a few frames at a time, audio as it is made
    Live,
    /// The whole mel at once, the whole audio at once
    Unary,
}

/// Arguments of `vocode client`.
#[derive(Args, Debug)]
pub struct ClientArgs {
    /// The mel spectrogram (.npy), or - for standard input
    #[arg(value_name = "MEL")]
    input: PathBuf,
    /// The file to write (.wav, .flac, .opus or .raw), or - for standard output, where the audio goes as it comes [default: MEL's name with .wav]
    #[arg(short, long, env = "VOCODE_OUTPUT", value_name = "FILE")]
    output: Option<PathBuf>,
    /// What is written, where no name says it [default: what -o ends in, or wav]
    #[arg(long, env = "VOCODE_CONTAINER", value_enum, value_name = "KIND")]
    container: Option<Container>,
    /// How the mel is sent and the audio received
    #[arg(long, value_enum, default_value_t, value_name = "METHOD")]
    method: Method,
    /// Frames a message of a live call
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=4096), value_name = "N")]
    live_frames: u32,
    /// Send a live call's frames no faster than they play, as a speech synthesiser in real time would
    #[arg(long)]
    paced: bool,
    /// Seconds that the whole call may take
    #[arg(
        long,
        env = "VOCODE_TIMEOUT",
        default_value_t = 600.0,
        value_name = "S"
    )]
    timeout: f64,
    /// How samples are stored
    #[arg(
        long,
        env = "VOCODE_FORMAT",
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    format: FormatArg,
    /// Print the summary as JSON, on standard output (standard error where the audio goes there)
    #[arg(long, env = "VOCODE_JSON", value_parser = clap::builder::FalseyValueParser::new())]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    request: RequestArgs,
    #[command(flatten)]
    overwrite: Overwrite,
    #[command(flatten)]
    verbosity: Verbosity,
}

/// What came back.
struct Answer {
    header: proto::StreamHeader,
    samples: Vec<f32>,
    /// From the call to its first audio.
    first_audio: Duration,
    /// See [`Summary::late_seconds`].
    late: f64,
    /// How many times the call broke off and went on.
    resumed: u32,
    /// Samples that were clipped on standard output, where they went as they came.
    clipped: Option<usize>,
}

/// The line at the end.
#[derive(Serialize)]
struct Summary {
    output: String,
    model: String,
    model_sha256: String,
    sample_rate: u32,
    samples: usize,
    audio_seconds: f64,
    seconds: f64,
    first_audio_seconds: f64,
    real_time_factor: f64,
    /// The most that a piece came later than it would have been heard, played from the first one on.
    late_seconds: f64,
    steps: u32,
    schedule: String,
    solver: String,
    provider: String,
    precision: String,
    seed: u64,
    /// What the audio's watermark says, in hexadecimal.
    watermark: Option<String>,
    request_id: String,
    /// How many times the call broke off and went on, perhaps on another server.
    resumed: u32,
    /// What the server found odd about the mel.
    warnings: Vec<String>,
}

/// Runs `vocode client`.
pub(super) fn run(args: &ClientArgs) -> Result<(), CliError> {
    args.verbosity.start_logging();
    let Job { source, target, .. } = args.job()?;
    let container = Container::of(&target, args.container)?;
    container.check(args.format)?;
    target.check(args.overwrite.force)?;
    let mel = MelSource::open(&source)?;
    // The audio of a call that is made at once is written as to a file.
    let encoding = match (&target, args.method) {
        (Target::Stdout, Method::Stream | Method::Live) => Some(container.encoding(args.format)),
        _ => None,
    };
    let (answer, seconds) = block_on(async {
        let (mut client, info) = args.server.connect().await?;
        let mel = mel.read(&args.request, &info)?;
        let began = Instant::now();
        let limit = Duration::try_from_secs_f64(args.timeout).map_err(|_| {
            CliError::usage(format!(
                "--timeout {}: expected a positive number of seconds",
                args.timeout
            ))
        })?;
        let answer =
            tokio::time::timeout(limit, call(args, &mut client, &info, mel, encoding)).await;
        let answer = answer.map_err(|_| CliError::Timeout {
            seconds: args.timeout,
        })??;
        Ok((answer, began.elapsed().as_secs_f64()))
    })?;
    // Whoever reads the pipe has all that it wants.
    let Some(answer) = answer else {
        return Ok(());
    };
    match answer.clipped {
        Some(clipped) => tell_clipped(args, &target, clipped),
        None => write(args, &target, container, &answer)?,
    }
    if answer.resumed > 0 {
        args.verbosity.warn(&format!(
            "the call broke off and went on, {}: its audio is whole",
            counted(answer.resumed as usize, "time")
        ));
    }
    for note in &answer.header.warnings {
        args.verbosity.warn(&visible(&with_flags(note)));
    }
    let summary = summary(&target, answer, seconds);
    if !args.json {
        args.verbosity.tell(&summary.line());
        return Ok(());
    }
    // A struct of strings and numbers always serialises.
    let text = serde_json::to_string(&summary).unwrap_or_default();
    if target == Target::Stdout {
        say(&text);
        return Ok(());
    }
    print(&format!("{text}\n"))
}

impl ClientArgs {
    /// The mel and where its audio goes.
    fn job(&self) -> Result<Job, CliError> {
        let kinds = Kinds {
            output: self.container.unwrap_or_default().extension(),
            ..KINDS
        };
        let inputs = std::slice::from_ref(&self.input);
        let mut jobs = jobs::plan(inputs, self.output.as_deref(), &kinds, false)?;
        match (jobs.pop(), jobs.is_empty()) {
            (Some(job), true) => Ok(job),
            _ => Err(CliError::usage(format!(
                "{} is a folder of several mels, and vocode client sends one: name it",
                self.input.display()
            ))),
        }
    }
}

/// The whole answer, in `encoding` on standard output as it comes; `None` where the reader there has gone before its end.
async fn call(
    args: &ClientArgs,
    client: &mut Client,
    info: &proto::GetInfoResponse,
    mel: Mel,
    encoding: Option<Encoding>,
) -> Result<Option<Answer>, CliError> {
    let began = Instant::now();
    let config = args.request.config(info)?;
    let expected = args.request.expected(info, mel.frames());
    let events = match args.method {
        Method::Unary => return unary(client, config, &mel, expected, began).await.map(Some),
        Method::Stream => client.stream(config, &mel).await?,
        Method::Live => {
            let pause = args.paced.then(|| args.request.frame_seconds(info));
            let pause = pause.transpose()?;
            let pieces = pieces(&mel, args.live_frames as usize)?;
            client.live(config, paced(pieces, pause)).await?
        }
    };
    collect(events, expected, began, encoding).await
}

async fn unary(
    client: &mut Client,
    config: proto::SynthesisConfig,
    mel: &Mel,
    expected: Option<Expected>,
    began: Instant,
) -> Result<Answer, CliError> {
    let answer = client.vocode(config, mel).await?;
    let header = answer.header.ok_or(ClientError::EmptyEvent)?;
    let samples: Vec<f32> = floats(&answer.audio).collect();
    expected
        .ok_or(ClientError::EmptyEvent)?
        .is_met(&header, samples.len())?;
    Ok(Answer {
        header,
        samples,
        first_audio: began.elapsed(),
        late: 0.0,
        resumed: 0,
        clipped: None,
    })
}

/// Takes a stream to its end, or as long as standard output is read; memory is bounded by what the mel makes.
async fn collect(
    mut events: Events,
    expected: Option<Expected>,
    began: Instant,
    encoding: Option<Encoding>,
) -> Result<Option<Answer>, CliError> {
    let (mut head, mut samples, mut first_audio, mut late) = (None, Vec::new(), None, 0.0);
    let mut pipe = None;
    while let Some(event) = events.next().await {
        match (event?, &head) {
            (Event::Header(header), _) => {
                let (rate, samples) = (header.sample_rate_hz, header.total_samples);
                let open = |encoding| Pipe::new(encoding, rate, samples, Provenance::default());
                pipe = encoding.map(open).transpose()?;
                head = Some(header);
            }
            (Event::Chunk(chunk), Some(header)) => {
                let before = samples.len();
                let now = began.elapsed();
                let first = *first_audio.get_or_insert(now);
                let heard = before as f64 / f64::from(header.sample_rate_hz.max(1));
                late = f64::max(late, (now - first).as_secs_f64() - heard);
                samples.extend(floats(&chunk.audio));
                expected
                    .ok_or(ClientError::EmptyEvent)?
                    .allows(header, samples.len())?;
                if let Some(pipe) = &mut pipe
                    && pipe.push(&samples[before..])?.is_break()
                {
                    // Dropping the events cancels the call.
                    return Ok(None);
                }
            }
            (Event::Chunk(_) | Event::Summary(_), _) => {}
        }
    }
    let header = head.ok_or(ClientError::EmptyEvent)?;
    expected
        .ok_or(ClientError::EmptyEvent)?
        .is_met(&header, samples.len())?;
    if let Some(pipe) = &mut pipe
        && pipe.finish()?.is_break()
    {
        return Ok(None);
    }
    Ok(Some(Answer {
        header,
        samples,
        first_audio: first_audio.unwrap_or_else(|| began.elapsed()),
        late,
        resumed: events.resumed(),
        clipped: pipe.as_ref().map(Pipe::clipped),
    }))
}

/// The mel, `frames` at a time.
fn pieces(mel: &Mel, frames: usize) -> Result<Vec<Mel>, CliError> {
    let starts = (0..mel.frames()).step_by(frames);
    let piece = |start: usize| {
        let end = (start + frames).min(mel.frames());
        let values = mel
            .view()
            .slice_axis(Axis(1), Slice::from(start..end))
            .to_owned();
        Mel::new(values).map_err(|e| CliError::mel("the mel", e))
    };
    starts.map(piece).collect()
}

/// Pieces at the pace of `pause` seconds a frame, or at once.
fn paced(pieces: Vec<Mel>, pause: Option<f64>) -> impl futures_util::Stream<Item = Mel> + Send {
    futures_util::stream::unfold(
        (pieces.into_iter(), 0.0),
        move |(mut pieces, wait)| async move {
            let piece = pieces.next()?;
            if let Some(pause) = pause {
                tokio::time::sleep(Duration::from_secs_f64(wait)).await;
                return Some((piece.clone(), (pieces, pause * piece.frames() as f64)));
            }
            Some((piece, (pieces, 0.0)))
        },
    )
}

fn write(
    args: &ClientArgs,
    target: &Target,
    container: Container,
    answer: &Answer,
) -> Result<(), CliError> {
    let header = &answer.header;
    let mut comment = format!(
        "model={} sha256={} schedule={} solver={} steps={} seed={} provider={} precision={}",
        header.model,
        header.model_sha256,
        header.schedule,
        header.solver,
        header.steps,
        header.seed,
        header.execution_provider,
        header.precision
    );
    if let Some(bits) = header.watermark {
        comment.push_str(&format!(" watermark={bits:08x}"));
    }
    let comment = visible(&comment).into_owned();
    let software = format!("vocode {}", env!("CARGO_PKG_VERSION"));
    let provenance = Provenance {
        fields: vec![(InfoId::Software, software), (InfoId::Comment, comment)],
    };
    let Encoded { bytes, clipped } = container
        .encode(
            &answer.samples,
            header.sample_rate_hz,
            args.format,
            &provenance,
        )
        .map_err(|e| CliError::audio(target.label(), e))?;
    target.write(&bytes, args.overwrite.force)?;
    tell_clipped(args, target, clipped);
    Ok(())
}

fn tell_clipped(args: &ClientArgs, target: &Target, clipped: usize) {
    if clipped > 0 {
        args.verbosity.warn(&format!(
            "{}: {clipped} samples beyond full scale were clipped; --format f32 keeps them",
            target.label()
        ));
    }
}

fn summary(target: &Target, answer: Answer, seconds: f64) -> Summary {
    let Answer {
        header,
        samples,
        first_audio,
        late,
        resumed,
        clipped: _,
    } = answer;
    let audio_seconds = samples.len() as f64 / f64::from(header.sample_rate_hz.max(1));
    Summary {
        output: target.label(),
        model: header.model,
        model_sha256: header.model_sha256,
        sample_rate: header.sample_rate_hz,
        samples: samples.len(),
        audio_seconds,
        seconds,
        first_audio_seconds: first_audio.as_secs_f64(),
        real_time_factor: seconds / audio_seconds.max(f64::MIN_POSITIVE),
        late_seconds: late,
        steps: header.steps,
        schedule: header.schedule,
        solver: header.solver,
        provider: header.execution_provider,
        precision: header.precision,
        seed: header.seed,
        watermark: header.watermark.map(|bits| format!("{bits:08x}")),
        request_id: header.request_id,
        resumed,
        warnings: header.warnings,
    }
}

impl Summary {
    fn line(&self) -> String {
        format!(
            "{}: {:.2} s of audio in {:.2} s (first audio after {:.0} ms, real-time factor {:.3}), {}, {} {}, seed {}, {}",
            self.output,
            self.audio_seconds,
            self.seconds,
            1000.0 * self.first_audio_seconds,
            self.real_time_factor,
            counted(self.steps as usize, "step"),
            visible(&self.provider),
            visible(&self.precision),
            self.seed,
            visible(&self.solver)
        )
    }
}
