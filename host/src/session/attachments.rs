//! The write-ahead manifest of attachments.
//!
//! The trait is synchronous and its methods are called on threads of the
//! caller's runtime. They wait for a thread of this crate, never for the runtime.

use lash_core::{
    AttachmentId, AttachmentIntent, AttachmentManifest, AttachmentManifestEntry, StoreError,
};
use lash_store_engine::wit::attachments as wit;

use super::Store;

impl AttachmentManifest for Store {
    fn record_intent(&self, intent: AttachmentIntent) -> Result<(), StoreError> {
        let intent = wit::AttachmentIntent {
            attachment_id: intent.attachment_id.as_str().to_owned(),
            session_id: intent.session_id,
            canonical_uri: intent.canonical_uri,
            intent_at_ms: intent.intent_at_epoch_ms,
        };
        Ok(self
            .db
            .write_blocking("record attachment intent", move |call| {
                call.of_session(&intent.session_id);
                Ok(call.attachments().record_intent(&intent)?)
            })?)
    }

    fn commit_refs(
        &self,
        session_id: &str,
        attachment_ids: &[AttachmentId],
    ) -> Result<(), StoreError> {
        if attachment_ids.is_empty() {
            return Ok(());
        }
        let session_id = session_id.to_owned();
        let ids: Vec<String> = attachment_ids
            .iter()
            .map(|id| id.as_str().to_owned())
            .collect();
        Ok(self.db.write_blocking("commit attachments", move |call| {
            call.of_session(&session_id);
            Ok(call.attachments().commit(&session_id, &ids)?)
        })?)
    }

    fn list_uncommitted(
        &self,
        older_than_epoch_ms: u64,
    ) -> Result<Vec<AttachmentManifestEntry>, StoreError> {
        let intents = self
            .db
            .read_blocking("list attachment intents", move |call| {
                Ok(call.attachments().list_uncommitted(older_than_epoch_ms)?)
            })?;
        Ok(intents
            .into_iter()
            .map(|intent| AttachmentManifestEntry {
                attachment_id: AttachmentId::new(intent.attachment_id),
                session_id: intent.session_id,
                canonical_uri: intent.canonical_uri,
                intent_at_epoch_ms: intent.intent_at_ms,
                committed_at_epoch_ms: None,
            })
            .collect())
    }

    fn forget(&self, attachment_id: &AttachmentId) -> Result<(), StoreError> {
        let id = attachment_id.as_str().to_owned();
        Ok(self.db.write_blocking("forget attachment", move |call| {
            Ok(call.attachments().forget(&id)?)
        })?)
    }
}
