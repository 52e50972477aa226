//! The write-ahead manifest of attachments.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::exports::lash::store::attachments::Intent;
use crate::bindings::exports::lash::store::session_import::ImportedAttachment;
use crate::session::digests::SessionTransaction;
use crate::storage::checksum::{Checksum, SetDigest};
use crate::storage::corruption::{confirm_found, refuse_repeated, verify, verify_complete};
use crate::storage::findings::{Findings, Pages};
use crate::storage::paging::{Cursor, Named, Page, RecordBuilder};
use crate::storage::rows::RowReader;
use crate::storage::seam::{Environment, Transaction, Value, clamp, optional_integer, unsigned};

const TABLE: &str = "attachment_intents";

struct Row<'r> {
    session_id: &'r str,
    attachment_id: &'r str,
    canonical_uri: &'r str,
    intent_at_ms: i64,
    committed_at_ms: Option<i64>,
}

impl<'r> Row<'r> {
    /// Reads and checks `session_id, attachment_id, canonical_uri, intent_at_ms,
    /// committed_at_ms, checksum`; answers the checksum too.
    fn read(reader: &mut RowReader<'r>) -> Result<(Self, i64)> {
        let row = Self {
            session_id: reader.text()?,
            attachment_id: reader.text()?,
            canonical_uri: reader.text()?,
            intent_at_ms: reader.integer()?,
            committed_at_ms: reader.optional_integer()?,
        };
        let stored = reader.integer()?;
        verify(TABLE, row.attachment_id, stored, row.checksum())?;
        Ok((row, stored))
    }

    fn confirm_found(&self, session_id: &str, attachment_id: &str) -> Result<()> {
        let found = self.session_id == session_id && self.attachment_id == attachment_id;
        confirm_found(TABLE, attachment_id, found)
    }

    fn checksum(&self) -> i64 {
        Checksum::of(TABLE)
            .bytes(self.session_id.as_bytes())
            .bytes(self.attachment_id.as_bytes())
            .bytes(self.canonical_uri.as_bytes())
            .integer(self.intent_at_ms)
            .optional_integer(self.committed_at_ms)
            .finish()
    }

    /// Writes the row in place of the one with its key.
    fn store(&self, tx: &impl Transaction) -> Result<()> {
        tx.execute(
            "INSERT INTO attachment_intents (session_id, attachment_id, canonical_uri,
                 intent_at_ms, committed_at_ms, checksum)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (session_id, attachment_id) DO UPDATE SET
                 canonical_uri = excluded.canonical_uri,
                 intent_at_ms = excluded.intent_at_ms,
                 committed_at_ms = excluded.committed_at_ms,
                 checksum = excluded.checksum",
            &[
                Value::Text(self.session_id),
                Value::Text(self.attachment_id),
                Value::Text(self.canonical_uri),
                Value::Integer(self.intent_at_ms),
                optional_integer(self.committed_at_ms),
                Value::Integer(self.checksum()),
            ],
        )?;
        Ok(())
    }
}

/// Marks the attachments of a session committed at a time.
pub(crate) fn commit_ids<T: Transaction>(
    session: &mut SessionTransaction<T>,
    session_id: &str,
    attachment_ids: &[String],
    now_ms: i64,
) -> Result<()> {
    for attachment_id in attachment_ids {
        let rows = select(&session.tx, session_id, attachment_id)?;
        let mut reader = RowReader::new(TABLE, &rows);
        if !reader.advance() {
            continue;
        }
        let (mut row, checksum) = Row::read(&mut reader)?;
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

fn select(
    tx: &impl Transaction,
    session_id: &str,
    attachment_id: &str,
) -> Result<crate::storage::seam::Rows> {
    Ok(tx.query(
        "SELECT session_id, attachment_id, canonical_uri, intent_at_ms, committed_at_ms, checksum
         FROM attachment_intents WHERE session_id = ?1 AND attachment_id = ?2",
        &[Value::Text(session_id), Value::Text(attachment_id)],
    )?)
}

const PAGES: Pages = Pages {
    table: TABLE,
    sql: "SELECT session_id, attachment_id, canonical_uri, intent_at_ms, committed_at_ms, checksum
          FROM attachment_intents WHERE (session_id, attachment_id) >= (?1, ?2)
          ORDER BY session_id, attachment_id LIMIT ?3",
    columns: 6,
    size: 1024,
};

/// Checks every row of the manifest.
pub(crate) fn verify_all<T: Transaction>(
    session: &SessionTransaction<T>,
    findings: &mut Findings,
) -> Result<()> {
    let mut found = SetDigest::default();
    findings.walk_names(&session.tx, &PAGES, &mut |_, reader| {
        let (_, checksum) = Row::read(reader)?;
        found.insert(checksum);
        Ok(())
    })?;
    findings.complete(TABLE, found, session.digests.intents)
}

/// The WIT function `attachments.record-intent`.
pub fn record_intent(env: &impl Environment, intent: &Intent) -> Result<()> {
    let mut session = SessionTransaction::write(env)?;
    let rows = select(&session.tx, &intent.session_id, &intent.attachment_id)?;
    let mut reader = RowReader::new(TABLE, &rows);
    if reader.advance() {
        let (row, checksum) = Row::read(&mut reader)?;
        row.confirm_found(&intent.session_id, &intent.attachment_id)?;
        if row.committed_at_ms.is_some() {
            return Ok(());
        }
        session.digests.intents.remove(checksum);
    }
    let row = Row {
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

/// The WIT function `session-import.add-attachments`.
pub fn add(env: &impl Environment, attachments: &[ImportedAttachment]) -> Result<()> {
    let mut session = SessionTransaction::write(env)?;
    for attachment in attachments {
        let intent = &attachment.intent;
        let row = Row {
            session_id: &intent.session_id,
            attachment_id: &intent.attachment_id,
            canonical_uri: &intent.canonical_uri,
            intent_at_ms: clamp(intent.intent_at_ms),
            committed_at_ms: attachment.committed_at_ms.map(clamp),
        };
        if select(&session.tx, row.session_id, row.attachment_id)?.count > 0 {
            return refuse_repeated(0, row.attachment_id);
        }
        row.store(&session.tx)?;
        session.digests.intents.insert(row.checksum());
    }
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
pub fn list_uncommitted(env: &impl Environment, older_than_ms: u64) -> Result<Vec<Intent>> {
    let session = SessionTransaction::read(env)?;
    // All of them, because a row that is missing, or that an index leads past,
    // would show bytes as garbage that another session refers to.
    let rows = session.tx.query(
        "SELECT session_id, attachment_id, canonical_uri, intent_at_ms, committed_at_ms, checksum
         FROM attachment_intents NOT INDEXED",
        &[],
    )?;
    let mut reader = RowReader::new(TABLE, &rows);
    let mut found = SetDigest::default();
    let mut committed = BTreeSet::new();
    let mut uncommitted = Vec::new();
    while reader.advance() {
        let (row, checksum) = Row::read(&mut reader)?;
        found.insert(checksum);
        if row.committed_at_ms.is_some() {
            committed.insert(row.attachment_id);
        } else if row.intent_at_ms <= clamp(older_than_ms) {
            uncommitted.push(row);
        }
    }
    let expected = session.digests.intents;
    verify_complete(TABLE, found, expected)?;
    uncommitted.retain(|row| !committed.contains(row.attachment_id));
    uncommitted.sort_by_key(|row| (row.intent_at_ms, row.session_id, row.attachment_id));
    Ok(uncommitted
        .into_iter()
        .map(|row| Intent {
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
        "SELECT session_id, attachment_id, canonical_uri, intent_at_ms, committed_at_ms, checksum
         FROM attachment_intents WHERE attachment_id = ?1",
        &[Value::Text(attachment_id)],
    )?;
    let mut reader = RowReader::new(TABLE, &rows);
    while reader.advance() {
        let (row, checksum) = Row::read(&mut reader)?;
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

const ROWS: Named = Named {
    table: TABLE,
    rows: "SELECT session_id, attachment_id, canonical_uri, intent_at_ms, committed_at_ms, checksum
           FROM attachment_intents WHERE (session_id, attachment_id) >= (?1, ?2)
           ORDER BY session_id, attachment_id LIMIT ?3",
};

/// Exports the manifest.
pub(crate) fn export<T: Transaction>(
    session: &SessionTransaction<T>,
    cursor: &mut Cursor,
    page: &mut Page,
) -> Result<bool> {
    let ended = ROWS.read(&session.tx, cursor, page, &mut |cursor, page, reader| {
        let (row, checksum) = Row::read(reader)?;
        cursor.found.insert(checksum);
        page.push(
            RecordBuilder::new("attachment")
                .text("session_id", row.session_id)
                .text("id", row.attachment_id)
                .text("uri", row.canonical_uri)
                .number("intent_at_ms", row.intent_at_ms)
                .optional_number("committed_at_ms", row.committed_at_ms),
        );
        Ok(())
    })?;
    if ended {
        verify_complete(TABLE, cursor.found, session.digests.intents)?;
    }
    Ok(ended)
}
