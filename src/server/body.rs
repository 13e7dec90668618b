//! The bodies of requests and answers, watched: what they hold is charged to the memory budget, and callers that stand still are left.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep, timeout};
use tonic::body::Body;
use tonic::{Status, Streaming};

use super::call::Call;
use super::connection::{Open, Peer};
use super::shared::Shared;
use super::status::idle;

/// Most bytes of an answer that are handed to the transport at once.
const PIECE: usize = 64 << 10;
/// How long a request is read on that was answered with an error.
const READ_ON: Duration = Duration::from_secs(2);
/// How much of it.
const READ_ON_BYTES: usize = 4 << 20;

/// The body of a request that is one message: it must come within a time, and is charged as it comes.
pub(super) struct Received {
    inner: Body,
    call: Call,
    shared: Arc<Shared>,
    /// Whether it unpacks to more than comes.
    is_compressed: bool,
    timer: Pin<Box<Sleep>>,
    limit: Duration,
}

impl Received {
    pub fn new(inner: Body, call: Call, shared: Arc<Shared>, is_compressed: bool) -> Received {
        let limit = shared.limits.max_idle;
        Received {
            inner,
            call,
            shared,
            is_compressed,
            timer: Box::pin(sleep(limit)),
            limit,
        }
    }

    /// What comes lies in the transport's buffer and in the message. A compressed message may unpack to the largest there is.
    fn charge(&mut self, bytes: usize) -> Result<(), Status> {
        let unpacked = match std::mem::take(&mut self.is_compressed) {
            true => self.shared.limits.max_message_bytes,
            false => 0,
        };
        self.call
            .charge(&self.shared.budget, (bytes + unpacked) as u64)
    }
}

impl HttpBody for Received {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = Pin::new(&mut self.inner).poll_frame(context);
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                if let Err(status) = self.charge(bytes) {
                    return Poll::Ready(Some(Err(status)));
                }
            }
            Poll::Pending if self.timer.as_mut().poll(context).is_ready() => {
                let status = idle(self.limit, "has not sent its request whole");
                return Poll::Ready(Some(Err(status)));
            }
            _ => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
}

/// Reads on for a while what a caller sends who has got an error already. Left unread, the request would be reset with the answer's end, and
/// what stands between (nginx, HAProxy) would tell the caller of the reset instead of the error.
pub(super) fn read_on(mut body: Body) {
    let mut left = READ_ON_BYTES;
    for_a_while(async move {
        while let Some(Ok(frame)) = poll_fn(|c| Pin::new(&mut body).poll_frame(c)).await {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(bytes) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    });
}

/// The same for the requests of a live call, of which some were read.
pub(super) fn read_on_live<T: Send + 'static>(mut requests: Streaming<T>) {
    for_a_while(async move { while let Ok(Some(_)) = requests.message().await {} });
}

fn for_a_while(reading: impl Future<Output = ()> + Send + 'static) {
    // A caller that goes on for longer does not listen.
    tokio::spawn(timeout(READ_ON, reading));
}

/// What lasts until an answer has left the server.
struct Answering {
    /// Of an answer that is one message; a stream's call ends by itself.
    _call: Option<Call>,
    _open: Open,
    /// Pieces that the transport has taken.
    taken: AtomicU64,
    /// Dropped with this, which tells the one who watches.
    _left: oneshot::Sender<()>,
}

/// The body of an answer, in pieces that keep its call until the transport has sent them.
pub(super) struct Answered {
    inner: Body,
    waiting: Bytes,
    answering: Arc<Answering>,
}

impl Answered {
    /// An answer that is one message. When its caller leaves it untaken for `limit`, the connection is closed.
    pub fn whole(
        inner: Body,
        call: Call,
        peer: &Arc<Peer>,
        open: Open,
        limit: Duration,
    ) -> Answered {
        let (answered, has_left) = Answered::new(inner, Some(call), open);
        let watched = Arc::downgrade(&answered.answering);
        let taken = move || watched.upgrade().map(|a| a.taken.load(Ordering::Relaxed));
        tokio::spawn(close_if_untaken(taken, has_left, peer.clone(), limit));
        answered
    }

    /// An answer that is made while it is taken: whoever makes it watches its caller.
    pub fn streamed(inner: Body, open: Open) -> Answered {
        Answered::new(inner, None, open).0
    }

    /// The same of a connection that has one request at a time. When the call has ended and its caller leaves the rest untaken for `limit`,
    /// the connection is closed.
    pub fn streamed_alone(
        inner: Body,
        call: &Call,
        peer: &Arc<Peer>,
        open: Open,
        limit: Duration,
    ) -> Answered {
        let (answered, has_left) = Answered::new(inner, None, open);
        let (watched, is_over) = (Arc::downgrade(&answered.answering), call.watch());
        // While it is made there is always something new.
        let mut looks = 0;
        let taken = move || match is_over() {
            false => {
                looks += 1;
                Some(u64::MAX - looks)
            }
            true => watched.upgrade().map(|a| a.taken.load(Ordering::Relaxed)),
        };
        tokio::spawn(close_if_untaken(taken, has_left, peer.clone(), limit));
        answered
    }

    fn new(inner: Body, call: Option<Call>, open: Open) -> (Answered, oneshot::Receiver<()>) {
        let (left, has_left) = oneshot::channel();
        let answering = Arc::new(Answering {
            _call: call,
            _open: open,
            taken: AtomicU64::new(0),
            _left: left,
        });
        let answered = Answered {
            inner,
            waiting: Bytes::new(),
            answering,
        };
        (answered, has_left)
    }
}

/// Closes the connection of a caller that takes nothing of its answer for `limit`.
async fn close_if_untaken(
    mut taken: impl FnMut() -> Option<u64>,
    mut has_left: oneshot::Receiver<()>,
    peer: Arc<Peer>,
    limit: Duration,
) {
    let mut before = Some(0);
    loop {
        tokio::select! {
            _ = &mut has_left => return,
            () = sleep(limit) => {}
        }
        let now = taken();
        if now == before {
            tracing::warn!(
                "a connection was closed: its caller has not taken an answer (--max-idle-seconds)"
            );
            peer.close();
            return;
        }
        before = now;
    }
}

/// A piece of an answer on its way.
struct AnswerBytes {
    bytes: Bytes,
    _answering: Arc<Answering>,
}

impl AsRef<[u8]> for AnswerBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl HttpBody for Answered {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.waiting.is_empty() {
            match std::task::ready!(Pin::new(&mut self.inner).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.waiting = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                end => return Poll::Ready(end),
            }
        }
        let size = self.waiting.len().min(PIECE);
        let piece = AnswerBytes {
            bytes: self.waiting.split_to(size),
            _answering: self.answering.clone(),
        };
        self.answering.taken.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_owner(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.waiting.is_empty() && self.inner.is_end_stream()
    }
}
