//! What all calls share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::Limits;
use super::keys::Keys;
use super::models::Models;
use super::status::{busy, unavailable};

/// What all calls share.
pub(super) struct Shared {
    pub limits: Limits,
    pub keys: Option<Keys>,
    /// Version of ONNX Runtime.
    pub onnx_runtime: String,
    /// Cancelled when calls must end at once.
    pub cut: CancellationToken,
    models: OnceLock<Models>,
    draining: AtomicBool,
    places: Arc<Semaphore>,
}

impl Shared {
    pub fn new(limits: Limits, keys: Option<Keys>, onnx_runtime: String) -> Shared {
        Shared {
            limits,
            keys,
            onnx_runtime,
            cut: CancellationToken::new(),
            models: OnceLock::new(),
            draining: AtomicBool::new(false),
            places: Arc::new(Semaphore::new(limits.max_streams)),
        }
    }

    /// The models, once they are loaded.
    pub fn models(&self) -> Result<&Models, Status> {
        self.models
            .get()
            .ok_or_else(|| unavailable("the server is starting: its models are being loaded"))
    }

    /// From now on calls are served.
    pub fn ready(&self, models: Models) -> &Models {
        self.models.get_or_init(|| models)
    }

    /// A place for a call that synthesises; none for one that only asks.
    pub fn place(&self, method: &str) -> Result<Option<OwnedSemaphorePermit>, Status> {
        if self.draining.load(Ordering::SeqCst) {
            return Err(stopping());
        }
        self.models()?;
        if method == "GetInfo" {
            return Ok(None);
        }
        let place = self.places.clone().try_acquire_owned();
        place.map(Some).map_err(|_| busy(self.limits.max_streams))
    }

    /// From now on calls are turned away. Ends when those under way have.
    pub async fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        let all = u32::try_from(self.limits.max_streams).unwrap_or(u32::MAX);
        // Never closed.
        let _ = self.places.acquire_many(all).await;
    }
}

/// What a call is told that the server can no longer serve.
pub(super) fn stopping() -> Status {
    unavailable("the server is stopping")
}
