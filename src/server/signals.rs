//! The signals of a server.

use super::ServerError;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGTERM: stop, as balancers learn of it.
    Stop,
    /// SIGINT: stop; somebody waits at a terminal.
    Interrupt,
    /// SIGHUP: read the API keys and certificates again.
    Reload,
}

/// The signals, from the moment that this exists.
#[cfg(unix)]
pub(super) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub fn listen() -> Result<Signals, ServerError> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| {
            signal(kind).map_err(|source| ServerError::System {
                what: "a signal handler",
                source,
            })
        };
        Ok(Signals {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.hangup.recv() => Signal::Reload,
        }
    }

    /// The next one that asks to stop.
    pub async fn stop(&mut self) {
        while self.next().await == Signal::Reload {}
    }
}

/// Ctrl-C alone, where there are no signals.
#[cfg(not(unix))]
pub(super) struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub fn listen() -> Result<Signals, ServerError> {
        Ok(Signals)
    }

    pub async fn next(&mut self) -> Signal {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Signal::Interrupt
    }

    /// The next one that asks to stop.
    pub async fn stop(&mut self) {
        self.next().await;
    }
}
