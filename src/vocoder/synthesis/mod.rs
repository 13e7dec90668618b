//! One synthesis: the stream that holds its state, the model that moves streams forward, and the driver of a whole clip.

mod apart;
mod conditions;
mod engine;
mod mel_queue;
mod offline;
mod pipeline;
mod stream;

pub(super) use engine::check_batch;
pub use engine::{MAX_BATCH, Outcome, Vocoder};
pub use stream::Stream;
