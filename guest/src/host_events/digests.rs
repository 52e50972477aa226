//! What the tables of host events must hold.

use crate::storage::checksum::SetDigest;
use crate::storage::digests::Digests;
use crate::storage::transaction::Digested;

/// A transaction on a database of host events.
pub(crate) type HostEventTransaction<T> = Digested<T, HostEventDigests>;

/// What the tables of host events hold, as of the last commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostEventDigests {
    pub(crate) subscriptions: SetDigest,
    /// The number that the next subscription gets.
    pub(crate) next_subscription: u64,
    /// The number that the next occurrence gets.
    pub(crate) next_occurrence: u64,
    /// The number that the next delivery gets.
    pub(crate) next_delivery: u64,
    /// Deliveries that are not settled.
    pub(crate) unsettled: SetDigest,
}

impl Digests for HostEventDigests {
    /// Numbers start at 1.
    fn new() -> Self {
        Self {
            next_subscription: 1,
            next_occurrence: 1,
            next_delivery: 1,
            ..Self::default()
        }
    }

    fn visit(&mut self, visit: &mut dyn FnMut(&mut u64)) {
        self.subscriptions.visit(visit);
        visit(&mut self.next_subscription);
        visit(&mut self.next_occurrence);
        visit(&mut self.next_delivery);
        self.unsettled.visit(visit);
    }
}
