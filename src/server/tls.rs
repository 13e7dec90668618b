//! TLS, from PEM files.

use std::path::Path;
use std::time::Duration;

use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};

use super::{ServerError, TlsFiles};
use crate::text::with_causes;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Makes the server speak TLS, and ask callers for certificates where an authority is given for them.
pub(super) fn secure(server: Server, files: &TlsFiles) -> Result<Server, ServerError> {
    let identity = Identity::from_pem(
        read("--tls-cert", &files.cert)?,
        read("--tls-key", &files.key)?,
    );
    let mut config = ServerTlsConfig::new().identity(identity).timeout(HANDSHAKE);
    if let Some(authority) = &files.client_ca {
        config = config.client_ca_root(Certificate::from_pem(read("--tls-client-ca", authority)?));
    }
    server.tls_config(config).map_err(|error| ServerError::Tls {
        reason: with_causes(&error),
    })
}

fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, ServerError> {
    std::fs::read(path).map_err(|source| ServerError::Read {
        flag,
        path: path.to_owned(),
        source,
    })
}
