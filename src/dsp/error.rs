//! What can be wrong with what the signal processing is given.

use thiserror::Error;

/// Errors of `dsp`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DspError {
    /// A parameter of the envelope is out of its range.
    #[error("envelope parameter `{field}` is {found}, expected {expected}")]
    Parameter {
        /// The field of `[envelope]` in the bundle's manifest.
        field: &'static str,
        /// What is allowed.
        expected: String,
        /// What was given.
        found: String,
    },

    /// The mel cannot be enforced so, or not under this convention.
    #[error("{field} is {found}, expected {expected}")]
    Consistency {
        /// The field of the bundle's manifest.
        field: &'static str,
        /// What is allowed.
        expected: String,
        /// What was given.
        found: String,
    },

    /// A mel band without any FFT bin has no magnitude.
    #[error("mel band {band} holds no FFT bin: the convention has too many bands for its n_fft")]
    EmptyBand {
        /// The first such band.
        band: usize,
    },

    /// A mel with another number of bands than the filter was made for.
    #[error("expected a mel of {expected} bands, found {found}")]
    Bands {
        /// Bands of the filter.
        expected: usize,
        /// Bands given.
        found: usize,
    },

    /// A signal and a mel of different lengths.
    #[error("a signal for {frames} mel frames has {expected} samples, found {found}")]
    Length {
        /// Frames of the mel.
        frames: usize,
        /// Samples that they take.
        expected: usize,
        /// Samples given.
        found: usize,
    },
}
