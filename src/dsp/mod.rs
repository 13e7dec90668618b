//! Filters that a mel steers: its spectral envelope, and consistency with it; and the watermark, which a key steers. They rest on `mel`; the transform that both rest on is `stft`.

mod bands;
mod block;
pub mod consistency;
pub mod envelope;
mod error;
mod filter;
mod frames;
pub mod mark;
mod overlap;
mod pass;
mod samples;
mod silence;
mod transform;
mod vector;

pub use consistency::{ConsistencyFilter, ConsistencyParameters, ConsistencyPasses};
pub use envelope::{EnvelopeFilter, EnvelopeParameters, Filtering};
pub use error::DspError;
pub use filter::MelFilter;
pub(crate) use frames::FrameQueue;
pub use mark::{MarkFilter, Watermark};
pub(crate) use samples::SampleQueue;
pub(crate) use silence::SilenceStream;
pub(crate) use vector::{first_not_finite, ln};
