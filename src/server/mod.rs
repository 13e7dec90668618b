//! The service, over gRPC and HTTP: `proto/vocode/v1/vocoder.proto` says what it does, this is how.
//!
//! ```text
//! Listener -> Connection -> TLS -> Admission (key, caller, memory, clock) -> Service -> Order (steps, place) -> Model (Scheduler)
//!                                     │                                                   MelDecoder: messages -> mel of the model
//!                                     └ Call: deadline, log line, metrics <- Synthesis: samples -> header, chunks, summary
//! ```
//!
//! Health and reflection are open to all, and bounded by themselves. `http` is another way in: its handlers pass the same admission, and make
//! of a request what the gRPC service makes of its message.
//!
//! ```no_run
//! use vocode::server::{MaxStreams, ServerLimits, ServerOptions, serve};
//! use vocode::{LoadOptions, Runtime};
//!
//! let options = ServerOptions::default()
//!     .listen("127.0.0.1:50051".parse()?)
//!     .limits(ServerLimits::default().max_streams(MaxStreams::Fixed(8)));
//! // Until the process is asked to stop.
//! serve(options, Runtime::load(&LoadOptions::default())?, |addresses| println!("listening on {}", addresses.grpc))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod admission;
mod body;
mod bounded;
mod budget;
mod call;
mod callers;
mod connection;
mod decoding;
mod error;
mod health;
mod http;
mod info;
mod keys;
mod listen;
mod marking;
mod memory;
mod metadata;
mod method;
mod metrics;
mod models;
mod monitor;
mod options;
mod placement;
mod places;
mod request;
mod run;
mod sampler;
mod service;
mod shared;
mod signals;
mod status;
mod synthesis;
mod tls;
mod trace;
mod transport;
mod whole;
mod wire_mel;

pub use error::ServerError;
pub use marking::{MarkedCalls, Marking};
pub use options::{
    Address, Addresses, DEFAULT_ADDRESS, DEFAULT_HTTP_ADDRESS, MaxStreams, ModelSource,
    ServerLimits, ServerOptions, TlsFiles,
};
pub use placement::ModelProvider;
pub use run::{check, serve};
