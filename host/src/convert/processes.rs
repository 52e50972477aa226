//! Processes, their events, handles and leases.
//!
//! What was registered is stored as JSON: its types have tags inside, which other
//! formats cannot read back.

use std::path::Path;

use lash_core::{
    PROCESS_LEASE_SCHEMA_VERSION, ProcessAwaitOutput, ProcessEvent, ProcessHandleGrant,
    ProcessLease, ProcessLifecycleStatus, ProcessRecord, ProcessRegistration, ProcessStatus,
};
use lash_store_engine::wit::process_events::{End, Event};
use lash_store_engine::wit::process_handles::Grant;
use lash_store_engine::wit::process_leases::Lease;
use lash_store_engine::wit::processes::{Process, Registration, Status};

use super::{from_json, to_json};
use crate::error::Error;

const REGISTRATION: &str = "the registration of a process";
const OUTCOME: &str = "the outcome of a process";
const WAIT: &str = "what a process waits for";
const EXTERNAL_REF: &str = "the external reference of a process";
const DESCRIPTOR: &str = "the descriptor of a process handle";
const EVENT: &str = "an event of a process";

pub(crate) fn to_registration(
    path: &Path,
    registration: &ProcessRegistration,
    hash: String,
) -> Result<Registration, Error> {
    Ok(Registration {
        id: registration.id.clone(),
        content: to_json(path, REGISTRATION, registration)?,
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
    let record = match known {
        Some(record)
            if process.content.is_empty()
                && record.registration_hash == process.registration_hash =>
        {
            record
        }
        _ => {
            let registration: ProcessRegistration =
                from_json(path, REGISTRATION, id, &process.content)?;
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
pub(crate) fn to_end(path: &Path, status: &ProcessStatus) -> Result<Option<End>, Error> {
    let (status, outcome) = match status {
        ProcessStatus::Running => return Ok(None),
        ProcessStatus::Completed { await_output } => (Status::Completed, await_output),
        ProcessStatus::Failed { await_output } => (Status::Failed, await_output),
        ProcessStatus::Cancelled { await_output } => (Status::Cancelled, await_output),
    };
    Ok(Some(End {
        status,
        outcome: to_json(path, OUTCOME, outcome)?,
    }))
}

pub(crate) fn from_outcome(
    path: &Path,
    id: &str,
    outcome: &[u8],
) -> Result<ProcessAwaitOutput, Error> {
    from_json(path, OUTCOME, id, outcome)
}

pub(crate) fn to_event(path: &Path, event: &ProcessEvent) -> Result<Vec<u8>, Error> {
    to_json(path, EVENT, event)
}

pub(crate) fn from_event(path: &Path, id: &str, content: &[u8]) -> Result<ProcessEvent, Error> {
    from_json(path, EVENT, id, content)
}

pub(crate) fn from_events(
    path: &Path,
    id: &str,
    contents: &[Vec<u8>],
) -> Result<Vec<ProcessEvent>, Error> {
    contents
        .iter()
        .map(|content| from_event(path, id, content))
        .collect()
}

/// What lash-core compares a repeated event with.
pub(crate) fn from_existing(
    path: &Path,
    id: &str,
    event: Event,
) -> Result<(String, ProcessEvent), Error> {
    Ok((event.payload_hash, from_event(path, id, &event.content)?))
}

pub(crate) fn to_wait(path: &Path, wait: &lash_core::WaitState) -> Result<Vec<u8>, Error> {
    to_json(path, WAIT, wait)
}

pub(crate) fn to_external_ref(
    path: &Path,
    external_ref: &lash_core::ProcessExternalRef,
) -> Result<Vec<u8>, Error> {
    to_json(path, EXTERNAL_REF, external_ref)
}

pub(crate) fn to_grant(
    path: &Path,
    scope_id: &str,
    grant: &ProcessHandleGrant,
) -> Result<Grant, Error> {
    Ok(Grant {
        session_id: grant.session_id.clone(),
        scope_id: scope_id.to_owned(),
        process_id: grant.process_id.clone(),
        descriptor: to_json(path, DESCRIPTOR, &grant.descriptor)?,
    })
}

pub(crate) fn from_grant(path: &Path, grant: Grant) -> Result<ProcessHandleGrant, Error> {
    Ok(ProcessHandleGrant {
        descriptor: from_json(path, DESCRIPTOR, &grant.process_id, &grant.descriptor)?,
        session_id: grant.session_id,
        process_id: grant.process_id,
    })
}

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
