//! The nodes of the session graph.

use std::path::Path;

use lash_core::session_model::MessageRole;
use lash_core::{SessionEventRecord, SessionGraph, SessionNodeRecord, StoreError};
use lash_store_engine::wit::graph::Node;
use lash_store_engine::wit::types::ByteStrings;

use super::{Store, logged};
use crate::encoding::{decode_shared, from_json, read_json, to_json};
use crate::error::Error;

const NODE: &str = "the graph node";

pub(crate) fn to_node(path: &Path, record: &SessionNodeRecord) -> Result<Node, Error> {
    Ok(Node {
        id: record.node_id.clone(),
        parent: record.parent_node_id.clone(),
        prompt: is_prompt(record),
        body: to_json(path, NODE, &record.node_id, record)?,
    })
}

pub(crate) fn to_nodes(path: &Path, records: &[SessionNodeRecord]) -> Result<Vec<Node>, Error> {
    records.iter().map(|record| to_node(path, record)).collect()
}

pub(crate) fn from_body(path: &Path, key: &str, body: &[u8]) -> Result<SessionNodeRecord, Error> {
    from_json(path, NODE, key, body)
}

/// The identifier in a node that cannot be read otherwise, or else its place among those
/// that are read.
fn name_of(body: &[u8], place: usize) -> String {
    #[derive(serde::Deserialize)]
    struct Named {
        node_id: String,
    }
    match read_json::<Named>(body) {
        Ok(named) => named.node_id,
        Err(_) => format!("number {} in order", place.saturating_add(1)),
    }
}

/// Decodes many nodes.
pub(crate) fn from_bodies(path: &Path, bodies: &[&[u8]]) -> Result<Vec<SessionNodeRecord>, Error> {
    decode_shared(bodies, |place, body| {
        from_body(path, "", body).map_err(|error| error.of(|| name_of(body, place)))
    })
}

/// The bodies of pages that come newest first, oldest first.
pub(crate) fn oldest_first<'p>(
    pages: impl DoubleEndedIterator<Item = &'p ByteStrings>,
) -> Vec<&'p [u8]> {
    pages.rev().flat_map(|page| page.iter().rev()).collect()
}

/// What lash-core counts as a message of the user.
pub(crate) fn is_prompt(record: &SessionNodeRecord) -> bool {
    matches!(
        record.event(),
        Some(SessionEventRecord::Conversation(message)) if message.role == MessageRole::User
    )
}

impl Store {
    /// Makes a graph the whole graph; the head stays as it is.
    pub async fn replace_session_graph(&self, graph: &SessionGraph) {
        logged(
            "replace graph",
            self.try_replace_session_graph(graph).await,
            || (),
        );
    }

    /// As [`replace_session_graph`](Self::replace_session_graph), and returns the
    /// error.
    ///
    /// # Errors
    ///
    /// [`EngineError::Invalid`](crate::EngineError::Invalid) if the nodes are no forest.
    pub async fn try_replace_session_graph(&self, graph: &SessionGraph) -> Result<(), Error> {
        let nodes = to_nodes(self.path(), &graph.nodes)?;
        self.db
            .write("replace graph", move |call| {
                Ok(call.graph().replace(&nodes)?)
            })
            .await
    }

    /// Adds nodes; the head stays as it is.
    pub async fn append_session_graph_nodes(&self, nodes: &[SessionNodeRecord]) {
        logged(
            "append nodes",
            self.try_append_session_graph_nodes(nodes).await,
            || (),
        );
    }

    /// As [`append_session_graph_nodes`](Self::append_session_graph_nodes), and
    /// returns the error.
    ///
    /// # Errors
    ///
    /// [`EngineError::Invalid`](crate::EngineError::Invalid) if a node is stored already, if its parent is not, or if
    /// it is its own ancestor.
    pub async fn try_append_session_graph_nodes(
        &self,
        nodes: &[SessionNodeRecord],
    ) -> Result<(), Error> {
        if nodes.is_empty() {
            return Ok(());
        }
        let nodes = to_nodes(self.path(), nodes)?;
        self.db
            .write("append nodes", move |call| {
                Ok(call.graph().append(&nodes)?)
            })
            .await
    }

    /// Reads all nodes, in order, without a leaf. Empty on an error.
    pub async fn load_session_graph(&self) -> SessionGraph {
        logged(
            "load graph",
            self.try_load_session_graph().await,
            SessionGraph::default,
        )
    }

    /// As [`load_session_graph`](Self::load_session_graph), and returns the error.
    ///
    /// # Errors
    ///
    /// [`EngineError::Corrupt`](crate::EngineError::Corrupt) if a node is missing or damaged.
    pub async fn try_load_session_graph(&self) -> Result<SessionGraph, Error> {
        self.db
            .read("load graph", |call| {
                let pages = call.list(|call, cursor| call.graph().load(cursor))?;
                let bodies = oldest_first(pages.iter().map(|page| &page.bodies));
                let nodes = from_bodies(call.path(), &bodies)?;
                Ok(SessionGraph::from_nodes(nodes, None))
            })
            .await
    }

    pub(super) async fn read_node(
        &self,
        node_id: &str,
    ) -> Result<Option<SessionNodeRecord>, StoreError> {
        let node_id = node_id.to_owned();
        Ok(self
            .db
            .read("load node", move |call| {
                call.graph()
                    .load_node(&node_id)?
                    .map(|body| from_body(call.path(), &node_id, &body))
                    .transpose()
            })
            .await?)
    }

    pub(super) async fn tombstone(&self, ids: &[String]) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let ids = ids.to_vec();
        Ok(self
            .db
            .write("tombstone nodes", move |call| {
                Ok(call.graph().tombstone(&ids).map(drop)?)
            })
            .await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another release may have written them. The error named no node.
    #[test]
    fn a_node_that_cannot_be_decoded_is_named() {
        let path = Path::new("x.db");
        let message = |bodies: &[&[u8]]| from_bodies(path, bodies).unwrap_err().to_string();
        let named = message(&[br#"{"node_id":"n7","later":[1]}"#]);
        assert!(named.contains("graph node n7 in x.db"), "{named}");
        let many = vec![&br#"{}"#[..]; 3000];
        let first = message(&many);
        assert!(first.contains("graph node number 1 in order"), "{first}");
    }
}
