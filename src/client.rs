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
mod events;
mod source;
mod tries;
mod wire;

use futures_util::Stream;
use tonic::codec::CompressionEncoding;

pub use connect::{ClientOptions, TlsFiles};
pub use error::ClientError;
pub use event::Event;
pub use events::Events;
pub use wire::wire_mel;

use crate::mel::Mel;
use crate::proto;
use crate::proto::vocoder_service_client::VocoderServiceClient;
use connect::{Key, Service};
use events::{Call, Source};
use source::LiveMels;
use tries::Tries;

/// Most bytes of one answer: unary audio can be long.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// A connection to a server.
#[derive(Clone)]
pub struct Client {
    service: Service,
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
        let mut tries = Tries::default();
        loop {
            match self.service.get_info(proto::GetInfoRequest {}).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) => tries.pause(status.into()).await?,
            }
        }
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
        let frames = (!events::changes_frames(&config)).then_some(mel.frames() as u64);
        let request = proto::VocodeRequest {
            config: Some(config),
            mel: Some(wire_mel(mel)),
            request_id: String::new(),
        };
        let mut tries = Tries::default();
        let answer = loop {
            match self.service.vocode(request.clone()).await {
                Ok(answer) => break answer.into_inner(),
                Err(status) => tries.pause(status.into()).await?,
            }
        };
        answer::whole(
            answer.header.as_ref(),
            &answer.audio,
            answer.summary.as_ref(),
            frames,
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
        self.begin(config, Source::Whole(wire_mel(mel))).await
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
        self.begin(config, Source::Live(LiveMels::new(mels))).await
    }

    async fn begin(
        &mut self,
        config: proto::SynthesisConfig,
        mel: Source,
    ) -> Result<Events, ClientError> {
        let service = self.service.clone();
        Events::begin(Call {
            service,
            config,
            mel,
        })
        .await
    }
}
