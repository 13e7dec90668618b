//! A bundle: the contract between training and the engine.
//!
//! A folder, or one that is built into the binary ([`BuiltIn`]), of three files: `bundle.toml` ([`Manifest`]), `conditioner.onnx` and
//! `denoiser.onnx`; and, where the manifest has its hash, of the denoiser in 8-bit integers, `denoiser.int8.onnx`. Everything in it is
//! checked before use: the numbers of the manifest, the hashes of the graphs, and the graphs' inputs and outputs ([`Signature`]).
//!
//! ```
//! let bundle = vocode::Bundle::embedded()?;
//! let mel = &bundle.manifest.mel;
//! println!("{} takes {} bands at {} Hz", bundle.manifest.name, mel.n_mels, mel.sample_rate);
//! # Ok::<(), vocode::BundleError>(())
//! ```

mod built_in;
mod check;
mod edit;
mod error;
mod external;
mod load;
mod manifest;
mod schedule;
mod validate;

pub use built_in::BuiltIn;
pub use check::{Condition, Signature};
pub use edit::with_schedule;
pub use error::BundleError;
pub use load::{Bundle, MANIFEST, MAX_GRAPH_BYTES, MAX_MANIFEST_BYTES};
pub use manifest::{
    Betas, Context, CosineBetas, DiffusionSpec, Domain, FORMAT, Hashes, LinearBetas, Manifest,
    ProcessKind, Schedules,
};
pub use schedule::ScheduleSpec;

pub use crate::dsp::{ConsistencyParameters, EnvelopeParameters};
