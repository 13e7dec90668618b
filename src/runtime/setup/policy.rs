//! Whether a missing library may be fetched.

use std::io::IsTerminal;

/// Whether a missing library may be installed without being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetupPolicy {
    /// Never.
    Never,
    /// When somebody is watching: stderr is a terminal.
    OnTerminal,
    /// Always.
    Always,
}

impl SetupPolicy {
    /// The policy of this process: `VOCODE_OFFLINE` forbids, `VOCODE_AUTO_SETUP` allows, otherwise a terminal does.
    /// Set means not empty and not `0`.
    pub fn from_process() -> SetupPolicy {
        if offline() {
            SetupPolicy::Never
        } else if is_set("VOCODE_AUTO_SETUP") {
            SetupPolicy::Always
        } else {
            SetupPolicy::OnTerminal
        }
    }

    /// Whether an installation may start now.
    pub fn allows(self) -> bool {
        match self {
            SetupPolicy::Never => false,
            SetupPolicy::OnTerminal => std::io::stderr().is_terminal(),
            SetupPolicy::Always => true,
        }
    }
}

/// Whether `VOCODE_OFFLINE` forbids fetching anything.
pub fn offline() -> bool {
    is_set("VOCODE_OFFLINE")
}

fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty() && value != "0")
}
