//! The engine: mel in, waveform out, in windows of bounded size.
//!
//! ```text
//! mel -> conditioner -> conditions ─┐
//! noise ────────────────────────────┴-> Wavefront: denoiser + row, once a step -> envelope (excitation only) -> samples
//! ```
//!
//! A synthesis is a [`Stream`]: mel frames are pushed in pieces of any size, windows of one fixed shape go through the denoiser as soon as
//! what they need is there, and finished samples come out. [`Vocoder::synthesize`] drives one to its end. What a window is and why
//! windows change nothing is told in [`window`].

mod batch;
mod conditions;
mod engine;
mod error;
mod networks;
mod offline;
mod options;
mod queue;
mod stream;
mod tail;
mod wavefront;
pub mod window;

pub use engine::{MAX_BATCH, Vocoder};
pub use error::VocoderError;
pub use options::{Progress, ScheduleChoice, Synthesis, SynthesisOptions};
pub use stream::Stream;
pub use wavefront::{Wavefront, Window};
pub use window::WindowPlan;
