//! One call, from its arrival to its last byte: its deadline, its place, its line in the log and its metrics.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use metrics::{counter, histogram};
use tokio::time::{Instant, timeout_at};
use tokio_util::task::task_tracker::TaskTrackerToken;
use tonic::codegen::http::HeaderMap;
use tonic::{Code, Status};
use tracing::Span;
use tracing::field::Empty;

use super::budget::{Budget, Charge};
use super::callers::Visit;
use super::connection::Peer;
use super::keys::KeyHash;
use super::method::Method;
use super::sampler::Sampler;
use super::trace;

/// Characters of an error in the log: what callers send may come back in one.
const MAX_ERROR: usize = 500;

/// A call of the service. Its clones are the parts of the server that work on it; the last one to go writes the line.
#[derive(Clone)]
pub(super) struct Call(Arc<Inner>);

struct Inner {
    method: Method,
    arrived: Instant,
    deadline: Deadline,
    facts: Mutex<Facts>,
    span: Span,
    holdings: Mutex<Holdings>,
    key: Option<KeyHash>,
    peer: Arc<Peer>,
}

/// What a call has of what all share; given back when it ends.
#[derive(Default)]
pub(super) struct Holdings {
    /// It counts among its caller's.
    pub visit: Option<Visit>,
    /// Of the memory budget.
    pub charge: Option<Charge>,
    /// A server that drains waits for it.
    pub _under_way: Option<TaskTrackerToken>,
    /// The key that came with it.
    pub key: Option<KeyHash>,
}

/// What is told of a call at its end.
#[derive(Default)]
pub(super) struct Facts {
    pub model: Option<String>,
    pub frames: u64,
    pub samples: u64,
    pub first_audio: Option<Duration>,
    code: Option<Code>,
    error: Option<String>,
}

/// When a call is given up, and on whose word.
#[derive(Clone, Copy)]
struct Deadline {
    at: Instant,
    by_client: bool,
}

impl Call {
    /// A call that arrives now. `limit` is the longest that any may take.
    pub fn arrive(
        method: Method,
        headers: &HeaderMap,
        limit: Duration,
        holdings: Holdings,
        peer: Arc<Peer>,
    ) -> Call {
        let arrived = Instant::now();
        let span = tracing::info_span!("call", method = method.name(), request_id = Empty);
        trace::begin(&span, method, headers);
        let asked = client_timeout(headers).filter(|asked| *asked < limit);
        Call(Arc::new(Inner {
            method,
            arrived,
            deadline: Deadline {
                at: arrived + asked.unwrap_or(limit),
                by_client: asked.is_some(),
            },
            facts: Mutex::default(),
            span,
            key: holdings.key,
            peer,
            holdings: Mutex::new(holdings),
        }))
    }

    /// What is logged on behalf of the call belongs here.
    pub fn span(&self) -> &Span {
        &self.0.span
    }

    /// Time since the call arrived.
    pub fn age(&self) -> Duration {
        self.0.arrived.elapsed()
    }

    pub fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0
            .facts
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The key that came with it.
    pub fn key(&self) -> Option<&KeyHash> {
        self.0.key.as_ref()
    }

    /// The connection that it came by.
    pub fn peer(&self) -> &Arc<Peer> {
        &self.0.peer
    }

    /// Tells, without keeping the call, whether it has ended.
    pub fn watch(&self) -> impl Fn() -> bool + Send + use<> {
        let inner = Arc::downgrade(&self.0);
        move || inner.strong_count() == 0
    }

    /// Charges the memory budget on behalf of the call, until it ends.
    pub fn charge(&self, budget: &Budget, bytes: u64) -> Result<(), Status> {
        let more = budget.charge(bytes)?;
        let mut holdings = self.holdings();
        match &mut holdings.charge {
            Some(charge) => charge.add(more),
            none => *none = Some(more),
        }
        Ok(())
    }

    /// Counts audio that was made, with that of its caller.
    pub fn had(&self, audio: Duration) {
        let holdings = self.holdings();
        if let Some(visit) = &holdings.visit {
            visit.had(audio);
        }
    }

    fn holdings(&self) -> MutexGuard<'_, Holdings> {
        self.0
            .holdings
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// How the call ended. The first word counts.
    pub fn end(&self, outcome: Result<(), &Status>) {
        let mut facts = self.facts();
        if facts.code.is_none() {
            facts.code = Some(outcome.map_or_else(Status::code, |()| Code::Ok));
            facts.error = outcome
                .err()
                .map(|status| status.message().chars().take(MAX_ERROR).collect());
        }
    }

    /// `work`, or DEADLINE_EXCEEDED.
    pub async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        let Deadline { at, by_client } = self.0.deadline;
        timeout_at(at, work).await.unwrap_or_else(|_| {
            Err(Status::deadline_exceeded(if by_client {
                "the call's own deadline has passed"
            } else {
                "the call took longer than the server lets any take (--max-call-seconds)"
            }))
        })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let facts = self
            .facts
            .get_mut()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let facts = std::mem::take(facts);
        // Nobody said how it ended: the client went away, or the call's own task is unwinding.
        let unsaid = match std::thread::panicking() {
            true => Code::Internal,
            false => Code::Cancelled,
        };
        let code = facts.code.unwrap_or(unsaid);
        let total = self.arrived.elapsed();
        trace::end(&self.span, self.method, code, facts.error.as_deref());
        let method = self.method.name();
        counter!("vocode_requests_total", "method" => method, "code" => name(code)).increment(1);
        histogram!("vocode_request_seconds", "method" => method).record(total.as_secs_f64());
        // Refusals cost a caller nothing: a line for each would be a way to fill the disk.
        let is_refusal = matches!(
            code,
            Code::ResourceExhausted | Code::Unauthenticated | Code::Unavailable
        );
        static REFUSALS: Sampler = Sampler::new();
        let held_back = match is_refusal {
            true => match REFUSALS.pass() {
                Some(held_back) => held_back,
                None => return,
            },
            false => 0,
        };
        tracing::info!(
            parent: &self.span,
            refusals_held_back = (held_back > 0).then_some(held_back),
            code = name(code),
            model = facts.model.as_deref(),
            frames = facts.frames,
            samples = facts.samples,
            first_audio_ms = facts.first_audio.map(milliseconds),
            total_ms = milliseconds(total),
            error = facts.error,
            "done"
        );
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The `grpc-timeout` of a call: up to 8 digits and a unit, as in `250m`. Anything else is as good as none.
fn client_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if !(1..=8).contains(&number.len()) {
        return None;
    }
    let number: u64 = number.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

/// The name of a code as the gRPC specification writes it.
pub(super) fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeout(text: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", text.parse().unwrap());
        client_timeout(&headers)
    }

    #[test]
    fn timeouts_are_read_as_the_specification_writes_them() {
        assert_eq!(timeout("250m"), Some(Duration::from_millis(250)));
        assert_eq!(
            timeout("99999999H"),
            Some(Duration::from_secs(99_999_999 * 3600))
        );
        for bad in ["", "S", "5", "-1S", "999999999S", "1.5S", "5s", "5µ"] {
            assert_eq!(timeout(bad), None, "{bad}");
        }
    }

    #[tokio::test]
    async fn the_shorter_deadline_counts_and_is_named() {
        let call = |text: &str, limit| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            let peer = Peer::new(None);
            Call::arrive(Method::Whole, &headers, limit, Holdings::default(), peer)
        };
        for (asked, limit, word) in [
            ("1m", 60_000, "own deadline"),
            ("60S", 1, "--max-call-seconds"),
        ] {
            let call = call(asked, Duration::from_millis(limit));
            let status = call
                .within(std::future::pending::<Result<(), Status>>())
                .await
                .unwrap_err();
            assert_eq!(status.code(), Code::DeadlineExceeded);
            assert!(status.message().contains(word), "{}", status.message());
        }
    }
}
