//! Committing a turn.

use std::path::Path;

use lash_core::store::{GraphCommitDelta, RuntimeCommit, RuntimeCommitResult, StoreError};
use lash_core::{BlobRef, PersistedTurnState};
use lash_store_engine::wit::session::{
    CommitOutcome, CommitRequest, GraphChange, Receipt, TurnStamp,
};
use lash_store_engine::wit::types::BlobProfile;

use super::{Store, checkpoints, graph, head, queue, usage};
use crate::error::Error;

pub(crate) fn to_request(
    path: &Path,
    commit: RuntimeCommit,
    profile: BlobProfile,
) -> Result<CommitRequest, Error> {
    let leaf = commit.graph.leaf_node_id().cloned();
    let graph = match &commit.graph {
        GraphCommitDelta::Unchanged { .. } => GraphChange::Unchanged,
        GraphCommitDelta::Append { nodes, .. } => {
            GraphChange::Append(graph::to_nodes(path, nodes)?)
        }
        GraphCommitDelta::ReplaceFull(graph) => {
            GraphChange::Replace(graph::to_nodes(path, &graph.nodes)?)
        }
    };
    Ok(CommitRequest {
        expected_revision: commit.expected_head_revision,
        head: head::to_body(
            path,
            &commit.session_id,
            commit.config,
            commit.agent_frames,
            commit.current_agent_frame_id,
            Vec::new(),
        )?,
        session_id: commit.session_id,
        graph,
        leaf,
        checkpoint: checkpoints::to_draft(path, commit.checkpoint)?,
        usage: commit
            .usage_deltas
            .into_iter()
            .map(usage::to_entry)
            .collect(),
        turn: commit.turn_commit.map(|stamp| TurnStamp {
            session_id: stamp.session_id,
            turn_id: stamp.turn_id,
            commit_hash: stamp.turn_commit_hash,
        }),
        completions: commit
            .completed_queue_claims
            .into_iter()
            .map(queue::to_completion)
            .collect(),
        attachment_ids: commit
            .committed_attachment_ids
            .iter()
            .map(|id| id.as_str().to_owned())
            .collect(),
        profile,
    })
}

/// How a commit ended: with a result, or with the store error that the trait
/// names for a lost race.
pub(crate) fn from_outcome(
    path: &Path,
    session_id: &str,
    turn_state: PersistedTurnState,
    outcome: CommitOutcome,
) -> Result<Result<RuntimeCommitResult, StoreError>, Error> {
    Ok(match outcome {
        CommitOutcome::Committed(receipt) => Ok(RuntimeCommitResult {
            head_revision: receipt.revision,
            checkpoint_ref: BlobRef(receipt.checkpoint_ref),
            manifest: checkpoints::manifest_with(receipt.manifest, turn_state),
        }),
        CommitOutcome::Replayed(receipt) => Ok(from_receipt(path, receipt)?),
        CommitOutcome::RevisionConflict(conflict) => Err(StoreError::HeadRevisionConflict {
            expected: conflict.expected,
            actual: conflict.actual,
        }),
        CommitOutcome::SessionMismatch(bound_session_id) => {
            Err(StoreError::SessionBindingMismatch {
                bound_session_id,
                attempted_session_id: session_id.to_owned(),
            })
        }
        CommitOutcome::TurnConflict(stamp) => Err(StoreError::RuntimeTurnCommitConflict {
            session_id: stamp.session_id,
            turn_id: stamp.turn_id,
        }),
        CommitOutcome::ClaimLost(completion) => Err(StoreError::QueuedWorkClaimExpired {
            session_id: completion.session_id,
            claim_id: completion.claim_id,
        }),
        CommitOutcome::AttachmentCondemned(attachment_id) => {
            return Err(Error::condemned(path, attachment_id));
        }
    })
}

fn from_receipt(path: &Path, receipt: Receipt) -> Result<RuntimeCommitResult, Error> {
    let manifest = checkpoints::from_manifest(path, &receipt.checkpoint_ref, receipt.manifest)?;
    Ok(RuntimeCommitResult {
        head_revision: receipt.revision,
        checkpoint_ref: BlobRef(receipt.checkpoint_ref),
        manifest,
    })
}

/// How a commit ended, for who reads its span.
fn word(outcome: &CommitOutcome) -> &'static str {
    match outcome {
        CommitOutcome::Committed(_) => "ok",
        CommitOutcome::Replayed(_) => "replayed",
        CommitOutcome::RevisionConflict(_) => "revision-conflict",
        CommitOutcome::SessionMismatch(_) => "session-mismatch",
        CommitOutcome::TurnConflict(_) => "turn-conflict",
        CommitOutcome::ClaimLost(_) => "lease-lost",
        CommitOutcome::AttachmentCondemned(_) => "condemned",
    }
}

impl Store {
    /// Commits a turn as `commit_runtime_state` of the trait does, and returns a failure of
    /// the database as this crate's error. The inner error is a lost race: nothing was
    /// written, and the session is in order.
    ///
    /// Once the transaction has begun, the commit is done to its end even if the
    /// future is dropped; the same commit with the same stamp then returns what
    /// was stored. A future that is dropped earlier leaves no trace.
    ///
    /// # Errors
    ///
    /// [`Error::TooDeep`] and [`Error::Encode`] for what could not be read back;
    /// [`Error::Condemned`]; [`EngineError::Busy`](crate::EngineError::Busy),
    /// [`EngineError::Retired`](crate::EngineError::Retired),
    /// [`EngineError::DiskFull`](crate::EngineError::DiskFull) and
    /// [`EngineError::Corrupt`](crate::EngineError::Corrupt) among others.
    pub async fn try_commit_runtime_state(
        &self,
        commit: RuntimeCommit,
    ) -> Result<Result<RuntimeCommitResult, StoreError>, Error> {
        let turn_state = commit.checkpoint.turn_state.clone();
        // A commit that completes claims must not come after their leases have run out.
        let db = match commit.completed_queue_claims.is_empty() {
            true => self.db.clone(),
            false => self.db.urgent(),
        };
        let request = to_request(self.path(), commit, self.profile())?;
        let (committed, result) = db
            .write("commit", move |call| {
                let session_id = request.session_id.as_str();
                call.of_session(session_id);
                let outcome = call.session().commit(&request)?;
                let committed = matches!(outcome, CommitOutcome::Committed(_));
                call.ended(word(&outcome));
                if committed {
                    call.belongs_to(session_id);
                }
                let result = from_outcome(call.path(), session_id, turn_state, outcome)?;
                Ok((committed, result))
            })
            .await?;
        if let (true, Ok(result)) = (committed, &result) {
            self.collect_after_commit(result.head_revision);
        }
        Ok(result)
    }
}
