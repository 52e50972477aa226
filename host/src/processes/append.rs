//! Appending events.
//!
//! lash-core says what an event means, from a process, its number of events and the
//! event with the same replay key. The component appends it only if all three are
//! still so; otherwise lash-core is asked again.

use std::sync::Arc;

use lash_core::runtime::{PreparedProcessEventAppend, prepare_process_event_append};
use lash_core::{
    PluginError, ProcessAwaitOutput, ProcessEventAppendRequest, ProcessEventAppendResult,
    ProcessLease, ProcessRecord, ProcessTerminalState,
};

use super::outcome::lease_lost;
use super::{Shared, SqliteProcessRegistry};
use crate::bindings::interfaces::process_events::{Appended, Draft};
use crate::convert;
use crate::engine::Call;
use crate::error::{Error, plugin_error, unknown_process};

/// Under which lease an event is appended.
#[derive(Clone)]
pub(super) struct Fence {
    lease: ProcessLease,
    /// Whether the lease is given back with the event.
    release: bool,
}

impl SqliteProcessRegistry {
    /// Appends an event under a lease: whatever the event is, it is refused if
    /// somebody has taken the process over since the lease was claimed. The process
    /// is that of the lease.
    ///
    /// A repetition of a stored event, by replay key and payload, is answered with
    /// that event, whoever asks.
    ///
    /// # Errors
    ///
    /// As `append_event`; and [`PluginError::Session`] with the text `process lease
    /// for … is missing or expired` if somebody has taken the process over.
    pub async fn append_event_with_lease(
        &self,
        lease: &ProcessLease,
        request: ProcessEventAppendRequest,
    ) -> Result<ProcessEventAppendResult, PluginError> {
        let fence = Fence {
            lease: lease.clone(),
            release: false,
        };
        self.append(&lease.process_id, request, Some(fence)).await
    }

    /// Ends a process under a lease and gives the lease back, in one transaction.
    /// It is refused if somebody has taken the process over since the lease was
    /// claimed.
    ///
    /// # Errors
    ///
    /// As `complete_process`; and [`PluginError::Session`] with the text `process
    /// lease for … is missing or expired` if somebody has taken the process over.
    pub async fn complete_process_with_lease(
        &self,
        lease: &ProcessLease,
        await_output: ProcessAwaitOutput,
    ) -> Result<ProcessRecord, PluginError> {
        let fence = Fence {
            lease: lease.clone(),
            release: true,
        };
        self.complete(&lease.process_id, await_output, Some(fence))
            .await
    }

    pub(super) async fn append(
        &self,
        process_id: &str,
        request: ProcessEventAppendRequest,
        fence: Option<Fence>,
    ) -> Result<ProcessEventAppendResult, PluginError> {
        let shared = Arc::clone(&self.shared);
        let process_id = process_id.to_owned();
        self.shared
            .db
            .write("append process event", move |call| {
                shared.append(call, &process_id, &request, fence.as_ref())
            })
            .await
            .map_err(plugin_error)?
    }

    pub(super) async fn complete(
        &self,
        process_id: &str,
        await_output: ProcessAwaitOutput,
        fence: Option<Fence>,
    ) -> Result<ProcessRecord, PluginError> {
        let event_type = match await_output.terminal_state() {
            ProcessTerminalState::Completed => "process.completed",
            ProcessTerminalState::Failed => "process.failed",
            ProcessTerminalState::Cancelled => "process.cancelled",
        };
        let request = ProcessEventAppendRequest::new(
            event_type,
            serde_json::json!({ "await_output": await_output }),
        )
        .with_replay_key(format!("process:{process_id}:terminal:{event_type}"));
        let shared = Arc::clone(&self.shared);
        let process_id = process_id.to_owned();
        self.shared
            .db
            .write("complete process", move |call| {
                let appended = shared.append(call, &process_id, &request, fence.as_ref())?;
                if let Err(refused) = appended {
                    return Ok(Err(refused));
                }
                let record = shared.records.get(call, &process_id)?;
                Ok(record.ok_or_else(|| unknown_process(&process_id)))
            })
            .await
            .map_err(plugin_error)?
    }
}

impl Shared {
    /// Appends an event, within a job. The inner error is an outcome: nothing was
    /// written.
    fn append(
        &self,
        call: &mut Call<'_>,
        process_id: &str,
        request: &ProcessEventAppendRequest,
        fence: Option<&Fence>,
    ) -> Result<Result<ProcessEventAppendResult, PluginError>, Error> {
        let replay_key = request.replay.as_ref().map(|replay| replay.key.as_str());
        loop {
            let mut basis = None;
            let record = self.records.read(call, process_id, |call, known_hash| {
                let read = call.process_events(|events, guest, db| {
                    events.call_get_basis(guest, db, process_id, known_hash, replay_key)
                })?;
                Ok(read.map(|read| {
                    basis = Some((
                        read.process.number,
                        read.process.last_sequence,
                        read.existing,
                    ));
                    read.process
                }))
            })?;
            let (Some(record), Some((number, last_sequence, existing))) = (record, basis) else {
                return Ok(Err(unknown_process(process_id)));
            };
            if record.is_terminal() {
                // It may have been ended through another registry.
                self.held.forget(process_id);
            }
            let existing = existing
                .map(|event| convert::processes::from_existing(call.path(), process_id, event))
                .transpose()?;
            let prepared = prepare_process_event_append(
                &record,
                request.clone(),
                last_sequence.saturating_add(1),
                existing,
                self.db.now_ms(),
            );
            self.records.put(record);
            let prepared = match prepared {
                Ok(prepared) => prepared,
                Err(refused) => return Ok(Err(refused)),
            };
            if prepared.replayed {
                self.release(call, fence)?;
                return Ok(Ok(result(prepared)));
            }
            let draft = self.draft(call, &prepared, number, last_sequence, fence)?;
            let ends = draft.end.is_some();
            match call.process_events(|events, guest, db| events.call_append(guest, db, &draft))? {
                Appended::Sequence(_) => {
                    self.appended(process_id, ends, fence);
                    return Ok(Ok(result(prepared)));
                }
                // Somebody was faster: what the event means must be asked again.
                Appended::Moved | Appended::Existing(_) => {}
                Appended::Fenced(_) => return Ok(Err(lease_lost(process_id))),
                Appended::Unknown => return Ok(Err(unknown_process(process_id))),
            }
        }
    }

    fn draft(
        &self,
        call: &Call<'_>,
        prepared: &PreparedProcessEventAppend,
        process_number: u64,
        last_sequence: u64,
        fence: Option<&Fence>,
    ) -> Result<Draft, Error> {
        let event = &prepared.event;
        let end = match &prepared.status_update {
            Some(status) => convert::processes::to_end(call.path(), status)?,
            None => None,
        };
        let fencing_token = match fence {
            Some(fence) => Some(fence.lease.fencing_token),
            None if end.is_some() => self.held.fencing_token(&event.process_id, process_number),
            // Anybody may tell a process something.
            None => None,
        };
        Ok(Draft {
            process_id: event.process_id.clone(),
            event_type: event.event_type.clone(),
            replay_key: event.invocation.replay_key().map(str::to_owned),
            payload_hash: prepared.payload_hash.clone(),
            content: convert::processes::to_event(call.path(), event)?,
            occurred_at_ms: prepared.occurred_at_ms,
            wakes: event.semantics.wake.is_some(),
            end,
            last_sequence,
            fencing_token,
            release: fence
                .filter(|fence| fence.release)
                .map(|fence| fence.lease.lease_token.clone()),
        })
    }

    /// After an event was appended. It belongs to the job: a caller who does not
    /// wait for the answer must not leave others waiting.
    fn appended(&self, process_id: &str, ended: bool, fence: Option<&Fence>) {
        if ended {
            self.held.forget(process_id);
        } else if let Some(fence) = fence.filter(|fence| fence.release) {
            self.held.release(process_id, &fence.lease.lease_token);
        }
        self.db.notify(process_id);
    }

    /// Gives back the lease of an event that was appended earlier.
    fn release(&self, call: &mut Call<'_>, fence: Option<&Fence>) -> Result<(), Error> {
        match fence {
            Some(Fence {
                lease,
                release: true,
            }) => self.release_lease(call, &lease.process_id, &lease.lease_token),
            _ => Ok(()),
        }
    }

    pub(super) fn release_lease(
        &self,
        call: &mut Call<'_>,
        process_id: &str,
        token: &str,
    ) -> Result<(), Error> {
        call.process_leases(|leases, guest, db| leases.call_release(guest, db, process_id, token))?;
        self.held.release(process_id, token);
        Ok(())
    }
}

fn result(prepared: PreparedProcessEventAppend) -> ProcessEventAppendResult {
    ProcessEventAppendResult {
        event: prepared.event,
        wake_delivery: prepared.wake_delivery,
    }
}
