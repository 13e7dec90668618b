//! Flags of the commands that talk to a server.

use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use clap::builder::FalseyValueParser;

use super::args::{LayoutArg, RestoreArg, sharpening};
use super::error::CliError;
use super::expected::Expected;
use super::jobs::Source;
use super::watermark::PayloadArg;
use super::{sampling, threads};
use crate::client::{Client, ClientOptions, TlsFiles};
use crate::diffusion::{Process, SolverKind};
use crate::mel::{
    Layout, Mel, MelConvention, MelError, NpyLimits, Sharpening, may_have_bands, read_npy,
};
use crate::proto::{self, schedule};
use crate::text::visible;

/// How long a server may take to load its models.
const STARTING: Duration = Duration::from_secs(60);

/// Where the server is, and how it is talked to.
#[derive(Args, Clone, Debug)]
pub struct ServerArgs {
    /// The server: host:port, https://host:port or unix:/path
    #[arg(
        long,
        env = "VOCODE_ADDR",
        default_value = "127.0.0.1:50051",
        value_name = "ADDR"
    )]
    addr: String,
    /// API key of the server
    #[arg(
        long,
        env = "VOCODE_API_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    api_key: Option<String>,
    /// Certificate (PEM) of the authority that signed the server's [default: the system's authorities]
    #[arg(long, env = "VOCODE_TLS_CA", value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// The client's own certificate (PEM), for a server that asks for one
    #[arg(
        long,
        env = "VOCODE_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key"
    )]
    tls_cert: Option<PathBuf>,
    /// The key (PEM) of --tls-cert
    #[arg(
        long,
        env = "VOCODE_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    tls_key: Option<PathBuf>,
}

impl ServerArgs {
    /// Connects, and waits while the server loads its models.
    pub(super) async fn connect(&self) -> Result<(Client, proto::GetInfoResponse), CliError> {
        let options = ClientOptions {
            address: self.addr.clone(),
            api_key: self.api_key.clone(),
            tls: TlsFiles {
                ca: self.tls_ca.clone(),
                identity: self.tls_cert.clone().zip(self.tls_key.clone()),
            },
        };
        let mut client = Client::connect(&options).await?;
        let given_up = Instant::now() + STARTING;
        loop {
            match client.info().await {
                Ok(info) => return Ok((client, info)),
                Err(error) if Instant::now() < given_up => match error.retry_delay() {
                    Some(delay) => tokio::time::sleep(delay).await,
                    None => return Err(error.into()),
                },
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// What is asked of the server.
#[derive(Args, Clone, Debug)]
pub struct RequestArgs {
    /// Name of the model on the server [default: its first]
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "NAME"
    )]
    model: String,
    /// Number of denoising steps [default: the model's own]
    #[arg(
        long,
        env = "VOCODE_STEPS",
        value_name = "N",
        conflicts_with = "schedule"
    )]
    steps: Option<u32>,
    /// A schedule of the model by name, or times or betas with commas between
    #[arg(long, env = "VOCODE_SCHEDULE", value_name = "NAME|LIST")]
    schedule: Option<String>,
    /// How to go from step to step, as in vocode's own --solver [default: the schedule's]
    #[arg(long, env = "VOCODE_SOLVER", value_name = "NAME")]
    solver: Option<SolverKind>,
    /// Seed of the noise: the same seed gives the same audio
    #[arg(long, env = "VOCODE_SEED", default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Sample rate of the audio [default: the model's own]
    #[arg(long, env = "VOCODE_SAMPLE_RATE", value_name = "HZ")]
    sample_rate: Option<u32>,
    /// What the mel's numbers mean: hifigan, tacotron2, matcha and others of conventions/ [default: what the model takes]
    #[arg(
        long,
        env = "VOCODE_MEL_CONVENTION",
        default_value = "",
        hide_default_value = true,
        value_name = "NAME"
    )]
    mel_convention: String,
    /// Which axis of the mel holds the bands
    #[arg(
        long,
        env = "VOCODE_LAYOUT",
        value_enum,
        default_value_t,
        value_name = "LAYOUT"
    )]
    layout: LayoutArg,
    /// Take mels of other rates, hops and bands too, approximately, where that was measured to lose little; the whole mel at once
    #[arg(long, env = "VOCODE_APPROXIMATE_MEL", value_parser = FalseyValueParser::new())]
    approximate_mel: bool,
    /// Cut frames at either end that hold one value in every band: the padding of a batch; the whole mel at once
    #[arg(long, env = "VOCODE_TRIM_PADDING", value_parser = FalseyValueParser::new())]
    trim_padding: bool,
    /// Undo the blur of a mel that an acoustic model averaged; the mel of a recording stays as it is; the whole mel at once
    #[arg(
        long,
        env = "VOCODE_RESTORE",
        value_enum,
        default_value_t,
        value_name = "WHEN"
    )]
    restore: RestoreArg,
    /// Bring out the detail across bands that a blurred mel has lost, 0 to 4; 0 leaves the mel as it is [default: the model's own]
    #[arg(long, env = "VOCODE_SHARPEN", value_parser = sharpening, value_name = "AMOUNT")]
    sharpen: Option<Sharpening>,
    /// Have the server put a watermark in, which `vocode detect` finds: up to 8 hexadecimal digits [default of HEX: what the server says, or a
    /// hash of its model and its key]
    #[arg(
        long,
        env = "VOCODE_WATERMARK",
        value_name = "HEX",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "auto"
    )]
    watermark: Option<PayloadArg>,
    /// Mel frames by which audio advances from chunk to chunk [default: the server's choice]
    #[arg(long, value_name = "N")]
    chunk_frames: Option<u32>,
    /// Mel frames of the first chunk [default: the server's choice]
    #[arg(long, value_name = "N")]
    first_chunk_frames: Option<u32>,
}

impl RequestArgs {
    /// The model that is asked for; `None` where the server does not have it.
    fn model<'a>(&self, info: &'a proto::GetInfoResponse) -> Option<&'a proto::Model> {
        info.models
            .iter()
            .find(|model| self.model.is_empty() || model.name == self.model)
    }

    /// Seconds that a frame of the model lasts.
    ///
    /// # Errors
    /// [`CliError::Usage`] for a model that the server does not have.
    pub(super) fn frame_seconds(&self, info: &proto::GetInfoResponse) -> Result<f64, CliError> {
        let Some(mel) = self.model(info).and_then(|model| model.mel.as_ref()) else {
            let names = info.models.iter().map(|model| visible(&model.name));
            return Err(CliError::usage(format!(
                "--model {}: the server has {}",
                self.model,
                names.collect::<Vec<_>>().join(", ")
            )));
        };
        Ok(f64::from(mel.hop) / f64::from(mel.sample_rate_hz.max(1)))
    }

    /// The audio of `frames` frames; `None` for a model that the server does not have.
    pub(super) fn expected(
        &self,
        info: &proto::GetInfoResponse,
        frames: usize,
    ) -> Option<Expected> {
        let mel = self.model(info)?.mel.as_ref()?;
        let said = &self.mel_convention;
        Some(Expected::of(frames, mel, said, self.trim_padding))
    }

    /// What the mel's numbers are said to mean, where that is a name that is known here.
    fn said(&self) -> Option<MelConvention> {
        MelConvention::named(&self.mel_convention)
    }

    /// The wire's form, in floats: what is written to a file is decided here and not by the server, which described itself in `info`.
    ///
    /// # Errors
    /// [`CliError::Usage`] for a list of something else than numbers.
    pub(super) fn config(
        &self,
        info: &proto::GetInfoResponse,
    ) -> Result<proto::SynthesisConfig, CliError> {
        let model = self.model(info);
        let kind = match (&self.schedule, self.steps) {
            (Some(text), _) => Some(schedule_kind(text, model)?),
            (None, steps) => steps.map(schedule::Kind::Steps),
        };
        Ok(proto::SynthesisConfig {
            model: self.model.clone(),
            encoding: proto::AudioEncoding::PcmF32le.into(),
            sample_rate_hz: self.sample_rate.unwrap_or(0),
            schedule: kind.map(|kind| proto::Schedule { kind: Some(kind) }),
            seed: Some(self.seed),
            mel_convention: self.mel_convention.clone(),
            approximate_mel: self.approximate_mel,
            trim_padding: self.trim_padding,
            restore: self.restore == RestoreArg::Auto,
            sharpen: self.sharpen.map(|sharpening| sharpening.bands),
            chunk_frames: self.chunk_frames.unwrap_or(0),
            first_chunk_frames: self.first_chunk_frames.unwrap_or(0),
            solver: self.solver.map(|kind| proto::Solver {
                name: kind.name().to_owned(),
                ..proto::Solver::default()
            }),
            watermark: self.watermark.map(|payload| proto::Watermark {
                enabled: true,
                payload: payload.bits(),
            }),
            ..proto::SynthesisConfig::default()
        })
    }
}

/// A name, or a list of what `model` was trained under. The server says what is wrong with a model that it does not have.
fn schedule_kind(text: &str, model: Option<&proto::Model>) -> Result<schedule::Kind, CliError> {
    let name = || schedule::Kind::Name(text.to_owned());
    let Some(model) = model else {
        return Ok(name());
    };
    let named = model.schedules.iter().any(|schedule| schedule.name == text);
    let Some(values) = sampling::list(text, named)? else {
        return Ok(name());
    };
    Ok(if model.process == Process::Flow.name() {
        schedule::Kind::Times(proto::TimeList { values })
    } else {
        schedule::Kind::Betas(proto::BetaList { values })
    })
}

/// Samples of a chunk of floats.
pub(super) fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> {
    let (samples, _) = bytes.as_chunks::<4>();
    samples.iter().map(|sample| f32::from_le_bytes(*sample))
}

/// A mel that a server is given.
pub(super) struct MelSource {
    label: String,
    bytes: Box<dyn Read>,
}

impl MelSource {
    /// Opens it, before anybody is called.
    ///
    /// # Errors
    /// [`CliError::Read`].
    pub(super) fn open(source: &Source) -> Result<MelSource, CliError> {
        Ok(MelSource {
            label: source.label(),
            bytes: source.open()?,
        })
    }

    /// Reads it as it is; the server says whether it fits. The bands of its convention, or of the model, tell them from the frames where the shape alone does not.
    ///
    /// # Errors
    /// [`CliError::Mel`].
    pub(super) fn read(
        self,
        request: &RequestArgs,
        info: &proto::GetInfoResponse,
    ) -> Result<Mel, CliError> {
        let model = request.model(info).and_then(|model| model.mel.as_ref());
        let bands = match request.said() {
            Some(said) => Some(said.n_mels),
            None => model.map(|mel| mel.n_mels as usize),
        };
        let layout = request.layout.into();
        let mel = read_npy(self.bytes, bands, layout, &NpyLimits::default());
        mel.map_err(|e| {
            let hint = other_model(&e, info);
            CliError::mel_for_server(self.label, e, hint)
        })
    }
}

/// The model of the server that takes a mel which another has refused for its bands, as the end of a message; empty where there is none.
fn other_model(error: &MelError, info: &proto::GetInfoResponse) -> String {
    let MelError::Bands { shape, .. } = error else {
        return String::new();
    };
    let takes = |model: &&proto::Model| {
        let mel = model.mel.as_ref();
        mel.is_some_and(|mel| may_have_bands(shape, mel.n_mels as usize, Layout::Auto))
    };
    let found = info.models.iter().find(takes);
    found.map_or_else(String::new, |model| {
        let name = visible(&model.name);
        format!("; the server's model {name} takes it: `model` {name}")
    })
}

/// Runs a command that talks to a server; Ctrl-C ends it.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    threads::check(2 * threads::FEW)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|source| CliError::Threads { source })?;
    runtime.block_on(work)
}
