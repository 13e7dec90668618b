//! Flags that several commands share.

use std::convert::Infallible;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bytesize::ByteSize;
use clap::builder::FalseyValueParser;
use clap::{ArgAction, Args, ValueEnum};
use tracing_subscriber::EnvFilter;

use super::error::CliError;
use super::jobs::Source;
use super::output::say;
use crate::audio::SampleFormat;
use crate::bundle::{BuiltIn, Bundle};
use crate::mel::{Layout, MelConvention, Sharpening};
use crate::runtime::{GpuOptions, LoadOptions, Precision, Provider, SessionOptions};

/// Bytes of a TOML file that a flag names; the longest sensible one has a few kilobytes.
const MAX_TOML_BYTES: u64 = 1 << 20;

/// How much is said on standard error.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Verbosity {
    /// Say nothing but errors
    #[arg(short, long, env = "VOCODE_QUIET", value_parser = FalseyValueParser::new(), conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more of what happens; twice for all of it
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
}

impl Verbosity {
    /// Says one line on standard error, unless quiet.
    pub(super) fn tell(self, line: &str) {
        if !self.quiet {
            say(line);
        }
    }

    /// Says a warning on standard error, unless quiet.
    pub(super) fn warn(self, line: &str) {
        self.tell(&format!("warning: {line}"));
    }

    /// What is logged. `VOCODE_LOG` takes the filter syntax of `tracing` and beats the flags.
    pub(super) fn log_filter(self) -> EnvFilter {
        let level = match (self.quiet, self.verbose) {
            // What readers of audio say while they look for a format is of no use unless everything is asked for.
            (true, _) => "error,symphonia=off",
            (false, 0) => "warn,symphonia=off",
            (false, 1) => "vocode=info,warn,symphonia=off",
            (false, 2) => "vocode=debug,info,symphonia=off",
            _ => "trace",
        };
        let asked = std::env::var("VOCODE_LOG").unwrap_or_default();
        let asked = (!asked.is_empty()).then(|| EnvFilter::try_new(asked));
        asked
            .and_then(Result::ok)
            .unwrap_or_else(|| EnvFilter::new(level))
    }

    /// Starts logging to standard error.
    pub(super) fn start_logging(self) {
        // A second start in one process (tests) keeps the first.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(self.log_filter())
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .without_time()
            .try_init();
    }
}

/// Whether existing files may be replaced.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Overwrite {
    /// Replace files that exist already
    #[arg(short, long, env = "VOCODE_FORCE", value_parser = FalseyValueParser::new())]
    pub force: bool,
}

/// The model, which the commands that need only its description take alone.
#[derive(Args, Clone, Debug, Default)]
pub struct ModelArgs {
    /// A built-in model by its name (see vocode models), or the folder of another (bundle.toml and its graphs); a folder that is called like
    /// a built-in model is given as ./NAME [default: the built-in one that takes the mel, else default]
    #[arg(long, env = "VOCODE_MODEL", value_name = "NAME|DIR")]
    pub model: Option<PathBuf>,
}

impl ModelArgs {
    /// The folder of the model; `None` for one that is built in.
    pub(super) fn folder(&self) -> Option<&Path> {
        let named = self.model.as_deref();
        named.filter(|model| BuiltIn::named(model).is_none())
    }
}

/// What the commands that run one model share: which model, on what, and how much is said of it.
#[derive(Args, Clone, Debug, Default)]
pub struct SessionArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub engine: EngineArgs,
    #[command(flatten)]
    pub verbosity: Verbosity,
}

/// What models run on.
#[derive(Args, Clone, Debug, Default)]
pub struct EngineArgs {
    /// Where the model runs: auto, cpu, cuda or tensorrt; one that is named runs or the command fails
    #[arg(
        long,
        env = "VOCODE_PROVIDER",
        default_value = "auto",
        value_name = "NAME"
    )]
    pub provider: Provider,
    /// What the model multiplies in on a CPU: float, int8 (faster on x86 with AVX2 and on ARM with the dot product, a little less exact), or auto, which takes the faster
    #[arg(
        long,
        env = "VOCODE_PRECISION",
        default_value = "auto",
        value_name = "NAME"
    )]
    pub precision: Precision,
    /// Threads for the model [default: all processors]
    #[arg(long, env = "VOCODE_THREADS", value_name = "N")]
    pub threads: Option<usize>,
    // No `env`: the search reads VOCODE_ORT_LIB itself, so that its messages name the variable and not the flag.
    /// ONNX Runtime library, or the folder that holds it [default: VOCODE_ORT_LIB, or what `vocode setup` got]
    #[arg(long, value_name = "PATH")]
    pub ort_lib: Option<PathBuf>,
    #[command(flatten)]
    pub gpu: GpuArgs,
}

/// What the GPU providers are told.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "GPU")]
pub struct GpuArgs {
    /// Number of the GPU, from 0
    #[arg(long, env = "VOCODE_DEVICE", default_value_t = 0, value_name = "N")]
    pub device: u32,
    /// Compute in half precision (TensorRT)
    #[arg(long, env = "VOCODE_FP16", value_parser = FalseyValueParser::new())]
    pub fp16: bool,
    /// Multiply in TF32: faster, less exact (CUDA)
    #[arg(long, env = "VOCODE_TF32", value_parser = FalseyValueParser::new())]
    pub tf32: bool,
    /// Most of the GPU's memory that models may take together, as in 2GiB: each of their graphs gets an equal share [default: what there is]
    #[arg(long, env = "VOCODE_MEMORY_LIMIT", value_name = "SIZE")]
    pub memory_limit: Option<ByteSize>,
    /// Folder for the engines that TensorRT builds [default: in vocode's data folder]
    #[arg(long, env = "VOCODE_ENGINE_CACHE", value_name = "DIR")]
    pub engine_cache: Option<PathBuf>,
}

impl EngineArgs {
    /// Which ONNX Runtime to load.
    pub(super) fn library(&self) -> LoadOptions {
        LoadOptions {
            library: self.ort_lib.clone(),
        }
    }

    /// How to run the model's graphs.
    pub(super) fn options(&self) -> SessionOptions {
        SessionOptions {
            threads: self.threads,
            provider: self.provider,
            precision: self.precision,
            gpu: GpuOptions {
                device: self.gpu.device,
                fp16: self.gpu.fp16,
                tf32: self.gpu.tf32,
                memory_limit: self.gpu.memory_limit.map(|size| size.as_u64()),
                engine_cache: self.gpu.engine_cache.clone(),
            },
            planned_sizes: false,
        }
    }
}

/// What the numbers of a mel mean: a preset's name or a TOML file.
#[derive(Clone, Debug)]
pub struct ConventionArg(String);

impl FromStr for ConventionArg {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl ConventionArg {
    /// The convention itself.
    pub(super) fn load(&self) -> Result<MelConvention, CliError> {
        if let Some(convention) = MelConvention::named(&self.0) {
            return Ok(convention);
        }
        if !self.0.ends_with(".toml") {
            return Err(CliError::usage(format!(
                "--mel-convention {}: expected {}, or a .toml file that spells one out",
                self.0,
                MelConvention::names().join(", ")
            )));
        }
        let text = read_toml(&self.0)?;
        let stem = Path::new(&self.0).file_stem().unwrap_or_default();
        // A name in messages: short and plain, whatever the file is called.
        let name: String = stem
            .to_string_lossy()
            .chars()
            .filter(|c| !c.is_control())
            .take(16)
            .collect();
        MelConvention::from_toml_as(&text, Some(&name)).map_err(|e| CliError::mel(&self.0, e))
    }
}

/// A small text file that a flag names.
pub(super) fn read_toml(path: &str) -> Result<String, CliError> {
    let bytes = Source::File(path.into()).read_all(MAX_TOML_BYTES)?;
    String::from_utf8(bytes).map_err(|_| {
        CliError::read(
            path,
            io::Error::new(io::ErrorKind::InvalidData, "it is not text in UTF-8"),
        )
    })
}

/// Which axis of a mel holds the bands.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum LayoutArg {
    /// From the shape; an error where it fits both ways
    #[default]
    Auto,
    /// [bands, frames]
    BandsFirst,
    /// [frames, bands]
    FramesFirst,
}

impl From<LayoutArg> for Layout {
    fn from(arg: LayoutArg) -> Self {
        match arg {
            LayoutArg::Auto => Self::Auto,
            LayoutArg::BandsFirst => Self::BandsFirst,
            LayoutArg::FramesFirst => Self::FramesFirst,
        }
    }
}

/// What is done about the blur of a mel.
#[derive(Clone, Copy, Debug, Default, PartialEq, ValueEnum)]
pub enum RestoreArg {
    /// It stays
    #[default]
    Off,
    /// It is measured, and undone where there is any
    Auto,
}

/// An amount of sharpening in its range.
pub(super) fn sharpening(word: &str) -> Result<Sharpening, String> {
    let bands = word.parse::<f32>().map_err(|error| error.to_string())?;
    Sharpening { bands }.check().map_err(|e| e.to_string())
}

/// How samples are stored in the file.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum FormatArg {
    /// 16-bit integers
    #[default]
    S16,
    /// 24-bit integers
    S24,
    /// 32-bit floats
    F32,
}

impl From<FormatArg> for SampleFormat {
    fn from(arg: FormatArg) -> Self {
        match arg {
            FormatArg::S16 => Self::S16,
            FormatArg::S24 => Self::S24,
            FormatArg::F32 => Self::F32,
        }
    }
}

/// The model that the flags name, or the default one.
pub(super) fn load_bundle(args: &ModelArgs) -> Result<Bundle, CliError> {
    Ok(match &args.model {
        Some(model) => Bundle::open(model)?,
        None => Bundle::embedded()?,
    })
}
