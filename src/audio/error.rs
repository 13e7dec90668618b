use thiserror::Error;

/// What can go wrong between a file's bytes and samples, in either direction.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AudioError {
    /// No reader recognised the container or the codec.
    #[error(
        "not an audio file that can be read ({reason}): expected WAV, FLAC, MP3, Ogg Vorbis, Opus, AIFF, .au or M4A"
    )]
    Unsupported { reason: String },
    /// The file is of a known kind, but its contents are damaged.
    #[error("the audio is damaged: {reason}")]
    Damaged { reason: String },
    /// The source could not be read.
    #[error("the audio could not be read: {0}")]
    Io(#[from] std::io::Error),
    /// The file holds no samples.
    #[error("the audio holds no samples")]
    Empty,
    /// The clip is longer than the limit.
    #[error("the audio is longer than the limit of {limit} samples: cut it into pieces")]
    TooLong { limit: usize },
    /// A sample is NaN or infinite.
    #[error("sample {index} is {value}: every sample must be a finite number")]
    NotFinite { index: usize, value: f32 },
    /// A sample rate outside what can be handled.
    #[error("a sample rate of {found} Hz is outside {min} to {max} Hz")]
    SampleRate { found: u32, min: u32, max: u32 },
    /// The resampler refused the pair of rates or failed while running.
    #[error("resampling from {from} Hz to {to} Hz failed: {reason}")]
    Resample { from: u32, to: u32, reason: String },
    /// WAV sizes are 32 bits wide.
    #[error(
        "{bytes} bytes of samples do not fit into a WAV file (its sizes end at 4 GiB): cut the input into pieces"
    )]
    TooBigForWav { bytes: u64 },
    /// The WAV encoder failed.
    #[cfg(feature = "formats")]
    #[error("writing the WAV failed: {0}")]
    Encode(#[from] hound::Error),
    /// The FLAC encoder refused the rate or failed.
    #[error("writing FLAC failed: {reason}")]
    Flac { reason: String },
    /// The Opus encoder refused the rate or failed.
    #[error("writing Opus failed: {reason}")]
    Opus { reason: String },
}
