//! Appending events.
//!
//! lash-core says what an event means, from a process, its number of events and the
//! event with the same replay key. The component appends it only if all three are
//! still so; otherwise lash-core is asked again. So nothing need be read first where
//! the process is known from the call before: a guess that is wrong is refused.

use std::sync::Arc;

use lash_core::runtime::{PreparedProcessEventAppend, prepare_process_event_append};
use lash_core::{
    PluginError, ProcessAwaitOutput, ProcessEvent, ProcessEventAppendRequest,
    ProcessEventAppendResult, ProcessLease, ProcessRecord, ProcessTerminalState,
};
use lash_store_engine::Call;
use lash_store_engine::wit::process_events::{Appended, EventDraft};

use super::outcome::lease_lost;
use super::records::Known;
use super::{Shared, SqliteProcessRegistry, events, record};
use crate::encoding::check_json;
use crate::error::{Error, unknown_process};

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
        // What it means is computed where the database is, and not from what could
        // not be stored.
        check_json(
            shared.db.path(),
            "an event of process",
            &process_id,
            &request,
        )?;
        self.shared
            .db
            .write("append process event", move |call| {
                call.of_process(&process_id);
                let appended = shared.append(call, &process_id, &request, fence.as_ref())?;
                if appended.is_err() {
                    call.ended("refused");
                }
                Ok(appended)
            })
            .await?
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
        check_json(
            self.shared.db.path(),
            "the outcome of process",
            process_id,
            &await_output,
        )?;
        let request = ProcessEventAppendRequest::new(
            event_type,
            serde_json::json!({ "await_output": await_output }),
        )
        .with_replay_key(format!("process:{process_id}:terminal:{event_type}"));
        let shared = Arc::clone(&self.shared);
        let process_id = process_id.to_owned();
        self.shared
            .db
            .urgent()
            .write("complete process", move |call| {
                call.of_process(&process_id);
                let appended = shared.append(call, &process_id, &request, fence.as_ref())?;
                if let Err(refused) = appended {
                    call.ended("refused");
                    return Ok(Err(refused));
                }
                let record = shared.records.get(call, &process_id)?;
                Ok(record.ok_or_else(|| unknown_process(&process_id)))
            })
            .await?
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
        // What is known of the process is tried first, as if the event were new. Only
        // an event that the component takes shows that this was right.
        if let Some(known) = self.records.take(process_id) {
            match self.prepare(&known, request, None) {
                Ok(prepared) => {
                    let answer = self.append_prepared(call, known, prepared, fence)?;
                    if let Some(Ok(appended)) = answer {
                        return Ok(Ok(appended));
                    }
                }
                Err(_) => self.records.put(known),
            }
        }
        let replay_key = request.replay.as_ref().map(|replay| replay.key.as_str());
        loop {
            let mut existing = None;
            let known = self.records.read(call, process_id, |call, known_hash| {
                let basis = call
                    .process_events()
                    .get_basis(process_id, known_hash, replay_key)?;
                Ok(basis.map(|basis| {
                    existing = basis.existing;
                    basis.process
                }))
            })?;
            let Some(known) = known else {
                return Ok(Err(unknown_process(process_id)));
            };
            if known.record.is_terminal() {
                // It may have been ended through another registry.
                self.held.forget(process_id);
            }
            let existing = existing
                .map(|event| events::from_existing(call.path(), process_id, event))
                .transpose()?;
            let prepared = match self.prepare(&known, request, existing) {
                Ok(prepared) => prepared,
                Err(refused) => {
                    self.records.put(known);
                    return Ok(Err(refused));
                }
            };
            if prepared.replayed {
                self.records.put(known);
                self.release(call, fence)?;
                return Ok(Ok(result(prepared)));
            }
            if let Some(answer) = self.append_prepared(call, known, prepared, fence)? {
                return Ok(answer);
            }
        }
    }

    /// What an event means, appended to what is known of its process.
    fn prepare(
        &self,
        known: &Known,
        request: &ProcessEventAppendRequest,
        existing: Option<(String, ProcessEvent)>,
    ) -> Result<PreparedProcessEventAppend, PluginError> {
        prepare_process_event_append(
            &known.record,
            request.clone(),
            known.last_sequence.saturating_add(1),
            existing,
            self.db.now_ms(),
        )
    }

    /// Appends an event that was prepared for what is known of its process. None if
    /// the process is not as it was: what the event means must be asked again.
    fn append_prepared(
        &self,
        call: &mut Call<'_>,
        mut known: Known,
        prepared: PreparedProcessEventAppend,
        fence: Option<&Fence>,
    ) -> Result<Option<Result<ProcessEventAppendResult, PluginError>>, Error> {
        let draft = self.draft(call, &prepared, &known, fence)?;
        let process_id = &draft.process_id;
        let ends = draft.end.is_some();
        let appended = call.process_events().append(&draft)?;
        // The record is that of a process that runs: after its end it must not look
        // current.
        if let Appended::Sequence(sequence) = appended
            && !ends
        {
            known.last_sequence = sequence;
        }
        self.records.put(known);
        Ok(match appended {
            Appended::Sequence(_) => {
                self.appended(process_id, ends, fence);
                Some(Ok(result(prepared)))
            }
            Appended::Fenced(_) => Some(Err(lease_lost(process_id))),
            Appended::Moved | Appended::Existing(_) | Appended::Unknown => None,
        })
    }

    fn draft(
        &self,
        call: &Call<'_>,
        prepared: &PreparedProcessEventAppend,
        known: &Known,
        fence: Option<&Fence>,
    ) -> Result<EventDraft, Error> {
        let event = &prepared.event;
        let end = match &prepared.status_update {
            Some(status) => record::to_end(call.path(), &event.process_id, status)?,
            None => None,
        };
        let fencing_token = match fence {
            Some(fence) => Some(fence.lease.fencing_token),
            None if end.is_some() => self.held.fencing_token(&event.process_id, known.number),
            // Anybody may tell a process something.
            None => None,
        };
        Ok(EventDraft {
            process_id: event.process_id.clone(),
            process_number: known.number,
            event_type: event.event_type.clone(),
            replay_key: event.invocation.replay_key().map(str::to_owned),
            payload_hash: prepared.payload_hash.clone(),
            content: events::to_event(call.path(), event)?,
            occurred_at_ms: prepared.occurred_at_ms,
            wakes: event.semantics.wake.is_some(),
            end,
            last_sequence: known.last_sequence,
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
        call.process_leases().release(process_id, token)?;
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
