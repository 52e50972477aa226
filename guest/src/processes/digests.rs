//! What the tables of processes must hold.

use crate::storage::checksum::SetDigest;
use crate::storage::digests::Digests;
use crate::storage::transaction::Digested;

/// A transaction on a database of processes.
pub(crate) type ProcessTransaction<T> = Digested<T, ProcessDigests>;

/// What the tables of processes hold, as of the last commit.
///
/// Only registering, ending and removing a process change it, and claiming one:
/// an ordinary event does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProcessDigests {
    /// The number that the next process gets.
    pub(crate) next_process: u64,
    /// The fencing token that is given out next, whatever for. A process that is
    /// registered takes one too: no lease on an earlier process with its
    /// identifier is as high.
    pub(crate) next_fencing_token: u64,
    /// Registrations of processes that run.
    pub(crate) running: SetDigest,
    /// Registrations of processes that ended.
    pub(crate) ended: SetDigest,
}

impl Digests for ProcessDigests {
    /// Numbers start at 1.
    fn new() -> Self {
        Self {
            next_process: 1,
            next_fencing_token: 1,
            ..Self::default()
        }
    }

    fn visit(&mut self, visit: &mut dyn FnMut(&mut u64)) {
        visit(&mut self.next_process);
        visit(&mut self.next_fencing_token);
        self.running.visit(visit);
        self.ended.visit(visit);
    }
}
