use crate::audio::AudioError;
use crate::bundle::BundleError;
use crate::diffusion::DiffusionError;
use crate::dsp::DspError;
use crate::mel::MelError;
use crate::runtime::RuntimeError;
use std::sync::Arc;

use thiserror::Error;

/// Why a synthesis cannot start or go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VocoderError {
    /// The bundle and its graphs disagree.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// ONNX Runtime refused or failed.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The denoiser was asked for in 8-bit integers and cannot be had in them.
    #[error("`precision` int8 cannot be had: {reason}; use `precision` auto or float")]
    NoIntegers {
        /// What is in the way.
        reason: String,
    },
    /// The schedule does not fit the model.
    #[error(transparent)]
    Schedule(#[from] DiffusionError),
    /// The envelope filter refused its parameters or input.
    #[error(transparent)]
    Envelope(#[from] DspError),
    /// An amount of sharpening out of its range.
    #[error(transparent)]
    Sharpening(MelError),
    /// A schedule name that the model does not have.
    #[error("the model has no schedule named {name:?}; it has {}", known.join(", "))]
    UnknownSchedule {
        /// The name asked for.
        name: String,
        /// The model's names.
        known: Vec<String>,
    },
    /// A window length that cannot be used.
    #[error("a window of {found} frames cannot be used; give 1 to {limit}")]
    WindowLength {
        /// Frames asked for.
        found: usize,
        /// Most frames allowed.
        limit: usize,
    },
    /// A stream that begins inside its clip and is to carry a watermark, by a model without passes that could put it in.
    #[error(
        "audio with a watermark cannot begin inside its clip: this model has no pass of mel consistency that puts it in; begin with the clip, or leave the \
         watermark out"
    )]
    StartWithMark,
    /// A stream that begins inside its clip, whose mel begins too late to tell how it goes on.
    #[error(
        "the mel begins with frame {found} of its clip, and audio from that sample on needs the frames from {needed} on; send them too"
    )]
    StartContext {
        /// Frame that the mel begins with.
        found: u64,
        /// First frame that is needed.
        needed: u64,
    },
    /// A batch size of zero or too large to allocate for.
    #[error("a batch of {found} windows cannot be used; give 1 to {limit}")]
    BatchSize {
        /// Windows asked for.
        found: usize,
        /// Most windows allowed.
        limit: usize,
    },
    /// A mel with another number of bands than the model's.
    #[error("the mel has {found} bands; the model takes {expected} (convention {convention:?})")]
    Bands {
        /// Bands of the model's convention.
        expected: usize,
        /// Bands of the mel.
        found: usize,
        /// Name of the model's convention.
        convention: String,
    },
    /// A mel with NaN or infinite values.
    #[error("the mel holds {value} in frame {frame}, band {band}; every value must be finite")]
    MelNotFinite {
        /// Frame of the first such value, from the start of the clip.
        frame: usize,
        /// Band of the first such value.
        band: usize,
        /// The value.
        value: f32,
    },
    /// A graph answered with another shape than the contract says.
    #[error(
        "{graph}: {output} came out as {found}; expected {expected}: the model's graphs do not fit its manifest (hop, frames)"
    )]
    OutputShape {
        /// "conditioner" or "denoiser".
        graph: &'static str,
        /// Name of the output.
        output: String,
        /// The shape of the contract.
        expected: String,
        /// The shape that came.
        found: String,
    },
    /// A graph answered with NaN or infinity.
    #[error("{graph}: {output} holds {value}{}; the mel may be far outside the model's convention, or the model is damaged", place(*.step))]
    OutputNotFinite {
        /// "conditioner" or "denoiser".
        graph: &'static str,
        /// Name of the output.
        output: String,
        /// The value.
        value: f32,
        /// The step, from 0, of a denoiser's answer.
        step: Option<usize>,
    },
    /// Mel frames pushed after the end was declared.
    #[error("the mel was already declared complete")]
    AlreadyEnded,
    /// The observer asked to stop, or the writer of a stream went away before the end of its mel.
    #[error("the synthesis was cancelled")]
    Cancelled,
    /// Samples could not be brought to the rate that was asked for.
    #[error(transparent)]
    Output(#[from] AudioError),
    /// A call of the model failed, for every stream in it.
    #[error("{source}")]
    Call {
        /// What failed.
        source: Arc<VocoderError>,
    },
    /// All places for streams are taken.
    #[error(
        "{limit} streams are open already, which is all that may be; try again when one has ended"
    )]
    Busy {
        /// Streams that may be open at once.
        limit: usize,
    },
    /// The thread that runs the model has ended, as by a panic, before the last sample of a stream was made.
    #[error("the thread that runs the model has ended: the audio is not complete")]
    WorkerLost,
    /// The stream, or the scheduler itself, has ended.
    #[error("the stream has ended")]
    Stopped,
    /// No threads for the denoiser's sessions.
    #[error("cannot start the threads of the denoiser: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// No thread for a scheduler.
    #[error("cannot start a thread: {source}")]
    Thread {
        /// What the system says.
        source: std::io::Error,
    },
}

impl VocoderError {
    /// [`VocoderError::OutputShape`] for an output of another shape.
    pub(super) fn shape(
        graph: &'static str,
        output: &str,
        expected: &[usize],
        found: &[usize],
    ) -> VocoderError {
        VocoderError::OutputShape {
            graph,
            output: output.to_owned(),
            expected: format!("{expected:?}"),
            found: format!("{found:?}"),
        }
    }
}

fn place(step: Option<usize>) -> String {
    step.map_or(String::new(), |step| format!(" at step {step}"))
}
