use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::text::visible;

/// What tonic says of an answer that ended without its status, as where a proxy lost the server.
const CUT_SHORT: &str = "protocol error";

/// Why a call failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The address of the server is none.
    #[error(
        "{address:?} is no address of a server: expected host:port, http://host:port, https://host:port or unix:/path"
    )]
    Address {
        /// The address as it was given.
        address: String,
    },
    /// Nobody answers there.
    #[error("cannot reach {address}: {reason}: see that `vocode serve` runs there")]
    Unreachable {
        /// The address as it was given.
        address: String,
        /// What went wrong, from the outside in.
        reason: String,
    },
    /// A certificate or key file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The API key cannot be sent.
    #[error("the API key holds characters that cannot be sent; expected printable ASCII")]
    Key,
    /// The server refused or failed.
    #[error("{}", describe(.0))]
    Status(Box<Status>),
    /// The answer breaks the contract.
    #[error("the server sent an empty event; it may be of another version")]
    EmptyEvent,
    /// The answer breaks the contract in another way.
    #[error("the server's answer is not whole: {reason}; nothing of it is kept")]
    Broken {
        /// The rule that it breaks.
        reason: String,
    },
    /// The stream ended before its summary.
    #[error(
        "the server's answer ended after {samples} samples, before its summary; nothing of it is kept"
    )]
    Incomplete {
        /// The samples that came.
        samples: u64,
    },
}

impl ClientError {
    /// Whether the server turned the call away because it has as much to do as it can.
    pub fn is_refusal(&self) -> bool {
        matches!(self, ClientError::Status(status) if status.code() == Code::ResourceExhausted)
    }

    /// Whether the server or the way to it was lost, or it is about to stop: another call may fare better.
    pub fn is_of_transport(&self) -> bool {
        match self {
            ClientError::Incomplete { .. } => true,
            ClientError::Status(status) => match status.code() {
                Code::Unavailable => true,
                Code::Unknown | Code::Internal | Code::Cancelled => is_of_this_side(status),
                _ => false,
            },
            _ => false,
        }
    }

    /// When to try again, where the server says that it will do later what it cannot do now.
    pub fn retry_delay(&self) -> Option<Duration> {
        match self {
            ClientError::Status(status) => status.get_error_details().retry_info()?.retry_delay,
            _ => None,
        }
    }
}

impl From<Status> for ClientError {
    fn from(status: Status) -> ClientError {
        ClientError::Status(Box::new(status))
    }
}

/// The code, the message, and what the details name.
fn describe(status: &Status) -> String {
    let details = status.get_error_details();
    let message = visible(status.message());
    let mut text = format!("the server says {:?}: {message}", status.code());
    for violation in details
        .bad_request()
        .into_iter()
        .flat_map(|bad| &bad.field_violations)
    {
        if !status.message().contains(&violation.description) {
            text += &format!(
                "; {}: {}",
                visible(&violation.field),
                visible(&violation.description)
            );
        } else {
            text += &format!(" ({})", visible(&violation.field));
        }
    }
    if let Some(delay) = details.retry_info().and_then(|retry| retry.retry_delay) {
        text += &format!("; try again in {:.1} s", delay.as_secs_f64());
    }
    text
}

/// Whether tonic made a status by itself: of a connection that broke off, or of an answer that ended without one. What a server says itself
/// has no cause on this side.
fn is_of_this_side(status: &Status) -> bool {
    let has_cause = std::error::Error::source(status).is_some();
    status.details().is_empty() && (has_cause || status.message().starts_with(CUT_SHORT))
}
