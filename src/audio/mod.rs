//! Audio in and out: any common format to mono `f32`, resampling, WAV with its provenance.

mod decode;
mod encode;
mod error;
mod flac;
mod mp4;
mod resample;
mod wav;

pub use decode::{Clip, DECODER_THREAD, DecodeLimits, decode};
pub use encode::{Encoding, Piece, StreamEncoder};
pub use error::AudioError;
pub use resample::{MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, StreamResampler, resample, resampled_len};
pub use wav::{Encoded, InfoId, Provenance, SampleFormat, encode_wav};
