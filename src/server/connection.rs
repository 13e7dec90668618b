//! Connections: how many there are, whose they are, and when one is closed that asks for nothing.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::TaskTracker;
use tonic::codegen::http::Extensions;
use tonic::transport::server::{Connected, TlsConnectInfo};

use super::callers::Caller;

/// How long a new connection may take to its first request, a TLS handshake included.
const FIRST_REQUEST: Duration = Duration::from_secs(10);
/// How long a connection may stay without a request once it has had one.
const UNUSED: Duration = Duration::from_secs(900);
/// How long a connection that has ended is still read from.
const LINGER: Duration = Duration::from_secs(1);
/// A connection on which something was asked for not longer ago than this does not make room for another.
const SPARED: Duration = Duration::from_secs(1);

/// What the server knows of a connection.
pub(super) struct Peer {
    /// `None` of a Unix socket.
    pub address: Option<IpAddr>,
    opened: Instant,
    used: Mutex<Instant>,
    has_asked: AtomicBool,
    /// Requests under way.
    requests: AtomicUsize,
    /// Those of them that synthesise.
    calls: AtomicUsize,
    closing: CancellationToken,
    is_gone: AtomicBool,
}

/// A request under way on a connection.
pub(super) struct Open {
    peer: Arc<Peer>,
    is_call: bool,
}

impl Peer {
    pub fn new(address: Option<IpAddr>) -> Arc<Peer> {
        let now = Instant::now();
        Arc::new(Peer {
            address,
            opened: now,
            used: Mutex::new(now),
            has_asked: AtomicBool::new(false),
            requests: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
            closing: CancellationToken::new(),
            is_gone: AtomicBool::new(false),
        })
    }

    /// The connection that a request came by; one of its own where the transport does not say.
    pub fn of(extensions: &Extensions) -> Arc<Peer> {
        let plain = extensions.get::<Arc<Peer>>();
        let secured = || extensions.get::<TlsConnectInfo<Arc<Peer>>>();
        let found = plain.or_else(|| secured().map(TlsConnectInfo::get_ref));
        found.cloned().unwrap_or_else(|| Peer::new(None))
    }

    /// Notes a request; `is_call` of one that synthesises.
    pub fn open(self: &Arc<Peer>, is_call: bool) -> Open {
        self.has_asked.store(true, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.calls
            .fetch_add(usize::from(is_call), Ordering::Relaxed);
        Open {
            peer: self.clone(),
            is_call,
        }
    }

    /// Closes the connection.
    pub fn close(&self) {
        self.closing.cancel();
    }

    /// Notes that the connection has ended.
    pub fn leaves(&self) {
        self.is_gone.store(true, Ordering::Relaxed);
    }

    /// Whether the connection has ended.
    pub fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Relaxed)
    }

    fn used(&self) -> MutexGuard<'_, Instant> {
        self.used
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// When to look again whether the connection is of use; `None` when it is not.
    fn next_look(&self, now: Instant) -> Option<Instant> {
        let end = match self.is_silent() {
            true => self.opened + FIRST_REQUEST,
            false if self.requests.load(Ordering::Relaxed) > 0 => now + UNUSED,
            false => *self.used() + UNUSED,
        };
        (end > now).then_some(end)
    }

    /// Whether nothing was ever asked for on it.
    fn is_silent(&self) -> bool {
        !self.has_asked.load(Ordering::Relaxed)
    }

    /// The least goes first when places are needed: one that never asked, else the one unused for longest.
    fn worth(&self) -> (bool, Instant) {
        (!self.is_silent(), *self.used())
    }

    /// Whether nothing is synthesised on it, nor was asked for lately.
    fn is_unused(&self, now: Instant) -> bool {
        self.is_silent() || self.calls.load(Ordering::Relaxed) == 0 && *self.used() + SPARED <= now
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        *self.peer.used() = Instant::now();
        let calls = usize::from(self.is_call);
        self.peer.calls.fetch_sub(calls, Ordering::Relaxed);
        self.peer.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Bounds on connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionLimits {
    /// At once.
    pub most: usize,
    /// At once from one address.
    pub most_per_peer: usize,
    /// Whether that holds for addresses of this machine too.
    pub counts_local: bool,
}

/// The connections that are open.
pub(super) struct Connections {
    limits: ConnectionLimits,
    /// Those that have ended and are still read from.
    lingering: TaskTracker,
    peers: Mutex<Vec<Arc<Peer>>>,
}

impl Connections {
    pub fn new(limits: ConnectionLimits) -> Arc<Connections> {
        Arc::new(Connections {
            limits,
            lingering: TaskTracker::new(),
            peers: Mutex::default(),
        })
    }

    /// A place for a connection. Where all are taken it is that of another one on which nothing is synthesised, if there is such a one. Those that
    /// have asked for something make room for nobody while there are some that never did, the oldest of
    /// which goes at once: a crowd of these must neither part callers from the server nor keep new ones out.
    pub fn admit(&self, address: Option<IpAddr>) -> Option<Arc<Peer>> {
        self.admit_at(address, Instant::now())
    }

    fn admit_at(&self, address: Option<IpAddr>, now: Instant) -> Option<Arc<Peer>> {
        let mut peers = self.peers();
        let caller = address.map(Caller::at);
        let same = |peer: &Peer| caller.is_some() && peer.address.map(Caller::at) == caller;
        let counts = caller.is_some_and(|c| self.limits.counts_local || !c.is_local());
        let has_too_many =
            counts && peers.iter().filter(|peer| same(peer)).count() >= self.limits.most_per_peer;
        if has_too_many || peers.len() >= self.limits.most {
            let concerned = |peer: &Peer| !has_too_many || same(peer);
            let someone_is_silent = peers.iter().any(|peer| concerned(peer) && peer.is_silent());
            let victim = peers
                .iter()
                .enumerate()
                .filter(|(_, peer)| concerned(peer) && peer.is_unused(now))
                .filter(|(_, peer)| peer.is_silent() || !someone_is_silent)
                .min_by_key(|(_, peer)| peer.worth())
                .map(|(index, _)| index)?;
            peers.swap_remove(victim).close();
        }
        let peer = Peer::new(address);
        peers.push(peer.clone());
        Some(peer)
    }

    /// Waits for those that have ended and are still read from.
    pub async fn settle(&self) {
        self.lingering.close();
        self.lingering.wait().await;
    }

    fn leave(&self, gone: &Arc<Peer>) {
        gone.leaves();
        self.peers().retain(|peer| !Arc::ptr_eq(peer, gone));
    }

    fn peers(&self) -> MutexGuard<'_, Vec<Arc<Peer>>> {
        self.peers
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A byte stream in both directions.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection that ends when it asks for nothing or must make room.
pub(super) struct Connection {
    io: Box<dyn Io>,
    peer: Arc<Peer>,
    connections: Arc<Connections>,
    look: Pin<Box<Sleep>>,
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Connection {
    pub fn new(io: Box<dyn Io>, peer: Arc<Peer>, connections: Arc<Connections>) -> Connection {
        Connection {
            io,
            look: Box::pin(sleep_until(peer.opened + FIRST_REQUEST)),
            closing: Box::pin(peer.closing.clone().cancelled_owned()),
            peer,
            connections,
        }
    }

    /// Whether it is to be closed; wakes when that may have changed. Asked when it reads and when it writes: a peer that takes nothing may keep
    /// the server from either.
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        if self.closing.as_mut().poll(context).is_ready() {
            return true;
        }
        while self.look.as_mut().poll(context).is_ready() {
            match self.peer.next_look(Instant::now()) {
                Some(next) => self.look.as_mut().reset(next),
                None => return true,
            }
        }
        false
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connections.leave(&self.peer);
        // One that never asked for anything, or has to make room, is closed as it is.
        let has_answers = !self.peer.is_silent() && !self.peer.closing.is_cancelled();
        if has_answers && let Ok(runtime) = Handle::try_current() {
            let io = std::mem::replace(&mut self.io, Box::new(tokio::io::empty()));
            let rest = self.connections.lingering.track_future(linger(io));
            runtime.spawn(rest);
        }
    }
}

/// Ends the writing side and reads what still comes. Closed with something unread, the connection would be reset, and the reset may overtake
/// the last answer.
async fn linger(mut io: Box<dyn Io>) {
    let rest = async {
        io.shutdown().await?;
        tokio::io::copy(&mut io, &mut tokio::io::sink()).await
    };
    // Nobody is left to tell of a failure.
    let _ = timeout(LINGER, rest).await;
}

impl Connected for Connection {
    type ConnectInfo = Arc<Peer>;

    fn connect_info(&self) -> Arc<Peer> {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_over(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_over(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_over(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_over(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.io).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(most: usize, most_per_peer: usize, counts_local: bool) -> ConnectionLimits {
        ConnectionLimits {
            most,
            most_per_peer,
            counts_local,
        }
    }

    fn later() -> Instant {
        Instant::now() + SPARED
    }

    #[tokio::test]
    async fn a_place_is_taken_from_who_asks_for_nothing_never_from_a_call() {
        let connections = Connections::new(limits(3, 3, true));
        let address = |n: u8| Some(IpAddr::from([192, 0, 2, n]));
        let calling = connections.admit(address(1)).unwrap();
        let _call = calling.open(true);
        let asked = connections.admit(address(2)).unwrap();
        drop(asked.open(false));
        let silent = connections.admit(address(3)).unwrap();
        let fourth = connections.admit(address(4)).unwrap();
        assert!(silent.closing.is_cancelled() && !asked.closing.is_cancelled());
        drop(fourth.open(false));
        assert!(connections.admit_at(address(5), Instant::now()).is_none());
        let _calls = (asked.open(true), fourth.open(true));
        assert!(connections.admit_at(address(5), later()).is_none());
    }

    #[tokio::test]
    async fn a_crowd_that_asks_for_nothing_takes_no_place_of_a_caller_at_rest() {
        let connections = Connections::new(limits(3, 3, false));
        let caller = connections.admit(None).unwrap();
        drop(caller.open(true));
        // Before the crowd is there, and long after the caller's last request.
        caller.used().clone_from(&(Instant::now() - 10 * SPARED));
        let crowd = [(); 5].map(|()| connections.admit(None).unwrap());
        assert!(!caller.closing.is_cancelled());
        let closed = crowd.map(|peer| peer.closing.is_cancelled());
        assert_eq!(closed, [true, true, true, false, false]);
    }

    #[tokio::test]
    async fn an_address_gives_up_its_own_connections_first() {
        let (local, remote) = ([127, 0, 0, 1].into(), [192, 0, 2, 1].into());
        let connections = Connections::new(limits(9, 2, false));
        let neighbour = connections.admit(Some(local)).unwrap();
        let first = connections.admit(Some(remote)).unwrap();
        let second = connections.admit(Some(remote)).unwrap();
        let third = connections.admit_at(Some(remote), later()).unwrap();
        assert!(first.closing.is_cancelled() && !second.closing.is_cancelled());
        assert!(!neighbour.closing.is_cancelled() && !third.closing.is_cancelled());
        for _ in 0..3 {
            connections.admit(Some(local)).unwrap();
        }
        assert!(!neighbour.closing.is_cancelled());
    }
}
