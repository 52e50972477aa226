//! A row of `attachment_intents`.

use crate::Result;
use crate::storage::checksum::Checksum;
use crate::storage::corruption::{confirm_found, verify};
use crate::storage::rows::RowReader;
use crate::storage::seam::{Rows, Transaction, Value, optional_integer};

pub(super) const TABLE: &str = "attachment_intents";

pub(super) struct AttachmentRow<'r> {
    pub(super) session_id: &'r str,
    pub(super) attachment_id: &'r str,
    pub(super) canonical_uri: &'r str,
    pub(super) intent_at_ms: i64,
    pub(super) committed_at_ms: Option<i64>,
}

impl<'r> AttachmentRow<'r> {
    /// Reads and checks `session_id, attachment_id, canonical_uri, intent_at_ms,
    /// committed_at_ms, checksum`; returns the checksum too.
    pub(super) fn read(reader: &mut RowReader<'r>) -> Result<(Self, i64)> {
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

    pub(super) fn confirm_found(&self, session_id: &str, attachment_id: &str) -> Result<()> {
        let found = self.session_id == session_id && self.attachment_id == attachment_id;
        confirm_found(TABLE, attachment_id, found)
    }

    pub(super) fn checksum(&self) -> i64 {
        Checksum::of(TABLE)
            .bytes(self.session_id.as_bytes())
            .bytes(self.attachment_id.as_bytes())
            .bytes(self.canonical_uri.as_bytes())
            .integer(self.intent_at_ms)
            .optional_integer(self.committed_at_ms)
            .finish()
    }

    /// Writes the row in place of the one with its key.
    pub(super) fn store(&self, tx: &impl Transaction) -> Result<()> {
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

pub(super) fn select(tx: &impl Transaction, session_id: &str, attachment_id: &str) -> Result<Rows> {
    Ok(tx.query(
        "SELECT session_id, attachment_id, canonical_uri, intent_at_ms, committed_at_ms, checksum
         FROM attachment_intents WHERE session_id = ?1 AND attachment_id = ?2",
        &[Value::Text(session_id), Value::Text(attachment_id)],
    )?)
}
