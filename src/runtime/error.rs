//! Errors of the runtime layer. What ONNX Runtime says is kept behind [`Cause`], so that nothing above names its crate.

use std::error::Error;
use std::path::PathBuf;

use thiserror::Error;

use super::locate::FindError;
use super::provider_name::Provider;
use super::setup::SetupError;

/// What a library below said.
pub type Cause = Box<dyn Error + Send + Sync>;

/// What can go wrong between finding ONNX Runtime and running a graph.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// There is no library to load.
    #[error(transparent)]
    Find(#[from] FindError),
    /// A process holds one ONNX Runtime; another was asked for.
    #[error(
        "ONNX Runtime is already loaded from {loaded}, so {asked} cannot be loaded in the same process",
        loaded = loaded.display(), asked = asked.display()
    )]
    AlreadyLoaded {
        /// The library in use.
        loaded: PathBuf,
        /// The library asked for.
        asked: PathBuf,
    },
    /// The library loaded, but would not start.
    #[error("ONNX Runtime at {path} does not start: {source}", path = path.display())]
    Start {
        /// The library.
        path: PathBuf,
        /// What it said.
        source: Cause,
    },
    /// Getting the library failed.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// An execution provider was asked for by name and cannot run.
    #[error(
        "`provider` {provider} cannot run: {source}; use `provider` cpu, or `provider` auto to take what works"
    )]
    ProviderUnavailable {
        /// The provider asked for.
        provider: Provider,
        /// What it lacks, or what loading the graph on it came to.
        source: Cause,
    },
    /// A setting that the provider asked for by name does not have.
    #[error(
        "`{setting}` does nothing with `provider` {provider}: it is for {takers}; leave it out, or ask for one of these"
    )]
    Setting {
        /// The field.
        setting: &'static str,
        /// The provider asked for.
        provider: Provider,
        /// The providers that have the setting.
        takers: String,
    },
    /// The folder of TensorRT's engines cannot be used.
    #[error("TensorRT's engines cannot be kept in {path}: {source}; name another folder as `engine_cache`", path = path.display())]
    EngineCache {
        /// The folder.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// The thread count is outside of what makes sense.
    #[error("`threads` {found} is out of range: give 1 to {most}")]
    Threads {
        /// The number asked for.
        found: usize,
        /// The largest number accepted.
        most: usize,
    },
    /// ONNX Runtime refuses a graph.
    #[error("the graph `{label}` cannot be loaded: {source}")]
    Graph {
        /// Which graph, in the caller's words.
        label: String,
        /// What ONNX Runtime said.
        source: Cause,
    },
    /// The inputs of a call are not the inputs of the graph.
    #[error("the graph `{label}` takes the inputs [{expected}], but was given [{found}]")]
    Inputs {
        /// Which graph.
        label: String,
        /// The graph's input names.
        expected: String,
        /// The names given.
        found: String,
    },
    /// An input has a shape that the graph does not take.
    #[error("input `{input}` of the graph `{label}` has shape {found:?}, expected {expected}")]
    Shape {
        /// Which graph.
        label: String,
        /// Which input.
        input: String,
        /// The graph's shape, `?` where any size will do.
        expected: String,
        /// The shape given.
        found: Vec<usize>,
    },
    /// A run of a graph failed.
    #[error("running the graph `{label}` failed: {source}")]
    Run {
        /// Which graph.
        label: String,
        /// What ONNX Runtime said.
        source: Cause,
    },
}

impl RuntimeError {
    /// [`RuntimeError::Run`] with what ONNX Runtime said.
    pub(super) fn run(label: &str, error: ort::Error) -> RuntimeError {
        RuntimeError::Run {
            label: label.to_owned(),
            source: error.into(),
        }
    }
}
