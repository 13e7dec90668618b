//! How a server is reached.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

use super::ClientError;
use crate::proto::vocoder_service_client::VocoderServiceClient;
use crate::setters::setters;
use crate::text::with_causes;

/// Time to reach the server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How to reach a server.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ClientOptions {
    /// `host:port`, `http://host:port`, `https://host:port` or `unix:/path`.
    pub address: String,
    /// Sent as `authorization: Bearer KEY`.
    pub api_key: Option<String>,
    /// Certificates, for `https`.
    pub tls: TlsFiles,
}

setters!(ClientOptions {
    address: String,
    api_key: Option<String>,
    tls: TlsFiles,
});

/// PEM files of a TLS connection.
#[derive(Clone, Debug, Default)]
pub struct TlsFiles {
    /// The authority that signed the server's certificate; those of the system when `None`.
    pub ca: Option<PathBuf>,
    /// The client's own certificate and key, for servers that ask for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// The stub of the service on a connection.
pub(super) type Service = VocoderServiceClient<InterceptedService<Channel, Key>>;

/// Adds the API key to each call.
#[derive(Clone)]
pub(super) struct Key(Option<MetadataValue<Ascii>>);

impl Key {
    pub fn new(key: Option<&str>) -> Result<Key, ClientError> {
        let value = key.map(|key| {
            format!("Bearer {key}")
                .parse()
                .map_err(|_| ClientError::Key)
        });
        Ok(Key(value.transpose()?))
    }
}

impl Interceptor for Key {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", value.clone());
        }
        Ok(request)
    }
}

pub(super) async fn channel(options: &ClientOptions) -> Result<Channel, ClientError> {
    let address = &options.address;
    let bad = || ClientError::Address {
        address: address.clone(),
    };
    let url = if address.contains("://") || address.starts_with("unix:") {
        address.clone()
    } else {
        format!("http://{address}")
    };
    let mut endpoint = Endpoint::from_shared(url.clone())
        .map_err(|_| bad())?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true);
    if url.starts_with("https://") {
        endpoint = endpoint
            .tls_config(tls(&options.tls)?)
            .map_err(|e| unreachable(address, &e))?;
    }
    endpoint
        .connect()
        .await
        .map_err(|e| unreachable(address, &e))
}

fn tls(files: &TlsFiles) -> Result<ClientTlsConfig, ClientError> {
    let mut config = match &files.ca {
        Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(path)?)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    if let Some((certificate, key)) = &files.identity {
        config = config.identity(Identity::from_pem(read(certificate)?, read(key)?));
    }
    Ok(config)
}

fn read(path: &Path) -> Result<Vec<u8>, ClientError> {
    std::fs::read(path).map_err(|source| ClientError::File {
        path: path.to_owned(),
        source,
    })
}

fn unreachable(address: &str, error: &(dyn Error + 'static)) -> ClientError {
    ClientError::Unreachable {
        address: address.to_owned(),
        reason: with_causes(error),
    }
}
