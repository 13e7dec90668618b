//! How many calls each caller has under way.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard};

use tonic::Status;

use super::keys::KeyHash;
use super::status::exhausted;

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

/// The calls under way by caller.
#[derive(Clone, Default)]
pub(super) struct Callers(Arc<Mutex<HashMap<Caller, usize>>>);

/// A call of a caller under way; given back when dropped.
pub(super) struct Visit {
    callers: Callers,
    caller: Caller,
}

impl Callers {
    /// Counts one more call, of which there may be `most`.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED for one too many.
    pub fn enter(&self, caller: Caller, most: usize) -> Result<Visit, Status> {
        let mut counts = self.counts();
        let count = counts.entry(caller).or_default();
        if *count >= most {
            return Err(exhausted(format!(
                "{most} calls of this caller are under way, which is all that one may have (--max-streams-per-caller); try again when one has \
                 ended"
            )));
        }
        *count += 1;
        Ok(Visit {
            callers: self.clone(),
            caller,
        })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<Caller, usize>> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut counts = self.callers.counts();
        if let Some(count) = counts.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_caller_has_its_own_count_and_nothing_is_kept_of_those_who_left() {
        let callers = Callers::default();
        let at = |text: &str| Caller::at(text.parse().unwrap());
        let first = callers.enter(at("2001:db8::1"), 1).unwrap();
        assert!(callers.enter(at("2001:db8::2"), 1).is_err());
        let other = callers.enter(at("192.0.2.1"), 1).unwrap();
        assert!(callers.enter(at("::ffff:192.0.2.1"), 1).is_err());
        drop((first, other));
        assert!(callers.counts().is_empty());
    }
}
