//! ONNX Runtime: finding or installing its library, starting it, and running graphs.
//!
//! Nothing above this module names the crate that binds it.

mod checksum;
mod choice;
mod clock;
mod device;
mod engine_cache;
mod environment;
mod error;
mod image;
mod install;
mod locate;
mod machine;
mod nvidia;
mod options;
mod pip;
mod placement;
mod places;
mod probe;
mod profile;
mod provider;
mod session;
mod telemetry;

pub use choice::Obstacle;
pub use clock::Clock;
pub use device::{Binding, DeviceTensor};
pub use engine_cache::{EngineFolder, EngineKey, EngineState};
pub use environment::{LoadOptions, Runtime};
pub use error::{Rejection, RuntimeError};
pub use install::{
    Flavour, Installed, SetupError, SetupEvent, SetupPolicy, WHEEL_VERSION, install, offline,
};
pub use locate::{Attempt, Origin, Search};
pub use nvidia::{Device, Driver, DriverError, Libraries, Library, Nvidia, Stem};
pub use options::{GpuOptions, SessionOptions};
pub use pip::PipError;
pub use placement::Placement;
pub use places::data_folder;
pub use probe::needed_version;
pub use profile::{InputProfile, Profile};
pub use provider::{Provider, UnknownProvider};
pub use session::{Graph, GraphSource, Port};
pub use telemetry::disable_telemetry;
