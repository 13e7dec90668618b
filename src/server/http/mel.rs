//! `POST /v1/mel`: a recording in, its mel out, as the model takes it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::response::Response;
use tokio::task::block_in_place;
use tonic::Status;

use super::problem::{Problem, bounded};
use super::query::{self, OF_MEL};
use super::site::Site;
use super::{body, origin};
use crate::audio::{DecodeLimits, decode, resample};
use crate::mel::{MelConvention, analyse, write_npy};
use crate::server::admission::admit;
use crate::server::body::Answered;
use crate::server::call::Call;
use crate::server::connection::Peer;
use crate::server::method::Method;
use crate::server::request::identify;
use crate::server::status::{failed, invalid};

/// Most samples of a recording at its own rate: 46 s, the longest of the built-in model by default, at 91 kHz.
const MAX_SAMPLES: usize = 4 << 20;
/// Bytes that each of them may come to hold: as decoded, at the model's rate, and with the frames that overlap in between.
const HELD_BY_SAMPLE: u64 = 3 * 4;

/// Answers with the bytes of a `.npy` file, float32 `[n_mels, frames]`.
pub(super) async fn mel(
    State(site): State<Arc<Site>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    origin::check(&parts.headers)?;
    let peer = Peer::of(&parts.extensions);
    let open = peer.open(false);
    let call = admit(&site.shared, Method::HttpMel, &parts.headers, &peer)?;
    let npy = bounded(&call, make(&site, &call, &parts, body)).await?;
    call.end(Ok(()));
    let limit = site.shared.limits.max_idle;
    let npy = tonic::body::Body::new(Body::from(npy));
    let mut response = Response::new(Body::new(Answered::whole(npy, call, &peer, open, limit)));
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("application/octet-stream");
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn make(site: &Site, call: &Call, parts: &Parts, body: Body) -> Result<Vec<u8>, Problem> {
    let asked = query::read(&parts.uri, &OF_MEL)?;
    identify(call, asked.request_id)?;
    let model = site.shared.models()?.get(&asked.config.model)?;
    call.facts().model = Some(model.name.clone());
    let expected = "a recording: WAV, FLAC, MP3, Ogg Vorbis, Opus, AIFF, .au or M4A";
    let recording = body::read(body, &parts.headers, call, site, expected).await?;
    let turn = site.analyses.acquire().await;
    let _turn = turn.map_err(|error| failed(error.to_string()))?;
    call.charge(&site.shared.budget, HELD_BY_SAMPLE * MAX_SAMPLES as u64)?;
    let convention = &model.manifest().mel;
    let frames = site.shared.limits.max_unary_frames as usize;
    let npy = block_in_place(|| analysed(recording.into(), convention, frames))?;
    call.facts().frames = npy.frames as u64;
    Ok(npy.bytes)
}

/// A mel as a file.
struct Npy {
    frames: usize,
    bytes: Vec<u8>,
}

/// The mel of a recording of at most `frames` frames.
fn analysed(recording: Vec<u8>, convention: &MelConvention, frames: usize) -> Result<Npy, Status> {
    let seconds = (frames * convention.hop) as f64 / f64::from(convention.sample_rate);
    let limits = DecodeLimits::default()
        .max_seconds(seconds)
        .max_samples(MAX_SAMPLES);
    let refused = |error: &dyn std::fmt::Display| invalid("recording", error.to_string());
    let clip = decode(recording, None, &limits).map_err(|e| refused(&e))?;
    for warning in &clip.warnings {
        tracing::warn!("{warning}");
    }
    let samples = resample(clip.samples, clip.sample_rate, convention.sample_rate);
    let samples = samples.map_err(|e| refused(&e))?;
    let mel = analyse(&samples, convention).map_err(|e| refused(&e))?;
    let mut bytes = Vec::new();
    write_npy(&mut bytes, &mel).map_err(|e| failed(e.to_string()))?;
    Ok(Npy {
        frames: mel.frames(),
        bytes,
    })
}
