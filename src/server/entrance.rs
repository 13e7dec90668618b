//! What every call passes before the service sees a byte of it: keys, readiness, a place. It sets the call's clock going and hears how it ended.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::server::NamedService;
use tonic::{Code, Status};
use tracing::Instrument;

use super::call::Call;
use super::shared::Shared;
use super::status::of_transport;

/// The service behind its entrance.
#[derive(Clone)]
pub(super) struct Entrance<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Entrance<S> {
    pub fn new(inner: S, shared: Arc<Shared>) -> Entrance<S> {
        Entrance { inner, shared }
    }

    fn admit(&self, method: &'static str, headers: &HeaderMap) -> Result<Call, (Call, Status)> {
        let limit = self.shared.limits.max_call;
        let arrive = |place| Call::arrive(method, headers, limit, place);
        let keys = self.shared.keys.as_ref();
        if let Err(status) = keys.map_or(Ok(()), |keys| keys.admit(headers)) {
            return Err((arrive(None), status));
        }
        match self.shared.place(method) {
            Ok(place) => Ok(arrive(place)),
            Err(status) => Err((arrive(None), status)),
        }
    }
}

impl<S: NamedService> NamedService for Entrance<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> tonic::codegen::Service<Request<Body>> for Entrance<S>
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

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let method = method(request.uri().path());
        let call = match self.admit(method, request.headers()) {
            Ok(call) => call,
            Err((call, status)) => {
                call.end(Err(&status));
                return Box::pin(async { Ok(status.into_http()) });
            }
        };
        request.extensions_mut().insert(call.clone());
        let answer = self.inner.call(request).instrument(call.span().clone());
        Box::pin(async move {
            // Also covers the time in which the request itself arrives.
            let answer = call.within(async { Ok(answer.await) }).await;
            let response = match answer {
                Ok(response) => response?,
                Err(status) => status.into_http(),
            };
            // A status in the head is the whole answer; otherwise the call goes on in the body and tells its end itself.
            match Status::from_header_map(response.headers()) {
                Some(status) if status.code() != Code::Ok => {
                    let status = of_transport(status);
                    call.end(Err(&status));
                    Ok(status.into_http())
                }
                _ => Ok(response),
            }
        })
    }
}

/// The method of a path, one of a few names: what callers send does not become a label.
fn method(path: &str) -> &'static str {
    const METHODS: [&str; 4] = ["GetInfo", "Vocode", "VocodeStream", "VocodeLive"];
    let name = path.rsplit('/').next().unwrap_or_default();
    METHODS
        .into_iter()
        .find(|method| *method == name)
        .unwrap_or("unknown")
}
