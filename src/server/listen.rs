//! Where connections come from, and how many there may be.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tokio_stream::Stream;
use tonic::transport::server::Connected;

use super::{Address, ServerError};

/// How long a new connection may say nothing.
const SILENCE: Duration = Duration::from_secs(10);
/// How long to wait when the system has no room for another connection.
const RECOVERY: Duration = Duration::from_millis(100);

/// A bound address.
pub(super) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(tokio::net::UnixListener, SocketFile),
}

/// The file of a Unix socket, which goes when the server does.
#[cfg(unix)]
pub(super) struct SocketFile(std::path::PathBuf);

#[cfg(unix)]
impl Drop for SocketFile {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Listener {
    pub async fn bind(address: &Address) -> Result<Listener, ServerError> {
        let bound = match address {
            Address::Tcp(address) => TcpListener::bind(address).await.map(Listener::Tcp),
            #[cfg(unix)]
            Address::Unix(path) => bind_unix(path).await,
            #[cfg(not(unix))]
            Address::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        };
        bound.map_err(|source| ServerError::Listen {
            address: address.clone(),
            source,
        })
    }

    /// Whether the address makes sense, bound by another server or not.
    pub async fn check(address: &Address) -> Result<(), ServerError> {
        let checked = match address {
            Address::Tcp(address) => tokio::net::lookup_host(address).await.map(|_| ()),
            Address::Unix(path) => match path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => {
                    std::fs::metadata(folder).map(|_| ())
                }
                _ => Ok(()),
            },
        };
        checked.map_err(|source| ServerError::Listen {
            address: address.clone(),
            source,
        })
    }

    /// The address that is really listened on.
    pub fn address(&self) -> String {
        match self {
            Listener::Tcp(listener) => listener
                .local_addr()
                .map_or_else(|_| "?".to_owned(), |address| address.to_string()),
            #[cfg(unix)]
            Listener::Unix(_, file) => format!("unix:{}", file.0.display()),
        }
    }

    /// Whether other machines can reach it.
    pub fn is_public(&self) -> bool {
        let local = |address: IpAddr| address.to_canonical().is_loopback();
        match self {
            Listener::Tcp(listener) => listener
                .local_addr()
                .is_ok_and(|address| !local(address.ip())),
            #[cfg(unix)]
            Listener::Unix(..) => false,
        }
    }

    /// The connections that come, `most` at once. One too many is closed as it comes.
    pub fn connections(self, most: usize) -> impl Stream<Item = Result<Connection, io::Error>> {
        let places = Arc::new(Semaphore::new(most));
        futures_util::stream::unfold((self, places), |(listener, places)| async {
            loop {
                let io = match listener.accept().await {
                    Ok(io) => io,
                    Err(error) => {
                        tracing::warn!("a connection was not accepted: {error}");
                        sleep(RECOVERY).await;
                        continue;
                    }
                };
                match places.clone().try_acquire_owned() {
                    Ok(place) => return Some((Ok(Connection::new(io, place)), (listener, places))),
                    Err(_) => tracing::warn!(
                        "a connection was closed: all places are taken (--max-connections)"
                    ),
                }
            }
        })
    }

    async fn accept(&self) -> io::Result<Box<dyn Io>> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Small chunks must not wait for acknowledgements.
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
            #[cfg(unix)]
            Listener::Unix(listener, _) => Ok(Box::new(listener.accept().await?.0)),
        }
    }
}

/// Takes the place of a socket that a server left behind, but not that of one that lives.
#[cfg(unix)]
async fn bind_unix(path: &std::path::Path) -> io::Result<Listener> {
    use std::os::unix::fs::FileTypeExt;
    let left_behind =
        std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if left_behind {
        if tokio::net::UnixStream::connect(path).await.is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        std::fs::remove_file(path)?;
    }
    let listener = tokio::net::UnixListener::bind(path)?;
    Ok(Listener::Unix(listener, SocketFile(path.to_owned())))
}

/// A byte stream in both directions.
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl Io for TcpStream {}
#[cfg(unix)]
impl Io for tokio::net::UnixStream {}

/// A connection, its place among those that may be, and its patience with a caller that says nothing.
pub(super) struct Connection {
    io: Box<dyn Io>,
    silence: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn new(io: Box<dyn Io>, place: OwnedSemaphorePermit) -> Connection {
        Connection {
            io,
            silence: Some(Box::pin(sleep_until(Instant::now() + SILENCE))),
            _place: place,
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        if read.is_ready() {
            self.silence = None;
        } else if let Some(silence) = &mut self.silence
            && silence.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
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
        Pin::new(&mut self.io).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
