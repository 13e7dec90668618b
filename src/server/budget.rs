//! The memory that calls may hold together.

use std::sync::Arc;

use bytesize::ByteSize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use super::status::exhausted;

/// Bytes of one permit.
const UNIT: u64 = 1024;

/// What is left of the memory that calls may hold.
pub(super) struct Budget {
    total: u64,
    left: Arc<Semaphore>,
}

/// A part of the budget; given back when dropped.
pub(super) struct Charge(OwnedSemaphorePermit);

impl Budget {
    pub fn new(bytes: u64) -> Budget {
        let units = usize::try_from(bytes / UNIT).unwrap_or(Semaphore::MAX_PERMITS);
        Budget {
            total: bytes,
            left: Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))),
        }
    }

    /// Takes `bytes` from the budget.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED where there is not as much left.
    pub fn charge(&self, bytes: u64) -> Result<Charge, Status> {
        let units = u32::try_from(bytes.div_ceil(UNIT));
        let taken = units
            .ok()
            .and_then(|units| self.left.clone().try_acquire_many_owned(units).ok());
        taken.map(Charge).ok_or_else(|| {
            exhausted(format!(
                "the call needs {} of memory, and that much is not left of the {} that calls may hold together (--memory-budget); try again \
                 when others have ended",
                ByteSize(bytes),
                ByteSize(self.total)
            ))
        })
    }
}

impl Charge {
    /// Makes one of two.
    pub fn add(&mut self, other: Charge) {
        self.0.merge(other.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;

    #[test]
    fn a_charge_is_given_back_and_one_too_many_is_refused() {
        let budget = Budget::new(10 * UNIT);
        let mut first = budget.charge(4 * UNIT).unwrap();
        first.add(budget.charge(4 * UNIT + 1).unwrap());
        let refused = budget.charge(2 * UNIT).map(|_| ()).unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        drop(first);
        assert!(budget.charge(10 * UNIT).is_ok());
        assert!(budget.charge(u64::MAX).is_err());
    }
}
