//! Signal processing: the short-time Fourier transform and the spectral envelope that a mel implies.

pub mod envelope;
mod error;
pub mod stft;

pub use envelope::{EnvelopeFilter, EnvelopeParameters, EnvelopeStream, Filtering};
pub use error::DspError;
pub use stft::{Stft, hann};
