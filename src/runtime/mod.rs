//! ONNX Runtime: finding or installing its library, starting it, and running graphs.
//!
//! Nothing above this module names the crate that binds it.

mod environment;
mod error;
mod image;
mod install;
mod locate;
mod pip;
mod places;
mod probe;
mod provider;
mod session;

pub use environment::{LoadOptions, Runtime};
pub use error::{Rejection, RuntimeError};
pub use install::{
    Installed, SetupError, SetupEvent, SetupPolicy, WHEEL_VERSION, install, offline,
};
pub use locate::{Attempt, Origin, Search};
pub use pip::PipError;
pub use places::data_folder;
pub use probe::needed_version;
pub use provider::{Provider, UnknownProvider};
pub use session::{Graph, Port, SessionOptions};
