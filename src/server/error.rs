use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

use super::Address;
use crate::bundle::BundleError;
use crate::vocoder::VocoderError;

/// Why a server does not start, or does not go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}{}", hint(option, source))]
    Listen {
        /// The option that gives it.
        option: &'static str,
        /// The address as it was given.
        address: Address,
        /// What the system says.
        source: io::Error,
    },
    /// The address of the metrics cannot be listened on.
    #[error("`metrics` {address}: {reason}; give another address, or leave it out")]
    Metrics {
        /// The address.
        address: SocketAddr,
        /// What is wrong.
        reason: String,
    },
    /// A file that an option names cannot be read.
    #[error("`{option}` {}: {source}", path.display())]
    Read {
        /// The option.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Certificates or keys that do not make a TLS server.
    #[error(
        "`tls_cert`, `tls_key` and `tls_client_ca` must be PEM files that belong together: {reason}"
    )]
    Tls {
        /// What is wrong.
        reason: String,
    },
    /// A certificate that is not valid today.
    #[error("`tls_cert` {}: {reason}; get another one, or set the clock of this machine", path.display())]
    CertificateDates {
        /// The file.
        path: PathBuf,
        /// Which certificate, and what is wrong with its dates.
        reason: String,
    },
    /// A file of API keys that cannot be used.
    #[error("`api_keys` {}: {reason}", path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// A bundle is refused.
    #[error("model {model}: {source}")]
    Bundle {
        /// The name or folder of the model.
        model: String,
        /// Why.
        source: BundleError,
    },
    /// A model does not load, or fails its first synthesis.
    #[error("model {model}: {source}")]
    Model {
        /// The name or folder of the model.
        model: String,
        /// Why.
        source: Box<VocoderError>,
    },
    /// Two models of one name.
    #[error(
        "two models are called `{name}`: give one of them another name, as in `model` NAME=DIR"
    )]
    SameName {
        /// The name.
        name: String,
    },
    /// A place is given to a model that is not there.
    #[error("`model_provider` {name}=...: there is no model of that name; there is {known}", known = known.join(", "))]
    PlacedModel {
        /// The name given.
        name: String,
        /// The models' names.
        known: Vec<String>,
    },
    /// The thread that runs a model has ended while the server was up.
    #[error(
        "the thread that runs model {model} has ended: its streams were told, and the server stops; start it again, and report what is logged          above"
    )]
    ModelLost {
        /// The model's name.
        model: String,
    },
    /// The transport failed.
    #[error("serving failed: {reason}")]
    Transport {
        /// What it says.
        reason: String,
    },
    /// No thread, signal handler or the like.
    #[error("the system refuses {what}: {source}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// What it says.
        source: io::Error,
    },
}

fn hint(option: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!(
                ": another program has it; stop that one, or give another address as `{option}`"
            )
        }
        io::ErrorKind::PermissionDenied => {
            ": give a port above 1023, or a path that you may write to".to_owned()
        }
        io::ErrorKind::NotFound => ": make the folder of the socket first".to_owned(),
        _ => String::new(),
    }
}
