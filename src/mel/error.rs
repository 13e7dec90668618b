//! What can be wrong with a mel, its file or its convention.

use std::io;

use thiserror::Error;

/// Errors of reading, checking, converting and making mel spectrograms.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MelError {
    /// Reading or writing failed.
    #[error("{0}")]
    Io(#[from] io::Error),

    /// A mel is to be sharpened more than it can be, or less than nothing.
    #[error("sharpening is {found}, expected 0 to {most}")]
    Sharpening {
        /// The strongest.
        most: f32,
        /// What was asked for.
        found: f32,
    },

    /// The bytes are of another format.
    #[error("this is {found}, not a .npy file: {advice}")]
    NotNpy {
        /// What the first bytes say it is.
        found: &'static str,
        /// What to do instead.
        advice: &'static str,
    },

    /// A zip archive that is not the one array of an `.npz`.
    #[error(
        "the archive cannot be read as a mel: {reason}; save the mel alone, as in np.save(\"mel.npy\", np.load(path)[\"mel\"])"
    )]
    Archive {
        /// What is in the way.
        reason: String,
    },

    /// The input holds no bytes at all.
    #[error("the input is empty: expected a .npy file, such as numpy.save writes")]
    NoBytes,

    /// The header's length field is over the limit.
    #[error(
        "the .npy header claims {found} bytes, the limit is {limit}: the file is damaged or is no mel"
    )]
    HeaderTooLong {
        /// Bytes claimed.
        found: u64,
        /// Bytes allowed.
        limit: u64,
    },

    /// The header does not parse.
    #[error("the .npy header is malformed ({reason}): write the file again with numpy.save")]
    Header {
        /// What is wrong.
        reason: String,
    },

    /// The array holds pickled Python objects.
    #[error(
        "the .npy file holds Python objects (dtype `{found}`), which are never loaded: save plain numbers, \
         as in np.save(path, np.asarray(mel, dtype=np.float32))"
    )]
    PythonObjects {
        /// The type descriptor in the header.
        found: String,
    },

    /// The element type is none of the floating-point types that are read.
    #[error(
        "element type `{found}` is not supported, expected float16, float32 or float64: \
         save with np.save(path, mel.astype(np.float32))"
    )]
    ElementType {
        /// The type descriptor in the header.
        found: String,
    },

    /// Fewer data bytes than the header promises.
    #[error(
        "the .npy file is cut short: the header promises {expected} bytes of data, found {found}"
    )]
    Truncated {
        /// Bytes promised.
        expected: u64,
        /// Bytes there.
        found: u64,
    },

    /// Bytes after the data.
    #[error(
        "the .npy file goes on after its {expected} bytes of data: expected one array and nothing else"
    )]
    TrailingData {
        /// Bytes that the array takes.
        expected: u64,
    },

    /// More data than the limit.
    #[error("an array of shape {shape:?} takes {found} bytes, the limit is {limit}")]
    TooManyBytes {
        /// Shape in the header.
        shape: Vec<usize>,
        /// Bytes needed; saturates.
        found: u64,
        /// Bytes allowed.
        limit: u64,
    },

    /// More frames than the limit.
    #[error("the mel has {found} frames, the limit is {limit}: split it")]
    TooManyFrames {
        /// Frames in the array.
        found: usize,
        /// Frames allowed.
        limit: usize,
    },

    /// The array is no matrix.
    #[error(
        "expected a mel of shape [n_mels, frames], [frames, n_mels] or [1, n_mels, frames], found shape {shape:?}{hint}"
    )]
    Rank {
        /// Shape found.
        shape: Vec<usize>,
        /// What it may be, and the way out.
        hint: &'static str,
    },

    /// A batch of several mels.
    #[error(
        "shape {shape:?} is a batch of {count} mels, expected one: save each by itself, as in np.save(path, mels[0])"
    )]
    Batch {
        /// Shape found.
        shape: Vec<usize>,
        /// Mels in the batch.
        count: usize,
    },

    /// No bands or no frames.
    #[error("the mel is empty: shape {shape:?} has no {}", if shape.last() == Some(&0) { "frames" } else { "bands" })]
    Empty {
        /// Shape found.
        shape: Vec<usize>,
    },

    /// No side has the number of bands that was asked for.
    #[error(
        "expected {expected} mel bands, found shape {shape:?}: give a mel of {expected} bands, \
         or a `model` for this one, or say with `mel_convention` of which kind it is and try `approximate_mel`"
    )]
    Bands {
        /// Bands expected.
        expected: usize,
        /// Shape found.
        shape: Vec<usize>,
    },

    /// The shape does not say which axis is which.
    #[error(
        "shape {shape:?} does not tell bands from frames: say `layout` bands-first for [n_mels, frames] \
         or `layout` frames-first for [frames, n_mels]"
    )]
    AmbiguousLayout {
        /// Shape found.
        shape: Vec<usize>,
    },

    /// NaN or infinity.
    #[error(
        "{count} of {total} mel values are NaN or infinite, first {value} at band {band}, frame {frame}: \
         the program that made the mel failed, or took the logarithm of zero without a floor"
    )]
    NonFinite {
        /// How many.
        count: usize,
        /// Of how many.
        total: usize,
        /// The first of them.
        value: f32,
        /// Its band.
        band: usize,
        /// Its frame.
        frame: usize,
    },

    /// Values that the convention cannot produce.
    #[error(
        "the mel spans {min:.3} to {max:.3}, but `{convention}` spans {low:.3} to {high:.3}: \
         the mel is of another convention; {likely}"
    )]
    OutOfRange {
        /// Convention that was assumed.
        convention: String,
        /// Smallest value found.
        min: f32,
        /// Largest value found.
        max: f32,
        /// Smallest value expected.
        low: f32,
        /// Largest value expected.
        high: f32,
        /// The most likely convention, and how to name it.
        likely: String,
    },

    /// Values that no sound has, within the convention's range though they are.
    #[error(
        "the mel spans only {min:.3} to {max:.3}: as `{convention}` that is a dynamic range of {decibels:.1} dB, less than any \
         sound has; {likely}"
    )]
    Implausible {
        /// Convention that was assumed.
        convention: String,
        /// Smallest value found.
        min: f32,
        /// Largest value found.
        max: f32,
        /// What they span as that convention.
        decibels: f64,
        /// The most likely convention, and how to name it.
        likely: String,
    },

    /// Every value is the same, and it is not that of silence.
    #[error(
        "all mel values are {value}, which is neither speech nor silence (`{convention}` writes silence as {silence:.3}): \
         check the program that made the mel"
    )]
    Constant {
        /// The value.
        value: f32,
        /// Convention that was assumed.
        convention: String,
        /// The convention's value for silence.
        silence: f32,
    },

    /// Two conventions between which there is no exact conversion.
    #[error(
        "a `{from}` mel cannot be converted exactly to `{to}`, which the model expects: {}. \
         Make the mel again as `{to}`, or use a `model` made for `{from}`{way}",
        reasons.join("; "),
        way = if *approximate { "; `approximate_mel` takes it approximately, which loses little" } else { "" }
    )]
    Incompatible {
        /// Convention of the mel.
        from: String,
        /// Convention of the model.
        to: String,
        /// Every difference that stands in the way.
        reasons: Vec<String>,
        /// Whether [`prepare_approximately`](super::prepare_approximately) takes it.
        approximate: bool,
    },

    /// Two conventions between which not even the approximate way is taken.
    #[error(
        "a `{from}` mel is not converted to `{to}`, which the model expects, approximately either: {reason}. \
         Make the mel again as `{to}`, or use a `model` made for `{from}`"
    )]
    TooFar {
        /// Convention of the mel.
        from: String,
        /// Convention of the model.
        to: String,
        /// What speaks against it.
        reason: String,
    },

    /// No preset of that name.
    #[error("unknown mel convention {name}: expected one of {}, or a TOML file that spells one out", known.join(", "))]
    UnknownConvention {
        /// Name asked for, in quotes.
        name: String,
        /// Names that exist.
        known: &'static [&'static str],
    },

    /// A convention's TOML does not parse.
    #[error("the mel convention does not parse: {0}")]
    ConventionSyntax(String),

    /// A convention's name is no name.
    #[error("the mel convention's `name` is {found}, expected 1 to {limit} bytes of plain text")]
    ConventionName {
        /// Most bytes allowed.
        limit: usize,
        /// What was given, in quotes.
        found: String,
    },

    /// A field of a convention is out of its range.
    #[error("mel convention `{name}`: `{field}` is {found}, expected {expected}")]
    ConventionField {
        /// Convention.
        name: String,
        /// Field.
        field: &'static str,
        /// What is allowed.
        expected: String,
        /// What was given.
        found: String,
    },

    /// Too few samples for one frame.
    #[error(
        "the audio has {found} samples, `{convention}` needs at least {expected} for one frame"
    )]
    AudioTooShort {
        /// Samples needed.
        expected: usize,
        /// Samples found.
        found: usize,
        /// Convention.
        convention: String,
    },

    /// Audio of another length than that with which it is compared.
    #[error("expected {expected} samples, found {found}")]
    AudioLength {
        /// Samples expected.
        expected: usize,
        /// Samples found.
        found: usize,
    },

    /// NaN or infinity in the audio.
    #[error("audio sample {index} is {value}: expected finite samples, full scale at 1")]
    AudioNonFinite {
        /// First such sample.
        index: usize,
        /// Its value.
        value: f32,
    },
}
