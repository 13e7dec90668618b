//! ONNX Runtime: finding or installing its library, starting it, and running graphs.
//!
//! Nothing above this module names the crate that binds it. From the bottom up, each using only what stands before it:
//!
//! | | |
//! |---|---|
//! | `telemetry`, `provider_name`, `precision` | what all of the following need |
//! | `locate` | finding the library |
//! | `setup` | installing it |
//! | `error` | [`RuntimeError`], for all that happens once there is a library |
//! | `provider` | choosing an execution provider |
//! | `environment` | [`Runtime`], the library that this process has loaded |
//! | `operators` | kernels for operators of our own |
//! | `session` | loading and running graphs |
//!
//! ```no_run
//! use std::ops::ControlFlow;
//! use vocode::runtime::{self, FindError, Flavour, LoadOptions, Runtime, RuntimeError};
//!
//! let runtime = match Runtime::load(&LoadOptions::default()) {
//!     Err(RuntimeError::Find(FindError::NotFound { .. })) => {
//!         let folder = runtime::data_folder();
//!         let installed = runtime::install(Flavour::Cpu, folder.as_deref(), &mut |_| ControlFlow::Continue(()))?;
//!         Runtime::load(&LoadOptions::default().library(Some(installed.library)))?
//!     }
//!     other => other?,
//! };
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod environment;
mod error;
mod locate;
mod operators;
mod precision;
mod provider;
mod provider_name;
mod session;
mod setup;
mod telemetry;

pub use environment::{LoadOptions, Runtime};
pub use error::{Cause, RuntimeError};
pub use locate::{
    Attempt, FindError, Flavour, Origin, Rejection, Search, WHEEL_VERSION, data_folder,
    look_in_package, needed_version,
};
pub use precision::{Precision, UnknownPrecision};
pub use provider::{FallbackReason, GpuOptions, Placement, SessionOptions};
pub use provider_name::{Provider, UnknownProvider};
#[cfg(feature = "cli")]
pub use setup::install_from;
pub use setup::{
    Installed, OnSetupEvent, PipError, SetupError, SetupEvent, SetupPolicy, install, offline,
};
pub use telemetry::disable_telemetry;

#[cfg(any(feature = "cli", feature = "server"))]
pub(crate) use provider::processors;
pub(crate) use provider::{InputProfile, Profile};
#[cfg(feature = "cli")]
pub(crate) use provider::{Library, Nvidia, Stem};
pub(crate) use session::{Binding, Clock, DeviceTensor, Graph, GraphSource, TensorInfo};

/// For [`crate::internals`].
#[doc(hidden)]
pub mod internals {
    pub use super::provider::{InputProfile, Profile};
    pub use super::session::{Clock, Graph, GraphSource, TensorInfo};
}
