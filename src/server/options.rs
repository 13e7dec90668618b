//! What a server is told before it starts.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::marking::Marking;
use super::placement::ModelProvider;
use crate::runtime::{Provider, SessionOptions};
use crate::setters::setters;

/// Where to listen when nothing is said: this machine only.
pub const DEFAULT_ADDRESS: &str = "127.0.0.1:50051";

/// Where to answer over HTTP when only that is asked for: this machine only.
pub const DEFAULT_HTTP_ADDRESS: &str = "127.0.0.1:8080";

/// Everything that a server is told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerOptions {
    /// Where to listen.
    pub listen: Address,
    /// Where to answer over HTTP, with the page; nowhere when `None`.
    pub http: Option<Address>,
    /// Permissions of the Unix sockets that are listened on, as in `0o660`; those that the process gives to new files when `None`.
    pub socket_mode: Option<u32>,
    /// The models, the default one first; the default one of those that are built in when empty.
    pub models: Vec<ModelSource>,
    /// How to run their graphs.
    pub session: SessionOptions,
    /// Where single models run instead.
    pub placements: Vec<ModelProvider>,
    /// Most windows in one denoiser call; what the provider does best when `None`.
    pub batch: Option<usize>,
    /// What a call may ask for.
    pub limits: ServerLimits,
    /// Watermarks in the audio.
    pub watermarks: Marking,
    /// Certificates; without them the connection is in the clear.
    pub tls: Option<TlsFiles>,
    /// File of the keys that callers must show, one a line.
    pub api_keys: Option<PathBuf>,
    /// Where Prometheus may collect metrics.
    pub metrics: Option<SocketAddr>,
    /// Whether the server describes itself to generic clients (gRPC reflection).
    pub reflection: bool,
    /// How long new calls are still served once the server was asked to stop by SIGTERM: until balancers have heard of it.
    pub drain_delay: Duration,
    /// How long calls may go on after that.
    pub grace: Duration,
    /// Time after which callers are asked to leave a connection, give or take a tenth: behind a balancer of connections their next calls then
    /// spread over the replicas. Calls under way go on.
    pub max_connection_age: Option<Duration>,
}

impl Default for ServerOptions {
    fn default() -> ServerOptions {
        ServerOptions {
            listen: Address::Tcp(DEFAULT_ADDRESS.to_owned()),
            http: None,
            socket_mode: None,
            models: Vec::new(),
            session: SessionOptions::default(),
            placements: Vec::new(),
            batch: None,
            limits: ServerLimits::default(),
            watermarks: Marking::default(),
            tls: None,
            api_keys: None,
            metrics: None,
            reflection: true,
            drain_delay: Duration::from_secs(3),
            grace: Duration::from_secs(10),
            max_connection_age: None,
        }
    }
}

setters!(ServerOptions {
    listen: Address,
    http: Option<Address>,
    socket_mode: Option<u32>,
    models: Vec<ModelSource>,
    session: SessionOptions,
    placements: Vec<ModelProvider>,
    batch: Option<usize>,
    limits: ServerLimits,
    watermarks: Marking,
    tls: Option<TlsFiles>,
    api_keys: Option<PathBuf>,
    metrics: Option<SocketAddr>,
    reflection: bool,
    drain_delay: Duration,
    grace: Duration,
    max_connection_age: Option<Duration>,
});

impl ServerOptions {
    /// How to run the graphs of the model of that name. The models that have no memory limit of their own share the common one.
    pub(super) fn session_of(&self, model: &str) -> SessionOptions {
        let mut session = self.session.clone();
        session.gpu = session
            .gpu
            .share(sharing(self.models.len(), &self.placements));
        if let Some(placed) = self.placements.iter().find(|placed| placed.model == model) {
            placed.apply(&mut session);
        }
        session
    }
}

/// Of `models`, how many keep to the common memory limit together: those on a GPU without one of their own.
fn sharing(models: usize, placements: &[ModelProvider]) -> usize {
    let is_apart =
        |placed: &&ModelProvider| placed.memory_limit.is_some() || placed.provider == Provider::Cpu;
    models.saturating_sub(placements.iter().filter(is_apart).count())
}

/// Bounds on what callers can make the server do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerLimits {
    /// Most mel frames of one Vocode call.
    pub max_unary_frames: u32,
    /// Most mel frames of one VocodeStream or VocodeLive call.
    pub max_stream_frames: u64,
    /// Largest request message in bytes.
    pub max_message_bytes: usize,
    /// Streams of the first model and its default schedule that are worked on or still played at once. A call of more steps counts as several.
    pub max_streams: MaxStreams,
    /// Calls at once of one key, or of one address where callers show no key. When `None`, half of the streams, and any number where the
    /// address is one of this machine.
    pub max_streams_per_caller: Option<usize>,
    /// Seconds of audio a minute for one key, or one address where callers show no key, beyond which its next calls are refused until time has
    /// made up for it. When `None`, any number.
    pub max_audio_per_caller: Option<u32>,
    /// Most denoiser calls for each sample; a model's default schedule may always be asked for.
    pub max_steps: usize,
    /// Bytes of memory that calls may hold together, beside what the models take.
    pub memory_budget: u64,
    /// Connections at once.
    pub max_connections: usize,
    /// Connections at once from one address. When `None`, half of all, and any number where the address is one of this machine.
    pub max_connections_per_peer: Option<usize>,
    /// Longest that one call may take.
    pub max_call: Duration,
    /// Longest that a caller may neither bring the mel that is waited for nor take the audio that is ready.
    pub max_idle: Duration,
    /// Longest that one denoiser call may take before its model counts as hung: health turns, and new calls are turned away.
    pub model_timeout: Duration,
}

impl Default for ServerLimits {
    fn default() -> ServerLimits {
        ServerLimits {
            // 46 s of the built-in model: as 32-bit floats just below the 4 MiB that gRPC clients take unless told otherwise.
            max_unary_frames: 4_000,
            max_stream_frames: 250_000,
            max_message_bytes: 4 << 20,
            max_streams: MaxStreams::Auto,
            max_streams_per_caller: None,
            max_audio_per_caller: None,
            max_steps: 16,
            memory_budget: 512 << 20,
            max_connections: 256,
            max_connections_per_peer: None,
            max_call: Duration::from_secs(600),
            max_idle: Duration::from_secs(60),
            model_timeout: Duration::from_secs(10),
        }
    }
}

setters!(ServerLimits {
    max_unary_frames: u32,
    max_stream_frames: u64,
    max_message_bytes: usize,
    max_streams: MaxStreams,
    max_streams_per_caller: Option<usize>,
    max_audio_per_caller: Option<u32>,
    max_steps: usize,
    memory_budget: u64,
    max_connections: usize,
    max_connections_per_peer: Option<usize>,
    max_call: Duration,
    max_idle: Duration,
    model_timeout: Duration,
});

/// How many streams are worked on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxStreams {
    /// As many as the machine made in real time when the models were loaded.
    Auto,
    /// This many.
    Fixed(usize),
}

impl MaxStreams {
    /// Most that can be asked for.
    pub const LIMIT: usize = 4096;
}

impl FromStr for MaxStreams {
    type Err = String;

    fn from_str(text: &str) -> Result<MaxStreams, String> {
        match text.parse() {
            _ if text == "auto" => Ok(MaxStreams::Auto),
            Ok(count) if (1..=MaxStreams::LIMIT).contains(&count) => Ok(MaxStreams::Fixed(count)),
            _ => Err(format!("expected auto or 1 to {}", MaxStreams::LIMIT)),
        }
    }
}

impl fmt::Display for MaxStreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MaxStreams::Auto => f.write_str("auto"),
            MaxStreams::Fixed(count) => count.fmt(f),
        }
    }
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `HOST:PORT`; port 0 takes any that is free.
    Tcp(String),
    /// `unix:PATH`.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match (path.is_empty(), cfg!(unix)) {
                (true, _) => {
                    Err("unix: needs the path of a socket, as in unix:/run/vocode.sock".to_owned())
                }
                (false, false) => Err("there are no Unix sockets on this system".to_owned()),
                (false, true) => Ok(Address::Unix(path.into())),
            };
        }
        match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                Ok(Address::Tcp(text.to_owned()))
            }
            _ => Err(format!(
                "expected HOST:PORT, such as {DEFAULT_ADDRESS}, or unix:PATH"
            )),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => f.write_str(address),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What a server listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Of gRPC: `HOST:PORT` or `unix:PATH`.
    pub grpc: String,
    /// Of the page and of HTTP: `http://HOST:PORT/`, `https://HOST:PORT/` or `unix:PATH`.
    pub http: Option<String>,
}

/// A model, and the name that callers give it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelSource {
    /// The bundle's own name when `None`.
    pub name: Option<String>,
    /// A built-in model by its name, or the folder of another, as [`Bundle::open`](crate::Bundle::open) takes it; the default one when `None`.
    pub model: Option<PathBuf>,
}

impl FromStr for ModelSource {
    type Err = String;

    fn from_str(text: &str) -> Result<ModelSource, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        match text.split_once('=') {
            Some((name, model)) if !name.is_empty() && name.chars().all(plain) => {
                if model.is_empty() {
                    return Err(format!(
                        "{name}= needs the folder of the model, or the name of a built-in one"
                    ));
                }
                Ok(ModelSource {
                    name: Some(name.to_owned()),
                    model: Some(model.into()),
                })
            }
            _ => Ok(ModelSource {
                name: None,
                model: Some(text.into()),
            }),
        }
    }
}

/// PEM files of a TLS server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, and those between it and the root.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authority that callers' certificates must come from; callers need none when `None`.
    pub client_ca: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_others_explained() {
        for good in ["127.0.0.1:0", "localhost:50051", "[::1]:80"] {
            assert_eq!(good.parse::<Address>().unwrap().to_string(), good);
        }
        for bad in ["50051", "localhost", ":80", "host:99999", ""] {
            assert!(
                bad.parse::<Address>().unwrap_err().contains("HOST:PORT"),
                "{bad}"
            );
        }
        assert!("unix:".parse::<Address>().unwrap_err().contains("path"));
    }

    #[test]
    fn models_without_a_memory_limit_of_their_own_share_the_common_one() {
        let placed = |text: &str| text.parse::<ModelProvider>().unwrap();
        let placements = ["a=cuda,memory-limit=2GiB", "b=cpu", "c=cuda:1"].map(placed);
        assert_eq!(sharing(5, &placements), 3);
        assert_eq!(sharing(1, &[]), 1);
    }

    #[test]
    fn a_model_has_a_name_where_one_is_given() {
        let read = |text: &str| text.parse::<ModelSource>().unwrap();
        let (name, model) = (Some("fast-1".to_owned()), Some("m/a=b".into()));
        assert_eq!(read("fast-1=m/a=b"), ModelSource { name, model });
        for model in ["models/default", "vocos24k", "./a=b", "=x"] {
            assert_eq!(
                read(model),
                ModelSource {
                    name: None,
                    model: Some(model.into())
                }
            );
        }
        assert!("fast=".parse::<ModelSource>().is_err());
    }
}
