//! A streamed answer, taken up again where it breaks off.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{Stream, StreamExt};

use super::answer::Rules;
use super::connect::Service;
use super::source::LiveMels;
use super::tries::Tries;
use super::{ClientError, Event};
use crate::proto;
use crate::proto::vocode_live_request::Message;

/// A streamed answer, held against the contract as it comes: it begins with its header, no audio is missing or twice
/// there, and it ends with a summary that counts what came.
///
/// Where a server goes away or drains, the call is made again from the first sample that has not come, which any server with the same model
/// makes as the first one would have. Whoever takes the events does not see it but for [`Events::resumed`].
pub struct Events {
    call: Call,
    events: Answer,
    rules: Rules,
    /// Frames sent in the call under way.
    frames: Arc<AtomicU64>,
    /// Frame of the clip that it began with.
    start_frame: u64,
    /// The first header, with which every later one has to agree.
    header: Option<proto::StreamHeader>,
    samples: u64,
    chunks: u64,
    /// Since the last audio.
    tries: Tries,
    resumed: u32,
    over: bool,
}

/// One call's events as they come over the wire.
type Answer = Pin<Box<dyn Stream<Item = Result<Event, ClientError>> + Send>>;

/// What it takes to make a call, the first time and again.
pub(super) struct Call {
    pub service: Service,
    pub config: proto::SynthesisConfig,
    pub mel: Source,
}

/// Where the mel of a call comes from.
pub(super) enum Source {
    Whole(proto::Mel),
    Live(LiveMels),
}

impl Call {
    /// Makes the call from `sample` on. Returns the frame that its mel begins with too.
    async fn make(
        &mut self,
        sample: u64,
        frames: &Arc<AtomicU64>,
    ) -> Result<(Answer, u64), ClientError> {
        let mut config = self.config.clone();
        config.start_sample = sample;
        match &self.mel {
            Source::Whole(mel) => {
                frames.store(u64::from(mel.n_frames), Ordering::Release);
                let request = proto::VocodeStreamRequest {
                    config: Some(config),
                    mel: Some(mel.clone()),
                    request_id: String::new(),
                };
                let answer = self.service.vocode_stream(request).await?.into_inner();
                let start = self.config.start_frame;
                let events = answer.map(|a| Ok(a?.event.ok_or(ClientError::EmptyEvent)?.into()));
                Ok((Box::pin(events), start))
            }
            Source::Live(mels) => {
                let (start, mels) = mels.send(frames.clone());
                let start = start + config.start_frame;
                config.start_frame = start;
                let request = |message| proto::VocodeLiveRequest {
                    message: Some(message),
                    request_id: String::new(),
                };
                let first = futures_util::stream::iter([request(Message::Config(config))]);
                let rest = mels.map(move |mel| request(Message::Mel(mel)));
                let answer = self.service.vocode_live(first.chain(rest)).await?;
                let events = answer
                    .into_inner()
                    .map(|a| Ok(a?.event.ok_or(ClientError::EmptyEvent)?.into()));
                Ok((Box::pin(events), start))
            }
        }
    }
}

impl Events {
    /// Makes the call, again where the server is not there for it.
    pub(super) async fn begin(call: Call) -> Result<Events, ClientError> {
        let mut events = Events {
            call,
            events: Box::pin(futures_util::stream::empty()),
            rules: Rules::default(),
            frames: Arc::default(),
            start_frame: 0,
            header: None,
            samples: 0,
            chunks: 0,
            tries: Tries::default(),
            resumed: 0,
            over: false,
        };
        while let Err(error) = events.call_once().await {
            events.pause(error).await?;
        }
        Ok(events)
    }

    /// The next piece; `None` after the last, and only where the answer is whole. Dropping the answer cancels the call.
    ///
    /// # Errors
    /// What ended the call for good, once; [`ClientError::Incomplete`] where the summary never came, and
    /// [`ClientError::Broken`] where the answer contradicts the contract.
    pub async fn next(&mut self) -> Option<Result<Event, ClientError>> {
        if self.over {
            return None;
        }
        let next = self.advance().await;
        self.over = !matches!(next, Ok(Some(_)));
        next.transpose()
    }

    /// How many times the call was made again.
    pub fn resumed(&self) -> u32 {
        self.resumed
    }

    async fn advance(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            let next = match self.events.next().await {
                Some(Ok(event)) => {
                    let sent = self.frames.load(Ordering::Acquire);
                    let frames = (!changes_frames(&self.call.config)).then_some(sent);
                    self.rules.take(&event, frames)?;
                    match self.joined(event)? {
                        Some(event) => return Ok(Some(event)),
                        None => continue,
                    }
                }
                Some(Err(error)) => Err(error),
                None => self.rules.end(),
            };
            match next {
                Ok(()) => return Ok(None),
                Err(error) => self.resume(error).await?,
            }
        }
    }

    /// The event as part of the whole answer; `None` for the header of a call that goes on with it.
    fn joined(&mut self, event: Event) -> Result<Option<Event>, ClientError> {
        Ok(Some(match event {
            Event::Header(header) => match &self.header {
                None => {
                    self.header = Some(header.clone());
                    Event::Header(header)
                }
                Some(first) => {
                    same_audio(first, &header)?;
                    return Ok(None);
                }
            },
            Event::Chunk(mut chunk) => {
                self.tries = Tries::default();
                chunk.sequence = self.chunks;
                self.chunks += 1;
                self.samples = chunk.start_sample + u64::from(chunk.samples);
                self.note_needed();
                Event::Chunk(chunk)
            }
            Event::Summary(mut summary) => {
                summary.samples = self.samples - self.call.config.start_sample;
                summary.frames += self.start_frame - self.call.config.start_frame;
                Event::Summary(summary)
            }
        }))
    }

    /// Tells a live mel which of its frames another call would need.
    fn note_needed(&self) {
        if let (Source::Live(mels), Some(header)) = (&self.call.mel, &self.header) {
            let seconds = self.samples as f64 / f64::from(header.sample_rate_hz.max(1));
            // One frame more: the product is rounded.
            let lead = u64::from(header.lead_frames) + 1;
            let before = lead + self.call.config.start_frame;
            mels.needs(((seconds * header.frames_per_second) as u64).saturating_sub(before));
        }
    }

    /// Goes on in another call, or ends with the error that broke this one off.
    async fn resume(&mut self, error: ClientError) -> Result<(), ClientError> {
        let mut error = error;
        loop {
            self.pause(error).await?;
            match self.call_once().await {
                Ok(()) => {
                    self.resumed += 1;
                    return Ok(());
                }
                Err(next) => error = next,
            }
        }
    }

    async fn call_once(&mut self) -> Result<(), ClientError> {
        let first = self.samples.max(self.call.config.start_sample);
        self.samples = first;
        self.frames = Arc::default();
        self.rules = Rules::starting_at(first);
        (self.events, self.start_frame) = self.call.make(first, &self.frames).await?;
        Ok(())
    }

    /// Waits before the next call, where another one may fare better.
    async fn pause(&mut self, error: ClientError) -> Result<(), ClientError> {
        // Half of a file is of no use to the other half.
        let is_bare = self
            .header
            .as_ref()
            .is_none_or(|h| Rules::is_bare(h.encoding()));
        match is_bare {
            true => self.tries.pause(error).await,
            false => Err(error),
        }
    }
}

/// Whether the server may make another number of frames of a mel.
pub(super) fn changes_frames(config: &proto::SynthesisConfig) -> bool {
    config.trim_padding || config.approximate_mel
}

/// Whether a second call makes the same audio as the first.
fn same_audio(first: &proto::StreamHeader, next: &proto::StreamHeader) -> Result<(), ClientError> {
    let pairs = [
        ("model", &first.model_sha256, &next.model_sha256),
        ("schedule", &first.schedule, &next.schedule),
        ("solver", &first.solver, &next.solver),
        ("precision", &first.precision, &next.precision),
    ];
    let found = pairs.iter().find(|(_, first, next)| first != next);
    let of = |h: &proto::StreamHeader| (h.sample_rate_hz, h.encoding, h.seed, h.steps, h.watermark);
    let alike = of(first) == of(next);
    let what = match (found, alike) {
        (None, true) => return Ok(()),
        (Some((what, ..)), _) => what,
        (None, false) => "form",
    };
    Err(ClientError::Broken {
        reason: format!(
            "the call broke off, and the server that took it up has another {what}: the audio would not fit together"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_model_cannot_go_on() {
        let first = proto::StreamHeader {
            model_sha256: "a".to_owned(),
            precision: "int8".to_owned(),
            ..proto::StreamHeader::default()
        };
        same_audio(&first, &first.clone()).unwrap();
        let next = proto::StreamHeader {
            precision: "float".to_owned(),
            ..first.clone()
        };
        let error = same_audio(&first, &next).unwrap_err().to_string();
        assert!(error.contains("another precision"), "{error}");
        let next = proto::StreamHeader {
            seed: 1,
            ..first.clone()
        };
        assert!(same_audio(&first, &next).is_err());
    }
}
