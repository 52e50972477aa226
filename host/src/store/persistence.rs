//! The trait by which the runtime persists a session.

use lash_core::runtime::{
    QueuedWorkBatch, QueuedWorkBatchDraft, QueuedWorkClaim, QueuedWorkClaimBoundary,
};
use lash_core::store::{
    PersistedSessionRead, RuntimeCommit, RuntimeCommitResult, SessionReadScope,
};
use lash_core::{
    DurabilityTier, GcReport, RuntimePersistence, SessionMeta, SessionNodeRecord, StoreError,
    VacuumReport,
};
use lash_store_engine::wit::queue::ClaimRequest;
use lash_store_engine::wit::session::CommitOutcome;

use super::Store;
use crate::convert;

/// How a commit ended, for who reads its span.
fn word(outcome: &CommitOutcome) -> &'static str {
    match outcome {
        CommitOutcome::Committed(_) => "ok",
        CommitOutcome::Replayed(_) => "replayed",
        CommitOutcome::RevisionConflict(_) => "revision-conflict",
        CommitOutcome::SessionMismatch(_) => "session-mismatch",
        CommitOutcome::TurnConflict(_) => "turn-conflict",
        CommitOutcome::ClaimLost(_) => "lease-lost",
    }
}

impl Store {
    /// Collects garbage behind a commit, if the policy says so. Nobody waits for
    /// it: the next write does, and no answer depends on it.
    fn collect_after_commit(&self, revision: u64) {
        let every = self.options.gc_policy.auto_run_every_commits.unwrap_or(0);
        if every > 0 && revision.is_multiple_of(every) {
            self.db.write_detached("collect garbage", |call| {
                call.maintenance().gc()?;
                Ok(())
            });
        }
    }

    async fn list(
        &self,
        session_id: &str,
        pending_only: bool,
    ) -> Result<Vec<QueuedWorkBatch>, StoreError> {
        let session_id = session_id.to_owned();
        Ok(self
            .db
            .read("list queued work", move |call| {
                call.of_session(&session_id);
                let batches = call.queue().list(&session_id, pending_only)?;
                convert::queue::from_batches(call.path(), batches)
            })
            .await?)
    }
}

#[async_trait::async_trait]
impl RuntimePersistence for Store {
    fn durability_tier(&self) -> DurabilityTier {
        DurabilityTier::Durable
    }

    async fn load_session(
        &self,
        scope: SessionReadScope,
    ) -> Result<Option<PersistedSessionRead>, StoreError> {
        Ok(self.try_load(convert::session::to_scope(scope)).await?)
    }

    async fn load_node(&self, node_id: &str) -> Result<Option<SessionNodeRecord>, StoreError> {
        let node_id = node_id.to_owned();
        Ok(self
            .db
            .read("load node", move |call| {
                call.graph()
                    .load_node(&node_id)?
                    .map(|body| convert::graph::from_body(call.path(), &body))
                    .transpose()
            })
            .await?)
    }

    /// Once the transaction has begun, the commit is done to its end even if the
    /// future is dropped; the same commit with the same stamp then answers what
    /// was stored. A future that is dropped earlier leaves no trace.
    async fn commit_runtime_state(
        &self,
        commit: RuntimeCommit,
    ) -> Result<RuntimeCommitResult, StoreError> {
        let profile = self.profile();
        let (committed, result) = self
            .db
            .write("commit", move |call| {
                let session_id = commit.session_id.clone();
                call.of_session(&session_id);
                let turn_state = commit.checkpoint.turn_state.clone();
                let request = convert::commit::to_request(call.path(), commit, profile)?;
                let outcome = call.session().commit(&request)?;
                let committed = matches!(outcome, CommitOutcome::Committed(_));
                call.ended(word(&outcome));
                if committed {
                    call.belongs_to(&session_id);
                }
                let result =
                    convert::commit::from_outcome(call.path(), &session_id, turn_state, outcome)?;
                Ok((committed, result))
            })
            .await?;
        let result = result?;
        if committed {
            self.collect_after_commit(result.head_revision);
        }
        Ok(result)
    }

    async fn enqueue_queued_work(
        &self,
        batch: QueuedWorkBatchDraft,
    ) -> Result<QueuedWorkBatch, StoreError> {
        Ok(self
            .db
            .write("enqueue work", move |call| {
                call.of_session(&batch.session_id);
                let draft = convert::queue::to_draft(call.path(), batch)?;
                let batch = call.queue().enqueue(&draft)?;
                convert::queue::from_batch(call.path(), batch)
            })
            .await?)
    }

    async fn claim_ready_queued_work(
        &self,
        session_id: &str,
        owner_id: &str,
        boundary: QueuedWorkClaimBoundary,
        lease_ttl_ms: u64,
        max_batches: usize,
    ) -> Result<Option<QueuedWorkClaim>, StoreError> {
        self.claim(ClaimRequest {
            session_id: session_id.to_owned(),
            owner_id: owner_id.to_owned(),
            boundary: convert::queue::to_boundary(boundary),
            lease_ttl_ms,
            max_batches: max_batches as u64,
            exactly: None,
        })
        .await
    }

    async fn claim_ready_queued_work_by_batch_ids(
        &self,
        session_id: &str,
        owner_id: &str,
        boundary: QueuedWorkClaimBoundary,
        lease_ttl_ms: u64,
        batch_ids: &[String],
    ) -> Result<Option<QueuedWorkClaim>, StoreError> {
        self.claim(ClaimRequest {
            session_id: session_id.to_owned(),
            owner_id: owner_id.to_owned(),
            boundary: convert::queue::to_boundary(boundary),
            lease_ttl_ms,
            max_batches: batch_ids.len() as u64,
            exactly: Some(batch_ids.to_vec()),
        })
        .await
    }

    async fn renew_queued_work_claim(
        &self,
        claim: &QueuedWorkClaim,
        lease_ttl_ms: u64,
    ) -> Result<QueuedWorkClaim, StoreError> {
        let held = convert::queue::to_completion(claim.completion());
        let expires = self
            .db
            .write("renew claim", move |call| {
                call.of_session(&held.session_id);
                let expires = call.queue().renew(&held, lease_ttl_ms)?;
                if expires.is_none() {
                    call.ended("lease-lost");
                }
                Ok(expires)
            })
            .await?;
        match expires {
            Some(expires_at_epoch_ms) => Ok(QueuedWorkClaim {
                expires_at_epoch_ms,
                ..claim.clone()
            }),
            None => Err(StoreError::QueuedWorkClaimExpired {
                session_id: claim.session_id.clone(),
                claim_id: claim.claim_id.clone(),
            }),
        }
    }

    async fn abandon_queued_work_claim(&self, claim: &QueuedWorkClaim) -> Result<(), StoreError> {
        let held = convert::queue::to_completion(claim.completion());
        Ok(self
            .db
            .write("abandon claim", move |call| {
                call.of_session(&held.session_id);
                Ok(call.queue().abandon(&held)?)
            })
            .await?)
    }

    async fn cancel_queued_work_batch(
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
                    .map(|batch| convert::queue::from_batch(call.path(), batch))
                    .transpose()
            })
            .await?)
    }

    async fn list_queued_work(&self, session_id: &str) -> Result<Vec<QueuedWorkBatch>, StoreError> {
        self.list(session_id, false).await
    }

    async fn list_pending_queued_work(
        &self,
        session_id: &str,
    ) -> Result<Vec<QueuedWorkBatch>, StoreError> {
        self.list(session_id, true).await
    }

    async fn save_session_meta(&self, meta: SessionMeta) -> Result<(), StoreError> {
        Ok(self.try_save_session_meta(meta).await?)
    }

    async fn load_session_meta(&self) -> Result<Option<SessionMeta>, StoreError> {
        Ok(self.try_load_session_meta().await?)
    }

    async fn tombstone_nodes(&self, ids: &[String]) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let ids = ids.to_vec();
        Ok(self
            .db
            .write("tombstone nodes", move |call| {
                Ok(call.graph().tombstone(&ids)?)
            })
            .await?)
    }

    async fn vacuum(&self) -> Result<VacuumReport, StoreError> {
        Ok(self.try_vacuum().await?)
    }

    async fn gc_unreachable(&self) -> Result<GcReport, StoreError> {
        Ok(self.try_gc_unreachable().await?)
    }
}
