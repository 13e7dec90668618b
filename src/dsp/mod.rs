//! Signal processing: the short-time Fourier transform, the spectral envelope that a mel implies, and consistency with the mel.

mod block;
pub mod consistency;
pub mod envelope;
mod error;
mod filter;
mod frames;
mod overlap;
mod samples;
pub mod stft;
mod vector;

pub use consistency::{ConsistencyFilter, ConsistencyParameters, ConsistencyStream};
pub use envelope::{EnvelopeFilter, EnvelopeParameters, EnvelopeStream, Filtering};
pub use error::DspError;
pub use filter::MelFilter;
pub(crate) use frames::FrameQueue;
pub(crate) use samples::SampleQueue;
pub use stft::{Stft, hann};
pub(crate) use vector::first_not_finite;
