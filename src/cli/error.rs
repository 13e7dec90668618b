use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::flags::{mel_problem, other_model};
use crate::audio::AudioError;
use crate::bundle::BundleError;
#[cfg(feature = "server")]
use crate::client::ClientError;
use crate::mel::MelError;
use crate::runtime::{RuntimeError, SetupError};
#[cfg(feature = "server")]
use crate::server::ServerError;
use crate::tune::TuneError;
use crate::vocoder::VocoderError;

/// What shells report for a program that SIGINT ended.
pub(super) const INTERRUPTED: u8 = 130;

/// Why a command did not do what it was asked to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CliError {
    /// The command line contradicts itself or lacks something; found before any work.
    #[error("{0}")]
    Usage(String),
    /// An input could not be opened or read.
    #[error("cannot read {path}: {source}{hint}")]
    Read {
        /// The input as it was given.
        path: String,
        /// What the system says.
        source: io::Error,
        /// The way out, where one is known.
        hint: String,
    },
    /// The output is there already.
    #[error("{} exists already: --force replaces it, or give another name", .0.display())]
    Exists(PathBuf),
    /// The output could not be written.
    #[error("cannot write {path}: {source}{hint}")]
    Write {
        /// The output as it was given.
        path: String,
        /// What the system says.
        source: io::Error,
        /// The way out, where one is known.
        hint: String,
    },
    /// The folder of the output is not there.
    #[error(
        "cannot write {path}: there is no folder {folder}; make the folder first (mkdir -p {folder}), or give another place"
    )]
    NoFolder {
        /// The output as it was given.
        path: String,
        /// The folder that is missing.
        folder: String,
    },
    /// An audio file could not be read or made.
    #[error("{path}: {source}")]
    Audio {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: AudioError,
    },
    /// A recording that is longer than `--max-seconds`.
    #[error("{path}: {source}, or allow more with --max-seconds")]
    TooLong {
        /// The file.
        path: String,
        /// The limit.
        source: AudioError,
    },
    /// A mel that cannot be used as it is.
    #[error("{path}: {}{hint}", mel_problem(source))]
    Mel {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: Box<MelError>,
        /// The model that takes it, where one is known.
        hint: String,
    },
    /// A model that cannot be used.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Steps that do not fit the model.
    #[error("{}{source}", prefix(flags))]
    Sampling {
        /// The flags as they were given.
        flags: String,
        /// What is wrong with them.
        source: Box<VocoderError>,
    },
    /// ONNX Runtime is missing or unfit.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// ONNX Runtime could not be installed.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The synthesis failed.
    #[error(transparent)]
    Vocoder(#[from] VocoderError),
    /// The search of a schedule failed.
    #[error(transparent)]
    Tune(#[from] TuneError),
    #[cfg(feature = "server")]
    /// A call to a server failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    #[cfg(feature = "server")]
    /// A call to a server took too long.
    #[error(
        "the call took longer than {seconds} s: give it more with --timeout, or see what the server does"
    )]
    Timeout {
        /// The limit in seconds.
        seconds: f64,
    },
    /// The system has no threads left.
    #[error(
        "the system gives no more threads: {source}; allow this user more processes (ulimit -u, or pids.max of the container)"
    )]
    Threads {
        /// What the system says.
        source: io::Error,
    },
    #[cfg(feature = "server")]
    /// The server did not start, or did not go on.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// Some of several inputs failed; each was reported when it did.
    #[error("{} of {total} inputs failed: {}", failed.len(), first(failed))]
    Several {
        /// The inputs that failed.
        failed: Vec<String>,
        /// How many there were.
        total: usize,
    },
    /// Ctrl-C, or a request to terminate.
    #[error("interrupted")]
    Interrupted,
}

/// The first few of a list that may be long.
fn first(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let more = names.len().saturating_sub(SHOWN);
    let shown = names[..names.len() - more].join(", ");
    match more {
        0 => shown,
        _ => format!("{shown} and {more} more"),
    }
}

fn prefix(flags: &str) -> String {
    match flags {
        "" => String::new(),
        _ => format!("{flags}: "),
    }
}

impl CliError {
    /// 1: the run failed. 2: the command line is wrong. 130: interrupted.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_)
            | Self::Sampling { .. }
            | Self::Runtime(RuntimeError::Threads { .. } | RuntimeError::Setting { .. })
            | Self::Vocoder(VocoderError::Runtime(
                RuntimeError::Threads { .. } | RuntimeError::Setting { .. },
            )) => 2,
            Self::Interrupted | Self::Runtime(RuntimeError::Setup(SetupError::Cancelled)) => {
                INTERRUPTED
            }
            _ => 1,
        }
    }

    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    /// A mel for a model of this program.
    pub(super) fn mel(path: impl Into<String>, source: MelError) -> Self {
        let hint = other_model(&source);
        Self::Mel {
            path: path.into(),
            source: Box::new(source),
            hint,
        }
    }

    /// A mel for a model of a server, of whose other models `hint` may name one.
    #[cfg(feature = "server")]
    pub(super) fn mel_for_server(path: impl Into<String>, source: MelError, hint: String) -> Self {
        Self::Mel {
            path: path.into(),
            source: Box::new(source),
            hint,
        }
    }

    pub(super) fn audio(path: impl Into<String>, source: AudioError) -> Self {
        Self::Audio {
            path: path.into(),
            source,
        }
    }

    pub(super) fn write(path: impl Into<String>, source: io::Error) -> Self {
        let hint = match source.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => {
                ": make room, or write to another place; nothing was left behind"
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                ": write to another place"
            }
            io::ErrorKind::NotFound => ": make the folder first, or give another place",
            io::ErrorKind::NotADirectory => ": part of the path is a file; give another place",
            _ => "",
        };
        Self::Write {
            path: path.into(),
            source,
            hint: hint.into(),
        }
    }

    pub(super) fn read(path: impl Into<String>, source: io::Error) -> Self {
        let hint = match source.kind() {
            io::ErrorKind::NotFound => ": check the path (vocode --help lists the commands)",
            io::ErrorKind::PermissionDenied => ": check the permissions of the file and its folder",
            io::ErrorKind::IsADirectory => ": give a file",
            _ => "",
        };
        Self::Read {
            path: path.into(),
            source,
            hint: hint.into(),
        }
    }
}
