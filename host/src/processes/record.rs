//! What was registered, and what its process has become.
//!
//! What was registered is stored as JSON: its types have tags inside, which other
//! formats cannot read back.

use std::path::Path;
use std::sync::Arc;

use lash_core::runtime::prepare_process_registration;
use lash_core::{
    PluginError, ProcessAwaitOutput, ProcessExternalRef, ProcessLifecycleStatus, ProcessListFilter,
    ProcessRecord, ProcessRegistration, ProcessStatus, WaitState,
};
use lash_store_engine::Call;
use lash_store_engine::wit::process_events::End;
use lash_store_engine::wit::processes::{
    Changed, Process, Registered, Registration, Selection, Status,
};

use super::SqliteProcessRegistry;
use super::outcome::{conflict, ended};
use super::records::Known;
use crate::encoding::{from_json, to_json};
use crate::error::{Error, unknown_process};

const REGISTRATION: &str = "the registration of a process";

const OUTCOME: &str = "the outcome of a process";

const WAIT: &str = "what a process waits for";

const EXTERNAL_REF: &str = "the external reference of a process";

pub(crate) fn to_registration(
    path: &Path,
    registration: &ProcessRegistration,
    hash: String,
) -> Result<Registration, Error> {
    Ok(Registration {
        id: registration.id.clone(),
        content: to_json(path, REGISTRATION, &registration.id, registration)?,
        hash,
    })
}

/// A record as the component says it is now. `known` is one of the same process
/// from earlier, which need not be decoded again if what was registered is the
/// same; without it the content must be there.
pub(crate) fn to_record(
    path: &Path,
    known: Option<ProcessRecord>,
    process: Process,
) -> Result<ProcessRecord, Error> {
    let id = process.id.as_str();
    let record = match (known, process.content) {
        (Some(record), None) if record.registration_hash == process.registration_hash => record,
        (_, content) => {
            let content = content.unwrap_or_default();
            let registration: ProcessRegistration = from_json(path, REGISTRATION, id, &content)?;
            let hash = process.registration_hash;
            ProcessRecord::from_prepared_registration(registration, hash, 0)
        }
    };
    let outcome = process
        .outcome
        .map(|outcome| from_json(path, OUTCOME, id, &outcome))
        .transpose()?;
    Ok(ProcessRecord {
        created_at_ms: process.created_at_ms,
        updated_at_ms: process.updated_at_ms,
        external_ref: process
            .external_ref
            .map(|external_ref| from_json(path, EXTERNAL_REF, id, &external_ref))
            .transpose()?,
        wait: process
            .wait
            .map(|wait| from_json(path, WAIT, id, &wait))
            .transpose()?,
        status: to_status(path, id, process.status, outcome)?,
        ..record
    })
}

fn to_status(
    path: &Path,
    id: &str,
    status: Status,
    outcome: Option<ProcessAwaitOutput>,
) -> Result<ProcessStatus, Error> {
    match (status, outcome) {
        (Status::Running, None) => Ok(ProcessStatus::Running),
        (Status::Completed, Some(await_output)) => Ok(ProcessStatus::Completed { await_output }),
        (Status::Failed, Some(await_output)) => Ok(ProcessStatus::Failed { await_output }),
        (Status::Cancelled, Some(await_output)) => Ok(ProcessStatus::Cancelled { await_output }),
        (Status::Running, Some(_))
        | (Status::Completed | Status::Failed | Status::Cancelled, None) => Err(Error::decode(
            path,
            OUTCOME,
            id,
            "the outcome does not fit the status",
        )),
    }
}

pub(crate) fn to_lifecycle(status: Status) -> ProcessLifecycleStatus {
    match status {
        Status::Running => ProcessLifecycleStatus::Running,
        Status::Completed => ProcessLifecycleStatus::Completed,
        Status::Failed => ProcessLifecycleStatus::Failed,
        Status::Cancelled => ProcessLifecycleStatus::Cancelled,
    }
}

/// How a process ends with a status; none if it does not end.
pub(crate) fn to_end(path: &Path, id: &str, status: &ProcessStatus) -> Result<Option<End>, Error> {
    let (status, outcome) = match status {
        ProcessStatus::Running => return Ok(None),
        ProcessStatus::Completed { await_output } => (Status::Completed, await_output),
        ProcessStatus::Failed { await_output } => (Status::Failed, await_output),
        ProcessStatus::Cancelled { await_output } => (Status::Cancelled, await_output),
    };
    Ok(Some(End {
        status,
        outcome: to_json(path, OUTCOME, id, outcome)?,
    }))
}

pub(crate) fn from_outcome(
    path: &Path,
    id: &str,
    outcome: &[u8],
) -> Result<ProcessAwaitOutput, Error> {
    from_json(path, OUTCOME, id, outcome)
}

pub(crate) fn to_wait(path: &Path, id: &str, wait: &WaitState) -> Result<Vec<u8>, Error> {
    to_json(path, WAIT, id, wait)
}

pub(crate) fn to_external_ref(
    path: &Path,
    id: &str,
    external_ref: &ProcessExternalRef,
) -> Result<Vec<u8>, Error> {
    to_json(path, EXTERNAL_REF, id, external_ref)
}

/// A change of one process that was refused.
enum Refused {
    Unknown,
    Ended,
}

impl SqliteProcessRegistry {
    pub(super) async fn register(
        &self,
        registration: ProcessRegistration,
    ) -> Result<ProcessRecord, PluginError> {
        let (registration, hash) = prepare_process_registration(registration)?;
        let draft = to_registration(self.shared.db.path(), &registration, hash.clone())?;
        let shared = Arc::clone(&self.shared);
        self.shared
            .db
            .write("register process", move |call| {
                call.of_process(&registration.id);
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
                        Changed::Fenced(_) => {
                            return Err(call
                                .contradiction("a change without a fencing token was fenced")
                                .into());
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

    pub(super) async fn set_external(
        &self,
        process_id: &str,
        external_ref: ProcessExternalRef,
    ) -> Result<ProcessRecord, PluginError> {
        let external_ref = to_external_ref(self.shared.db.path(), process_id, &external_ref)?;
        self.change(
            "set external reference",
            process_id,
            move |call, id, known_hash| {
                Ok(call
                    .processes()
                    .set_external_ref(id, known_hash, &external_ref, None)?)
            },
        )
        .await
    }

    pub(super) async fn set_wait(
        &self,
        process_id: &str,
        wait: Option<WaitState>,
    ) -> Result<ProcessRecord, PluginError> {
        let wait = wait
            .map(|wait| to_wait(self.shared.db.path(), process_id, &wait))
            .transpose()?;
        self.change(
            "set process wait",
            process_id,
            move |call, id, known_hash| {
                let wait = wait.as_deref();
                Ok(call.processes().set_wait(id, known_hash, wait, None)?)
            },
        )
        .await
    }

    /// Reads processes that a filter lets through.
    pub(super) async fn list(
        &self,
        operation: &'static str,
        selection: Selection,
        filter: ProcessListFilter,
    ) -> Result<Vec<ProcessRecord>, PluginError> {
        Ok(self
            .shared
            .db
            .read(operation, move |call| {
                let pages = call.list(|call, cursor| call.processes().list(selection, cursor))?;
                let processes = pages.into_iter().flat_map(|page| page.processes);
                let mut records = Vec::new();
                for process in processes {
                    // What the status excludes need not be decoded.
                    let status = to_lifecycle(process.status);
                    if !filter.status.matches(status) {
                        continue;
                    }
                    let record = to_record(call.path(), None, process)?;
                    if filter.matches_record(&record) {
                        records.push(record);
                    }
                }
                records.sort_by(|a, b| a.id.cmp(&b.id));
                Ok(records)
            })
            .await?)
    }

    /// Reads a process, and returns the error, which `get_process` of the trait can
    /// only log. `None` if there is no such process.
    ///
    /// # Errors
    ///
    /// [`EngineError::Corrupt`](crate::EngineError::Corrupt) if what is stored is damaged, [`Error::Decode`] if another
    /// release has written it.
    pub async fn try_get_process(&self, process_id: &str) -> Result<Option<ProcessRecord>, Error> {
        let shared = Arc::clone(&self.shared);
        let process_id = process_id.to_owned();
        self.shared
            .db
            .read("get process", move |call| {
                call.of_process(&process_id);
                shared.records.get(call, &process_id)
            })
            .await
    }
}
