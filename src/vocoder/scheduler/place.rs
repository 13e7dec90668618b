//! How many streams may be open.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::vocoder::error::VocoderError;

/// The places for open streams.
pub(super) struct Places {
    limit: usize,
    taken: AtomicUsize,
}

impl Places {
    pub fn new(limit: usize) -> Arc<Places> {
        Arc::new(Places {
            limit,
            taken: AtomicUsize::new(0),
        })
    }

    /// Streams that may be open at once.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Streams that are open.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

/// One of the places for open streams; given back when dropped.
pub(super) struct Place {
    places: Arc<Places>,
    pub since: Instant,
}

impl Place {
    pub fn take(places: &Arc<Places>) -> Result<Place, VocoderError> {
        let limit = places.limit;
        let more = |active: usize| (active < limit).then_some(active + 1);
        places
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .map_err(|_| VocoderError::Busy { limit })?;
        Ok(Place {
            places: places.clone(),
            since: Instant::now(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken.fetch_sub(1, Ordering::Relaxed);
    }
}
