//! Errors as problem details (RFC 9457), in the words of the gRPC service.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use tracing::Instrument;

use crate::server::call::{Call, name};
use crate::server::status::of_http;

/// The media type of problem details in JSON.
pub(super) const MEDIA_TYPE: &str = "application/problem+json";

/// What is wrong with a request, or with the server.
#[derive(Debug)]
pub(super) struct Problem {
    http: StatusCode,
    cause: Status,
}

impl Problem {
    /// A problem whose code alone does not say enough for HTTP.
    pub fn new(http: StatusCode, cause: Status) -> Problem {
        Problem { http, cause }
    }

    pub fn cause(&self) -> &Status {
        &self.cause
    }

    fn document(&self, details: &ErrorDetails) -> Value {
        let mut document = Map::new();
        let mut tell = |member: &str, value: Value| document.insert(member.to_owned(), value);
        tell("type", "about:blank".into());
        tell(
            "title",
            self.http.canonical_reason().unwrap_or("Error").into(),
        );
        tell("status", self.http.as_u16().into());
        tell("detail", self.cause.message().into());
        tell("code", name(self.cause.code()).into());
        if let Some(bad) = details.bad_request() {
            let errors = bad.field_violations.iter();
            let errors = errors.map(|error| place(&error.field, &error.description));
            tell("errors", errors.collect());
        }
        if let Some(info) = details.error_info() {
            tell("reason", info.reason.as_str().into());
            if !info.metadata.is_empty() {
                tell("metadata", json!(info.metadata));
            }
        }
        Value::Object(document)
    }
}

impl From<Status> for Problem {
    fn from(cause: Status) -> Problem {
        let http = StatusCode::from_u16(of_http(cause.code()));
        Problem {
            http: http.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            cause,
        }
    }
}

/// Where a field of a message is in a request: a parameter of the query, or the body.
fn place(field: &str, detail: &str) -> Value {
    let parameter = match field {
        "request_id" => Some("request_id"),
        "mel.layout" => Some("layout"),
        _ => field.strip_prefix("config."),
    };
    match parameter {
        Some(path) => {
            let name = path.split('.').next().unwrap_or(path);
            json!({"in": "query", "name": name, "detail": detail})
        }
        None => json!({"in": "body", "detail": detail}),
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let details = self.cause.get_error_details();
        let mut response = (self.http, self.document(&details).to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.cause.code() == Code::Unauthenticated {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(delay) = details.retry_info().and_then(|retry| retry.retry_delay) {
            let seconds = delay.as_secs_f64().ceil().max(1.0) as u64;
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// `work` on behalf of a call, within its deadline and in its span. A problem ends the call.
pub(super) async fn bounded<T>(
    call: &Call,
    work: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    let work = async { Ok(work.await) };
    let done = call.within(work.instrument(call.span().clone())).await;
    let done = done.map_err(Problem::from).and_then(|done| done);
    done.inspect_err(|problem| call.end(Err(problem.cause())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::status::{busy, invalid, unknown_model};

    fn document(status: Status) -> Value {
        let details = status.get_error_details();
        Problem::from(status).document(&details)
    }

    #[test]
    fn a_problem_has_the_words_and_the_place() {
        let found = document(invalid("config.schedule.name", "no such"));
        let place = json!([{"in": "query", "name": "schedule", "detail": "no such"}]);
        assert_eq!(
            (&found["status"], &found["detail"], &found["errors"]),
            (&json!(400), &json!("no such"), &place)
        );
        let found = document(invalid("mel.npy_bytes", "cut short"));
        assert_eq!(
            found["errors"][0],
            json!({"in": "body", "detail": "cut short"})
        );
        assert_eq!(document(unknown_model("x", &["a"]))["status"], 404);
    }

    #[test]
    fn headers_say_when_to_come_back_and_what_to_show() {
        let response = Problem::from(busy(2)).into_response();
        assert_eq!(response.status(), 429);
        let after: u64 = response.headers()[RETRY_AFTER]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!((1..=2).contains(&after), "{after}");
        let response = Problem::from(Status::unauthenticated("who?")).into_response();
        assert_eq!(response.headers()[WWW_AUTHENTICATE], "Bearer");
        assert_eq!(response.headers()[CONTENT_TYPE], MEDIA_TYPE);
    }
}
