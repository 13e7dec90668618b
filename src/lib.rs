//! vocode: a diffusion vocoder, as a library.
//!
//! A [`Mel`] in the convention of a model's [`Bundle`] goes in, samples come out:
//!
//! ```no_run
//! use vocode::{Bundle, LoadOptions, Mel, Runtime, SessionOptions, SynthesisOptions, Vocoder};
//!
//! # fn example(values: ndarray::Array2<f32>) -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = Runtime::load(&LoadOptions::default())?;
//! let mut vocoder = Vocoder::new(Bundle::embedded()?, &runtime, &SessionOptions::default())?;
//! let mel = Mel::new(values)?; // [n_mels, frames]
//! let made = vocoder.synthesize(&mel, &SynthesisOptions::default().seed(7))?;
//! println!("{} samples at {} Hz", made.samples.len(), made.sample_rate);
//! # Ok(())
//! # }
//! ```
//!
//! [`Vocoder::open`] does it while the mel still comes, and [`Scheduler`] for many streams on a thread of its own. A mel of another
//! convention is recognised, converted or refused by [`mel::prepare`]. ONNX Runtime is loaded when the process runs, see [`Runtime::load`]
//! and, to get it, [`runtime::install`].
//!
//! # Features
//!
//! - `cli` (default): the program `vocode`.
//! - `server` (default): the gRPC service `server`, its `client`, and the wire contract `proto`.
//! - `formats`: audio files in [`audio`]. Both above need it.
//! - `tune`: the search for better schedules, and the distances it goes by. `cli` needs it.
//!
//! With none of them, mels, samples, diffusion, bundles, the runtime and the vocoder remain.

pub mod audio;
pub mod bundle;
#[cfg(feature = "cli")]
mod cli;
#[cfg(feature = "server")]
pub mod client;
pub mod diffusion;
mod dsp;
mod hash;
pub mod mel;
#[cfg(feature = "server")]
pub mod proto;
#[cfg(feature = "tune")]
pub mod quality;
mod rates;
pub mod runtime;
#[cfg(feature = "server")]
pub mod server;
mod setters;
mod stft;
mod text;
#[cfg(feature = "tune")]
pub mod tune;
pub mod vocoder;
pub mod watermark;

pub use bundle::{BuiltIn, Bundle, BundleError, Manifest};
pub use diffusion::{Grid, Schedule, Solver};
pub use mel::{Mel, MelConvention, MelError};
pub use runtime::{LoadOptions, Precision, Provider, Runtime, RuntimeError, SessionOptions};
pub use vocoder::{
    Progress, ScheduleChoice, Scheduler, SchedulerOptions, Stream, StreamRequest, Synthesis,
    SynthesisOptions, Vocoder, VocoderError,
};
pub use watermark::Watermark;

/// The program: `main.rs` calls it, and the command of the Python package.
#[cfg(feature = "cli")]
#[doc(hidden)]
pub use cli::main;

/// Parts of the engine for the project's own benches and tests: no part of the interface, and free to change.
#[doc(hidden)]
pub mod internals {
    pub use crate::dsp::{ConsistencyFilter, ConsistencyParameters, EnvelopeFilter, Filtering};
    pub use crate::runtime::internals::*;
    pub use crate::vocoder::internals::*;
}

/// Compiles the example of the README.
#[cfg(all(doctest, feature = "formats"))]
#[doc = include_str!("../README.md")]
struct Readme;
