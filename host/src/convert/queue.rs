//! Queued work.

use std::path::Path;

use lash_core::runtime::{
    QueuedWorkBatch, QueuedWorkBatchDraft, QueuedWorkClaim, QueuedWorkClaimBoundary,
    QueuedWorkCompletion, QueuedWorkItem, QueuedWorkPayload,
};
use lash_core::{DeliveryPolicy, MergeKey, SlotPolicy};
use lash_store_engine::wit::queue::{self as wit, Batch, Boundary, Completion, Draft, HeldClaim};

use super::{from_json, to_json};
use crate::error::Error;

const MERGE_KEY: &str = "the merge key of queued work";
const PAYLOAD: &str = "the payload of queued work";

pub(crate) fn to_draft(path: &Path, draft: QueuedWorkBatchDraft) -> Result<Draft, Error> {
    let payloads = draft
        .payloads
        .iter()
        .map(|payload| to_json(path, PAYLOAD, payload))
        .collect::<Result<_, _>>()?;
    Ok(Draft {
        delivery: to_delivery(draft.delivery_policy),
        slot: to_slot(draft.slot_policy),
        merge_key: serde_json::to_string(&draft.merge_key)
            .map_err(|source| Error::encode(path, MERGE_KEY, source))?,
        session_id: draft.session_id,
        source_key: draft.source_key,
        available_at_ms: draft.available_at_ms,
        payloads,
    })
}

/// Whether the work is input for turns, and can be read by who claims it.
pub(crate) fn is_turn_input(draft: &Draft) -> bool {
    let input = |payload: &Vec<u8>| {
        serde_json::from_slice(payload)
            .is_ok_and(|payload| matches!(payload, QueuedWorkPayload::TurnInput { .. }))
    };
    let merge_key = serde_json::from_str::<MergeKey>(&draft.merge_key);
    merge_key.is_ok() && !draft.payloads.is_empty() && draft.payloads.iter().all(input)
}

pub(crate) fn to_delivery(policy: DeliveryPolicy) -> wit::DeliveryPolicy {
    match policy {
        DeliveryPolicy::EarliestSafeBoundary => wit::DeliveryPolicy::EarliestSafeBoundary,
        DeliveryPolicy::AfterCurrentTurnCommit => wit::DeliveryPolicy::AfterCurrentTurnCommit,
    }
}

pub(crate) fn to_slot(policy: SlotPolicy) -> wit::SlotPolicy {
    match policy {
        SlotPolicy::Join => wit::SlotPolicy::Join,
        SlotPolicy::Exclusive => wit::SlotPolicy::Exclusive,
    }
}

pub(crate) fn from_batch(path: &Path, batch: Batch) -> Result<QueuedWorkBatch, Error> {
    let items = batch
        .payloads
        .iter()
        .enumerate()
        .map(|(index, payload)| {
            Ok(QueuedWorkItem {
                item_id: format!("{}:item:{index}", batch.id),
                payload: from_json(path, PAYLOAD, &batch.id, payload)?,
            })
        })
        .collect::<Result<_, Error>>()?;
    Ok(QueuedWorkBatch {
        merge_key: from_json(path, MERGE_KEY, &batch.id, batch.merge_key.as_bytes())?,
        delivery_policy: match batch.delivery {
            wit::DeliveryPolicy::EarliestSafeBoundary => DeliveryPolicy::EarliestSafeBoundary,
            wit::DeliveryPolicy::AfterCurrentTurnCommit => DeliveryPolicy::AfterCurrentTurnCommit,
        },
        slot_policy: match batch.slot {
            wit::SlotPolicy::Join => SlotPolicy::Join,
            wit::SlotPolicy::Exclusive => SlotPolicy::Exclusive,
        },
        batch_id: batch.id,
        session_id: batch.session_id,
        enqueue_seq: batch.sequence,
        source_key: batch.source_key,
        available_at_ms: batch.available_at_ms,
        enqueued_at_ms: batch.enqueued_at_ms,
        items,
    })
}

pub(crate) fn from_batches(
    path: &Path,
    batches: Vec<Batch>,
) -> Result<Vec<QueuedWorkBatch>, Error> {
    batches
        .into_iter()
        .map(|batch| from_batch(path, batch))
        .collect()
}

pub(crate) fn to_boundary(boundary: QueuedWorkClaimBoundary) -> Boundary {
    match boundary {
        QueuedWorkClaimBoundary::ActiveTurnCheckpoint => Boundary::ActiveTurnCheckpoint,
        QueuedWorkClaimBoundary::Idle => Boundary::Idle,
    }
}

pub(crate) fn from_claim(path: &Path, claim: HeldClaim) -> Result<QueuedWorkClaim, Error> {
    Ok(QueuedWorkClaim {
        session_id: claim.session_id,
        claim_id: claim.id,
        owner_id: claim.owner_id,
        lease_token: claim.lease_token,
        fencing_token: claim.fencing_token,
        claimed_at_epoch_ms: claim.claimed_at_ms,
        expires_at_epoch_ms: claim.expires_at_ms,
        batches: from_batches(path, claim.batches)?,
    })
}

pub(crate) fn to_completion(completion: QueuedWorkCompletion) -> Completion {
    Completion {
        session_id: completion.session_id,
        claim_id: completion.claim_id,
        lease_token: completion.lease_token,
        batch_ids: completion.batch_ids,
    }
}
