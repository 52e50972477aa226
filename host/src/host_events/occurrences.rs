//! What occurred.

use std::path::Path;

use lash_core::{
    HostEventOccurrenceRecord, HostEventOccurrenceRequest, PluginError,
    deterministic_occurrence_id, host_event_occurrence_request_hash,
    validate_host_event_occurrence_request,
};
use lash_store_engine::wit::host_events::{Occurrence, OccurrenceDraft, Recorded};

use super::SqliteHostEventStore;
use crate::encoding::{from_json, to_json};
use crate::error::Error;

const OCCURRENCE: &str = "the occurrence";

/// A request under what lash-core derives from it: an identifier and a digest.
pub(crate) fn to_occurrence_draft(
    path: &Path,
    request: HostEventOccurrenceRequest,
    id: String,
    request_hash: String,
) -> Result<OccurrenceDraft, Error> {
    let content = to_json(path, OCCURRENCE, &id, &request)?;
    Ok(OccurrenceDraft {
        id,
        request_hash,
        idempotency_key: request.idempotency_key,
        source_type: request.source_type,
        source_key: request.source_key,
        content,
    })
}

pub(crate) fn from_occurrence(
    path: &Path,
    occurrence: Occurrence,
) -> Result<HostEventOccurrenceRecord, Error> {
    let request: HostEventOccurrenceRequest =
        from_json(path, OCCURRENCE, &occurrence.id, &occurrence.content)?;
    Ok(HostEventOccurrenceRecord {
        occurrence_id: occurrence.id,
        source_type: request.source_type,
        source_key: request.source_key,
        payload: request.payload,
        idempotency_key: request.idempotency_key,
        source: request.source,
        occurred_at_ms: occurrence.occurred_at_ms,
    })
}

impl SqliteHostEventStore {
    pub(super) async fn record(
        &self,
        request: HostEventOccurrenceRequest,
    ) -> Result<HostEventOccurrenceRecord, PluginError> {
        validate_host_event_occurrence_request(&request)?;
        let id = deterministic_occurrence_id(&request)?;
        let request_hash = host_event_occurrence_request_hash(&request)?;
        let idempotency_key = request.idempotency_key.clone();
        let draft = to_occurrence_draft(self.path(), request, id, request_hash)?;
        let recorded = self
            .db
            .write("record occurrence", move |call| {
                let recorded = call.host_events().record_occurrence(&draft)?;
                match recorded {
                    Recorded::Occurrence(occurrence) => {
                        from_occurrence(call.path(), occurrence).map(Some)
                    }
                    Recorded::Conflict => {
                        call.ended("conflict");
                        Ok(None)
                    }
                }
            })
            .await?;
        recorded.ok_or_else(|| {
            PluginError::Session(format!(
                "host event occurrence idempotency conflict for `{idempotency_key}`"
            ))
        })
    }
}
