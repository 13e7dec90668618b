//! A call's stream, driven from its first frame to its summary.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::block_in_place;
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::Status;
use tracing::Instrument;

use super::call::Call;
use super::places::Playback;
use super::request::Opened;
use super::shared::{Shared, stopping};
use super::status::{failed, idle, of_audio, of_vocoder};
use crate::audio::{EncodedPiece, too_loud};
use crate::proto;

/// Events that wait for a slow reader, beyond what the transport buffers. More audio waits where it costs nothing: unmade.
const EVENTS: usize = 2;

/// Most samples in one chunk: 64 KiB as 32-bit floats, far below what any client takes in a message.
const MAX_CHUNK: usize = 16_384;

/// One piece of an answer, whichever the method.
pub(super) enum Event {
    Header(proto::StreamHeader),
    Chunk(proto::AudioChunk),
    Summary(proto::StreamSummary),
}

/// Where the pieces of an answer go, as fast as its reader takes them.
pub(super) struct Events {
    sender: mpsc::Sender<Event>,
    idle_limit: Duration,
}

impl Events {
    async fn send(&self, event: Event) -> Result<(), Status> {
        match timeout(self.idle_limit, self.sender.send(event)).await {
            Ok(sent) => sent.map_err(|_| gone()),
            Err(_) => Err(idle(self.idle_limit, "has not taken its audio")),
        }
    }
}

/// An answer that is read while it is made.
pub(super) type Answer<R> = Pin<Box<dyn Stream<Item = Result<R, Status>> + Send>>;

/// A stream whose audio is taken.
pub(super) struct Synthesis {
    call: Call,
    stream: Opened,
    /// From the call's arrival to the opening of its stream.
    lead: Duration,
    samples: u64,
    playback: Playback,
}

impl Synthesis {
    /// Takes the audio of a stream that was opened just now.
    pub fn new(call: Call, stream: Opened) -> Synthesis {
        Synthesis {
            lead: call.age(),
            call,
            stream,
            samples: 0,
            playback: Playback::default(),
        }
    }

    /// Sends everything: header, chunks, summary.
    pub async fn deliver(mut self, events: &Events) -> Result<(), Status> {
        events
            .send(Event::Header(self.stream.header.clone()))
            .await?;
        let mut chunks = ChunkNumbers {
            sequence: 0,
            start_sample: self.stream.first_sample,
        };
        while let Some(samples) = self.next().await? {
            let position = self.heard(self.samples - samples.len() as u64);
            self.playback.brings(position, Instant::now());
            for samples in samples.chunks(MAX_CHUNK) {
                let piece = self
                    .stream
                    .encoder
                    .push(samples)
                    .map_err(|e| of_audio(&e))?;
                chunks.send(piece, events).await?;
            }
        }
        let last = self.stream.encoder.finish().map_err(|e| of_audio(&e))?;
        chunks.send(last, events).await?;
        self.check_length()?;
        let summary = self.summary(self.stream.encoder.clipped());
        events.send(Event::Summary(summary)).await?;
        let until = self.playback.end(self.heard(self.samples), Instant::now());
        self.stream.share.played(until, &self.call);
        Ok(())
    }

    /// Gathers everything into one answer.
    pub async fn gather(mut self) -> Result<proto::VocodeResponse, Status> {
        let mut samples = Vec::new();
        while let Some(piece) = self.next().await? {
            samples.extend(piece);
        }
        self.check_length()?;
        let rate = self.stream.header.sample_rate_hz;
        let encode = || self.stream.encoding.encode(&samples, rate);
        let encoded = block_in_place(encode).map_err(|e| of_audio(&e))?;
        Ok(proto::VocodeResponse {
            summary: Some(self.summary(encoded.clipped)),
            header: Some(self.stream.header),
            audio: encoded.bytes.into(),
        })
    }

    async fn next(&mut self) -> Result<Option<Vec<f32>>, Status> {
        let piece = self.stream.output.next().await;
        let piece = piece.transpose().map_err(|e| of_vocoder(&e))?;
        if let Some(samples) = &piece {
            self.samples += samples.len() as u64;
            self.call.had(self.heard(samples.len() as u64));
            let mut facts = self.call.facts();
            facts.samples = self.samples;
            facts.first_audio.get_or_insert_with(|| self.call.age());
        }
        Ok(piece)
    }

    /// How long so many samples play.
    fn heard(&self, samples: u64) -> Duration {
        Duration::from_secs_f64(
            samples as f64 / f64::from(self.stream.header.sample_rate_hz.max(1)),
        )
    }

    /// Whether as many samples were made as the header says: a summary says that nothing is missing.
    fn check_length(&self) -> Result<(), Status> {
        match self.stream.header.total_samples {
            Some(expected) if expected != self.samples => Err(failed(format!(
                "the model made {} samples where the mel asks for {expected}",
                self.samples
            ))),
            _ => Ok(()),
        }
    }

    fn summary(&self, clipped: usize) -> proto::StreamSummary {
        let stats = self.stream.output.stats();
        let since_arrival = |time: Duration| nanoseconds(self.lead + time);
        let mut facts = self.call.facts();
        facts.frames = stats.frames;
        proto::StreamSummary {
            samples: self.samples,
            frames: stats.frames,
            clipped: clipped as u64,
            warnings: too_loud(clipped, self.samples as usize)
                .into_iter()
                .collect(),
            timings: Some(proto::Timings {
                queue_ns: since_arrival(stats.queue),
                first_audio_ns: since_arrival(stats.first_audio.unwrap_or_default()),
                inference_ns: nanoseconds(stats.inference),
                total_ns: since_arrival(stats.total),
            }),
        }
    }
}

/// Numbers the chunks of an answer.
struct ChunkNumbers {
    sequence: u64,
    start_sample: u64,
}

impl ChunkNumbers {
    async fn send(&mut self, piece: EncodedPiece, events: &Events) -> Result<(), Status> {
        if piece.bytes.is_empty() {
            return Ok(());
        }
        let chunk = proto::AudioChunk {
            sequence: self.sequence,
            start_sample: self.start_sample,
            samples: piece.samples as u32,
            audio: piece.bytes.into(),
        };
        self.sequence += 1;
        self.start_sample += piece.samples as u64;
        events.send(Event::Chunk(chunk)).await
    }
}

/// The task of a call has ended without saying how, as by a panic.
fn lost() -> Status {
    failed("the call ended unexpectedly: its audio is not complete".to_owned())
}

fn gone() -> Status {
    Status::cancelled("the client went away")
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// `work`, unless its time is up, its key is taken back or the server stops.
pub(super) async fn bounded<T>(
    shared: &Shared,
    call: &Call,
    work: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    tokio::select! {
        result = call.within(work) => result,
        () = shared.cut.cancelled() => Err(stopping()),
        () = shared.revoked(call) => Err(Status::unauthenticated("the API key of the call was taken back")),
    }
}

/// Lets `work` fill an answer that is read while it is made. The work ends with its reader, its deadline or the server.
///
/// How the work ended follows the events that were made before, whether or not there is room for it now, and an answer whose work went
/// away without a word ends with INTERNAL: a stream that breaks off never looks finished. A reader that has stopped reading holds nothing
/// but what it has been sent.
pub(super) fn answer<R, W>(
    shared: Arc<Shared>,
    call: Call,
    work: impl FnOnce(Events) -> W,
) -> Answer<R>
where
    R: From<Event> + Send + 'static,
    W: Future<Output = Result<(), Status>> + Send + 'static,
{
    let (sender, made) = mpsc::channel(EVENTS);
    let idle_limit = shared.limits.max_idle;
    let (outcome, ended) = oneshot::channel();
    let work = work(Events {
        sender: sender.clone(),
        idle_limit,
    });
    let span = call.span().clone();
    let drive = async move {
        let result = tokio::select! {
            result = bounded(&shared, &call, work) => result,
            () = sender.closed() => Err(gone()),
        };
        call.end(result.as_ref().copied());
        // Nobody is left to tell when this fails.
        let _ = outcome.send(result);
    };
    tokio::spawn(drive.instrument(span));
    let events = ReceiverStream::new(made).map(|event| Ok(R::from(event)));
    let end = tokio_stream::once(ended)
        .then(|ended| async { ended.await.unwrap_or_else(|_| Err(lost())).err() });
    Box::pin(events.chain(end.filter_map(|status| status.map(Err))))
}

macro_rules! event_of {
    ($response:ident, $module:ident) => {
        impl From<Event> for proto::$response {
            fn from(event: Event) -> proto::$response {
                use proto::$module::Event as Wire;
                proto::$response {
                    event: Some(match event {
                        Event::Header(header) => Wire::Header(header),
                        Event::Chunk(chunk) => Wire::Chunk(chunk),
                        Event::Summary(summary) => Wire::Summary(summary),
                    }),
                }
            }
        }
    };
}

event_of!(VocodeStreamResponse, vocode_stream_response);
event_of!(VocodeLiveResponse, vocode_live_response);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::ServerLimits;
    use crate::server::call::Holdings;
    use crate::server::marking::{Marking, Marks};
    use tonic::Code;
    use tonic::codegen::http::HeaderMap;

    #[tokio::test]
    async fn a_call_that_panics_does_not_end_like_one_that_is_complete() {
        let shared = Arc::new(Shared::new(
            ServerLimits::default(),
            None,
            None,
            Marks::new(&Marking::default()),
            String::new(),
        ));
        let call = Call::arrive(
            crate::server::method::Method::Stream,
            &HeaderMap::new(),
            Duration::from_secs(60),
            Holdings::default(),
            crate::server::connection::Peer::new(None),
        );
        let work = async |events: Events| {
            let header = proto::StreamHeader::default();
            events.send(Event::Header(header)).await?;
            panic!("on purpose");
        };
        let mut answer = answer::<proto::VocodeStreamResponse, _>(shared, call, work);
        assert!(answer.next().await.unwrap().is_ok());
        let status = answer.next().await.unwrap().unwrap_err();
        assert_eq!(status.code(), Code::Internal);
        assert!(answer.next().await.is_none());
    }
}
