//! `GET /v1/info`: what GetInfo says, in JSON, and what the page needs to draw a mel.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::origin;
use super::problem::Problem;
use super::site::Site;
use crate::mel::MelConvention;
use crate::proto;
use crate::server::admission::admit;
use crate::server::connection::Peer;
use crate::server::info::describe;
use crate::server::method::Method;

pub(super) async fn info(
    State(site): State<Arc<Site>>,
    request: Request,
) -> Result<Response, Problem> {
    origin::check(request.headers())?;
    let peer = Peer::of(request.extensions());
    let call = admit(&site.shared, Method::HttpInfo, request.headers(), &peer)?;
    let described = describe(&site.shared).and_then(|info| {
        let models = site.shared.models()?;
        let conventions = models.all().map(|model| &model.manifest().mel);
        Ok(document(&info, conventions))
    });
    let described = described.inspect_err(|status| call.end(Err(status)))?;
    call.end(Ok(()));
    let mut response = described.to_string().into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The fields of the message, under their names.
fn document<'a>(
    info: &proto::GetInfoResponse,
    conventions: impl Iterator<Item = &'a MelConvention>,
) -> Value {
    let models = info.models.iter().zip(conventions);
    let models: Vec<Value> = models.map(|(model, mel)| of_model(model, mel)).collect();
    let limits = info.limits.unwrap_or_default();
    json!({
        "version": info.version,
        "onnx_runtime_version": info.onnx_runtime_version,
        "models": models,
        "limits": {
            "max_unary_frames": limits.max_unary_frames,
            "max_stream_frames": limits.max_stream_frames,
            "max_message_bytes": limits.max_message_bytes,
            "max_streams": limits.max_streams,
            "max_steps": limits.max_steps,
            "max_call_seconds": limits.max_call_seconds,
            "max_idle_seconds": limits.max_idle_seconds,
        },
        "mel_conventions": MelConvention::names(),
    })
}

fn of_model(model: &proto::Model, mel: &MelConvention) -> Value {
    let schedules = model.schedules.iter();
    let schedules =
        schedules.map(|s| json!({"name": s.name, "steps": s.steps, "solver": s.solver}));
    json!({
        "name": model.name,
        "bundle": model.bundle,
        "version": model.version,
        "sha256": model.sha256,
        "licence": model.licence,
        "execution_provider": model.execution_provider,
        "execution_note": model.execution_note,
        "precision": model.precision,
        "process": model.process,
        "solvers": model.solvers,
        "schedules": schedules.collect::<Vec<_>>(),
        "default_schedule": model.default_schedule,
        "context_frames": model.context_frames,
        "mel": {
            "name": mel.name,
            "sample_rate_hz": mel.sample_rate,
            "n_fft": mel.n_fft,
            "win_length": mel.win_length,
            "hop": mel.hop,
            "n_mels": mel.n_mels,
            "f_min": mel.f_min,
            "f_max": mel.f_max,
            "floor": mel.floor_value(),
            "ceiling": mel.ceiling_value(),
            "band_centres_hz": mel.band_centres(),
        },
    })
}
