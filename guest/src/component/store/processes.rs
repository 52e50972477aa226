//! The interfaces of process databases.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Component, exports};
use crate::bindings::format_types::Initialized;
use crate::bindings::process_types::{
    Appended, Awaited, Basis, Changed, Claimed, EventDraft, EventPage, Grant, Position, Process,
    ProcessPage, PrunablePage, Registered, Registration, Revocation, ScopePage, Selection,
    WakePage,
};
use crate::bindings::sqlite::Database;
use crate::bindings::types::Error;
use crate::processes;

impl exports::processes::Guest for Component {
    fn initialize(db: &Database) -> Result<Initialized, Error> {
        processes::initialize(db)
    }

    fn register(db: &Database, registration: Registration) -> Result<Registered, Error> {
        processes::register(db, &registration)
    }

    fn get(
        db: &Database,
        id: String,
        known_hash: Option<String>,
    ) -> Result<Option<Process>, Error> {
        processes::get(db, &id, known_hash.as_deref())
    }

    fn list(
        db: &Database,
        selection: Selection,
        cursor: Option<Vec<u8>>,
    ) -> Result<ProcessPage, Error> {
        processes::list(db, selection, cursor.as_deref())
    }

    fn set_external_ref(
        db: &Database,
        id: String,
        known_hash: Option<String>,
        external_ref: Vec<u8>,
        fencing_token: Option<u64>,
    ) -> Result<Changed, Error> {
        let known_hash = known_hash.as_deref();
        processes::set_external_ref(db, &id, known_hash, external_ref, fencing_token)
    }

    fn set_wait(
        db: &Database,
        id: String,
        known_hash: Option<String>,
        wait: Option<Vec<u8>>,
        fencing_token: Option<u64>,
    ) -> Result<Changed, Error> {
        processes::set_wait(db, &id, known_hash.as_deref(), wait, fencing_token)
    }

    fn prunable(db: &Database, ended_before_ms: u64, limit: u32) -> Result<PrunablePage, Error> {
        #[cfg(feature = "hostile")]
        if let Some(answer) = crate::hostile::endless::prunable(ended_before_ms) {
            return Ok(answer);
        }
        processes::prunable(db, ended_before_ms, limit)
    }

    fn prune(db: &Database, ended_before_ms: u64, ids: Vec<String>) -> Result<Vec<String>, Error> {
        processes::prune(db, ended_before_ms, &ids)
    }
}

impl exports::process_events::Guest for Component {
    fn get_basis(
        db: &Database,
        process_id: String,
        known_hash: Option<String>,
        replay_key: Option<String>,
    ) -> Result<Option<Basis>, Error> {
        processes::get_basis(
            db,
            &process_id,
            known_hash.as_deref(),
            replay_key.as_deref(),
        )
    }

    fn append(db: &Database, draft: EventDraft) -> Result<Appended, Error> {
        #[cfg(feature = "hostile")]
        if crate::hostile::endless::moves(&draft.process_id) {
            return Ok(Appended::Moved);
        }
        processes::append(db, &draft)
    }

    fn after(db: &Database, process_id: String, sequence: u64) -> Result<Option<EventPage>, Error> {
        processes::after(db, &process_id, sequence)
    }

    fn recent(db: &Database, process_id: String, limit: u32) -> Result<Option<EventPage>, Error> {
        processes::recent(db, &process_id, limit)
    }

    fn wakes_after(
        db: &Database,
        process_id: String,
        sequence: u64,
    ) -> Result<Option<WakePage>, Error> {
        processes::wakes_after(db, &process_id, sequence)
    }

    fn first_of_type(
        db: &Database,
        process_id: String,
        event_type: String,
        sequence: u64,
    ) -> Result<Awaited, Error> {
        processes::first_of_type(db, &process_id, &event_type, sequence)
    }

    fn acknowledge_wake(db: &Database, process_id: String, sequence: u64) -> Result<bool, Error> {
        processes::acknowledge_wake(db, &process_id, sequence)
    }

    fn get_position(db: &Database, process_id: String) -> Result<Option<Position>, Error> {
        processes::get_position(db, &process_id)
    }

    fn last_sequences(db: &Database, process_ids: Vec<String>) -> Result<Vec<Option<u64>>, Error> {
        processes::last_sequences(db, &process_ids)
    }
}

impl exports::process_handles::Guest for Component {
    fn grant_handle(db: &Database, grant: Grant) -> Result<bool, Error> {
        processes::grant_handle(db, grant)
    }

    fn revoke(db: &Database, scope_id: String, process_id: String) -> Result<(), Error> {
        processes::revoke(db, &scope_id, &process_id)
    }

    fn transfer(
        db: &Database,
        from_scope_id: String,
        to_session_id: String,
        to_scope_id: String,
        process_ids: Vec<String>,
    ) -> Result<Option<String>, Error> {
        processes::transfer(
            db,
            &from_scope_id,
            &to_session_id,
            &to_scope_id,
            &process_ids,
        )
    }

    fn of_scope(
        db: &Database,
        scope_id: String,
        selection: Selection,
        cursor: Option<Vec<u8>>,
    ) -> Result<ScopePage, Error> {
        processes::of_scope(db, &scope_id, selection, cursor.as_deref())
    }

    fn is_granted(db: &Database, scope_id: String, process_id: String) -> Result<bool, Error> {
        processes::is_granted(db, &scope_id, &process_id)
    }

    fn of_process(db: &Database, process_id: String) -> Result<Option<Vec<Grant>>, Error> {
        processes::of_process(db, &process_id)
    }

    fn revoke_session(db: &Database, session_id: String) -> Result<Revocation, Error> {
        processes::revoke_session(db, &session_id)
    }
}

impl exports::process_leases::Guest for Component {
    fn claim(
        db: &Database,
        process_id: String,
        owner_id: String,
        ttl_ms: u64,
    ) -> Result<Claimed, Error> {
        processes::claim(db, &process_id, &owner_id, ttl_ms)
    }

    fn renew(
        db: &Database,
        process_id: String,
        token: String,
        ttl_ms: u64,
    ) -> Result<Option<u64>, Error> {
        processes::renew(db, &process_id, &token, ttl_ms)
    }

    fn release(db: &Database, process_id: String, token: String) -> Result<(), Error> {
        processes::release(db, &process_id, &token)
    }
}
