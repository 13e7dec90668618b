//! Choosing a provider: what the machine has for each, what each is told, and which one runs a graph.

mod choice;
mod engine_cache;
mod fallback;
mod nvidia;
mod options;
mod placement;
mod profile;
pub(super) mod settings;

pub(super) use choice::{Chosen, Machine, choose};
pub use engine_cache::{EngineFolder, EngineKey, EngineState};
pub use fallback::FallbackReason;
pub use nvidia::Nvidia;
#[cfg(feature = "cli")]
pub use nvidia::{Library, Stem};
#[cfg(any(feature = "cli", feature = "server"))]
pub(crate) use options::processors;
pub use options::{GpuOptions, SessionOptions};
pub use placement::Placement;
pub use profile::{InputProfile, Profile};
