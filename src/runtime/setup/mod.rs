//! Setting the library up where it was not found: when that is allowed, and the wheel that pip fetches.

mod error;
mod event;
mod install;
mod pip;
mod policy;

pub use error::SetupError;
pub use event::{Installed, OnSetupEvent, SetupEvent};
pub use install::install;
pub use pip::PipError;
pub use policy::{SetupPolicy, offline};
