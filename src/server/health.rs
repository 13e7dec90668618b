//! How the server is, for health checks over gRPC and HTTP, and the watch over the threads that run the models.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::models::{Model, Models};
use crate::proto::vocoder_service_server::SERVICE_NAME;
use crate::vocoder::WorkerState;

/// How often the threads are looked at.
const EVERY: Duration = Duration::from_millis(250);

/// How the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Its models are being loaded.
    Starting,
    /// It serves.
    Ready,
    /// A model does not answer, or its thread is gone.
    Hung,
    /// It was asked to stop.
    Stopping,
}

impl State {
    /// Whether a new server in its place would help nothing: it serves, starts or stops.
    pub fn is_alive(self) -> bool {
        self != State::Hung
    }

    pub fn is_ready(self) -> bool {
        self == State::Ready
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Starting => "starting",
            State::Ready => "ready",
            State::Hung => "a model does not answer",
            State::Stopping => "stopping",
        })
    }
}

/// What health checks are told.
pub(super) struct Health {
    reporter: HealthReporter,
    state: AtomicU8,
}

impl Health {
    /// That of a server that starts.
    pub async fn start(reporter: HealthReporter) -> Health {
        let health = Health {
            reporter,
            state: AtomicU8::new(State::Starting as u8),
        };
        health.set(State::Starting).await;
        health
    }

    /// Tells it from now on.
    pub async fn set(&self, state: State) {
        self.state.store(state as u8, Ordering::Relaxed);
        let status = match state {
            State::Ready => ServingStatus::Serving,
            _ => ServingStatus::NotServing,
        };
        for service in ["", SERVICE_NAME] {
            self.reporter.set_service_status(service, status).await;
        }
    }

    pub fn state(&self) -> State {
        let stored = self.state.load(Ordering::Relaxed);
        [State::Starting, State::Ready, State::Hung]
            .into_iter()
            .find(|state| *state as u8 == stored)
            .unwrap_or(State::Stopping)
    }
}

/// Turns health while a denoiser call of any model takes longer than `limit`, and back. Ends with the name of a model whose thread is gone:
/// it does not come back.
pub(super) async fn watch(models: &Models, health: &Health, limit: Duration) -> String {
    loop {
        tokio::time::sleep(EVERY).await;
        if let Some(lost) = models.all().find(|m| m.worker() == WorkerState::Lost) {
            health.set(State::Hung).await;
            return lost.name.clone();
        }
        match (models.all().find(|m| is_hung(m, limit)), health.state()) {
            (Some(model), State::Ready) => {
                tracing::error!(
                    model = model.name,
                    seconds = limit.as_secs(),
                    "a denoiser call has not returned (--model-timeout-seconds): not serving until it does"
                );
                health.set(State::Hung).await;
            }
            (None, State::Hung) => {
                tracing::info!("the model answers again: serving");
                health.set(State::Ready).await;
            }
            _ => {}
        }
    }
}

/// Whether the denoiser call under way takes longer than `limit`.
pub(super) fn is_hung(model: &Model, limit: Duration) -> bool {
    matches!(model.worker(), WorkerState::Busy(time) if time > limit)
}
