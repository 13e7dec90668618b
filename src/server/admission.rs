//! What every call passes before the service sees a byte of it: keys, readiness, limits. It sets the call's clock going and hears how it
//! ended.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::codegen::http::header::CONTENT_TYPE;
use tonic::codegen::http::{HeaderMap, Request, Response, StatusCode};
use tonic::server::NamedService;
use tonic::{Code, Status};
use tracing::Instrument;

use super::body::{Answered, Received, read_on};
use super::call::{Call, Holdings};
use super::connection::Peer;
use super::metadata;
use super::method::Method;
use super::shared::Shared;
use super::status::of_transport;

/// The service behind its admission.
#[derive(Clone)]
pub(super) struct Admission<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Admission<S> {
    pub fn new(inner: S, shared: Arc<Shared>) -> Admission<S> {
        Admission { inner, shared }
    }
}

/// Lets a call in.
///
/// # Errors
/// Why it goes no further, which is written down then.
pub(super) fn admit(
    shared: &Shared,
    method: Method,
    headers: &HeaderMap,
    peer: &Arc<Peer>,
) -> Result<Call, Status> {
    let limit = shared.limits.max_call;
    let arrive = |holdings| Call::arrive(method, headers, limit, holdings, peer.clone());
    holdings(shared, method, headers, peer)
        .map(arrive)
        .inspect_err(|status| arrive(Holdings::default()).end(Err(status)))
}

fn holdings(
    shared: &Shared,
    method: Method,
    headers: &HeaderMap,
    peer: &Arc<Peer>,
) -> Result<Holdings, Status> {
    metadata::check(headers)?;
    let keys = shared.keys.as_ref();
    let key = keys.map(|keys| keys.admit(headers)).transpose()?;
    shared.enter(method, key, peer)
}

impl<S: NamedService> NamedService for Admission<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> tonic::codegen::Service<Request<Body>> for Admission<S>
where
    S: tonic::codegen::Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if !is_grpc(request.headers()) {
            return Box::pin(async { Ok(not_grpc()) });
        }
        let method = Method::of_grpc(request.uri().path());
        let peer = Peer::of(request.extensions());
        let open = peer.open(method.synthesizes());
        let call = match admit(&self.shared, method, request.headers(), &peer) {
            Ok(call) => call,
            Err(status) => {
                read_on(request.into_body());
                return Box::pin(async move { Ok(status.into_http()) });
            }
        };
        let request = self.watched(method, request, &call);
        let answer = self.inner.call(request).instrument(call.span().clone());
        let idle_limit = self.shared.limits.max_idle;
        Box::pin(async move {
            // Also covers the time in which the request itself arrives.
            let answer = call.within(async { Ok(answer.await) }).await;
            let response = match answer {
                Ok(response) => response?,
                Err(status) => status.into_http(),
            };
            // A status in the head is the whole answer; otherwise the call goes on in the body and tells its end itself.
            if let Some(status) = Status::from_header_map(response.headers())
                && status.code() != Code::Ok
            {
                let status = of_transport(status);
                call.end(Err(&status));
                return Ok(status.into_http());
            }
            Ok(response.map(|body| {
                Body::new(match method.is_whole() {
                    true => Answered::whole(body, call, &peer, open, idle_limit),
                    false => Answered::streamed(body, open),
                })
            }))
        })
    }
}

impl<S> Admission<S> {
    /// The request with its call, its body watched where it is one message.
    fn watched(&self, method: Method, mut request: Request<Body>, call: &Call) -> Request<Body> {
        request.extensions_mut().insert(call.clone());
        if method == Method::Live {
            return request;
        }
        let is_compressed = request.headers().contains_key("grpc-encoding");
        let (call, shared) = (call.clone(), self.shared.clone());
        request.map(|body| Body::new(Received::new(body, call, shared, is_compressed)))
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map_or(&b""[..], |v| v.as_bytes());
    kind.starts_with(b"application/grpc")
}

fn not_grpc() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    response
}
