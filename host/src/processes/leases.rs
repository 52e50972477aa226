//! Who works on a process: the leases that a registry has claimed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use lash_core::{PROCESS_LEASE_SCHEMA_VERSION, PluginError, ProcessLease, ProcessLeaseCompletion};
use lash_store_engine::wit::process_leases::{Claimed, Lease};

use super::outcome::{lease_lost, leased};
use super::{Shared, SqliteProcessRegistry};
use crate::error::unknown_process;
use crate::sync::lock;

pub(crate) fn from_lease(lease: Lease) -> ProcessLease {
    ProcessLease {
        schema_version: PROCESS_LEASE_SCHEMA_VERSION,
        process_id: lease.process_id,
        owner_id: lease.owner_id,
        lease_token: lease.token,
        fencing_token: lease.fencing_token,
        claimed_at_epoch_ms: lease.claimed_at_ms,
        expires_at_epoch_ms: lease.expires_at_ms,
    }
}

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

/// A lease on its way to its owner. If that has gone in the meantime it is given
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
        from_lease(self.lease.clone())
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

impl SqliteProcessRegistry {
    pub(super) async fn claim_lease(
        &self,
        process_id: &str,
        owner_id: &str,
        lease_ttl_ms: u64,
    ) -> Result<ProcessLease, PluginError> {
        let shared = Arc::clone(&self.shared);
        let process_id = process_id.to_owned();
        let owner_id = owner_id.to_owned();
        let claimed = self
            .shared
            .db
            .urgent()
            .write("claim process", move |call| {
                call.of_process(&process_id);
                let claimed = call
                    .process_leases()
                    .claim(&process_id, &owner_id, lease_ttl_ms)?;
                call.ended(match claimed {
                    Claimed::Lease(_) => "ok",
                    Claimed::Held(_) => "held",
                    Claimed::Unknown => "unknown",
                });
                Ok(match claimed {
                    Claimed::Lease(lease) => Ok(NewLease::new(shared, lease)),
                    Claimed::Held((owner, until_ms)) => Err(leased(&process_id, &owner, until_ms)),
                    Claimed::Unknown => Err(unknown_process(&process_id)),
                })
            })
            .await??;
        Ok(claimed.accept())
    }

    pub(super) async fn renew_lease(
        &self,
        lease: &ProcessLease,
        lease_ttl_ms: u64,
    ) -> Result<ProcessLease, PluginError> {
        let id = lease.process_id.clone();
        let token = lease.lease_token.clone();
        let expires_at_ms = self
            .shared
            .db
            .urgent()
            .write("renew process lease", move |call| {
                call.of_process(&id);
                let expires = call.process_leases().renew(&id, &token, lease_ttl_ms)?;
                if expires.is_none() {
                    call.ended("lease-lost");
                }
                Ok(expires)
            })
            .await?;
        match expires_at_ms {
            Some(expires_at_epoch_ms) => Ok(ProcessLease {
                expires_at_epoch_ms,
                ..lease.clone()
            }),
            None => Err(lease_lost(&lease.process_id)),
        }
    }

    pub(super) async fn complete_lease(
        &self,
        completion: &ProcessLeaseCompletion,
    ) -> Result<(), PluginError> {
        let shared = Arc::clone(&self.shared);
        let id = completion.process_id.clone();
        let token = completion.lease_token.clone();
        Ok(self
            .shared
            .db
            .urgent()
            .write("release process lease", move |call| {
                call.of_process(&id);
                shared.release_lease(call, &id, &token)
            })
            .await?)
    }
}
