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
pub use plan::window;
pub use plan::window::{Chunks, DEFAULT_CHUNKS, WindowPlan};
pub use plan::{Wavefront, Window};
pub use scheduler::{
    AudioOutput, MAX_CHUNK_FRAMES, MelInput, OpenStream, Scheduler, SchedulerOptions, StreamClass,
    StreamPlan, StreamRequest, StreamStats, WorkerState,
};
pub use synthesis::{MAX_BATCH, Outcome, Stream, Vocoder};
