//! `POST /v1/vocode`: a mel in, its audio out as it is made.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use tokio_stream::StreamExt;
use tonic::Status;

use super::problem::{Problem, bounded};
use super::query::{self, OF_VOCODE};
use super::site::Site;
use super::{body, format, origin};
use crate::proto;
use crate::server::admission::admit;
use crate::server::body::Answered;
use crate::server::call::Call;
use crate::server::connection::Peer;
use crate::server::method::Method;
use crate::server::status::failed;
use crate::server::synthesis::{Answer, Event};
use crate::server::whole::Whole;

/// An answer whose first audio is there.
struct Begun {
    header: proto::StreamHeader,
    first: Bytes,
    rest: Answer<Event>,
}

/// Answers with audio; its head goes out with the first of it, so that whatever fails before has a status of its own.
pub(super) async fn vocode(
    State(site): State<Arc<Site>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    origin::check(&parts.headers)?;
    let peer = Peer::of(&parts.extensions);
    let open = peer.open(true);
    let call = admit(&site.shared, Method::HttpVocode, &parts.headers, &peer)?;
    let begun = bounded(&call, begin(&site, &call, &parts, body)).await?;
    let head = head(&begun.header);
    let limit = site.shared.limits.max_idle;
    let audio = tonic::body::Body::new(Body::from_stream(audio(begun)));
    let answered = Answered::streamed_alone(audio, &call, &peer, open, limit);
    let mut response = Response::new(Body::new(answered));
    response.headers_mut().extend(head);
    Ok(response)
}

/// From the request to the first audio.
async fn begin(site: &Site, call: &Call, parts: &Parts, body: Body) -> Result<Begun, Problem> {
    let mut asked = query::read(&parts.uri, &OF_VOCODE)?;
    if query::encoding(&asked.config).is_none() {
        asked.config.encoding = format::accepted(&parts.headers)?.into();
    }
    let expected = "the bytes of a .npy file";
    let npy_bytes = body::read(body, &parts.headers, call, site, expected).await?;
    let whole = Whole {
        request_id: asked.request_id,
        config: Some(asked.config),
        mel: Some(proto::Mel {
            layout: asked.layout.into(),
            npy_bytes,
            ..proto::Mel::default()
        }),
    };
    let mut events: Answer<Event> = whole.answer(&site.shared, call.clone())?;
    let mut header = None;
    while let Some(event) = events.next().await {
        match (event?, header) {
            (Event::Header(found), _) => header = Some(found),
            (Event::Chunk(chunk), Some(header)) => {
                return Ok(Begun {
                    first: chunk.audio,
                    header,
                    rest: events,
                });
            }
            (_, _) => break,
        }
    }
    Err(failed("the call ended before its audio came".to_owned()).into())
}

/// All audio. An error in between breaks the answer off, so that it does not look whole.
fn audio(begun: Begun) -> impl tokio_stream::Stream<Item = Result<Bytes, Status>> {
    let rest = begun.rest.filter_map(|event| match event {
        Ok(Event::Chunk(chunk)) => Some(Ok(chunk.audio)),
        Ok(Event::Header(_) | Event::Summary(_)) => None,
        Err(status) => Some(Err(status)),
    });
    tokio_stream::once(Ok(begun.first)).chain(rest)
}

/// The head of an answer: what ran, as [`proto::StreamHeader`] says it.
fn head(header: &proto::StreamHeader) -> HeaderMap {
    let mut head = HeaderMap::new();
    head.insert(CONTENT_TYPE, value(format::media_type(header.encoding())));
    head.insert(CACHE_CONTROL, value("no-store"));
    let told = [
        ("vocode-request-id", header.request_id.clone()),
        ("vocode-model", header.model.clone()),
        ("vocode-model-sha256", header.model_sha256.clone()),
        ("vocode-sample-rate", header.sample_rate_hz.to_string()),
        ("vocode-encoding", format::name(header.encoding())),
        ("vocode-seed", header.seed.to_string()),
        ("vocode-schedule", header.schedule.clone()),
        ("vocode-steps", header.steps.to_string()),
        ("vocode-solver", header.solver.clone()),
        ("vocode-provider", header.execution_provider.clone()),
        ("vocode-precision", header.precision.clone()),
    ];
    for (name, text) in told {
        head.insert(HeaderName::from_static(name), value(&text));
    }
    if let Some(samples) = header.total_samples {
        head.insert("vocode-total-samples", HeaderValue::from(samples));
    }
    if let Some(bits) = header.watermark {
        head.insert("vocode-watermark", value(&format!("{bits:08x}")));
    }
    for warning in &header.warnings {
        head.append("vocode-warning", value(warning));
    }
    head
}

/// A text as the value of a header, which holds ASCII alone.
fn value(text: &str) -> HeaderValue {
    let plain = |c: char| {
        if c.is_ascii_graphic() || c == ' ' {
            c
        } else {
            '?'
        }
    };
    let text: String = text.chars().map(plain).collect();
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("?"))
}
