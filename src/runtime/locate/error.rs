//! Why a search ended without a library.

use std::path::PathBuf;

use thiserror::Error;

use super::attempt::{Attempt, Origin};
use super::needed::needed_version;
use super::rejection::Rejection;

/// Why no library was found that could be loaded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FindError {
    /// The library that the user named cannot be used. Nothing else is tried in its place.
    #[error(
        "{origin} names {path}, which is {rejection}; give the path of an ONNX Runtime library \
         (libonnxruntime.so, {needed} or newer), or leave {origin} out and run `vocode setup`",
        path = path.display(), needed = needed_version()
    )]
    Rejected {
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
         Run `vocode setup` to get it, or point `ort_lib` (or VOCODE_ORT_LIB) at a libonnxruntime.so of version {needed} or newer",
        list = list(attempts), needed = needed_version(),
        note = if *offline { ", and VOCODE_OFFLINE keeps vocode from fetching it" } else { "" }
    )]
    NotFound {
        /// Every place tried, with what was wrong there.
        attempts: Vec<Attempt>,
        /// Whether `VOCODE_OFFLINE` is the reason that it was not installed.
        offline: bool,
    },
}

fn list(attempts: &[Attempt]) -> String {
    attempts
        .iter()
        .map(|attempt| format!("\n  {attempt}"))
        .collect()
}
