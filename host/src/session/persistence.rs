//! The trait by which the runtime persists a session: which call each of its methods is.

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

use super::Store;

#[async_trait::async_trait]
impl RuntimePersistence for Store {
    fn durability_tier(&self) -> DurabilityTier {
        DurabilityTier::Durable
    }

    async fn load_session(
        &self,
        scope: SessionReadScope,
    ) -> Result<Option<PersistedSessionRead>, StoreError> {
        Ok(self.try_load_session(scope).await?)
    }

    async fn load_node(&self, node_id: &str) -> Result<Option<SessionNodeRecord>, StoreError> {
        self.read_node(node_id).await
    }

    /// Once the transaction has begun, the commit is done to its end even if the
    /// future is dropped; the same commit with the same stamp then returns what
    /// was stored. A future that is dropped earlier leaves no trace.
    async fn commit_runtime_state(
        &self,
        commit: RuntimeCommit,
    ) -> Result<RuntimeCommitResult, StoreError> {
        self.try_commit_runtime_state(commit).await?
    }

    async fn enqueue_queued_work(
        &self,
        batch: QueuedWorkBatchDraft,
    ) -> Result<QueuedWorkBatch, StoreError> {
        Ok(self.try_enqueue_queued_work(batch).await?)
    }

    async fn claim_ready_queued_work(
        &self,
        session_id: &str,
        owner_id: &str,
        boundary: QueuedWorkClaimBoundary,
        lease_ttl_ms: u64,
        max_batches: usize,
    ) -> Result<Option<QueuedWorkClaim>, StoreError> {
        Ok(self
            .try_claim_ready_queued_work(session_id, owner_id, boundary, lease_ttl_ms, max_batches)
            .await?)
    }

    async fn claim_ready_queued_work_by_batch_ids(
        &self,
        session_id: &str,
        owner_id: &str,
        boundary: QueuedWorkClaimBoundary,
        lease_ttl_ms: u64,
        batch_ids: &[String],
    ) -> Result<Option<QueuedWorkClaim>, StoreError> {
        Ok(self
            .try_claim_ready_queued_work_by_batch_ids(
                session_id,
                owner_id,
                boundary,
                lease_ttl_ms,
                batch_ids,
            )
            .await?)
    }

    async fn renew_queued_work_claim(
        &self,
        claim: &QueuedWorkClaim,
        lease_ttl_ms: u64,
    ) -> Result<QueuedWorkClaim, StoreError> {
        self.try_renew_queued_work_claim(claim, lease_ttl_ms)
            .await?
            .ok_or_else(|| StoreError::QueuedWorkClaimExpired {
                session_id: claim.session_id.clone(),
                claim_id: claim.claim_id.clone(),
            })
    }

    async fn abandon_queued_work_claim(&self, claim: &QueuedWorkClaim) -> Result<(), StoreError> {
        self.abandon_claim(claim).await
    }

    async fn cancel_queued_work_batch(
        &self,
        session_id: &str,
        batch_id: &str,
    ) -> Result<Option<QueuedWorkBatch>, StoreError> {
        self.cancel_batch(session_id, batch_id).await
    }

    async fn list_queued_work(&self, session_id: &str) -> Result<Vec<QueuedWorkBatch>, StoreError> {
        self.list_batches(session_id, false).await
    }

    async fn list_pending_queued_work(
        &self,
        session_id: &str,
    ) -> Result<Vec<QueuedWorkBatch>, StoreError> {
        self.list_batches(session_id, true).await
    }

    async fn save_session_meta(&self, meta: SessionMeta) -> Result<(), StoreError> {
        Ok(self.try_save_session_meta(meta).await?)
    }

    async fn load_session_meta(&self) -> Result<Option<SessionMeta>, StoreError> {
        Ok(self.try_load_session_meta().await?)
    }

    async fn tombstone_nodes(&self, ids: &[String]) -> Result<(), StoreError> {
        self.tombstone(ids).await
    }

    async fn vacuum(&self) -> Result<VacuumReport, StoreError> {
        Ok(self.try_vacuum().await?)
    }

    async fn gc_unreachable(&self) -> Result<GcReport, StoreError> {
        Ok(self.try_gc_unreachable().await?)
    }
}
