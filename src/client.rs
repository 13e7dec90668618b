//! The other side of the service: what `vocode client` and `vocode load` are made of.
//!
//! ```no_run
//! use vocode::Mel;
//! use vocode::client::{Client, ClientOptions, Event};
//! use vocode::proto::SynthesisConfig;
//!
//! # async fn example(mel: Mel, mut play: impl FnMut(&[u8])) -> Result<(), vocode::client::ClientError> {
//! let options = ClientOptions::default().address("localhost:50051".to_owned());
//! let mut client = Client::connect(&options).await?;
//! let mut events = client.stream(SynthesisConfig::default(), &mel).await?;
//! while let Some(event) = events.next().await {
//!     if let Event::Chunk(chunk) = event? {
//!         play(&chunk.audio);
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod answer;
mod connect;
mod error;
mod event;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tonic::codec::CompressionEncoding;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

pub use connect::{ClientOptions, TlsFiles};
pub use error::ClientError;
pub use event::Event;

use crate::mel::Mel;
use crate::proto;
use crate::proto::vocoder_service_client::VocoderServiceClient;
use answer::Rules;
use connect::Key;

/// Most bytes of one answer: unary audio can be long.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// A connection to a server.
#[derive(Clone)]
pub struct Client {
    service: VocoderServiceClient<InterceptedService<Channel, Key>>,
}

/// A streamed answer, held against the contract as it comes: it begins with its header, no audio is missing or twice
/// there, and it ends with a summary that counts what came.
pub struct Events {
    events: Pin<Box<dyn Stream<Item = Result<Event, ClientError>> + Send>>,
    rules: Rules,
    /// Frames sent so far.
    frames: Arc<AtomicU64>,
    over: bool,
}

impl Events {
    /// The next piece; `None` after the last, and only where the answer is whole. Dropping the answer cancels the call.
    ///
    /// # Errors
    /// What ended the call early, once; [`ClientError::Incomplete`] where the summary never came, and
    /// [`ClientError::Broken`] where the answer contradicts the contract.
    pub async fn next(&mut self) -> Option<Result<Event, ClientError>> {
        if self.over {
            return None;
        }
        let next = match self.events.next().await {
            Some(Ok(event)) => {
                let frames = self.frames.load(Ordering::Acquire);
                self.rules.take(&event, frames).map(|()| Some(event))
            }
            Some(Err(error)) => Err(error),
            None => self.rules.end().map(|()| None),
        };
        self.over = !matches!(next, Ok(Some(_)));
        next.transpose()
    }

    fn new(
        events: impl Stream<Item = Result<Event, ClientError>> + Send + 'static,
        frames: Arc<AtomicU64>,
    ) -> Events {
        Events {
            events: Box::pin(events),
            rules: Rules::default(),
            frames,
            over: false,
        }
    }
}

impl Client {
    /// Connects to a server.
    ///
    /// # Errors
    /// An address that is none, files that cannot be read, a server that cannot be reached.
    pub async fn connect(options: &ClientOptions) -> Result<Client, ClientError> {
        let channel = connect::channel(options).await?;
        let key = Key::new(options.api_key.as_deref())?;
        let service = VocoderServiceClient::with_interceptor(channel, key)
            .accept_compressed(CompressionEncoding::Gzip)
            .max_decoding_message_size(MAX_ANSWER_BYTES)
            .max_encoding_message_size(MAX_ANSWER_BYTES);
        Ok(Client { service })
    }

    /// What the server is and has.
    ///
    /// # Errors
    /// [`ClientError::Status`].
    pub async fn info(&mut self) -> Result<proto::GetInfoResponse, ClientError> {
        let answer = self.service.get_info(proto::GetInfoRequest {}).await?;
        Ok(answer.into_inner())
    }

    /// A whole mel for the whole audio.
    ///
    /// # Errors
    /// [`ClientError::Status`], and [`ClientError::Broken`] where the answer is not whole.
    pub async fn vocode(
        &mut self,
        config: proto::SynthesisConfig,
        mel: &Mel,
    ) -> Result<proto::VocodeResponse, ClientError> {
        let request = proto::VocodeRequest {
            config: Some(config),
            mel: Some(wire_mel(mel)),
            request_id: String::new(),
        };
        let answer = self.service.vocode(request).await?.into_inner();
        answer::whole(
            answer.header.as_ref(),
            &answer.audio,
            answer.summary.as_ref(),
            mel.frames() as u64,
        )?;
        Ok(answer)
    }

    /// A whole mel for audio piece by piece.
    ///
    /// # Errors
    /// [`ClientError::Status`].
    pub async fn stream(
        &mut self,
        config: proto::SynthesisConfig,
        mel: &Mel,
    ) -> Result<Events, ClientError> {
        let request = proto::VocodeStreamRequest {
            config: Some(config),
            mel: Some(wire_mel(mel)),
            request_id: String::new(),
        };
        let events = self.service.vocode_stream(request).await?.into_inner();
        let events = events.map(|answer| Ok(answer?.event.ok_or(ClientError::EmptyEvent)?.into()));
        Ok(Events::new(
            events,
            Arc::new(AtomicU64::new(mel.frames() as u64)),
        ))
    }

    /// Mels as they are made for audio piece by piece.
    ///
    /// # Errors
    /// [`ClientError::Status`].
    pub async fn live(
        &mut self,
        config: proto::SynthesisConfig,
        mels: impl Stream<Item = Mel> + Send + 'static,
    ) -> Result<Events, ClientError> {
        use proto::vocode_live_request::Message;
        let request = |message| proto::VocodeLiveRequest {
            message: Some(message),
            request_id: String::new(),
        };
        let first = futures_util::stream::iter([request(Message::Config(config))]);
        let frames = Arc::new(AtomicU64::new(0));
        let sent = frames.clone();
        let rest = mels.map(move |mel| {
            sent.fetch_add(mel.frames() as u64, Ordering::AcqRel);
            request(Message::Mel(wire_mel(&mel)))
        });
        let events = self
            .service
            .vocode_live(first.chain(rest))
            .await?
            .into_inner();
        let events = events.map(|answer| Ok(answer?.event.ok_or(ClientError::EmptyEvent)?.into()));
        Ok(Events::new(events, frames))
    }
}

/// A mel in the order in which its frames are made.
pub fn wire_mel(mel: &Mel) -> proto::Mel {
    let view = mel.view();
    let values = view
        .columns()
        .into_iter()
        .flat_map(|frame| frame.into_iter().copied().collect::<Vec<f32>>());
    let data: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
    proto::Mel {
        n_mels: u32::try_from(mel.n_mels()).unwrap_or(u32::MAX),
        n_frames: u32::try_from(mel.frames()).unwrap_or(u32::MAX),
        layout: proto::MelLayout::FramesFirst.into(),
        data_f32le: Bytes::from(data),
        npy_bytes: Bytes::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn frames_travel_one_after_another() {
        let mel = wire_mel(&Mel::new(array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).unwrap());
        assert_eq!((mel.n_mels, mel.n_frames), (2, 3));
        let values: Vec<f32> = mel
            .data_f32le
            .chunks(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect();
        assert_eq!(values, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    }
}
