//! Ctrl-C, and requests to terminate.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use super::CliError;

/// What shells report for a program that SIGINT ended.
pub(super) const EXIT_CODE: u8 = 130;

static REQUESTED: AtomicBool = AtomicBool::new(false);
static WATCHED: AtomicBool = AtomicBool::new(false);

/// Takes over SIGINT, SIGTERM and SIGHUP. While a [`Watch`] lives, a signal only sets a flag and the work ends itself at the
/// next [`check`]; at any other time, and at the second signal, the process exits at once.
pub(super) fn install() {
    let handler = || {
        let again = REQUESTED.swap(true, Ordering::SeqCst);
        if again || !WATCHED.load(Ordering::SeqCst) {
            std::process::exit(i32::from(EXIT_CODE));
        }
    };
    // Without a handler a signal ends the process at once, which is what happens outside of a watch anyway.
    if let Err(error) = ctrlc::set_handler(handler) {
        tracing::debug!("no signal handler: {error}");
    }
}

/// A stretch of work that looks at the flag often enough to end itself.
pub(super) struct Watch(());

impl Watch {
    pub(super) fn start() -> Self {
        WATCHED.store(true, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHED.store(false, Ordering::SeqCst);
    }
}

/// Whether a signal came.
fn requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}

/// Whether work that asks after every part goes on.
pub(super) fn flow() -> ControlFlow<()> {
    if requested() {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}

/// Fails when a signal came.
pub(super) fn check() -> Result<(), CliError> {
    if requested() {
        Err(CliError::Interrupted)
    } else {
        Ok(())
    }
}
