//! Where connections come from.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_stream::Stream;

use super::connection::{Connection, Connections, Io};
use super::sampler::Sampler;
use super::{Address, ServerError};

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
    /// Listens on an address, which `option` gives; `mode` is that of a Unix socket.
    pub async fn bind(
        option: &'static str,
        address: &Address,
        mode: Option<u32>,
    ) -> Result<Listener, ServerError> {
        let bound = match address {
            Address::Tcp(address) => TcpListener::bind(address).await.map(Listener::Tcp),
            #[cfg(unix)]
            Address::Unix(path) => bind_unix(path, mode).await,
            #[cfg(not(unix))]
            Address::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        };
        bound.map_err(|source| ServerError::Listen {
            option,
            address: address.clone(),
            source,
        })
    }

    /// Whether the address makes sense, bound by another server or not.
    pub async fn check(option: &'static str, address: &Address) -> Result<(), ServerError> {
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
            option,
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

    /// The connections that come, as many as there are places for. One too many is closed as it comes.
    pub fn connections(
        self,
        places: Arc<Connections>,
    ) -> impl Stream<Item = Result<Connection, io::Error>> {
        futures_util::stream::unfold((self, places), |(listener, places)| async {
            loop {
                let (io, address) = match listener.accept().await {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        warn(&format!("a connection was not accepted: {error}"));
                        sleep(RECOVERY).await;
                        continue;
                    }
                };
                if let Some(peer) = places.admit(address) {
                    let connection = Connection::new(io, peer, places.clone());
                    return Some((Ok(connection), (listener, places)));
                }
                warn(
                    "a connection was closed: all places are taken (--max-connections, --max-connections-per-peer)",
                );
            }
        })
    }

    async fn accept(&self) -> io::Result<(Box<dyn Io>, Option<IpAddr>)> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // Small chunks must not wait for acknowledgements.
                stream.set_nodelay(true)?;
                Ok((Box::new(stream), Some(address.ip())))
            }
            #[cfg(unix)]
            Listener::Unix(listener, _) => Ok((Box::new(listener.accept().await?.0), None)),
        }
    }
}

/// Anybody can make many of these.
fn warn(text: &str) {
    static SAMPLER: Sampler = Sampler::new();
    if let Some(held_back) = SAMPLER.pass() {
        tracing::warn!(held_back, "{text}");
    }
}

/// Takes the place of a socket that a server left behind, but not that of one that lives.
#[cfg(unix)]
async fn bind_unix(path: &std::path::Path, mode: Option<u32>) -> io::Result<Listener> {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    let left_behind =
        std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if left_behind {
        if tokio::net::UnixStream::connect(path).await.is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        std::fs::remove_file(path)?;
    }
    let Some(mode) = mode else {
        let listener = tokio::net::UnixListener::bind(path)?;
        return Ok(Listener::Unix(listener, SocketFile(path.to_owned())));
    };
    // In a folder of its own until it has its mode: nobody connects before.
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let hidden = tempfile::tempdir_in(folder.unwrap_or(std::path::Path::new(".")))?;
    let made = hidden.path().join("socket");
    let listener = tokio::net::UnixListener::bind(&made)?;
    std::fs::set_permissions(&made, std::fs::Permissions::from_mode(mode))?;
    std::fs::rename(&made, path)?;
    Ok(Listener::Unix(listener, SocketFile(path.to_owned())))
}
