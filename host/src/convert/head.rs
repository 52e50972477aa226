//! The part of the head that the component does not look into.

use std::path::Path;

use lash_core::store::SessionHeadMeta;
use lash_core::{
    AgentFrameId, AgentFrameRecord, BlobRef, PersistedSessionConfig, TokenLedgerEntry,
};
use lash_store_engine::wit::session::{Head, HeadBody};
use lash_store_engine::wit::types::BlobSource;

use super::{from_json, to_json};
use crate::error::Error;

const WHAT: &str = "the session head";

/// What the content of a head is, as JSON.
///
/// The execution state of a frame, which as JSON would be an array of numbers and
/// would be written again with every commit, is a blob instead.
#[derive(serde::Serialize, serde::Deserialize)]
struct Content {
    config: PersistedSessionConfig,
    agent_frames: Vec<AgentFrameRecord>,
    current_agent_frame_id: AgentFrameId,
    /// The frame, by position, that each blob of the head belongs to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    snapshots: Vec<usize>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    token_ledger: Vec<TokenLedgerEntry>,
}

pub(crate) fn to_body(
    path: &Path,
    config: PersistedSessionConfig,
    mut agent_frames: Vec<AgentFrameRecord>,
    current_agent_frame_id: AgentFrameId,
    token_ledger: Vec<TokenLedgerEntry>,
) -> Result<HeadBody, Error> {
    let mut snapshots = Vec::new();
    let mut blobs = Vec::new();
    let mut retained = Vec::new();
    for (position, frame) in agent_frames.iter_mut().enumerate() {
        if let Some(snapshot) = frame.execution_state_snapshot.take() {
            snapshots.push(position);
            blobs.push(BlobSource::Content(snapshot));
        }
        if let Some(BlobRef(reference)) = &frame.execution_state_ref
            && !retained.contains(reference)
        {
            retained.push(reference.clone());
        }
    }
    let content = Content {
        config,
        agent_frames,
        current_agent_frame_id,
        snapshots,
        token_ledger,
    };
    Ok(HeadBody {
        content: to_json(path, WHAT, &content)?,
        blobs,
        retained,
    })
}

pub(crate) fn from_head(path: &Path, head: Head) -> Result<SessionHeadMeta, Error> {
    let content: Content = from_json(path, WHAT, &head.session_id, &head.content)?;
    let mut agent_frames = content.agent_frames;
    for (position, snapshot) in content.snapshots.into_iter().zip(head.blobs) {
        if let Some(frame) = agent_frames.get_mut(position) {
            frame.execution_state_snapshot = Some(snapshot);
        }
    }
    Ok(SessionHeadMeta {
        session_id: head.session_id,
        head_revision: head.revision,
        config: content.config,
        agent_frames,
        current_agent_frame_id: content.current_agent_frame_id,
        checkpoint_ref: head.checkpoint_ref.map(BlobRef),
        leaf_node_id: head.leaf,
        graph_node_count: usize::try_from(head.node_count).unwrap_or(usize::MAX),
        token_ledger: content.token_ledger,
    })
}
