//! Setting the library up where it was not found: when that is allowed, and the wheel that pip fetches, or that comes from the
//! package index without Python, or that is there.

mod error;
mod event;
#[cfg(feature = "cli")]
mod index;
mod install;
mod pip;
mod policy;
#[cfg(feature = "cli")]
mod unpack;

pub use error::SetupError;
pub use event::{Installed, OnSetupEvent, SetupEvent};
pub use install::install;
#[cfg(feature = "cli")]
pub use install::install_from;
pub use pip::PipError;
pub use policy::{SetupPolicy, offline};
