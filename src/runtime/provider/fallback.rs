//! Why a provider cannot run.

use std::error::Error;
use std::fmt;

/// Why a provider cannot run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FallbackReason {
    /// All that is missing, the most telling first. Never empty.
    pub reasons: Vec<String>,
    /// Whether there is a GPU, or a library made for one: then somebody expects it to run.
    pub expected: bool,
}

impl FallbackReason {
    /// What happened to a provider that nothing stood in the way of.
    pub(crate) fn surprise(reason: String) -> FallbackReason {
        FallbackReason {
            reasons: vec![reason],
            expected: true,
        }
    }
}

impl fmt::Display for FallbackReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reasons.join("; "))
    }
}

impl Error for FallbackReason {}
