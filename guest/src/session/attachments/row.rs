//! A row of `attachment_intents`.

use alloc::string::ToString;

use crate::Result;
use crate::bindings::session_types::AttachmentIntent;
use crate::storage::corruption::confirm_found;
use crate::storage::seam::{Rows, Transaction, Value, unsigned};
use crate::storage::sql::sql;
use crate::storage::table::{codes, table};

/// What a sweep does with the bytes of an attachment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing.
    Kept,
    /// It removes them.
    Condemned,
    /// It has removed them.
    Forgotten,
}

codes! {
    State, "the state is unknown" {
        Kept = 0,
        Condemned = 1,
        Forgotten = 2,
    }
}

impl State {
    /// As in an export.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Condemned => "condemned",
            Self::Forgotten => "forgotten",
        }
    }
}

table! {
    /// An attachment of a session.
    pub(super) struct AttachmentRow<'r> in "attachment_intents", named by attachment_id {
        session_id: &'r str,
        attachment_id: &'r str,
        canonical_uri: &'r str,
        intent_at_ms: i64,
        committed_at_ms: Option<i64>,
        state: State,
    }
}

/// The rows from a session and an attachment on, in order.
pub(super) const FROM: &str = sql!(
    AttachmentRow::SELECT,
    "WHERE (session_id, attachment_id) >= (?1, ?2) ORDER BY session_id, attachment_id LIMIT ?3"
);

impl AttachmentRow<'_> {
    pub(super) fn to_intent(&self) -> AttachmentIntent {
        AttachmentIntent {
            attachment_id: self.attachment_id.to_string(),
            session_id: self.session_id.to_string(),
            canonical_uri: self.canonical_uri.to_string(),
            intent_at_ms: unsigned(self.intent_at_ms),
        }
    }

    pub(super) fn confirm_found(&self, session_id: &str, attachment_id: &str) -> Result<()> {
        let found = self.session_id == session_id && self.attachment_id == attachment_id;
        confirm_found(Self::TABLE, attachment_id, found)
    }

    /// Removes the row.
    pub(super) fn delete(&self, tx: &impl Transaction) -> Result<()> {
        tx.execute(
            "DELETE FROM attachment_intents WHERE session_id = ?1 AND attachment_id = ?2",
            &[
                Value::Text(self.session_id),
                Value::Text(self.attachment_id),
            ],
        )?;
        Ok(())
    }

    /// Writes the row in place of the one with its key.
    pub(super) fn store(&self, tx: &impl Transaction) -> Result<()> {
        tx.execute(
            sql!(
                AttachmentRow::INSERT,
                " ON CONFLICT (session_id, attachment_id) DO UPDATE SET ",
                AttachmentRow::EXCLUDED
            ),
            &self.values(),
        )?;
        Ok(())
    }
}

pub(super) fn select(tx: &impl Transaction, session_id: &str, attachment_id: &str) -> Result<Rows> {
    Ok(tx.query(
        sql!(
            AttachmentRow::SELECT,
            "WHERE session_id = ?1 AND attachment_id = ?2"
        ),
        &[Value::Text(session_id), Value::Text(attachment_id)],
    )?)
}

/// The rows of an attachment in all sessions.
pub(super) fn select_all(tx: &impl Transaction, attachment_id: &str) -> Result<Rows> {
    Ok(tx.query(
        sql!(AttachmentRow::SELECT, "WHERE attachment_id = ?1"),
        &[Value::Text(attachment_id)],
    )?)
}
