//! Why a file is not taken for the ONNX Runtime library.

use thiserror::Error;

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
        "not the library of ONNX Runtime {version} for this platform: its BLAKE3 hash is {found}, expected {expected}; \
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
