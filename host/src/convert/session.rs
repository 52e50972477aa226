//! A whole session.

use std::path::Path;

use lash_core::SessionGraph;
use lash_core::store::{PersistedSessionRead, SessionReadScope};
use lash_store_engine::wit::session::{ReadScope, Snapshot};

use super::{checkpoint, graph, head, usage};
use crate::error::Error;

pub(crate) fn to_scope(scope: SessionReadScope) -> ReadScope {
    match scope {
        SessionReadScope::FullGraph => ReadScope::Full,
        SessionReadScope::ActivePath { leaf_node_id } => ReadScope::Path(leaf_node_id),
    }
}

pub(crate) fn from_snapshot(
    path: &Path,
    snapshot: Snapshot,
) -> Result<PersistedSessionRead, Error> {
    let meta = head::from_head(path, snapshot.head)?;
    let nodes = graph::from_bodies(path, &snapshot.nodes)?;
    let checkpoint = snapshot
        .checkpoint
        .map(|stored| checkpoint::from_checkpoint(path, stored))
        .transpose()?;
    Ok(PersistedSessionRead {
        session_id: meta.session_id,
        head_revision: meta.head_revision,
        config: meta.config,
        agent_frames: meta.agent_frames,
        current_agent_frame_id: meta.current_agent_frame_id,
        graph: SessionGraph::from_nodes(nodes, snapshot.leaf),
        checkpoint_ref: meta.checkpoint_ref,
        checkpoint,
        token_ledger: snapshot.usage.into_iter().map(usage::from_entry).collect(),
    })
}
