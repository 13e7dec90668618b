//! What an installation tells while it goes on, and what it leaves.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Is told what an installation does, and says whether it goes on; where not, it ends with [`SetupError::Cancelled`](super::SetupError).
pub type OnSetupEvent<'a> = dyn FnMut(SetupEvent<'_>) -> ControlFlow<()> + 'a;

/// What an installation is doing, for a progress line.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum SetupEvent<'a> {
    /// Another process is installing; this one waits for it.
    Waiting,
    /// The wheel is being fetched.
    Fetching {
        /// The version of ONNX Runtime.
        version: &'a str,
        /// Where it will be.
        folder: &'a Path,
    },
    /// A line that pip wrote, or what else is new.
    Detail(&'a str),
    /// Nothing new, which is told several times a second while others are waited for.
    Working,
    /// The library is being loaded to see that it works.
    Checking,
    /// The library is in place.
    Done(&'a Installed),
}

/// An installed library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// Its file.
    pub library: PathBuf,
    /// Its version.
    pub version: String,
    /// Whether it was there before.
    pub was_there: bool,
}
