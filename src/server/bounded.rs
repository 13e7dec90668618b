//! Health and reflection, which anybody may ask: bounded, so that nobody is kept from them by another.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::server::NamedService;

use super::connection::{Open, Peer};
use super::metadata;
use super::status::exhausted;

/// Streams of one service at once. A health check is answered at once and needs none.
const STREAMS: usize = 256;
/// Bytes of one answer: a hundred times what a client asks for that learns all there is.
const MAX_ANSWER: usize = 4 << 20;

/// A service beside the admission.
#[derive(Clone)]
pub(super) struct Bounded<S> {
    inner: S,
    streams: Arc<Semaphore>,
}

impl<S> Bounded<S> {
    pub fn new(inner: S) -> Bounded<S> {
        Bounded {
            inner,
            streams: Arc::new(Semaphore::new(STREAMS)),
        }
    }

    fn stream(&self, path: &str) -> Result<Option<OwnedSemaphorePermit>, Status> {
        if path.ends_with("/Check") {
            return Ok(None);
        }
        let stream = self.streams.clone().try_acquire_owned();
        stream.map(Some).map_err(|_| {
            exhausted(format!(
                "{STREAMS} streams of this service are open, which is all that may be"
            ))
        })
    }
}

impl<S: NamedService> NamedService for Bounded<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> tonic::codegen::Service<Request<Body>> for Bounded<S>
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
        let open = Peer::of(request.extensions()).open(false);
        let stream =
            metadata::check(request.headers()).and_then(|()| self.stream(request.uri().path()));
        let stream = match stream {
            Ok(stream) => stream,
            Err(status) => return Box::pin(async move { Ok(status.into_http()) }),
        };
        let answer = self.inner.call(request);
        Box::pin(async move {
            Ok(answer.await?.map(|inner| {
                Body::new(Answer {
                    inner,
                    left: MAX_ANSWER,
                    _open: open,
                    _stream: stream,
                })
            }))
        })
    }
}

/// An answer that may not go on for ever.
struct Answer {
    inner: Body,
    left: usize,
    _open: Open,
    _stream: Option<OwnedSemaphorePermit>,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = Pin::new(&mut self.inner).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &frame {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            match self.left.checked_sub(bytes) {
                Some(left) => self.left = left,
                None => {
                    let status = exhausted(format!("an answer has at most {MAX_ANSWER} bytes"));
                    return Poll::Ready(Some(Err(status)));
                }
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
}
