//! Adding attachments of another program.

use crate::Result;
use crate::bindings::import_types::ImportedAttachment;
use crate::session::digests::SessionTransaction;
use crate::storage::corruption::refuse_repeated;
use crate::storage::seam::{Environment, clamp};

use super::row::{AttachmentRow, State, select};

/// The WIT function `session-import.add-attachments`.
pub fn add(env: &impl Environment, attachments: &[ImportedAttachment]) -> Result<()> {
    let mut session = SessionTransaction::write(env)?;
    for attachment in attachments {
        let intent = &attachment.intent;
        let row = AttachmentRow {
            session_id: &intent.session_id,
            attachment_id: &intent.attachment_id,
            canonical_uri: &intent.canonical_uri,
            intent_at_ms: clamp(intent.intent_at_ms),
            committed_at_ms: attachment.committed_at_ms.map(clamp),
            state: State::Kept,
        };
        if select(&session.tx, row.session_id, row.attachment_id)?.count > 0 {
            return refuse_repeated(0, row.attachment_id);
        }
        row.store(&session.tx)?;
        session.digests.intents.insert(row.checksum());
    }
    session.commit()
}
