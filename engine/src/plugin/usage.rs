//! What a plugin has used of its grant.

use std::sync::{Mutex, MutexGuard};

use super::error::Quota;
use crate::sync::lock;

/// How much a plugin has used of its quotas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Calls of functions of the store, those that failed or were refused too, as long as
    /// there were calls left.
    pub calls: u64,
    /// Bytes that it had stored: contents, names and keys, as the plugin gave them, so
    /// also those that were there already or were compressed; and what storing them takes
    /// besides, which is 256 for an artifact, a blob or a batch, and 4 for each payload of
    /// a batch. Of a call that failed, none, unless it had stored them before it did.
    pub bytes: u64,
}

/// Counts usage, and refuses what is above the quotas.
#[derive(Debug)]
pub(super) struct Meter {
    most: Usage,
    used: Mutex<Usage>,
}

impl Meter {
    pub(super) fn new(most: Usage, used: Usage) -> Self {
        Self {
            most,
            used: Mutex::new(used),
        }
    }

    pub(super) fn most(&self, quota: Quota) -> u64 {
        match quota {
            Quota::Calls => self.most.calls,
            Quota::Bytes => self.most.bytes,
        }
    }

    pub(super) fn used(&self) -> Usage {
        *self.lock()
    }

    /// Counts a call.
    pub(super) fn call(&self) -> Result<(), Quota> {
        let mut used = self.lock();
        if used.calls >= self.most.calls {
            return Err(Quota::Calls);
        }
        used.calls += 1;
        Ok(())
    }

    /// Counts bytes before they are stored, so that two calls at a time are not both
    /// let through where there is room for one.
    pub(super) fn reserve(&self, bytes: u64) -> Result<(), Quota> {
        let mut used = self.lock();
        match used.bytes.checked_add(bytes) {
            Some(sum) if sum <= self.most.bytes => used.bytes = sum,
            _ => return Err(Quota::Bytes),
        }
        Ok(())
    }

    /// Takes back what was counted for bytes that were not stored.
    pub(super) fn give_back(&self, bytes: u64) {
        let mut used = self.lock();
        used.bytes = used.bytes.saturating_sub(bytes);
    }

    fn lock(&self) -> MutexGuard<'_, Usage> {
        // Two numbers have no invariant that a panic could have broken.
        lock(&self.used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(calls: u64, bytes: u64) -> Meter {
        Meter::new(Usage { calls, bytes }, Usage::default())
    }

    #[test]
    fn the_last_call_and_the_last_byte_are_let_through() {
        let meter = meter(2, 10);
        assert_eq!((meter.call(), meter.call()), (Ok(()), Ok(())));
        assert_eq!(meter.call(), Err(Quota::Calls));
        assert_eq!(meter.reserve(11), Err(Quota::Bytes));
        assert_eq!((meter.reserve(4), meter.reserve(6)), (Ok(()), Ok(())));
        assert_eq!(meter.reserve(1), Err(Quota::Bytes));
        meter.give_back(6);
        assert_eq!(meter.reserve(6), Ok(()));
        assert_eq!(
            meter.used(),
            Usage {
                calls: 2,
                bytes: 10
            }
        );
    }

    #[test]
    fn absurd_numbers_do_not_overflow() {
        let meter = meter(u64::MAX, u64::MAX);
        assert_eq!(meter.reserve(u64::MAX), Ok(()));
        assert_eq!(meter.reserve(1), Err(Quota::Bytes));
        assert_eq!(meter.reserve(u64::MAX), Err(Quota::Bytes));
    }
}
