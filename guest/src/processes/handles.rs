//! Which sessions may address which processes.
//!
//! The state of a process counts its handles, so every change of a handle changes
//! it too. A process without handles runs on: somebody else may know of it.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::process_types::{Grant, Revocation, ScopePage, Selection, Status};
use crate::storage::checksum::SetDigest;
use crate::storage::corruption::{confirm_found, verify_complete, verify_count};
use crate::storage::paging::{Cursor, ItemPage, Key, List};
use crate::storage::rows::RowReader;
use crate::storage::seam::{Environment, Transaction, TransactionMode, Value};
use crate::storage::sql::sql;

use super::grant_row::{self, GrantRow};
use super::process_row::{self, ProcessRow};

/// How many handles one query of `of-scope` reads.
const PAGE: i64 = 64;

/// What `of-scope` reads before the outcome and the content: the grants of a scope, and
/// their processes with the states.
const COLUMNS: &str = sql!("SELECT ", GrantRow::QUALIFIED, ", ", process_row::COLUMNS);

const TABLES: &str = sql!(
    process_row::WHOLE_TABLES,
    "JOIN process_grants ON process_grants.process = p.seq
     WHERE process_grants.scope_id = ?1 AND process_grants.process > ?2
     ORDER BY process_grants.process LIMIT ?3"
);

const ALL: &str = sql!(COLUMNS, ", o.checksum, o.outcome, p.content", TABLES);

/// The states of all are read, because only a whole row says for sure that its process
/// ended.
const RUNNING: &str = sql!(
    COLUMNS,
    ", CASE WHEN s.status = 0 THEN o.checksum END,
     CASE WHEN s.status = 0 THEN o.outcome END,
     CASE WHEN s.status = 0 THEN p.content END",
    TABLES
);

/// How long what `of-scope` reads is, in bytes.
const ALL_LENGTHS: &str = sql!("SELECT ", LENGTH, TABLES);

const RUNNING_LENGTHS: &str = sql!(
    "SELECT CASE WHEN s.status = 0 THEN ",
    LENGTH,
    " ELSE 0 END",
    TABLES
);

const LENGTH: &str = sql!("length(process_grants.descriptor) + ", process_row::LENGTH);

/// Removes a grant and writes the process that has one less.
fn remove(
    tx: &impl Transaction,
    process: &mut ProcessRow,
    grant: &GrantRow,
    checksum: i64,
) -> Result<()> {
    grant.delete(tx)?;
    process.state.grants.remove(checksum);
    process.state.update(tx, process.seq)
}

/// Writes a grant in place of the one that the scope has, and the process.
fn replace(tx: &impl Transaction, process: &mut ProcessRow, grant: &GrantRow) -> Result<()> {
    if let Some((old, checksum)) = grant_row::find(tx, &grant.scope_id, grant.process)? {
        old.delete(tx)?;
        process.state.grants.remove(checksum);
    }
    grant.insert(tx)?;
    process.state.grants.insert(grant.checksum());
    process.state.update(tx, process.seq)
}

/// The WIT function `process-handles.grant-handle`.
pub fn grant_handle(env: &impl Environment, grant: Grant) -> Result<bool> {
    let tx = env.begin(TransactionMode::WriteDurable)?;
    let Some(mut process) = process_row::find(&tx, &grant.process_id)? else {
        return Ok(false);
    };
    let grant = GrantRow {
        scope_id: grant.scope_id,
        process: process.seq,
        session_id: grant.session_id,
        descriptor: grant.descriptor,
    };
    replace(&tx, &mut process, &grant)?;
    tx.commit()?;
    Ok(true)
}

/// The WIT function `process-handles.revoke`.
pub fn revoke(env: &impl Environment, scope_id: &str, process_id: &str) -> Result<()> {
    let tx = env.begin(TransactionMode::WriteDurable)?;
    if let Some(mut process) = process_row::find(&tx, process_id)?
        && let Some((grant, checksum)) = grant_row::find(&tx, scope_id, process.seq)?
    {
        remove(&tx, &mut process, &grant, checksum)?;
        tx.commit()?;
    }
    Ok(())
}

/// The WIT function `process-handles.transfer`.
pub fn transfer(
    env: &impl Environment,
    from_scope_id: &str,
    to_session_id: &str,
    to_scope_id: &str,
    process_ids: &[String],
) -> Result<Option<String>> {
    let tx = env.begin(TransactionMode::WriteDurable)?;
    for process_id in process_ids {
        let Some(mut process) = process_row::find(&tx, process_id)? else {
            return Ok(Some(process_id.clone()));
        };
        let Some((grant, checksum)) = grant_row::find(&tx, from_scope_id, process.seq)? else {
            return Ok(Some(process_id.clone()));
        };
        remove(&tx, &mut process, &grant, checksum)?;
        let moved = GrantRow {
            scope_id: to_scope_id.to_string(),
            session_id: to_session_id.to_string(),
            ..grant
        };
        replace(&tx, &mut process, &moved)?;
    }
    tx.commit()?;
    Ok(None)
}

/// The WIT function `process-handles.of-scope`.
pub fn of_scope(
    env: &impl Environment,
    scope_id: &str,
    selection: Selection,
    cursor: Option<&[u8]>,
) -> Result<ScopePage> {
    let tx = env.begin(TransactionMode::Read)?;
    let (sql, lengths, selected) = match selection {
        Selection::All => (ALL, ALL_LENGTHS, &b"all"[..]),
        Selection::Running => (RUNNING, RUNNING_LENGTHS, &b"running"[..]),
    };
    let granted = grant_row::digest_of_scope(&tx, scope_id)?;
    let arguments = [scope_id.as_bytes(), selected];
    let list = List::of("process-handles.of-scope", &arguments, &[granted]);
    let mut cursor = Cursor::resume(cursor, &list)?;
    let mut last = match cursor.next {
        Key::Number(process) => process,
        _ => 0,
    };
    let mut page = ItemPage::new();
    let mut ended = false;
    while !ended && !page.is_full() {
        let params = [Value::Text(scope_id), Value::Integer(last)];
        let fitting = page.fitting(&tx, GrantRow::TABLE, lengths, &params, PAGE)?;
        let [scope, after] = params;
        let rows = tx.query(sql, &[scope, after, Value::Integer(fitting.rows)])?;
        fitting.require(GrantRow::TABLE, &rows)?;
        let mut reader = RowReader::new(GrantRow::TABLE, &rows);
        while reader.advance() {
            let (grant, checksum) = GrantRow::read_with_checksum(&mut reader)?;
            let next = grant.scope_id == scope_id && grant.process > last;
            confirm_found(GrantRow::TABLE, scope_id, next)?;
            last = grant.process;
            cursor.found.insert(checksum);
            let process = ProcessRow::read(&mut reader)?;
            confirm_found(GrantRow::TABLE, scope_id, process.seq == grant.process)?;
            if selection == Selection::All || process.state.is_running() {
                let whole = process.read_rest(&mut reader, None)?;
                let bytes = whole.bytes().saturating_add(grant.descriptor.len());
                let grant = into_grant(grant, whole.process.id.clone());
                page.add((grant, whole.process), bytes);
            } else {
                ProcessRow::skip_rest(&mut reader)?;
            }
        }
        ended = fitting.is_last;
    }
    cursor.next = Key::Number(last);
    let next = cursor.finish(GrantRow::TABLE, granted, ended)?;
    if ended {
        // A second index says how many there are.
        let count = grant_row::count_of_scope(&tx, scope_id)?;
        verify_count(GrantRow::TABLE, granted.count, count)?;
    }
    Ok(ScopePage {
        handles: page.into_items(),
        next,
    })
}

fn into_grant(row: GrantRow, process_id: String) -> Grant {
    Grant {
        session_id: row.session_id,
        scope_id: row.scope_id,
        process_id,
        descriptor: row.descriptor,
    }
}

/// The WIT function `process-handles.is-granted`.
pub fn is_granted(env: &impl Environment, scope_id: &str, process_id: &str) -> Result<bool> {
    let tx = env.begin(TransactionMode::Read)?;
    match process_row::find(&tx, process_id)? {
        Some(process) => Ok(grant_row::find(&tx, scope_id, process.seq)?.is_some()),
        None => Ok(false),
    }
}

/// The WIT function `process-handles.of-process`.
pub fn of_process(env: &impl Environment, process_id: &str) -> Result<Option<Vec<Grant>>> {
    let tx = env.begin(TransactionMode::Read)?;
    let Some(process) = process_row::find(&tx, process_id)? else {
        return Ok(None);
    };
    let mut found = SetDigest::default();
    let mut grants = Vec::new();
    for (grant, checksum) in grant_row::of_process(&tx, process.seq)? {
        found.insert(checksum);
        grants.push(into_grant(grant, process_id.to_string()));
    }
    verify_complete(GrantRow::TABLE, found, process.state.grants)?;
    Ok(Some(grants))
}

/// The WIT function `process-handles.revoke-session`.
pub fn revoke_session(env: &impl Environment, session_id: &str) -> Result<Revocation> {
    let tx = env.begin(TransactionMode::WriteDurable)?;
    let grants = grant_row::of_session(&tx, session_id)?;
    let mut processes = BTreeSet::new();
    for (grant, checksum) in &grants {
        let mut process = process_row::find_numbered(&tx, grant.process)?;
        remove(&tx, &mut process, grant, *checksum)?;
        processes.insert(grant.process);
    }
    let mut revocation = Revocation {
        handles: grants.len() as u64,
        orphaned: Vec::new(),
        preserved: Vec::new(),
    };
    for seq in processes {
        let process = process_row::find_numbered(&tx, seq)?;
        match process.state.grants.count {
            _ if process.state.status != Status::Running => {}
            0 => revocation.orphaned.push(process.id),
            _ => revocation.preserved.push(process.id),
        }
    }
    revocation.orphaned.sort_unstable();
    revocation.preserved.sort_unstable();
    tx.commit()?;
    Ok(revocation)
}
