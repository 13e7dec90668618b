//! What each caller has: calls under way, and audio of late.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tonic::Status;

use super::keys::KeyHash;
use super::status::{exhausted, exhausted_for};

/// Who calls: the key where callers show one, the address of the peer otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Caller {
    Key(KeyHash),
    Address(IpAddr),
}

impl Caller {
    /// A peer without a key. An IPv6 network of 64 bits is one caller: that is what one customer is given.
    pub fn at(address: IpAddr) -> Caller {
        Caller::Address(match address.to_canonical() {
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            v4 => v4,
        })
    }

    /// Whether it is a program of this machine, such as a proxy, that may well speak for many.
    pub fn is_local(&self) -> bool {
        matches!(self, Caller::Address(address) if address.is_loopback())
    }
}

/// What one caller may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    /// Calls at once.
    pub calls: usize,
    /// Seconds of audio a minute.
    pub audio: Option<u32>,
}

impl Allowance {
    /// Seconds of audio that are made up for in a second.
    fn per_second(self) -> f64 {
        self.audio
            .map_or(f64::INFINITY, |seconds| f64::from(seconds) / 60.0)
    }
}

/// What the callers have, each of them.
#[derive(Clone, Default)]
pub(super) struct Callers(Arc<Mutex<HashMap<Caller, Usage>>>);

/// What one caller has.
struct Usage {
    /// Calls under way.
    calls: usize,
    /// Seconds of audio that it has had and that time has not made up for, at [`since`](Usage::since). A call may be longer than what is allowed in a minute,
    /// so audio is counted once it is made: the usual limiters, which grant before, would have to refuse such a call or break it off.
    owed: f64,
    since: Instant,
}

impl Usage {
    fn new() -> Usage {
        Usage {
            calls: 0,
            owed: 0.0,
            since: Instant::now(),
        }
    }

    /// What is owed now.
    fn settle(&mut self, allowance: Allowance) -> f64 {
        let passed = self.since.elapsed().as_secs_f64();
        self.since = Instant::now();
        // Nothing is owed where nothing is allowed for, also in the first instant.
        self.owed = match allowance.audio {
            Some(_) => (self.owed - passed * allowance.per_second()).max(0.0),
            None => 0.0,
        };
        self.owed
    }
}

/// A call of a caller under way; given back when dropped.
pub(super) struct Visit {
    callers: Callers,
    caller: Caller,
    allowance: Allowance,
}

impl Callers {
    /// Counts one more call of a caller, as far as it may have it.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED for one too many, or after more audio than is allowed.
    pub fn enter(&self, caller: Caller, allowance: Allowance) -> Result<Visit, Status> {
        let mut all = self.lock();
        let usage = all.entry(caller).or_insert_with(Usage::new);
        let most = allowance.calls;
        if usage.calls >= most {
            return Err(exhausted(format!(
                "{most} calls of this caller are under way, which is all that one may have (--max-streams-per-caller); try again when one has \
                 ended"
            )));
        }
        let allowed = allowance.audio.map_or(f64::INFINITY, f64::from);
        let beyond = usage.settle(allowance) - allowed;
        if beyond >= 0.0 {
            let wait = Duration::from_secs_f64(beyond / allowance.per_second());
            let message = format!(
                "this caller has had the {allowed} s of audio that one may have in a minute (--max-audio-per-caller); try again in {:.0} s",
                wait.as_secs_f64().ceil()
            );
            return Err(exhausted_for(message, wait));
        }
        usage.calls += 1;
        Ok(Visit {
            callers: self.clone(),
            caller,
            allowance,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Caller, Usage>> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Visit {
    /// Counts audio that was made for the call.
    pub fn had(&self, audio: Duration) {
        if self.allowance.audio.is_none() {
            return;
        }
        if let Some(usage) = self.callers.lock().get_mut(&self.caller) {
            usage.settle(self.allowance);
            usage.owed += audio.as_secs_f64();
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut all = self.callers.lock();
        let Some(usage) = all.get_mut(&self.caller) else {
            return;
        };
        usage.calls -= 1;
        // Nothing is kept of those who have nothing. Where audio is counted, those who have left go when time has made up for theirs.
        if self.allowance.audio.is_some() {
            all.retain(|_, usage| usage.calls > 0 || usage.settle(self.allowance) > 0.0);
        } else if usage.calls == 0 {
            all.remove(&self.caller);
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt;

    use super::*;

    const ONE_CALL: Allowance = Allowance {
        calls: 1,
        audio: None,
    };

    fn at(text: &str) -> Caller {
        Caller::at(text.parse().unwrap())
    }

    #[test]
    fn each_caller_has_its_own_count_and_nothing_is_kept_of_those_who_left() {
        let callers = Callers::default();
        let first = callers.enter(at("2001:db8::1"), ONE_CALL).unwrap();
        assert!(callers.enter(at("2001:db8::2"), ONE_CALL).is_err());
        let other = callers.enter(at("192.0.2.1"), ONE_CALL).unwrap();
        assert!(callers.enter(at("::ffff:192.0.2.1"), ONE_CALL).is_err());
        first.had(Duration::from_secs(1000));
        drop((first, other));
        assert!(callers.lock().is_empty());
    }

    #[test]
    fn who_has_had_a_minutes_audio_waits_until_time_has_made_up_for_it() {
        let callers = Callers::default();
        let allowance = Allowance {
            calls: 2,
            audio: Some(120),
        };
        let enter = |caller| callers.enter(at(caller), allowance);
        let pass = |seconds: f64| {
            for usage in callers.lock().values_mut() {
                usage.since -= Duration::from_secs_f64(seconds);
            }
        };
        enter("192.0.2.1").unwrap().had(Duration::from_secs(119));
        // What is left may be less than the call takes.
        enter("192.0.2.1").unwrap().had(Duration::from_secs(31));
        let refused = enter("192.0.2.1").map(|_| ()).unwrap_err();
        let delay = refused
            .get_error_details()
            .retry_info()
            .unwrap()
            .retry_delay;
        assert!(
            (15.0..30.0).contains(&delay.unwrap().as_secs_f64()),
            "{delay:?}"
        );
        assert!(enter("192.0.2.2").is_ok(), "another caller");
        pass(14.5);
        assert!(enter("192.0.2.1").is_err());
        pass(0.5);
        assert!(enter("192.0.2.1").is_ok());
        pass(60.0);
        drop(enter("192.0.2.2"));
        assert!(callers.lock().is_empty(), "all is made up for");
    }
}
