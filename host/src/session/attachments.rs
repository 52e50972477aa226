//! The write-ahead manifest of attachments.
//!
//! The trait is synchronous and its methods are called on threads of the
//! caller's runtime. They wait for a thread of this crate, never for the runtime.

use std::time::SystemTime;

use lash_core::{
    AttachmentId, AttachmentIntent, AttachmentManifest, AttachmentManifestEntry, StoreError,
};
use lash_store_engine::epoch_ms;
use lash_store_engine::wit::attachments as wit;

use super::Store;
use crate::error::Error;

impl Store {
    /// Condemns an attachment whose intents were all recorded at a time or before, and which
    /// no session has committed; returns whether it is condemned now.
    ///
    /// From then on no commit can refer to it and nobody can record an intent for it
    /// ([`Error::Condemned`]), so its bytes can be removed without a race, and then it is to
    /// be [forgotten](AttachmentManifest::forget). After that a session whose intent was
    /// condemned must record a new one before it commits. A sweep that was interrupted
    /// begins again: condemned attachments are listed as uncommitted.
    ///
    /// The WIT interface `attachments` is the specification.
    ///
    /// # Errors
    ///
    /// All of [`EngineError`](crate::EngineError) that are about a call.
    pub async fn condemn_attachment(
        &self,
        attachment_id: &AttachmentId,
        recorded_until: SystemTime,
    ) -> Result<bool, Error> {
        let id = attachment_id.as_str().to_owned();
        let recorded_until_ms = epoch_ms(recorded_until);
        self.db
            .write("condemn attachment", move |call| {
                Ok(call.attachments().condemn(&id, recorded_until_ms)?)
            })
            .await
    }
}

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
                match call.attachments().record_intent(&intent)? {
                    true => Ok(()),
                    false => Err(Error::condemned(call.path(), intent.attachment_id)),
                }
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
            match call.attachments().commit(&session_id, &ids)? {
                None => Ok(()),
                Some(attachment_id) => Err(Error::condemned(call.path(), attachment_id)),
            }
        })?)
    }

    fn list_uncommitted(
        &self,
        older_than_epoch_ms: u64,
    ) -> Result<Vec<AttachmentManifestEntry>, StoreError> {
        let pages = self
            .db
            .read_blocking("list attachment intents", move |call| {
                Ok(call.list(|call, cursor| {
                    call.attachments()
                        .list_uncommitted(older_than_epoch_ms, cursor)
                })?)
            })?;
        let mut intents: Vec<_> = pages.into_iter().flat_map(|page| page.intents).collect();
        intents.sort_by_key(|intent| intent.intent_at_ms);
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
