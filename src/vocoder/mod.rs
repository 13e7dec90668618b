//! The engine: mel in, waveform out, in windows of bounded size.
//!
//! ```text
//! mel -> conditioner -> conditions ─┐
//! noise ────────────────────────────┴-> Wavefront: denoiser + row, once a step -> envelope (excitation only) -> mel consistency (where asked) -> samples
//! ```
//!
//! A synthesis is a [`Stream`]: mel frames are pushed in pieces of any size, windows of a few lengths go through the denoiser as soon as
//! what they need is there, and finished samples come out. [`Vocoder::synthesize`] drives one to its end. What a window is and why
//! windows change nothing is told in [`window`]. A [`Scheduler`] drives many streams on a thread of its own.

mod batch;
mod chain;
mod conditioner;
mod conditions;
mod denoiser;
mod engine;
mod error;
mod flow;
mod interface;
mod networks;
mod offline;
mod options;
mod output;
mod piece;
mod queue;
mod scheduler;
mod sizes;
mod stream;
mod tail;
mod wavefront;
pub mod window;

pub use engine::{MAX_BATCH, Outcome, Vocoder};
pub use error::VocoderError;
pub use options::{Progress, Sampling, ScheduleChoice, Synthesis, SynthesisOptions};
pub use output::Output;
pub use scheduler::{
    AudioOutput, MAX_CHUNK_FRAMES, MelInput, OpenStream, Scheduler, SchedulerOptions, StreamClass,
    StreamPlan, StreamRequest, StreamStats, WorkerState,
};
pub use stream::Stream;
pub use wavefront::{Wavefront, Window};
pub use window::{Chunks, DEFAULT_CHUNKS, WindowPlan};
