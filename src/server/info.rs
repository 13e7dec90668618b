//! What the server says of itself.

use std::time::Duration;

use tonic::Status;

use super::shared::Shared;
use crate::proto;

/// The server, its models and its limits.
pub(super) fn describe(shared: &Shared) -> Result<proto::GetInfoResponse, Status> {
    let limits = &shared.limits;
    let models = shared.models()?.all().map(|model| model.describe());
    Ok(proto::GetInfoResponse {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        onnx_runtime_version: shared.onnx_runtime.clone(),
        models: models.collect::<Result<_, Status>>()?,
        limits: Some(proto::Limits {
            max_unary_frames: limits.max_unary_frames,
            max_stream_frames: limits.max_stream_frames,
            max_message_bytes: u32::try_from(limits.max_message_bytes).unwrap_or(u32::MAX),
            max_streams: u32::try_from(shared.max_streams()?).unwrap_or(u32::MAX),
            max_steps: u32::try_from(limits.max_steps).unwrap_or(u32::MAX),
            max_call_seconds: seconds(limits.max_call),
            max_idle_seconds: seconds(limits.max_idle),
        }),
    })
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}
