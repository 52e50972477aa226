//! The write-ahead manifest of attachments.

mod export;
mod import;
mod row;
mod verify;

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::session_types::AttachmentIntent;
use crate::session::digests::SessionTransaction;
use crate::storage::checksum::SetDigest;
use crate::storage::corruption::verify_complete;
use crate::storage::rows::RowReader;
use crate::storage::seam::{Environment, Transaction, Value, clamp, unsigned};
use crate::storage::sql::sql;

pub(crate) use export::export;
pub use import::add;
use row::{AttachmentRow, select};
pub(crate) use verify::verify_all;

/// Marks the attachments of a session committed at a time.
pub(crate) fn commit_ids<T: Transaction>(
    session: &mut SessionTransaction<T>,
    session_id: &str,
    attachment_ids: &[String],
    now_ms: i64,
) -> Result<()> {
    for attachment_id in attachment_ids {
        let rows = select(&session.tx, session_id, attachment_id)?;
        let mut reader = RowReader::new(AttachmentRow::TABLE, &rows);
        if !reader.advance() {
            continue;
        }
        let (mut row, checksum) = AttachmentRow::read_with_checksum(&mut reader)?;
        row.confirm_found(session_id, attachment_id)?;
        if row.committed_at_ms.is_none() {
            session.digests.intents.remove(checksum);
            row.committed_at_ms = Some(now_ms);
            row.store(&session.tx)?;
            session.digests.intents.insert(row.checksum());
        }
    }
    Ok(())
}

/// The WIT function `attachments.record-intent`.
pub fn record_intent(env: &impl Environment, intent: &AttachmentIntent) -> Result<()> {
    let mut session = SessionTransaction::write(env)?;
    let rows = select(&session.tx, &intent.session_id, &intent.attachment_id)?;
    let mut reader = RowReader::new(AttachmentRow::TABLE, &rows);
    if reader.advance() {
        let (row, checksum) = AttachmentRow::read_with_checksum(&mut reader)?;
        row.confirm_found(&intent.session_id, &intent.attachment_id)?;
        if row.committed_at_ms.is_some() {
            return Ok(());
        }
        session.digests.intents.remove(checksum);
    }
    let row = AttachmentRow {
        session_id: &intent.session_id,
        attachment_id: &intent.attachment_id,
        canonical_uri: &intent.canonical_uri,
        intent_at_ms: clamp(intent.intent_at_ms),
        committed_at_ms: None,
    };
    row.store(&session.tx)?;
    session.digests.intents.insert(row.checksum());
    session.commit()
}

/// The WIT function `attachments.commit`.
pub fn commit(env: &impl Environment, session_id: &str, attachment_ids: &[String]) -> Result<()> {
    let mut session = SessionTransaction::write_durably(env)?;
    let now_ms = env.now_ms();
    commit_ids(&mut session, session_id, attachment_ids, now_ms)?;
    session.commit()
}

/// The WIT function `attachments.list-uncommitted`.
pub fn list_uncommitted(
    env: &impl Environment,
    older_than_ms: u64,
) -> Result<Vec<AttachmentIntent>> {
    let session = SessionTransaction::read(env)?;
    // All of them, because a row that is missing, or that an index leads past,
    // would show bytes as garbage that another session refers to.
    let rows = session
        .tx
        .query(sql!(AttachmentRow::SELECT, "NOT INDEXED"), &[])?;
    let mut reader = RowReader::new(AttachmentRow::TABLE, &rows);
    let mut found = SetDigest::default();
    let mut committed = BTreeSet::new();
    let mut uncommitted = Vec::new();
    while reader.advance() {
        let (row, checksum) = AttachmentRow::read_with_checksum(&mut reader)?;
        found.insert(checksum);
        if row.committed_at_ms.is_some() {
            committed.insert(row.attachment_id);
        } else if row.intent_at_ms <= clamp(older_than_ms) {
            uncommitted.push(row);
        }
    }
    let expected = session.digests.intents;
    verify_complete(AttachmentRow::TABLE, found, expected)?;
    uncommitted.retain(|row| !committed.contains(row.attachment_id));
    uncommitted.sort_by_key(|row| (row.intent_at_ms, row.session_id, row.attachment_id));
    Ok(uncommitted
        .into_iter()
        .map(|row| AttachmentIntent {
            attachment_id: row.attachment_id.to_string(),
            session_id: row.session_id.to_string(),
            canonical_uri: row.canonical_uri.to_string(),
            intent_at_ms: unsigned(row.intent_at_ms),
        })
        .collect())
}

/// The WIT function `attachments.forget`.
pub fn forget(env: &impl Environment, attachment_id: &str) -> Result<()> {
    let mut session = SessionTransaction::write(env)?;
    let rows = session.tx.query(
        sql!(AttachmentRow::SELECT, "WHERE attachment_id = ?1"),
        &[Value::Text(attachment_id)],
    )?;
    let mut reader = RowReader::new(AttachmentRow::TABLE, &rows);
    while reader.advance() {
        let (row, checksum) = AttachmentRow::read_with_checksum(&mut reader)?;
        row.confirm_found(row.session_id, attachment_id)?;
        session.digests.intents.remove(checksum);
    }
    if rows.count > 0 {
        session.tx.execute(
            "DELETE FROM attachment_intents WHERE attachment_id = ?1",
            &[Value::Text(attachment_id)],
        )?;
    }
    session.commit()
}
