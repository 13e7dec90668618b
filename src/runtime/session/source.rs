//! A graph before it is loaded.

use super::clock::Clock;
use crate::runtime::provider::{FallbackReason, Profile};
use crate::runtime::provider_name::Provider;

/// A graph to be loaded.
#[derive(Clone, Copy, Debug)]
pub struct GraphSource<'a> {
    /// The ONNX model.
    pub bytes: &'a [u8],
    /// Its name in messages.
    pub label: &'a str,
    /// The shapes that it will be given, where they are known: some providers build engines for them.
    pub profile: Option<&'a Profile>,
    /// What `auto` does not try again.
    pub fallbacks: &'a [(Provider, FallbackReason)],
    /// Adds up the time of its runs.
    pub clock: &'a Clock,
}
