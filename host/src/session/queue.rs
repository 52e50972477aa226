//! The work queue: putting work in, claiming it, and taking it out.

use std::path::Path;

use lash_core::runtime::{
    QueuedWorkBatch, QueuedWorkBatchDraft, QueuedWorkClaim, QueuedWorkClaimBoundary,
    QueuedWorkCompletion, QueuedWorkItem, QueuedWorkPayload,
};
use lash_core::{DeliveryPolicy, MergeKey, SlotPolicy, StoreError};
use lash_store_engine::wit::queue as wit;
use lash_store_engine::wit::queue::{
    Batch, BatchDraft, Boundary, ClaimRequest, Completion, HeldClaim,
};

use super::Store;
use crate::database::Database;
use crate::encoding::{from_json, read_json, to_json, to_json_text};
use crate::error::Error;

const MERGE_KEY: &str = "the merge key of queued work";

const PAYLOAD: &str = "the payload of queued work";

pub(crate) fn to_draft(path: &Path, draft: QueuedWorkBatchDraft) -> Result<BatchDraft, Error> {
    // A batch has no identifier before it is stored.
    let key = draft.source_key.as_deref().unwrap_or_default();
    let payloads = draft
        .payloads
        .iter()
        .map(|payload| to_json(path, PAYLOAD, key, payload))
        .collect::<Result<_, _>>()?;
    Ok(BatchDraft {
        delivery: to_delivery(draft.delivery_policy),
        slot: to_slot(draft.slot_policy),
        merge_key: to_json_text(path, MERGE_KEY, key, &draft.merge_key)?,
        session_id: draft.session_id,
        source_key: draft.source_key,
        available_at_ms: draft.available_at_ms,
        payloads,
    })
}

/// Whether the work is input for turns, and can be read by who claims it.
pub(crate) fn is_turn_input(draft: &BatchDraft) -> bool {
    let input = |payload: &Vec<u8>| {
        read_json(payload)
            .is_ok_and(|payload| matches!(payload, QueuedWorkPayload::TurnInput { .. }))
    };
    let merge_key = read_json::<MergeKey>(draft.merge_key.as_bytes());
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
            let item_id = format!("{}:item:{index}", batch.id);
            Ok(QueuedWorkItem {
                payload: from_json(path, PAYLOAD, &item_id, payload)?,
                item_id,
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
    batches: impl IntoIterator<Item = Batch>,
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

/// A claim on its way to its owner. If that has gone in the meantime it is given
/// back: nobody else knows its token, and the work would not be done until it
/// expires.
struct NewClaim {
    db: Database,
    /// None once it has arrived.
    claim: Option<QueuedWorkClaim>,
}

impl Drop for NewClaim {
    fn drop(&mut self) {
        let Some(claim) = self.claim.take() else {
            return;
        };
        let held = to_completion(claim.completion());
        self.db.write_detached("abandon claim", move |call| {
            call.of_session(&held.session_id);
            Ok(call.queue().abandon(&held).map(drop)?)
        });
    }
}

impl Store {
    /// Puts work into the queue as `enqueue_queued_work` of the trait does, and returns a
    /// failure as this crate's error.
    ///
    /// # Errors
    ///
    /// [`Error::TooDeep`] and [`Error::Encode`] for what could not be read back;
    /// [`EngineError::Busy`](crate::EngineError::Busy),
    /// [`EngineError::Retired`](crate::EngineError::Retired) and
    /// [`EngineError::DiskFull`](crate::EngineError::DiskFull) among others.
    pub async fn try_enqueue_queued_work(
        &self,
        batch: QueuedWorkBatchDraft,
    ) -> Result<QueuedWorkBatch, Error> {
        let draft = to_draft(self.path(), batch)?;
        self.db
            .write("enqueue work", move |call| {
                call.of_session(&draft.session_id);
                let batch = call.queue().enqueue(&draft)?;
                from_batch(call.path(), batch)
            })
            .await
    }

    /// Claims work as `claim_ready_queued_work` of the trait does, and returns a failure as
    /// this crate's error. `None` if nothing is ready.
    ///
    /// # Errors
    ///
    /// [`EngineError::Busy`](crate::EngineError::Busy),
    /// [`EngineError::Retired`](crate::EngineError::Retired) and
    /// [`EngineError::Corrupt`](crate::EngineError::Corrupt) among others.
    pub async fn try_claim_ready_queued_work(
        &self,
        session_id: &str,
        owner_id: &str,
        boundary: QueuedWorkClaimBoundary,
        lease_ttl_ms: u64,
        max_batches: usize,
    ) -> Result<Option<QueuedWorkClaim>, Error> {
        self.claim(ClaimRequest {
            session_id: session_id.to_owned(),
            owner_id: owner_id.to_owned(),
            boundary: to_boundary(boundary),
            lease_ttl_ms,
            max_batches: max_batches as u64,
            exactly: None,
        })
        .await
    }

    /// Claims these batches as `claim_ready_queued_work_by_batch_ids` of the trait does, and
    /// returns a failure as this crate's error. `None` if they are not all ready.
    ///
    /// # Errors
    ///
    /// As [`try_claim_ready_queued_work`](Self::try_claim_ready_queued_work).
    pub async fn try_claim_ready_queued_work_by_batch_ids(
        &self,
        session_id: &str,
        owner_id: &str,
        boundary: QueuedWorkClaimBoundary,
        lease_ttl_ms: u64,
        batch_ids: &[String],
    ) -> Result<Option<QueuedWorkClaim>, Error> {
        self.claim(ClaimRequest {
            session_id: session_id.to_owned(),
            owner_id: owner_id.to_owned(),
            boundary: to_boundary(boundary),
            lease_ttl_ms,
            max_batches: batch_ids.len() as u64,
            exactly: Some(batch_ids.to_vec()),
        })
        .await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Option<QueuedWorkClaim>, Error> {
        if request.max_batches == 0 {
            return Ok(None);
        }
        let db = self.db.clone();
        let claimed = self
            .db
            .urgent()
            .write("claim queued work", move |call| {
                call.of_session(&request.session_id);
                let claimed = call.queue().claim(&request)?;
                if claimed.is_none() {
                    call.ended("nothing");
                }
                claimed
                    .map(|claim| {
                        let claim = Some(from_claim(call.path(), claim)?);
                        Ok(NewClaim { db, claim })
                    })
                    .transpose()
            })
            .await?;
        Ok(claimed.and_then(|mut new| new.claim.take()))
    }

    /// Renews a claim as `renew_queued_work_claim` of the trait does, and returns a failure
    /// as this crate's error. `None` if the claim has expired and others may have it.
    ///
    /// # Errors
    ///
    /// As [`try_claim_ready_queued_work`](Self::try_claim_ready_queued_work).
    pub async fn try_renew_queued_work_claim(
        &self,
        claim: &QueuedWorkClaim,
        lease_ttl_ms: u64,
    ) -> Result<Option<QueuedWorkClaim>, Error> {
        let held = to_completion(claim.completion());
        let expires = self
            .db
            .urgent()
            .write("renew claim", move |call| {
                call.of_session(&held.session_id);
                let expires = call.queue().renew(&held, lease_ttl_ms)?;
                if expires.is_none() {
                    call.ended("lease-lost");
                }
                Ok(expires)
            })
            .await?;
        Ok(expires.map(|expires_at_epoch_ms| QueuedWorkClaim {
            expires_at_epoch_ms,
            ..claim.clone()
        }))
    }

    pub(super) async fn abandon_claim(&self, claim: &QueuedWorkClaim) -> Result<(), StoreError> {
        let held = to_completion(claim.completion());
        Ok(self
            .db
            .urgent()
            .write("abandon claim", move |call| {
                call.of_session(&held.session_id);
                Ok(call.queue().abandon(&held).map(drop)?)
            })
            .await?)
    }

    pub(super) async fn cancel_batch(
        &self,
        session_id: &str,
        batch_id: &str,
    ) -> Result<Option<QueuedWorkBatch>, StoreError> {
        let session_id = session_id.to_owned();
        let batch_id = batch_id.to_owned();
        Ok(self
            .db
            .write("cancel queued work", move |call| {
                call.of_session(&session_id);
                call.queue()
                    .cancel(&session_id, &batch_id)?
                    .map(|batch| from_batch(call.path(), batch))
                    .transpose()
            })
            .await?)
    }

    pub(super) async fn list_batches(
        &self,
        session_id: &str,
        pending_only: bool,
    ) -> Result<Vec<QueuedWorkBatch>, StoreError> {
        let session_id = session_id.to_owned();
        Ok(self
            .db
            .read("list queued work", move |call| {
                call.of_session(&session_id);
                let pages =
                    call.list(|call, cursor| call.queue().list(&session_id, pending_only, cursor))?;
                let batches = pages.into_iter().flat_map(|page| page.batches);
                from_batches(call.path(), batches)
            })
            .await?)
    }
}
