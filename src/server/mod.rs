//! The gRPC service: `proto/vocode/v1/vocoder.proto` says what it does, this is how.
//!
//! ```text
//! Listener -> TLS -> Entrance (key, readiness, place, clock) -> Service -> Order -> Model (Scheduler)
//!                       │                                                   Intake: messages -> mel of the model
//!                       └ Call: deadline, log line, metrics <- Synthesis: samples -> header, chunks, summary
//! ```
//!
//! Health and reflection stand beside the entrance, open to all.

mod call;
mod entrance;
mod error;
mod intake;
mod keys;
mod listen;
mod memory;
mod metrics;
mod models;
mod options;
mod placement;
mod request;
mod run;
mod service;
mod shared;
mod signals;
mod status;
mod synthesis;
mod tls;
mod trace;
mod watch;

pub use error::ServerError;
pub use options::{Address, DEFAULT_ADDRESS, Limits, ModelSource, ServerOptions, TlsFiles};
pub use placement::ModelProvider;
pub use run::{check, serve};
