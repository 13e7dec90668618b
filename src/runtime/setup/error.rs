//! Why an installation failed.

use std::path::PathBuf;

use thiserror::Error;

use super::pip::PipError;
use crate::runtime::locate::Rejection;

/// Why an installation did not happen. Every message says what to do instead.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SetupError {
    /// `VOCODE_OFFLINE` is set.
    #[error(
        "VOCODE_OFFLINE is set, so nothing is fetched; unset it, or point `ort_lib` (or VOCODE_ORT_LIB) at a libonnxruntime.so"
    )]
    Forbidden,
    /// No place to install to.
    #[error(
        "there is no data folder to install to: set VOCODE_DATA_DIR to a folder that can be written"
    )]
    NoDataFolder,
    /// The data folder cannot be used.
    #[error("cannot {action} {path}: {source}; set VOCODE_DATA_DIR to another folder if this one cannot be written", path = path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which path.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// [`OnSetupEvent`](super::OnSetupEvent) said that it does not go on.
    #[error("the installation of ONNX Runtime was cancelled; nothing of it is left")]
    Cancelled,
    /// pip could not get the wheel.
    #[error(transparent)]
    Pip(PipError),
    /// The wheel holds no library where one is expected.
    #[error(
        "the wheel onnxruntime {version} holds no ONNX Runtime library; point `ort_lib` at one that you have"
    )]
    NoLibrary {
        /// The version of the wheel.
        version: &'static str,
    },
    /// The library does not load on this machine.
    #[error(
        "ONNX Runtime {version} was fetched, but it is {rejection}; see which package index pip uses, or point `ort_lib` at a build for this machine"
    )]
    Unusable {
        /// The version of the wheel.
        version: &'static str,
        /// What is wrong with it.
        rejection: Rejection,
    },
}

impl From<PipError> for SetupError {
    fn from(error: PipError) -> SetupError {
        match error {
            PipError::Cancelled => SetupError::Cancelled,
            other => SetupError::Pip(other),
        }
    }
}
