//! `vocode serve`: the flags of the server.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum};
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::args::{EngineArgs, Verbosity};
use super::error::CliError;
use super::otlp::Exporter;
use super::output::{print, say};
use super::setup::load_runtime;
use super::threads;
use super::watermark::{PayloadArg, read_key};
use crate::diffusion::MAX_STEPS;
use crate::server::{
    self, Address, Addresses, DEFAULT_ADDRESS, DEFAULT_HTTP_ADDRESS, MarkedCalls, Marking,
    MaxStreams, ModelProvider, ModelSource, ServerLimits, ServerOptions, TlsFiles,
};
use crate::vocoder::MAX_BATCH;

/// Lines of the log that wait to be written.
const LOG_LINES: usize = 4096;
/// How often dropped lines are counted.
const LOG_COUNT: Duration = Duration::from_secs(10);

const ABOUT: &str = "\
A setting is taken from its flag, else from the variable in brackets, else from the file that --config names: TOML, with the flags' \
names, as in `max-streams = 8` and `model = [\"fast=models/fast\", \"models/default\"]`. Paths are those of the folder that the server is \
started in.

It prints the address that it listens on, and with --http that of the page on a line of its own; calls wait until the models are loaded. \
SIGTERM and Ctrl-C let calls end, SIGTERM after --drain-delay, a second one ends them; SIGHUP reads the API keys and certificates again.";

/// Arguments of `vocode serve`.
#[derive(Args, Debug)]
#[command(after_help = ABOUT)]
pub struct ServeArgs {
    /// Where to listen: HOST:PORT (port 0: any that is free), or unix:PATH
    #[arg(long, env = "VOCODE_LISTEN", default_value = DEFAULT_ADDRESS, value_name = "ADDR")]
    listen: Address,
    /// Answer over HTTP too, with a page to hear it by, on this address: HOST:PORT or unix:PATH [default without ADDR: 127.0.0.1:8080]
    #[arg(long, env = "VOCODE_HTTP", num_args = 0..=1, default_missing_value = DEFAULT_HTTP_ADDRESS, value_name = "ADDR")]
    http: Option<Address>,
    /// Permissions of the socket of unix:PATH in octal digits, as in 660 [default: what the umask leaves]
    #[arg(long, env = "VOCODE_SOCKET_MODE", value_parser = mode, value_name = "MODE")]
    socket_mode: Option<u32>,
    /// A built-in model by its name (see vocode models) or the folder of another, under a name of its own or the model's; the first is the one
    /// for calls that name none [default: default]
    #[arg(long = "model", env = "VOCODE_MODEL", value_name = "[NAME=]NAME|DIR")]
    models: Vec<ModelSource>,
    #[command(flatten)]
    engine: EngineArgs,
    /// Where one model runs and with what, instead of what is said for all, as in fast=cuda:1 or best=tensorrt,fp16; the settings are fp16, tf32,
    /// memory-limit=SIZE and engine-cache=DIR
    #[arg(
        long = "model-provider",
        env = "VOCODE_MODEL_PROVIDER",
        value_name = "NAME=PROVIDER[:DEVICE][,SETTING]..."
    )]
    placements: Vec<ModelProvider>,
    /// Most windows in one call of the model [default: on a CPU 3 for each of up to 4 threads, 1 for one thread; on a GPU 16]
    #[arg(long, env = "VOCODE_BATCH", value_parser = counts(MAX_BATCH), value_name = "N")]
    batch: Option<usize>,
    /// Put a watermark into the audio of every call, and refuse those that want none: up to 8 hexadecimal digits that it says [default of HEX:
    /// what the call says, else a hash of the model and the key]
    #[arg(
        long,
        env = "VOCODE_WATERMARK",
        value_name = "HEX",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "auto"
    )]
    watermark: Option<PayloadArg>,
    /// File with the key of all watermarks, at least 16 bytes: only who has it finds them [default: a key that everybody has]
    #[arg(long, env = "VOCODE_WATERMARK_KEY", value_name = "FILE")]
    watermark_key: Option<PathBuf>,
    /// Serve /metrics for Prometheus, /health and /ready over HTTP on this address, as in 127.0.0.1:9464
    #[arg(long, env = "VOCODE_METRICS", value_name = "ADDR")]
    metrics: Option<SocketAddr>,
    /// How the log is written
    #[arg(
        long,
        env = "VOCODE_LOG_FORMAT",
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    log_format: LogFormat,
    /// Send traces to an OpenTelemetry collector, as in http://127.0.0.1:4317 (OTLP over gRPC)
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    otlp: Option<String>,
    /// Do not describe the service to generic clients (gRPC reflection)
    #[arg(long, env = "VOCODE_NO_REFLECTION")]
    no_reflection: bool,
    /// Seconds that new calls are still served after SIGTERM, while health says that the server goes: as long as balancers take to hear of it
    #[arg(long, env = "VOCODE_DRAIN_DELAY", default_value_t = 3.0, value_parser = pause, value_name = "S")]
    drain_delay: f64,
    /// Seconds after which callers are asked to leave a connection, give or take a tenth, so that their next calls spread over the replicas behind
    /// a balancer of connections [default: never]
    #[arg(long, env = "VOCODE_MAX_CONNECTION_AGE", value_parser = pause, value_name = "S")]
    max_connection_age: Option<f64>,
    /// Seconds that calls may go on once the server takes no more
    #[arg(long, env = "VOCODE_GRACE_SECONDS", default_value_t = 30, value_parser = seconds(0), value_name = "N")]
    grace_seconds: u64,
    /// File of settings (TOML)
    #[arg(long, env = "VOCODE_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Check all settings and files, load the models, and stop there
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    verbosity: Verbosity,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    access: AccessArgs,
}

/// What a call may ask for.
#[derive(Args, Debug)]
#[command(next_help_heading = "Limits")]
struct LimitArgs {
    /// Streams of the first model and its default schedule that are worked on or still played at once, up to 4096; a call of more steps counts
    /// as several. `auto`: as many as the machine makes in real time, measured at the start
    #[arg(long, env = "VOCODE_MAX_STREAMS", default_value_t = ServerLimits::default().max_streams, value_name = "N")]
    max_streams: MaxStreams,
    /// Calls at once of one API key, or of one address where there are no keys [default: half of --max-streams; not counted for this machine]
    #[arg(long, env = "VOCODE_MAX_STREAMS_PER_CALLER", value_parser = counts(MaxStreams::LIMIT), value_name = "N")]
    max_streams_per_caller: Option<usize>,
    /// Seconds of audio a minute for one API key, or one address where there are no keys; more than that, and its next calls are refused until
    /// time has made up for it [default: any number]
    #[arg(long, env = "VOCODE_MAX_AUDIO_PER_CALLER", value_parser = clap::value_parser!(u32).range(1..), value_name = "S")]
    max_audio_per_caller: Option<u32>,
    /// Most denoiser calls for each sample; a model's default schedule may always be asked for
    #[arg(long, env = "VOCODE_MAX_STEPS", default_value_t = ServerLimits::default().max_steps, value_parser = counts(MAX_STEPS), value_name = "N")]
    max_steps: usize,
    /// Memory that calls may hold together, beside what the models take
    #[arg(long, env = "VOCODE_MEMORY_BUDGET", default_value_t = ByteSize(ServerLimits::default().memory_budget), value_name = "SIZE")]
    memory_budget: ByteSize,
    /// Connections at once
    #[arg(long, env = "VOCODE_MAX_CONNECTIONS", default_value_t = ServerLimits::default().max_connections, value_parser = counts(65_536), value_name = "N")]
    max_connections: usize,
    /// Connections at once from one address [default: half of --max-connections; not counted for this machine]
    #[arg(long, env = "VOCODE_MAX_CONNECTIONS_PER_PEER", value_parser = counts(65_536), value_name = "N")]
    max_connections_per_peer: Option<usize>,
    /// Largest request message
    #[arg(long, env = "VOCODE_MAX_MESSAGE_BYTES", default_value_t = ServerLimits::default().max_message_bytes, value_parser = counts(1 << 30), value_name = "BYTES")]
    max_message_bytes: usize,
    /// Longest mel of a Vocode call
    #[arg(long, env = "VOCODE_MAX_UNARY_FRAMES", default_value_t = ServerLimits::default().max_unary_frames, value_parser = clap::value_parser!(u32).range(1..), value_name = "FRAMES")]
    max_unary_frames: u32,
    /// Longest mel of a VocodeStream or VocodeLive call
    #[arg(long, env = "VOCODE_MAX_STREAM_FRAMES", default_value_t = ServerLimits::default().max_stream_frames, value_parser = clap::value_parser!(u64).range(1..), value_name = "FRAMES")]
    max_stream_frames: u64,
    /// Longest that a call may take
    #[arg(long, env = "VOCODE_MAX_CALL_SECONDS", default_value_t = ServerLimits::default().max_call.as_secs(), value_parser = seconds(1), value_name = "N")]
    max_call_seconds: u64,
    /// Longest that a caller may bring no mel, or leave the audio that is ready
    #[arg(long, env = "VOCODE_MAX_IDLE_SECONDS", default_value_t = ServerLimits::default().max_idle.as_secs(), value_parser = seconds(1), value_name = "N")]
    max_idle_seconds: u64,
    /// Longest that one denoiser call may take before health turns to NOT_SERVING and new calls are turned away
    #[arg(long, env = "VOCODE_MODEL_TIMEOUT_SECONDS", default_value_t = ServerLimits::default().model_timeout.as_secs(), value_parser = seconds(1), value_name = "N")]
    model_timeout_seconds: u64,
}

/// Who may call.
#[derive(Args, Debug)]
#[command(next_help_heading = "Access")]
struct AccessArgs {
    /// Certificate of the server (PEM), with those between it and its root
    #[arg(long, env = "VOCODE_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// Private key of the certificate (PEM)
    #[arg(long, env = "VOCODE_TLS_KEY", value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// Take only callers with a certificate of this authority (PEM)
    #[arg(long, env = "VOCODE_TLS_CLIENT_CA", value_name = "FILE")]
    tls_client_ca: Option<PathBuf>,
    /// Take only callers with a key of this file, one a line (metadata `authorization: Bearer KEY`); health and reflection stay open
    #[arg(long, env = "VOCODE_API_KEYS", value_name = "FILE")]
    api_keys: Option<PathBuf>,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One object a line
    Json,
}

/// Permissions as `chmod` takes them in digits.
fn mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("expected octal digits from 0 to 777, as in 660".to_owned()),
    }
}

fn counts(most: usize) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=most as u64)
}

fn seconds(least: u64) -> RangedU64ValueParser<u64> {
    // A week; nothing overflows.
    RangedU64ValueParser::new().range(least..=604_800)
}

fn pause(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=604_800.0).contains(&seconds) => Ok(seconds),
        _ => Err("expected seconds, 0 to 604800".to_owned()),
    }
}

/// Serves until asked to stop, or checks the settings alone.
pub(super) fn run(args: &ServeArgs) -> Result<(), CliError> {
    let options = args.options()?;
    let threads = options.session.threads;
    threads::check(threads::of_server(args.models.len(), threads))?;
    // Dropped at the end, when the last spans are there.
    let exporter = args.otlp.as_deref().map(Exporter::start).transpose()?;
    // Dropped at the end, when what waits is written.
    let _log = args.start_logging(exporter.as_ref());
    let runtime = load_runtime(&args.engine, args.verbosity.quiet)?;
    if args.check {
        server::check(options, runtime)?;
        return print("the settings are in order\n");
    }
    server::serve(options, runtime, |addresses| {
        if let Err(error) = print(&announcement(addresses)) {
            say(&format!("warning: {error}"));
        }
    })?;
    Ok(())
}

fn announcement(addresses: &Addresses) -> String {
    let page = match &addresses.http {
        Some(url) => format!("the page is at {url}\n"),
        None => String::new(),
    };
    format!("listening on {}\n{page}", addresses.grpc)
}

impl ServeArgs {
    fn options(&self) -> Result<ServerOptions, CliError> {
        let limits = &self.limits;
        let is_socket = |address: &Address| matches!(address, Address::Unix(_));
        let has_socket = is_socket(&self.listen) || self.http.as_ref().is_some_and(is_socket);
        if self.socket_mode.is_some() && !has_socket {
            return Err(CliError::usage(format!(
                "--socket-mode is for a Unix socket, and --listen is {}: give --listen unix:PATH, or leave it out",
                self.listen
            )));
        }
        let calls = self.watermark.map_or(MarkedCalls::Asking, |payload| {
            MarkedCalls::All(payload.bits())
        });
        let watermarks = Marking::new(read_key(self.watermark_key.as_deref())?, calls);
        Ok(ServerOptions {
            watermarks,
            listen: self.listen.clone(),
            http: self.http.clone(),
            socket_mode: self.socket_mode,
            models: self.models.clone(),
            session: self.engine.options(),
            placements: self.placements.clone(),
            batch: self.batch,
            limits: ServerLimits {
                max_unary_frames: limits.max_unary_frames,
                max_stream_frames: limits.max_stream_frames,
                max_message_bytes: limits.max_message_bytes,
                max_streams: limits.max_streams,
                max_streams_per_caller: limits.max_streams_per_caller,
                max_audio_per_caller: limits.max_audio_per_caller,
                max_steps: limits.max_steps,
                memory_budget: limits.memory_budget.as_u64(),
                max_connections: limits.max_connections,
                max_connections_per_peer: limits.max_connections_per_peer,
                max_call: Duration::from_secs(limits.max_call_seconds),
                max_idle: Duration::from_secs(limits.max_idle_seconds),
                model_timeout: Duration::from_secs(limits.model_timeout_seconds),
            },
            tls: self.access.tls()?,
            api_keys: self.access.api_keys.clone(),
            metrics: self.metrics,
            reflection: !self.no_reflection,
            drain_delay: Duration::from_secs_f64(self.drain_delay),
            grace: Duration::from_secs(self.grace_seconds),
            max_connection_age: self.max_connection_age.map(Duration::from_secs_f64),
        })
    }

    /// A server says more than the other commands: each call is a line. Lines that nobody takes in time are dropped, not waited for.
    fn start_logging(&self, exporter: Option<&Exporter>) -> WorkerGuard {
        let verbosity = Verbosity {
            verbose: self.verbosity.verbose.saturating_add(1),
            ..self.verbosity
        };
        let (writer, guard) = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(LOG_LINES)
            .finish(std::io::stderr());
        let dropped = writer.error_counter();
        let log = tracing_subscriber::fmt::layer()
            .with_writer(writer)
            .with_ansi(std::io::stderr().is_terminal());
        let log = match self.log_format {
            LogFormat::Text => log.boxed(),
            LogFormat::Json => log.json().flatten_event(true).with_span_list(false).boxed(),
        };
        // Not an Option of a layer: filtered layers beside a `None` lose events.
        let mut layers = vec![log.with_filter(verbosity.log_filter()).boxed()];
        layers.extend(exporter.map(|exporter| exporter.layer().boxed()));
        // A second start in one process (tests) keeps the first.
        let _ = tracing_subscriber::registry().with(layers).try_init();
        count_dropped_lines(dropped);
        guard
    }
}

/// Says in the metrics and, once it is read again, in the log how many lines were dropped. Without a thread to spare it is not said.
fn count_dropped_lines(dropped: ErrorCounter) {
    let count = move || {
        let mut told = 0;
        loop {
            std::thread::sleep(LOG_COUNT);
            let lines = dropped.dropped_lines();
            if lines > told {
                told = lines;
                metrics::counter!("vocode_log_lines_dropped_total").absolute(lines as u64);
                tracing::warn!(lines, "the log was not read in time: lines were dropped");
            }
        }
    };
    let thread = std::thread::Builder::new().name("vocode-log".to_owned());
    let _ = thread.spawn(count);
}

impl AccessArgs {
    fn tls(&self) -> Result<Option<TlsFiles>, CliError> {
        match (&self.tls_cert, &self.tls_key, &self.tls_client_ca) {
            (None, None, None) => Ok(None),
            (Some(cert), Some(key), client_ca) => Ok(Some(TlsFiles {
                cert: cert.clone(),
                key: key.clone(),
                client_ca: client_ca.clone(),
            })),
            (None, None, Some(_)) => Err(CliError::usage(
                "--tls-client-ca asks callers for certificates, for which the server needs its own: give --tls-cert and --tls-key too",
            )),
            _ => Err(CliError::usage(
                "--tls-cert and --tls-key belong together: give both or neither",
            )),
        }
    }
}
