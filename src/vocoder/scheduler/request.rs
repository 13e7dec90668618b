//! What a scheduler is told, what a stream is to be, and what became of it.

use std::time::Duration;

use crate::diffusion::Solver;
use crate::dsp::Watermark;
use crate::mel::Sharpening;
use crate::setters::setters;
use crate::vocoder::error::VocoderError;
use crate::vocoder::options::ScheduleChoice;
use crate::vocoder::plan::StreamStart;
use crate::vocoder::plan::window::Chunks;

use super::urgency::StreamClass;

/// Longest chunk that a stream may ask for, in frames.
pub const MAX_CHUNK_FRAMES: usize = 1024;

/// How a [`Scheduler`](super::Scheduler) works.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchedulerOptions {
    /// Streams that may be open at once.
    pub max_streams: usize,
    /// Most windows in one denoiser call; what the provider does best when `None`.
    pub batch: Option<usize>,
    /// Name of the model in the metrics.
    pub label: String,
}

setters!(SchedulerOptions {
    max_streams: usize,
    batch: Option<usize>,
    label: String,
});

impl Default for SchedulerOptions {
    fn default() -> SchedulerOptions {
        SchedulerOptions {
            max_streams: 32,
            batch: None,
            label: "default".to_owned(),
        }
    }
}

/// What a stream is to be.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct StreamRequest {
    /// The steps.
    pub schedule: ScheduleChoice,
    /// The solver, instead of the schedule's own.
    pub solver: Option<Solver>,
    /// The noise: same seed, same samples.
    pub seed: u64,
    /// Sample rate of the audio in hertz; the model's own when `None`.
    pub sample_rate: Option<u32>,
    /// Frames of the first chunk; when `None`, 24, or as many more as the passes of the schedule hold back.
    pub first_chunk_frames: Option<usize>,
    /// Frames of later chunks; when `None`, 64, or those of the first where that is longer.
    pub chunk_frames: Option<usize>,
    /// [`Prepared::shift_samples`](crate::mel::Prepared) of the mel.
    pub shift_samples: i64,
    /// Where in its clip it begins.
    pub start: StreamStart,
    /// How it shares the model with others.
    pub class: StreamClass,
    /// As in [`SynthesisOptions`](crate::SynthesisOptions::watermark).
    pub watermark: Option<Watermark>,
    /// As in [`SynthesisOptions`](crate::SynthesisOptions::sharpening).
    pub sharpening: Option<Sharpening>,
}

setters!(StreamRequest {
    schedule: ScheduleChoice,
    solver: Option<Solver>,
    seed: u64,
    sample_rate: Option<u32>,
    first_chunk_frames: Option<usize>,
    chunk_frames: Option<usize>,
    shift_samples: i64,
    start: StreamStart,
    class: StreamClass,
    watermark: Option<Watermark>,
    sharpening: Option<Sharpening>,
});

/// What a stream is.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamPlan {
    /// Name of the schedule: the bundle's, `uniform-N` or `custom`.
    pub schedule: String,
    /// The solver.
    pub solver: Solver,
    /// Denoiser calls for each sample.
    pub steps: usize,
    /// Sample rate of the audio in hertz.
    pub sample_rate: u32,
    /// The seed of the noise.
    pub seed: u64,
    /// Frames before that of a sample which it depends on: a stream that is to go on from there needs them, see [`StreamStart`].
    pub lead_frames: usize,
}

/// What became of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamStats {
    /// Mel frames taken.
    pub frames: u64,
    /// Samples made, at the stream's own rate.
    pub samples: u64,
    /// From its opening to the first denoiser call made for it.
    pub queue: Duration,
    /// From its opening to its first finished samples.
    pub first_audio: Option<Duration>,
    /// Spent in the model on its behalf.
    pub inference: Duration,
    /// From its opening to its last finished sample.
    pub total: Duration,
}

impl StreamRequest {
    /// The lengths of its chunks, where the filters after the diffusion hold `held` frames back.
    ///
    /// # Errors
    /// [`VocoderError::WindowLength`] unless both are 1 to [`MAX_CHUNK_FRAMES`].
    pub(super) fn chunks(&self, held: usize) -> Result<Chunks, VocoderError> {
        let chunks = Chunks::of_stream(self.first_chunk_frames, self.chunk_frames, held);
        for found in [chunks.first, chunks.longest] {
            if !(1..=MAX_CHUNK_FRAMES).contains(&found) {
                let limit = MAX_CHUNK_FRAMES;
                return Err(VocoderError::WindowLength { found, limit });
            }
        }
        Ok(chunks)
    }
}
