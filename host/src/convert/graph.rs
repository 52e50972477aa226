//! Nodes of the session graph.

use std::path::Path;

use lash_core::session_model::MessageRole;
use lash_core::{SessionEventRecord, SessionNodeRecord};
use lash_store_engine::wit::graph::Node;

use super::{decode_shared, from_json, to_json};
use crate::error::Error;

pub(crate) fn to_node(path: &Path, record: &SessionNodeRecord) -> Result<Node, Error> {
    Ok(Node {
        id: record.node_id.clone(),
        parent: record.parent_node_id.clone(),
        prompt: is_prompt(record),
        body: to_json(path, "a graph node", record)?,
    })
}

pub(crate) fn to_nodes(path: &Path, records: &[SessionNodeRecord]) -> Result<Vec<Node>, Error> {
    records.iter().map(|record| to_node(path, record)).collect()
}

pub(crate) fn from_body(path: &Path, body: &[u8]) -> Result<SessionNodeRecord, Error> {
    from_json(path, "a graph node", "", body)
}

/// Decodes many nodes.
pub(crate) fn from_bodies(
    path: &Path,
    bodies: &[Vec<u8>],
) -> Result<Vec<SessionNodeRecord>, Error> {
    decode_shared(bodies, |body| from_body(path, body))
}

/// What lash-core counts as a message of the user.
pub(crate) fn is_prompt(record: &SessionNodeRecord) -> bool {
    matches!(
        record.event(),
        Some(SessionEventRecord::Conversation(message)) if message.role == MessageRole::User
    )
}
