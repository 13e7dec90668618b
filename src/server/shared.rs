//! What all calls share, and what one of them may have.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Status;

use super::budget::Budget;
use super::call::{Call, Holdings};
use super::callers::{Allowance, Caller, Callers};
use super::connection::Peer;
use super::keys::{KeyHash, Keys};
use super::marking::Marks;
use super::method::Method;
use super::models::{Model, Models};
use super::places::{Place, Places};
use super::status::{busy, exhausted, of_vocoder, unavailable};
use super::tls::Certificates;
use super::{MaxStreams, ServerLimits};
use crate::runtime::processors;
use crate::vocoder::{StreamClass, StreamRequest};

/// Bytes that any call is charged: its task, its headers, its buffers in the transport.
const CALL_BYTES: u64 = 16 << 10;
/// Bytes that a stream holds while it is worked on, beside its mel and its answer.
const STREAM_BYTES: u64 = 2 << 20;
/// A stream that takes more of the model's time than this, of a second in each second of audio, cannot be heard in real time beside others.
const REAL_TIME_SHARE: f64 = 0.5;
/// Of the time that a model was measured to have, the part that is promised to streams: without a rest, calls of unlike lengths would be gaps.
const USED: f64 = 0.98;
/// Of one processor's time, what a stream takes beside the model in each second of its audio: its encoding, the transport, and a caller on the
/// same machine. With 53 streams on two processors, as many as the model alone could make, a third had gaps; with 40 none had.
const BESIDE_MODEL: f64 = 0.01;

/// What all calls share.
pub(super) struct Shared {
    pub limits: ServerLimits,
    pub keys: Option<Keys>,
    pub certificates: Option<Arc<Certificates>>,
    pub marks: Marks,
    /// Version of ONNX Runtime.
    pub onnx_runtime: String,
    /// Cancelled when calls must end at once.
    pub cut: CancellationToken,
    pub budget: Budget,
    callers: Callers,
    calls: TaskTracker,
    ready: OnceLock<Ready>,
    draining: AtomicBool,
}

/// What there is once the models are loaded.
struct Ready {
    models: Models,
    places: Places,
    /// Of the streams that are not played in real time.
    best_effort: Arc<Semaphore>,
}

/// The part of the model's time that a stream has; given back when dropped.
pub(super) struct Share {
    place: Place,
    best_effort: Option<OwnedSemaphorePermit>,
}

impl Share {
    /// Says that the stream is complete, and that its caller will have heard it at `until`. What nobody plays in real time is given back.
    pub fn played(self, until: Instant, call: &Call) {
        if self.best_effort.is_none() {
            self.place.played(until, call.peer().clone());
        }
    }
}

impl Shared {
    pub fn new(
        limits: ServerLimits,
        keys: Option<Keys>,
        certificates: Option<Arc<Certificates>>,
        marks: Marks,
        onnx_runtime: String,
    ) -> Shared {
        Shared {
            limits,
            keys,
            certificates,
            marks,
            onnx_runtime,
            cut: CancellationToken::new(),
            budget: Budget::new(limits.memory_budget),
            callers: Callers::default(),
            calls: TaskTracker::new(),
            ready: OnceLock::new(),
            draining: AtomicBool::new(false),
        }
    }

    /// The models, once they are loaded.
    pub fn models(&self) -> Result<&Models, Status> {
        self.loaded().map(|ready| &ready.models)
    }

    /// Streams of the first model and its default schedule that are worked on or still played at once.
    pub fn max_streams(&self) -> Result<usize, Status> {
        self.loaded().map(|ready| ready.places.total())
    }

    /// From now on calls are served.
    pub fn ready(&self, models: Models) -> &Models {
        let max_streams = match self.limits.max_streams {
            MaxStreams::Fixed(count) => count,
            MaxStreams::Auto => held(models.default_share(), processors()),
        };
        tracing::info!(max_streams, "streams at once");
        let ready = self.ready.get_or_init(|| Ready {
            models,
            places: Places::new(max_streams),
            best_effort: Arc::new(Semaphore::new(max_streams.div_ceil(4))),
        });
        &ready.models
    }

    /// Lets a call in before its request has come: it takes no place for a stream yet.
    pub fn enter(
        &self,
        method: Method,
        key: Option<KeyHash>,
        peer: &Arc<Peer>,
    ) -> Result<Holdings, Status> {
        if self.draining.load(Ordering::SeqCst) {
            return Err(stopping());
        }
        let ready = self.loaded()?;
        let mut holdings = Holdings {
            visit: None,
            charge: Some(self.budget.charge(CALL_BYTES)?),
            _under_way: Some(self.calls.token()),
            key,
        };
        if method.synthesizes() && !ready.places.has_room(ready.has_time()) {
            return Err(busy(ready.places.total()));
        }
        if method.is_work() {
            let caller = key.map(Caller::Key).or(peer.address.map(Caller::at));
            holdings.visit = caller
                .map(|caller| self.callers.enter(caller, self.allowance(ready, &caller)))
                .transpose()?;
        }
        Ok(holdings)
    }

    /// What a caller may have. A program of this machine may speak for many: only what was asked for counts there.
    fn allowance(&self, ready: &Ready, caller: &Caller) -> Allowance {
        let usual = match caller.is_local() {
            true => usize::MAX,
            false => ready.places.total().div_ceil(2),
        };
        Allowance {
            calls: self.limits.max_streams_per_caller.unwrap_or(usual),
            audio: self.limits.max_audio_per_caller,
        }
    }

    /// A place for a stream, as much of the model's time as it takes. Where it cannot be heard in real time, its class is changed.
    pub fn place(
        &self,
        call: &Call,
        model: &Model,
        request: &mut StreamRequest,
    ) -> Result<Share, Status> {
        let ready = self.loaded()?;
        let share = model.share(request).map_err(|e| of_vocoder(&e))?;
        let unit = ready.models.default_share();
        let is_best_effort = share > REAL_TIME_SHARE && share > 1.5 * model.default_share();
        let (places, best_effort) = if is_best_effort {
            request.class = StreamClass::BestEffort;
            let place = ready.best_effort.clone().try_acquire_owned();
            let place = place.map_err(|_| {
                exhausted(
                    "as many calls as may be are under way that are too much work for real time; try again when one has ended, or ask for \
                     fewer steps"
                        .to_owned(),
                )
            })?;
            (1, Some(place))
        } else {
            ((share / unit).round().max(1.0) as usize, None)
        };
        let taken = ready.places.take(places, ready.has_time());
        let place = taken.ok_or_else(|| busy(ready.places.total()))?;
        call.charge(&self.budget, STREAM_BYTES)?;
        Ok(Share { place, best_effort })
    }

    /// Ends when the key of a call is no longer one that callers may show.
    pub async fn revoked(&self, call: &Call) {
        match (&self.keys, call.key()) {
            (Some(keys), Some(key)) => keys.revoked(key).await,
            _ => std::future::pending().await,
        }
    }

    /// From now on calls are turned away.
    pub fn turn_away(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Turns calls away. Ends when those under way have.
    pub async fn drain(&self) {
        self.turn_away();
        self.calls.close();
        self.calls.wait().await;
    }

    fn loaded(&self) -> Result<&Ready, Status> {
        self.ready
            .get()
            .ok_or_else(|| unavailable("the server is starting: its models are being loaded"))
    }
}

impl Ready {
    /// Whether every model has time for more than the listeners that it has.
    fn has_time(&self) -> bool {
        self.models.all().all(Model::has_time)
    }
}

/// What a call is told that the server can no longer serve.
pub(super) fn stopping() -> Status {
    unavailable("the server is stopping")
}

/// Streams that are held by a machine where each takes `share` of the model's time.
fn held(share: f64, processors: usize) -> usize {
    let each = share + BESIDE_MODEL / processors.max(1) as f64;
    (USED / each).floor().clamp(1.0, MaxStreams::LIMIT as f64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_streams_take_beside_the_model_counts() {
        assert_eq!([held(1.0 / 53.0, 2), held(1.0 / 19.0, 2)], [41, 17]);
        assert_eq!(held(1.0 / 53.0, 64), 51);
        assert_eq!([held(3.0, 1), held(1e-9, 64)], [1, MaxStreams::LIMIT]);
    }
}
