//! The four methods.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tonic::{Request, Response, Status, Streaming};

use super::body::read_on_live;
use super::call::Call;
use super::decoding::MelDecoder;
use super::info::describe;
use super::request::{Order, identify};
use super::shared::Shared;
use super::status::{beyond, idle, invalid, of_transport};
use super::synthesis::{Answer, Events, Synthesis, answer, bounded};
use super::whole::{Whole, feed, push};
use super::wire_mel::{FrameLimit, held_bytes};
use crate::proto;
use crate::proto::vocode_live_request::Message;
use crate::proto::vocoder_service_server::VocoderService;
use crate::vocoder::MelInput;

/// Most samples of one answer: 32 MiB as 32-bit floats.
const MAX_UNARY_SAMPLES: u64 = 8 << 20;

/// Frames that a live call must bring before it is waited for anew.
const ENOUGH_FRAMES: u64 = 16;

/// The service itself.
pub(super) struct Service {
    shared: Arc<Shared>,
}

impl Service {
    pub fn new(shared: Arc<Shared>) -> Service {
        Service { shared }
    }
}

#[tonic::async_trait]
impl VocoderService for Service {
    type VocodeStreamStream = Answer<proto::VocodeStreamResponse>;
    type VocodeLiveStream = Answer<proto::VocodeLiveResponse>;

    async fn get_info(
        &self,
        request: Request<proto::GetInfoRequest>,
    ) -> Result<Response<proto::GetInfoResponse>, Status> {
        let info = describe(&self.shared)?;
        call_of(&request)?.end(Ok(()));
        Ok(Response::new(info))
    }

    async fn vocode(
        &self,
        request: Request<proto::VocodeRequest>,
    ) -> Result<Response<proto::VocodeResponse>, Status> {
        let call = call_of(&request)?;
        let proto::VocodeRequest {
            config,
            mel,
            request_id,
        } = request.into_inner();
        let limit = FrameLimit::Whole(self.shared.limits.max_unary_frames);
        let whole = Whole {
            request_id,
            config,
            mel,
        };
        let (opened, input, mel) = whole.open(&self.shared, &call, limit)?;
        if opened.header.total_samples > Some(MAX_UNARY_SAMPLES) {
            return Err(beyond(
                "config.sample_rate_hz",
                format!(
                    "at {} Hz the audio has more than the {MAX_UNARY_SAMPLES} samples that Vocode answers with: send the mel through VocodeStream",
                    opened.header.sample_rate_hz
                ),
            ));
        }
        // The samples, and as they are written.
        let samples = opened.header.total_samples.unwrap_or(MAX_UNARY_SAMPLES);
        call.charge(&self.shared.budget, 8 * samples)?;
        let work = async {
            let gather = Synthesis::new(call.clone(), opened).gather();
            Ok(tokio::try_join!(feed(input, mel), gather)?.1)
        };
        let response = bounded(&self.shared, &call, work).await?;
        call.end(Ok(()));
        Ok(Response::new(response))
    }

    async fn vocode_stream(
        &self,
        request: Request<proto::VocodeStreamRequest>,
    ) -> Result<Response<Self::VocodeStreamStream>, Status> {
        let call = call_of(&request)?;
        let proto::VocodeStreamRequest {
            config,
            mel,
            request_id,
        } = request.into_inner();
        let whole = Whole {
            request_id,
            config,
            mel,
        };
        Ok(Response::new(whole.answer(&self.shared, call)?))
    }

    async fn vocode_live(
        &self,
        request: Request<Streaming<proto::VocodeLiveRequest>>,
    ) -> Result<Response<Self::VocodeLiveStream>, Status> {
        let call = call_of(&request)?;
        let requests = request.into_inner();
        // The answer's head goes out at once: a client may wait for it before it sends its config.
        let work = {
            let (shared, call) = (self.shared.clone(), call.clone());
            async move |events: Events| {
                let mut requests = requests;
                let result = live(&shared, call, &mut requests, &events).await;
                if result.is_err() {
                    read_on_live(requests);
                }
                result
            }
        };
        Ok(Response::new(answer(self.shared.clone(), call, work)))
    }
}

/// A whole live call.
async fn live(
    shared: &Shared,
    call: Call,
    requests: &mut Streaming<proto::VocodeLiveRequest>,
    events: &Events,
) -> Result<(), Status> {
    let idle_limit = shared.limits.max_idle;
    let first = next(requests, idle_limit).await?;
    let first = first.ok_or_else(|| invalid("config", "the call ended before its config came"))?;
    let id = identify(&call, first.request_id)?;
    let Some(Message::Config(config)) = first.message else {
        return Err(invalid("config", "the first request must hold the config"));
    };
    let mut order = Order::read(shared, &call, config)?;
    let notes = order.decoder.of_pieces()?.notes().to_vec();
    let (mut opened, input) = order.open(shared, &call, id, None)?;
    for note in &notes {
        tracing::warn!("{note}");
    }
    opened.header.warnings = notes;
    let feed = feed_live(shared, requests, order.decoder, input);
    let deliver = Synthesis::new(call, opened).deliver(events);
    tokio::try_join!(feed, deliver).map(|_| ())
}

/// Hands a mel over as it comes.
async fn feed_live(
    shared: &Shared,
    requests: &mut Streaming<proto::VocodeLiveRequest>,
    mut decoder: MelDecoder<'_>,
    mut input: MelInput,
) -> Result<(), Status> {
    let limits = &shared.limits;
    let mut wait = Wait::new(limits.max_idle);
    while let Some(request) = wait.next(requests).await? {
        let mel = match request.message {
            Some(Message::Mel(mel)) => mel,
            Some(Message::Config(_)) => {
                return Err(invalid(
                    "config",
                    "the config comes once, in the first request",
                ));
            }
            None => {
                return Err(invalid(
                    "mel",
                    "every request after the first must hold a mel",
                ));
            }
        };
        let _charge = shared.budget.charge(held_bytes(&mel))?;
        let mel = decoder.piece(&mel, FrameLimit::Stream(limits.max_stream_frames))?;
        wait.brought(mel.ncols() as u64);
        if !push(&mut input, mel).await? {
            return Ok(());
        }
    }
    input.end();
    Ok(())
}

/// The next message of a live call, whose caller may not leave it waiting for long.
async fn next(
    requests: &mut Streaming<proto::VocodeLiveRequest>,
    idle_limit: Duration,
) -> Result<Option<proto::VocodeLiveRequest>, Status> {
    match timeout(idle_limit, requests.message()).await {
        Ok(message) => message.map_err(of_transport),
        Err(_) => Err(idle(idle_limit, "has sent nothing")),
    }
}

/// How long a live call is still waited for. A caller that brings its mel by single frames holds a place as one does that brings none.
struct Wait {
    limit: Duration,
    left: Duration,
    frames: u64,
}

impl Wait {
    fn new(limit: Duration) -> Wait {
        Wait {
            limit,
            left: limit,
            frames: 0,
        }
    }

    async fn next(
        &mut self,
        requests: &mut Streaming<proto::VocodeLiveRequest>,
    ) -> Result<Option<proto::VocodeLiveRequest>, Status> {
        let began = Instant::now();
        match timeout(self.left, requests.message()).await {
            Ok(message) => {
                self.left = self.left.saturating_sub(began.elapsed());
                message.map_err(of_transport)
            }
            Err(_) if self.frames == 0 => Err(idle(self.limit, "has sent nothing")),
            Err(_) => Err(idle(self.limit, "has sent hardly any mel")),
        }
    }

    fn brought(&mut self, frames: u64) {
        self.frames += frames;
        if self.frames >= ENOUGH_FRAMES {
            *self = Wait::new(self.limit);
        }
    }
}

/// The call that was admitted.
fn call_of<T>(request: &Request<T>) -> Result<Call, Status> {
    let call = request.extensions().get::<Call>().cloned();
    call.ok_or_else(|| Status::internal("the call did not come through the admission"))
}
