//! Watches the threads that run the models, so that health tells the truth about them.

use std::time::Duration;

use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::models::{Model, Models};
use crate::proto::vocoder_service_server::SERVICE_NAME;
use crate::vocoder::WorkerState;

/// How often the threads are looked at.
const EVERY: Duration = Duration::from_millis(250);

/// Sets the health of the server and of its service.
pub(super) async fn set_health(health: &HealthReporter, status: ServingStatus) {
    for service in ["", SERVICE_NAME] {
        health.set_service_status(service, status).await;
    }
}

/// Turns health to NOT_SERVING while a denoiser call of any model takes longer than `limit`, and back. Ends with the name of a model whose
/// thread is gone: it does not come back.
pub(super) async fn watch(models: &Models, health: &HealthReporter, limit: Duration) -> String {
    let mut is_serving = true;
    loop {
        tokio::time::sleep(EVERY).await;
        if let Some(lost) = models.all().find(|m| m.worker() == WorkerState::Lost) {
            return lost.name.clone();
        }
        let hung = models.all().find(|model| is_hung(model, limit));
        if hung.is_none() == is_serving {
            continue;
        }
        is_serving = hung.is_none();
        match hung {
            Some(model) => tracing::error!(
                model = model.name,
                seconds = limit.as_secs(),
                "a denoiser call has not returned (--model-timeout-seconds): not serving until it does"
            ),
            None => tracing::info!("the model answers again: serving"),
        }
        let status = match is_serving {
            true => ServingStatus::Serving,
            false => ServingStatus::NotServing,
        };
        set_health(health, status).await;
    }
}

/// Whether the denoiser call under way takes longer than `limit`.
pub(super) fn is_hung(model: &Model, limit: Duration) -> bool {
    matches!(model.worker(), WorkerState::Busy(time) if time > limit)
}
