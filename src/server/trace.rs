//! A call as a span of OpenTelemetry, by the names of its semantic conventions for gRPC and HTTP. Without an exporter all of it comes to nothing.

use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::Status as SpanStatus;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tonic::Code;
use tonic::codegen::http::HeaderMap;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::method::Method;
use super::status::of_http;
use crate::proto::vocoder_service_server::SERVICE_NAME;

/// Puts the span of a call into the trace that its `traceparent` names (W3C Trace Context), if it has one.
pub(super) fn begin(span: &Span, method: Method, headers: &HeaderMap) {
    let context = TraceContextPropagator::new().extract(&Metadata(headers));
    // Fails without an exporter.
    let _ = span.set_parent(context);
    if let Some((verb, route)) = method.http() {
        span.set_attribute("http.request.method", verb);
        span.set_attribute("http.route", route);
        return;
    }
    span.set_attribute("rpc.system", "grpc");
    span.set_attribute("rpc.service", SERVICE_NAME);
    span.set_attribute("rpc.method", method.name());
}

/// How the call ended.
pub(super) fn end(span: &Span, method: Method, code: Code, error: Option<&str>) {
    match method.http() {
        Some(_) => span.set_attribute("http.response.status_code", i64::from(of_http(code))),
        None => span.set_attribute("rpc.grpc.status_code", i64::from(code as i32)),
    }
    if let Some(error) = error {
        span.set_status(SpanStatus::error(error.to_owned()));
    }
}

struct Metadata<'a>(&'a HeaderMap);

impl Extractor for Metadata<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|name| name.as_str()).collect()
    }
}
