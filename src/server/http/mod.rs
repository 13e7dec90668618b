//! The service over HTTP/1.1, and the page that uses it.
//!
//! ```text
//! Listener -> Connection -> TLS -> hyper -> Router -> vocode: origin, admission, query, body -> Whole -> Synthesis -> audio
//!                                             ├ mel: the same, a recording -> its mel
//!                                             ├ info, /health, /ready, /openapi.json
//!                                             └ page: the files of `page/`
//! ```
//!
//! Requests come one at a time on a connection, so that a caller who goes away takes its call with it.

mod body;
mod format;
mod info;
mod mel;
mod openapi;
mod origin;
mod page;
mod problem;
mod query;
mod serve;
mod site;
mod vocode;

pub(super) use serve::serve;
pub(super) use site::Site;
