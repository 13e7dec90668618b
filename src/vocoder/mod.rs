//! The engine: mel in, waveform out, in windows of bounded size.
//!
//! ```text
//! mel -> conditioner -> conditions ─┐
//! noise ────────────────────────────┴-> Wavefront: denoiser and solver, once a step -> envelope (excitation only) -> mel consistency (where asked) -> samples
//! ```
//!
//! A synthesis is a [`Stream`]: mel frames are pushed in pieces of any size, windows of a few lengths go through the denoiser as soon as
//! what they need is there, and finished samples come out. [`Vocoder::synthesize`] drives one to its end; a [`Scheduler`] drives many on a
//! thread of its own.
//!
//! ```no_run
//! use vocode::vocoder::{OpenStream, Scheduler, SchedulerOptions, StreamRequest};
//! use vocode::{Mel, Vocoder};
//!
//! # async fn example(vocoder: Vocoder, mel: Mel, mut play: impl FnMut(&[f32])) -> Result<(), vocode::VocoderError> {
//! let scheduler = Scheduler::start(vocoder, SchedulerOptions::default())?;
//! let OpenStream { mut input, mut output, .. } = scheduler.open(&StreamRequest::default())?;
//! input.push(mel.into_values()).await?;
//! input.end();
//! while let Some(samples) = output.next().await {
//!     play(&samples?);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The folders, each resting on those before it: `plan` says which frames a denoiser call covers and keeps the state between calls; `networks`
//! runs the two graphs; `filters` does what comes after the diffusion; `synthesis` joins them in a stream and drives a whole clip; `scheduler`
//! drives many streams.

mod error;
mod filters;
mod networks;
mod options;
mod plan;
mod scheduler;
mod synthesis;

pub use error::VocoderError;
pub use filters::Output;
pub use options::{Progress, Sampling, ScheduleChoice, Synthesis, SynthesisOptions};
pub use plan::StreamStart;
pub use plan::window::MAX_WINDOW_FRAMES;
pub use scheduler::{
    AudioOutput, MAX_CHUNK_FRAMES, MelInput, OpenStream, Scheduler, SchedulerOptions, StreamClass,
    StreamPlan, StreamRequest, StreamStats, WorkerState,
};
pub use synthesis::{MAX_BATCH, Stream, Vocoder};

/// For [`crate::internals`].
#[doc(hidden)]
pub mod internals {
    pub use super::plan::window::WindowPlan;
    pub use super::plan::{Wavefront, Window};
    pub use super::synthesis::Outcome;
}
