//! TLS, from PEM files that can be read again while the server runs.

use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::StreamExt;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;
use tokio_stream::Stream;
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};

use super::connection::Connection;
use super::{ServerError, TlsFiles};
use crate::text::with_causes;

/// What is spoken on a connection, which the handshake settles (ALPN).
#[derive(Clone, Copy, Debug)]
pub(super) enum Protocol {
    /// That of gRPC.
    Http2,
    Http1,
}

impl Protocol {
    fn name(self) -> &'static [u8] {
        match self {
            Protocol::Http2 => b"h2",
            Protocol::Http1 => b"http/1.1",
        }
    }
}

/// The certificates of a server. Connections that come after they were read again are given the new ones.
pub(super) struct Certificates {
    files: TlsFiles,
    current: RwLock<Loaded>,
}

/// What the files held.
struct Loaded {
    http2: Arc<ServerConfig>,
    http1: Arc<ServerConfig>,
    /// The server's certificates, its own first.
    chain: Vec<CertificateDer<'static>>,
}

impl Certificates {
    /// Reads the files.
    ///
    /// # Errors
    /// A file that cannot be read, or holds no certificate or key that belongs to the others.
    pub fn load(files: &TlsFiles) -> Result<Certificates, ServerError> {
        Ok(Certificates {
            files: files.clone(),
            current: RwLock::new(read(files)?),
        })
    }

    /// Whether callers can trust the server's certificates today.
    ///
    /// # Errors
    /// [`ServerError::CertificateDates`].
    pub fn check_dates(&self) -> Result<(), ServerError> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        check_dates(&self.files.cert, &current.chain)
    }

    /// Reads the files again. With an error the certificates stay as they were.
    ///
    /// # Errors
    /// Those of [`Certificates::load`] and [`Certificates::check_dates`].
    pub fn reload(&self) -> Result<(), ServerError> {
        let fresh = read(&self.files)?;
        check_dates(&self.files.cert, &fresh.chain)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// The connections once they are secured. Up to `most` at once are being secured; one that fails, or that [`Connection`] finds to take too
    /// long, is closed.
    pub fn secure(
        self: Arc<Certificates>,
        connections: impl Stream<Item = io::Result<Connection>>,
        protocol: Protocol,
        most: usize,
    ) -> impl Stream<Item = io::Result<TlsStream<Connection>>> {
        let secure = move |connection: io::Result<Connection>| {
            let certificates = self.clone();
            // A task each: the mathematics of one handshake must not keep others from their audio.
            tokio::spawn(async move { certificates.acceptor(protocol).accept(connection?).await })
        };
        let secured = connections.map(secure).buffer_unordered(most);
        secured.filter_map(async |secured| match secured {
            Ok(Ok(connection)) => Some(Ok(connection)),
            Ok(Err(error)) => {
                tracing::debug!("a TLS handshake failed: {error}");
                None
            }
            Err(_) => None,
        })
    }

    fn acceptor(&self, protocol: Protocol) -> TlsAcceptor {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(match protocol {
            Protocol::Http2 => current.http2.clone(),
            Protocol::Http1 => current.http1.clone(),
        })
    }
}

fn read(files: &TlsFiles) -> Result<Loaded, ServerError> {
    let refused = |error: &(dyn std::error::Error + 'static)| ServerError::Tls {
        reason: with_causes(error),
    };
    let chain = certificates("tls_cert", &files.cert)?;
    let key = PrivateKeyDer::from_pem_slice(&contents("tls_key", &files.key)?);
    let key = key.map_err(|e| refused(&e))?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone());
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(|e| refused(&e))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates("tls_client_ca", authority)? {
                roots.add(certificate).map_err(|e| refused(&e))?;
            }
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|e| refused(&e))?)
        }
    };
    let config = builder
        .with_single_cert(chain.clone(), key)
        .map_err(|e| refused(&e))?;
    let speaking = |protocol: Protocol| {
        let mut config = config.clone();
        config.alpn_protocols.push(protocol.name().to_vec());
        Arc::new(config)
    };
    Ok(Loaded {
        http2: speaking(Protocol::Http2),
        http1: speaking(Protocol::Http1),
        chain,
    })
}

/// The certificates of a PEM file; at least one.
fn certificates(
    option: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, ServerError> {
    let pem = contents(option, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let reason = match found {
        Ok(found) if !found.is_empty() => return Ok(found),
        Ok(_) => "there is none in it".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(ServerError::Tls {
        reason: format!("certificates in {}: {reason}", path.display()),
    })
}

fn check_dates(path: &Path, chain: &[CertificateDer<'_>]) -> Result<(), ServerError> {
    let now = ASN1Time::now();
    for certificate in chain {
        let (_, parsed) =
            X509Certificate::from_der(certificate).map_err(|error| ServerError::Tls {
                reason: with_causes(&error),
            })?;
        let validity = parsed.validity();
        let wrong = match (validity.not_before, validity.not_after) {
            (_, end) if end < now => ("expired on", end),
            (begin, _) if begin > now => ("is not valid before", begin),
            _ => continue,
        };
        return Err(dates(path, &parsed, wrong));
    }
    Ok(())
}

fn dates(path: &Path, certificate: &X509Certificate<'_>, wrong: (&str, ASN1Time)) -> ServerError {
    let (what, date) = wrong;
    ServerError::CertificateDates {
        path: path.to_owned(),
        reason: format!(
            "the certificate of `{}` {what} {date}",
            certificate.subject()
        ),
    }
}

fn contents(option: &'static str, path: &Path) -> Result<Vec<u8>, ServerError> {
    std::fs::read(path).map_err(|source| ServerError::Read {
        option,
        path: path.to_owned(),
        source,
    })
}
