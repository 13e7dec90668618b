//! What a streamed answer is made of.

use crate::proto;

/// A piece of a streamed answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// First: what ran.
    Header(proto::StreamHeader),
    /// Consecutive audio.
    Chunk(proto::AudioChunk),
    /// Last: length and times.
    Summary(proto::StreamSummary),
}

/// The two streaming calls answer with the same events, under two names.
macro_rules! event_from {
    ($wire:path) => {
        impl From<$wire> for Event {
            fn from(event: $wire) -> Event {
                use $wire as Wire;
                match event {
                    Wire::Header(header) => Event::Header(header),
                    Wire::Chunk(chunk) => Event::Chunk(chunk),
                    Wire::Summary(summary) => Event::Summary(summary),
                }
            }
        }
    };
}
event_from!(proto::vocode_stream_response::Event);
event_from!(proto::vocode_live_response::Event);
