//! What the handlers share.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::runtime::processors;
use crate::server::health::Health;
use crate::server::shared::Shared;

/// What the handlers share.
pub(in crate::server) struct Site {
    pub shared: Arc<Shared>,
    pub health: Arc<Health>,
    /// Recordings that are made into mels at once: others wait, so that the models keep half of the processors.
    pub analyses: Semaphore,
}

impl Site {
    pub fn new(shared: Arc<Shared>, health: Arc<Health>) -> Arc<Site> {
        Arc::new(Site {
            shared,
            health,
            analyses: Semaphore::new((processors() / 2).max(1)),
        })
    }
}
