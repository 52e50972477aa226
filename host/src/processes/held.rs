//! The leases that a registry has claimed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use lash_core::ProcessLease;
use lash_store_engine::wit::process_leases::Lease;

use super::Shared;
use crate::convert;
use crate::sync::lock;

/// What is remembered of a lease.
struct Held {
    process_number: u64,
    fencing_token: u64,
    token: String,
}

/// The last lease on each process that was claimed through this registry, until it
/// is released or the process ends. One that expired is remembered: that its owner
/// does not know so is the reason for it.
#[derive(Default)]
pub(super) struct HeldLeases(Mutex<HashMap<String, Held>>);

impl HeldLeases {
    pub(super) fn remember(&self, lease: &Lease) {
        self.held().insert(
            lease.process_id.clone(),
            Held {
                process_number: lease.process_number,
                fencing_token: lease.fencing_token,
                token: lease.token.clone(),
            },
        );
    }

    /// The fencing token of the lease on a process. The number tells it from an
    /// earlier process with the same identifier.
    pub(super) fn fencing_token(&self, process_id: &str, process_number: u64) -> Option<u64> {
        let held = self.held();
        let lease = held.get(process_id)?;
        (lease.process_number == process_number).then_some(lease.fencing_token)
    }

    /// Forgets a lease that was given back.
    pub(super) fn release(&self, process_id: &str, token: &str) {
        let mut held = self.held();
        if held
            .get(process_id)
            .is_some_and(|lease| lease.token == token)
        {
            held.remove(process_id);
        }
    }

    /// Forgets the lease on a process that ended.
    pub(super) fn forget(&self, process_id: &str) {
        self.held().remove(process_id);
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, Held>> {
        lock(&self.0)
    }
}

/// A lease on its way to who claimed it. If he has gone in the meantime it is given
/// back: nobody else knows its token, and the process would stand still until it
/// expires.
pub(super) struct NewLease {
    shared: Arc<Shared>,
    lease: Lease,
    arrived: bool,
}

impl NewLease {
    pub(super) fn new(shared: Arc<Shared>, lease: Lease) -> Self {
        shared.held.remember(&lease);
        Self {
            shared,
            lease,
            arrived: false,
        }
    }

    /// The lease has arrived.
    pub(super) fn accept(mut self) -> ProcessLease {
        self.arrived = true;
        convert::processes::from_lease(self.lease.clone())
    }
}

impl Drop for NewLease {
    fn drop(&mut self) {
        if self.arrived {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let lease = self.lease.clone();
        self.shared
            .db
            .write_detached("release process lease", move |call| {
                call.of_process(&lease.process_id);
                shared.release_lease(call, &lease.process_id, &lease.token)
            });
    }
}
