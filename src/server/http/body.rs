//! The body of a request, whole.

use std::future::poll_fn;
use std::pin::Pin;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use http_body::Body as HttpBody;
use tonic::Status;

use super::problem::Problem;
use super::site::Site;
use crate::server::body::Received;
use crate::server::call::Call;
use crate::server::status::{beyond, invalid};

/// Reads a body to its end, charged to the call as it comes. `expected` says what it should be.
///
/// # Errors
/// 413 for one that is larger than a message of gRPC may be, 415 for a form, 400 for none at all, 504 for one that does not go on.
pub(super) async fn read(
    body: Body,
    headers: &HeaderMap,
    call: &Call,
    site: &Site,
    expected: &str,
) -> Result<Bytes, Problem> {
    let kind = headers.get(CONTENT_TYPE).map_or(&b""[..], |v| v.as_bytes());
    if kind.starts_with(b"multipart/") {
        let message =
            format!("the body is a form: send {expected} alone, as curl --data-binary @FILE does");
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            invalid("mel", message),
        ));
    }
    let limit = site.shared.limits.max_message_bytes;
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large(limit));
    }
    let inner = tonic::body::Body::new(body);
    let mut received = Received::new(inner, call.clone(), site.shared.clone(), false);
    let mut whole = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut received).poll_frame(context)).await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        if whole.len() + data.len() > limit {
            return Err(too_large(limit));
        }
        whole.extend_from_slice(&data);
    }
    match whole.is_empty() {
        true => Err(invalid("mel", format!("the request has no body: send {expected}")).into()),
        false => Ok(whole.into()),
    }
}

fn too_large(limit: usize) -> Problem {
    let message = format!(
        "the body has more than {limit} bytes, which is Limits.max_message_bytes: send it in pieces, the mel through VocodeLive of the gRPC service"
    );
    let cause: Status = beyond("mel", message);
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, cause)
}
