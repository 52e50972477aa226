//! The trait by which the runtime knows its processes.

use std::sync::Arc;

use lash_core::runtime::{ProcessHandleGrantEntry, prepare_process_registration};
use lash_core::{
    DurabilityTier, PluginError, ProcessAwaitOutput, ProcessEvent, ProcessEventAppendRequest,
    ProcessEventAppendResult, ProcessExternalRef, ProcessHandleDescriptor, ProcessHandleGrant,
    ProcessLease, ProcessLeaseCompletion, ProcessListFilter, ProcessListMode, ProcessRecord,
    ProcessRegistration, ProcessRegistry, ProcessSessionDeleteReport, SessionScope, WaitState,
};
use lash_store_engine::Call;
use lash_store_engine::wit::process_leases::Claimed;
use lash_store_engine::wit::processes::{Changed, Registered, Selection};

use super::SqliteProcessRegistry;
use super::held::NewLease;
use super::outcome::{conflict, ended, lease_lost, leased};
use super::records::Known;
use crate::convert;
use crate::error::{Error, unknown_process};
use crate::store::logged;

/// A change of one process that was refused.
enum Refused {
    Unknown,
    Ended,
}

impl SqliteProcessRegistry {
    /// Changes one process; `change` gets its identifier and the hash of what is
    /// known of it.
    async fn change(
        &self,
        operation: &'static str,
        process_id: &str,
        change: impl FnOnce(&mut Call<'_>, &str, Option<&str>) -> Result<Changed, Error>
        + Send
        + 'static,
    ) -> Result<ProcessRecord, PluginError> {
        let shared = Arc::clone(&self.shared);
        let id = process_id.to_owned();
        let changed = self
            .shared
            .db
            .write(operation, move |call| {
                call.of_process(&id);
                let mut refused = Refused::Unknown;
                let known = shared.records.read(call, &id, |call, known_hash| {
                    Ok(match change(call, &id, known_hash)? {
                        Changed::Process(process) => Some(process),
                        Changed::Unknown => None,
                        Changed::Ended => {
                            refused = Refused::Ended;
                            None
                        }
                    })
                })?;
                if known.is_none() {
                    call.ended(match refused {
                        Refused::Unknown => "unknown",
                        Refused::Ended => "refused",
                    });
                }
                Ok(known.map(|known| shared.records.keep(known)).ok_or(refused))
            })
            .await?;
        changed.map_err(|refused| match refused {
            Refused::Unknown => unknown_process(process_id),
            Refused::Ended => ended(process_id),
        })
    }

    async fn set_wait(
        &self,
        process_id: &str,
        wait: Option<WaitState>,
    ) -> Result<ProcessRecord, PluginError> {
        self.change(
            "set process wait",
            process_id,
            move |call, id, known_hash| {
                let wait = wait
                    .map(|wait| convert::processes::to_wait(call.path(), &wait))
                    .transpose()?;
                Ok(call.processes().set_wait(id, known_hash, wait.as_deref())?)
            },
        )
        .await
    }

    /// Reads processes that a filter lets through.
    async fn list(
        &self,
        operation: &'static str,
        selection: Selection,
        filter: ProcessListFilter,
    ) -> Result<Vec<ProcessRecord>, PluginError> {
        Ok(self
            .shared
            .db
            .read(operation, move |call| {
                let processes = call.processes().list(selection)?;
                let mut records = Vec::new();
                for process in processes {
                    // What the status excludes need not be decoded.
                    let status = convert::processes::to_lifecycle(process.status);
                    if !filter.status.matches(status) {
                        continue;
                    }
                    let record = convert::processes::to_record(call.path(), None, process)?;
                    if filter.matches_record(&record) {
                        records.push(record);
                    }
                }
                Ok(records)
            })
            .await?)
    }

    /// Reads events of a process, by a call that answers none if there is no such
    /// process.
    async fn events(
        &self,
        operation: &'static str,
        process_id: &str,
        read: impl FnOnce(&mut Call<'_>, &str) -> Result<Option<Vec<Vec<u8>>>, Error> + Send + 'static,
    ) -> Result<Vec<ProcessEvent>, PluginError> {
        let id = process_id.to_owned();
        let events = self
            .shared
            .db
            .read(operation, move |call| {
                call.of_process(&id);
                read(call, &id)?
                    .map(|contents| convert::processes::from_events(call.path(), &id, &contents))
                    .transpose()
            })
            .await?;
        events.ok_or_else(|| unknown_process(process_id))
    }
}

#[async_trait::async_trait]
impl ProcessRegistry for SqliteProcessRegistry {
    fn durability_tier(&self) -> DurabilityTier {
        DurabilityTier::Durable
    }

    async fn register_process(
        &self,
        registration: ProcessRegistration,
    ) -> Result<ProcessRecord, PluginError> {
        let (registration, hash) = prepare_process_registration(registration)?;
        let shared = Arc::clone(&self.shared);
        self.shared
            .db
            .write("register process", move |call| {
                call.of_process(&registration.id);
                let draft =
                    convert::processes::to_registration(call.path(), &registration, hash.clone())?;
                let registered = call.processes().register(&draft)?;
                Ok(match registered {
                    Registered::Process(process) => {
                        let record =
                            ProcessRecord::from_prepared_registration(registration, hash, 0);
                        let known = Known::new(call.path(), Some(record), process)?;
                        Ok(shared.records.keep(known))
                    }
                    Registered::Conflict(existing) => {
                        call.ended("conflict");
                        Err(conflict(&registration.id, &existing, &hash))
                    }
                })
            })
            .await?
    }

    async fn set_external_ref(
        &self,
        process_id: &str,
        external_ref: ProcessExternalRef,
    ) -> Result<ProcessRecord, PluginError> {
        self.change(
            "set external reference",
            process_id,
            move |call, id, known_hash| {
                let external_ref = convert::processes::to_external_ref(call.path(), &external_ref)?;
                Ok(call
                    .processes()
                    .set_external_ref(id, known_hash, &external_ref)?)
            },
        )
        .await
    }

    async fn grant_handle(
        &self,
        session_scope: &SessionScope,
        process_id: &str,
        descriptor: ProcessHandleDescriptor,
    ) -> Result<ProcessHandleGrant, PluginError> {
        self.grant(session_scope, process_id, descriptor).await
    }

    async fn revoke_handle(
        &self,
        session_scope: &SessionScope,
        process_id: &str,
    ) -> Result<(), PluginError> {
        self.revoke(session_scope, process_id).await
    }

    async fn transfer_handle_grants(
        &self,
        from_scope: &SessionScope,
        to_scope: &SessionScope,
        process_ids: &[String],
    ) -> Result<(), PluginError> {
        self.transfer(from_scope, to_scope, process_ids).await
    }

    async fn list_handle_grants(
        &self,
        session_scope: &SessionScope,
    ) -> Result<Vec<ProcessHandleGrantEntry>, PluginError> {
        self.handles(session_scope, Selection::All).await
    }

    async fn list_live_handle_grants(
        &self,
        session_scope: &SessionScope,
    ) -> Result<Vec<ProcessHandleGrantEntry>, PluginError> {
        self.handles(session_scope, Selection::Running).await
    }

    async fn has_handle_grant(
        &self,
        session_scope: &SessionScope,
        process_id: &str,
    ) -> Result<bool, PluginError> {
        self.is_granted(session_scope, process_id).await
    }

    async fn handle_grants_for_process(
        &self,
        process_id: &str,
    ) -> Result<Vec<ProcessHandleGrant>, PluginError> {
        self.handles_of(process_id).await
    }

    async fn delete_session_process_state(
        &self,
        session_id: &str,
    ) -> Result<ProcessSessionDeleteReport, PluginError> {
        self.revoke_session(session_id).await
    }

    async fn append_event(
        &self,
        process_id: &str,
        request: ProcessEventAppendRequest,
    ) -> Result<ProcessEventAppendResult, PluginError> {
        self.append(process_id, request, None).await
    }

    async fn events_after(
        &self,
        process_id: &str,
        after_sequence: u64,
    ) -> Result<Vec<ProcessEvent>, PluginError> {
        self.events("read process events", process_id, move |call, id| {
            Ok(call.process_events().after(id, after_sequence)?)
        })
        .await
    }

    /// An unknown process has no wakes: that is an error, as it is for events.
    async fn wake_events_after(
        &self,
        process_id: &str,
        after_sequence: u64,
    ) -> Result<Vec<ProcessEvent>, PluginError> {
        self.events("read process wakes", process_id, move |call, id| {
            Ok(call.process_events().wakes_after(id, after_sequence)?)
        })
        .await
    }

    async fn wait_event_after(
        &self,
        process_id: &str,
        event_type: &str,
        after_sequence: u64,
    ) -> Result<ProcessEvent, PluginError> {
        self.wait_for_event(process_id, event_type, after_sequence)
            .await
    }

    async fn await_process(&self, process_id: &str) -> Result<ProcessAwaitOutput, PluginError> {
        self.wait_for_end(process_id).await
    }

    async fn complete_process(
        &self,
        process_id: &str,
        await_output: ProcessAwaitOutput,
    ) -> Result<ProcessRecord, PluginError> {
        self.complete(process_id, await_output, None).await
    }

    async fn set_process_wait(
        &self,
        process_id: &str,
        wait: WaitState,
    ) -> Result<ProcessRecord, PluginError> {
        self.set_wait(process_id, Some(wait)).await
    }

    async fn clear_process_wait(&self, process_id: &str) -> Result<ProcessRecord, PluginError> {
        self.set_wait(process_id, None).await
    }

    /// `None` if there is no such process, and on an error, which is logged; see
    /// [`try_get_process`](SqliteProcessRegistry::try_get_process).
    async fn get_process(&self, process_id: &str) -> Option<ProcessRecord> {
        logged(
            "get process",
            self.try_get_process(process_id).await,
            || None,
        )
    }

    async fn list_processes(
        &self,
        filter: &ProcessListFilter,
    ) -> Result<Vec<ProcessRecord>, PluginError> {
        let selection = match filter.list_mode() {
            ProcessListMode::Live => Selection::Running,
            ProcessListMode::All => Selection::All,
        };
        self.list("list processes", selection, filter.clone()).await
    }

    async fn ack_wake(&self, process_id: &str, sequence: u64) -> Result<(), PluginError> {
        let id = process_id.to_owned();
        let known = self
            .shared
            .db
            .write("acknowledge process wake", move |call| {
                call.of_process(&id);
                Ok(call.process_events().acknowledge_wake(&id, sequence)?)
            })
            .await?;
        if known {
            Ok(())
        } else {
            Err(unknown_process(process_id))
        }
    }

    async fn list_non_terminal(&self) -> Result<Vec<ProcessRecord>, PluginError> {
        self.list(
            "list running processes",
            Selection::Running,
            ProcessListFilter::default(),
        )
        .await
    }

    async fn claim_process_lease(
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

    async fn renew_process_lease(
        &self,
        lease: &ProcessLease,
        lease_ttl_ms: u64,
    ) -> Result<ProcessLease, PluginError> {
        let id = lease.process_id.clone();
        let token = lease.lease_token.clone();
        let expires_at_ms = self
            .shared
            .db
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

    async fn complete_process_lease(
        &self,
        completion: &ProcessLeaseCompletion,
    ) -> Result<(), PluginError> {
        let shared = Arc::clone(&self.shared);
        let id = completion.process_id.clone();
        let token = completion.lease_token.clone();
        Ok(self
            .shared
            .db
            .write("release process lease", move |call| {
                call.of_process(&id);
                shared.release_lease(call, &id, &token)
            })
            .await?)
    }
}
