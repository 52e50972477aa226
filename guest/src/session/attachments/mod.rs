//! The write-ahead manifest of attachments.

mod export;
mod import;
mod row;
mod verify;

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::session_types::{AttachmentIntent, AttachmentPage};
use crate::session::digests::SessionTransaction;
use crate::storage::corruption::verify_order;
use crate::storage::paging::{Cursor, ItemPage, List, Named};
use crate::storage::rows::{RowReader, read_one};
use crate::storage::seam::{Environment, Transaction, Value, clamp};

pub(crate) use export::export;
pub use import::add;
use row::{AttachmentRow, FROM, State, select, select_all};
pub(crate) use verify::verify_all;

/// How `list-uncommitted` reads the manifest.
const MANIFEST: Named = Named {
    table: AttachmentRow::TABLE,
    rows: FROM,
};

/// What an attachment takes of a page, without its texts, in bytes.
const ROW_BYTES: usize = 128;

/// Marks the attachments of a session committed at a time; returns the first of which the
/// bytes are being removed, or were.
pub(crate) fn commit_ids<T: Transaction>(
    session: &mut SessionTransaction<T>,
    session_id: &str,
    attachment_ids: &[String],
    now_ms: i64,
) -> Result<Option<String>> {
    for attachment_id in attachment_ids {
        if is_condemned(&session.tx, attachment_id)? {
            return Ok(Some(attachment_id.clone()));
        }
        let rows = select(&session.tx, session_id, attachment_id)?;
        let mut reader = RowReader::new(AttachmentRow::TABLE, &rows);
        if !reader.advance() {
            continue;
        }
        let (mut row, checksum) = AttachmentRow::read_with_checksum(&mut reader)?;
        row.confirm_found(session_id, attachment_id)?;
        if row.state != State::Kept {
            return Ok(Some(attachment_id.clone()));
        }
        if row.committed_at_ms.is_none() {
            session.digests.intents.remove(checksum);
            row.committed_at_ms = Some(now_ms);
            row.store(&session.tx)?;
            session.digests.intents.insert(row.checksum());
        }
    }
    Ok(None)
}

/// Whether a sweep removes the bytes of an attachment.
fn is_condemned(tx: &impl Transaction, attachment_id: &str) -> Result<bool> {
    let rows = select_all(tx, attachment_id)?;
    let mut reader = RowReader::new(AttachmentRow::TABLE, &rows);
    while reader.advance() {
        let row = AttachmentRow::read(&mut reader)?;
        row.confirm_found(row.session_id, attachment_id)?;
        if row.state == State::Condemned {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The WIT function `attachments.record-intent`.
pub fn record_intent(env: &impl Environment, intent: &AttachmentIntent) -> Result<bool> {
    let mut session = SessionTransaction::write(env)?;
    if is_condemned(&session.tx, &intent.attachment_id)? {
        return Ok(false);
    }
    let rows = select(&session.tx, &intent.session_id, &intent.attachment_id)?;
    let mut reader = RowReader::new(AttachmentRow::TABLE, &rows);
    if reader.advance() {
        let (row, checksum) = AttachmentRow::read_with_checksum(&mut reader)?;
        row.confirm_found(&intent.session_id, &intent.attachment_id)?;
        if row.committed_at_ms.is_some() {
            return Ok(true);
        }
        session.digests.intents.remove(checksum);
    }
    let row = AttachmentRow {
        session_id: &intent.session_id,
        attachment_id: &intent.attachment_id,
        canonical_uri: &intent.canonical_uri,
        intent_at_ms: clamp(intent.intent_at_ms),
        committed_at_ms: None,
        state: State::Kept,
    };
    row.store(&session.tx)?;
    session.digests.intents.insert(row.checksum());
    session.commit()?;
    Ok(true)
}

/// The WIT function `attachments.commit`.
pub fn commit(
    env: &impl Environment,
    session_id: &str,
    attachment_ids: &[String],
) -> Result<Option<String>> {
    let mut session = SessionTransaction::write_durably(env)?;
    let now_ms = env.now_ms();
    let condemned = commit_ids(&mut session, session_id, attachment_ids, now_ms)?;
    if condemned.is_none() {
        session.commit()?;
    }
    Ok(condemned)
}

/// The WIT function `attachments.list-uncommitted`.
pub fn list_uncommitted(
    env: &impl Environment,
    recorded_until_ms: u64,
    cursor: Option<&[u8]>,
) -> Result<AttachmentPage> {
    let session = SessionTransaction::read(env)?;
    let until = recorded_until_ms.to_le_bytes();
    let stored = [session.digests.intents];
    let list = List::of("attachments.list-uncommitted", &[&until], &stored);
    let mut cursor = Cursor::resume(cursor, &list)?;
    let sessions = session_ids(&session.tx)?;
    let mut page = ItemPage::new();
    let tx = &session.tx;
    // All rows of the table, because one that is missing, or that an index leads past,
    // would show bytes as garbage that another session refers to.
    let ended = MANIFEST.read(tx, &mut cursor, &mut page, &mut |cursor, page, reader| {
        let (row, checksum) = AttachmentRow::read_with_checksum(reader)?;
        cursor.found.insert(checksum);
        if row.committed_at_ms.is_none()
            && row.state != State::Forgotten
            && row.intent_at_ms <= clamp(recorded_until_ms)
            && !is_committed(tx, &sessions, &row)?
        {
            let bytes = row.attachment_id.len() + row.canonical_uri.len() + ROW_BYTES;
            page.add(row.to_intent(), bytes);
        }
        Ok(())
    })?;
    Ok(AttachmentPage {
        intents: page.into_items(),
        next: cursor.finish(AttachmentRow::TABLE, session.digests.intents, ended)?,
    })
}

/// The sessions that have attachments: one, unless somebody shares a database.
fn session_ids(tx: &impl Transaction) -> Result<Vec<String>> {
    let mut sessions: Vec<String> = Vec::new();
    loop {
        let sql = match sessions.last() {
            None => "SELECT min(session_id) FROM attachment_intents NOT INDEXED",
            Some(_) => {
                "SELECT min(session_id) FROM attachment_intents NOT INDEXED WHERE session_id > ?1"
            }
        };
        let after = sessions.last().map(|last| Value::Text(last));
        let rows = tx.query(sql, after.as_slice())?;
        let next = read_one(AttachmentRow::TABLE, &rows, |reader| {
            Ok(reader.optional_text()?.map(ToString::to_string))
        })?;
        match next.flatten() {
            Some(next) => {
                let in_order = sessions.last().is_none_or(|last| next > *last);
                verify_order(AttachmentRow::TABLE, &next, in_order)?;
                sessions.push(next);
            }
            None => return Ok(sessions),
        }
    }
}

/// Whether another session has committed an attachment.
fn is_committed(
    tx: &impl Transaction,
    sessions: &[String],
    row: &AttachmentRow<'_>,
) -> Result<bool> {
    for session_id in sessions.iter().filter(|id| *id != row.session_id) {
        let rows = select(tx, session_id, row.attachment_id)?;
        let mut reader = RowReader::new(AttachmentRow::TABLE, &rows);
        if reader.advance() {
            let other = AttachmentRow::read(&mut reader)?;
            other.confirm_found(session_id, row.attachment_id)?;
            if other.committed_at_ms.is_some() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The WIT function `attachments.condemn`.
pub fn condemn(
    env: &impl Environment,
    attachment_id: &str,
    recorded_until_ms: u64,
) -> Result<bool> {
    let mut session = SessionTransaction::write_durably(env)?;
    let mut found = false;
    // Of every session by the key of the table: an index could lead past a commit.
    for session_id in session_ids(&session.tx)? {
        let rows = select(&session.tx, &session_id, attachment_id)?;
        let mut reader = RowReader::new(AttachmentRow::TABLE, &rows);
        if !reader.advance() {
            continue;
        }
        let (mut row, checksum) = AttachmentRow::read_with_checksum(&mut reader)?;
        row.confirm_found(&session_id, attachment_id)?;
        if row.state == State::Forgotten {
            continue;
        }
        if row.committed_at_ms.is_some() || row.intent_at_ms > clamp(recorded_until_ms) {
            return Ok(false);
        }
        session.digests.intents.remove(checksum);
        row.state = State::Condemned;
        row.store(&session.tx)?;
        session.digests.intents.insert(row.checksum());
        found = true;
    }
    if found {
        session.commit()?;
    }
    Ok(found)
}

/// The WIT function `attachments.forget`.
pub fn forget(env: &impl Environment, attachment_id: &str) -> Result<()> {
    let mut session = SessionTransaction::write_durably(env)?;
    let rows = select_all(&session.tx, attachment_id)?;
    let mut reader = RowReader::new(AttachmentRow::TABLE, &rows);
    while reader.advance() {
        let (mut row, checksum) = AttachmentRow::read_with_checksum(&mut reader)?;
        row.confirm_found(row.session_id, attachment_id)?;
        session.digests.intents.remove(checksum);
        if row.state == State::Kept {
            row.delete(&session.tx)?;
        } else {
            // Whoever recorded the intent may not have noticed, and commit.
            row.state = State::Forgotten;
            row.store(&session.tx)?;
            session.digests.intents.insert(row.checksum());
        }
    }
    session.commit()
}
