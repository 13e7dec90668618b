//! Audio in and out: resampling and, with the feature `formats`, any common format to mono `f32`, WAV with its provenance, and encodings for a wire.
//!
//! ```
//! let tone: Vec<f32> = (0..22_050).map(|n| 0.3 * (0.05 * n as f32).sin()).collect();
//! assert_eq!(vocode::audio::resample(tone, 22_050, 48_000)?.len(), 48_000);
//! # Ok::<(), vocode::audio::AudioError>(())
//! ```

#[cfg(feature = "formats")]
mod clip;
#[cfg(feature = "formats")]
mod decode;
#[cfg(feature = "formats")]
mod encode;
mod error;
#[cfg(feature = "formats")]
mod flac;
mod limit;
#[cfg(feature = "formats")]
mod mp4;
#[cfg(feature = "formats")]
mod opus;
mod resample;
#[cfg(feature = "formats")]
mod riff;
#[cfg(feature = "formats")]
mod wav;

pub use crate::rates::{MAX_SAMPLE_RATE, MIN_SAMPLE_RATE};
#[cfg(feature = "formats")]
pub use clip::{DecodeLimits, DecodedAudio};
#[cfg(feature = "formats")]
pub use decode::{DECODER_THREAD, decode};
#[cfg(feature = "formats")]
pub use encode::{EncodedPiece, Encoding, StreamEncoder, too_loud};
pub use error::AudioError;
pub use limit::{Limited, Limiter, limit};
pub(crate) use resample::TAPS as RESAMPLER_TAPS;
pub use resample::{StreamResampler, resample, resampled_len};
#[cfg(feature = "formats")]
pub use wav::{Encoded, InfoId, Provenance, SampleFormat, encode_wav};
