//! Errors of the runtime layer. Reasons that ONNX Runtime gives are kept as text, so that nothing above names its crate.

use std::path::PathBuf;

use thiserror::Error;

use super::install::SetupError;
use super::locate::{Attempt, Origin};
use super::provider::Provider;

/// Why a file cannot serve as the ONNX Runtime library.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Rejection {
    /// Nothing is there.
    #[error("missing")]
    Missing,
    /// Something is, or may be there, and this user may not read it.
    #[error("not readable ({reason}): check the permissions of it and of the folders above")]
    Unreadable {
        /// What the system says.
        reason: String,
    },
    /// Not the file that `vocode setup` installed.
    #[error(
        "not the library of ONNX Runtime {version} for this platform: its SHA-256 is {found}, expected {expected}; \
         run `vocode setup` to replace it"
    )]
    Altered {
        /// The version that the folder promises.
        version: &'static str,
        /// The hash of the file.
        found: String,
        /// The hash of the file in the official wheel, or `unknown`: the wheel has no such file.
        expected: String,
    },
    /// The dynamic loader cannot load it on this machine.
    #[error("not a library that can be loaded: {reason}")]
    NotALibrary {
        /// What is wrong with the file.
        reason: String,
    },
    /// A library, but another one.
    #[error("a library, but not ONNX Runtime (it has no OrtGetApiBase)")]
    NotOnnxRuntime,
    /// An ONNX Runtime without the interface that vocode is built against.
    #[error("too old: ONNX Runtime {found}, and {needed} or newer is needed")]
    TooOld {
        /// The version that the library reports.
        found: String,
        /// The oldest version that works.
        needed: String,
    },
}

/// What can go wrong between finding ONNX Runtime and running a graph.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The library that the user named cannot be used. Nothing else is tried in its place.
    #[error(
        "{origin} names {path}, which is {rejection}; give the path of an ONNX Runtime library \
         (libonnxruntime.so, {needed} or newer), or leave {origin} out and run `vocode setup`",
        path = path.display(), needed = super::needed_version()
    )]
    LibraryRejected {
        /// The flag or variable that named it.
        origin: Origin,
        /// The path as it was given.
        path: PathBuf,
        /// What is wrong with it.
        rejection: Rejection,
    },
    /// No usable library in any of the places that vocode looks at.
    #[error(
        "no usable ONNX Runtime library was found{note}. Tried, in this order:{list}\n\
         Run `vocode setup` to get it, or point --ort-lib (or VOCODE_ORT_LIB) at a libonnxruntime.so of version {needed} or newer",
        list = list(attempts), needed = super::needed_version(),
        note = if *offline { ", and VOCODE_OFFLINE keeps vocode from fetching it" } else { "" }
    )]
    NotFound {
        /// Every place tried, with what was wrong there.
        attempts: Vec<Attempt>,
        /// Whether `VOCODE_OFFLINE` is the reason that it was not installed.
        offline: bool,
    },
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
    #[error("ONNX Runtime at {path} does not start: {reason}", path = path.display())]
    Start {
        /// The library.
        path: PathBuf,
        /// What it said.
        reason: String,
    },
    /// Getting the library failed.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// An execution provider was asked for by name and cannot run.
    #[error(
        "--provider {provider} cannot run: {missing}; use --provider cpu, or --provider auto to take what works"
    )]
    ProviderUnavailable {
        /// The provider asked for.
        provider: Provider,
        /// What it lacks.
        missing: String,
    },
    /// A setting that the provider asked for by name does not have.
    #[error(
        "{setting} does nothing with --provider {provider}: it is for {takers}; leave it out, or ask for one of these"
    )]
    Setting {
        /// The flag.
        setting: &'static str,
        /// The provider asked for.
        provider: Provider,
        /// The providers that have the setting.
        takers: String,
    },
    /// The folder of TensorRT's engines cannot be used.
    #[error("TensorRT's engines cannot be kept in {path}: {source}; name another folder with --engine-cache", path = path.display())]
    EngineCache {
        /// The folder.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// The thread count is outside of what makes sense.
    #[error("--threads {found} is out of range: give 1 to {most}")]
    Threads {
        /// The number asked for.
        found: usize,
        /// The largest number accepted.
        most: usize,
    },
    /// ONNX Runtime refuses a graph.
    #[error("the graph `{label}` cannot be loaded: {reason}")]
    Graph {
        /// Which graph, in the caller's words.
        label: String,
        /// What ONNX Runtime said.
        reason: String,
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
    #[error("running the graph `{label}` failed: {reason}")]
    Run {
        /// Which graph.
        label: String,
        /// What ONNX Runtime said.
        reason: String,
    },
}

impl RuntimeError {
    /// [`RuntimeError::Run`] with what ONNX Runtime said.
    pub(super) fn run(label: &str, error: &ort::Error) -> RuntimeError {
        RuntimeError::Run {
            label: label.to_owned(),
            reason: error.to_string(),
        }
    }
}

fn list(attempts: &[Attempt]) -> String {
    attempts
        .iter()
        .map(|attempt| format!("\n  {attempt}"))
        .collect()
}
