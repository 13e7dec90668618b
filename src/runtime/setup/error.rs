//! Why an installation failed.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::pip::PipError;
use crate::runtime::locate::{Rejection, WHEEL_VERSION};

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
    /// There is no Python whose pip could fetch, and the package index gave nothing either.
    #[error(
        "ONNX Runtime could not be fetched from {index}: {reason}. Python's pip, which knows more ways, is not there. Check the network \
         (HTTPS_PROXY, SSL_CERT_FILE and PIP_INDEX_URL count), give a wheel that you have with `vocode setup --from WHEEL`, or point `ort_lib` at \
         a libonnxruntime.so"
    )]
    Index {
        /// The page that was asked.
        index: String,
        /// What went wrong.
        reason: String,
    },
    /// A file that was given as a wheel cannot be used.
    #[error(
        "{} is no wheel of ONNX Runtime {WHEEL_VERSION} for this machine: {reason}; get it where there is a network, by \
         `pip download --no-deps --only-binary=:all: --python-version 3.12 onnxruntime=={WHEEL_VERSION}`",
        path.display()
    )]
    Wheel {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
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

impl SetupError {
    /// What the system says of a path.
    pub(super) fn io(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(std::io::Error) -> SetupError {
        let path = path.to_path_buf();
        move |source| SetupError::Io {
            action,
            path,
            source,
        }
    }
}

impl From<PipError> for SetupError {
    fn from(error: PipError) -> SetupError {
        match error {
            PipError::Cancelled => SetupError::Cancelled,
            other => SetupError::Pip(other),
        }
    }
}
