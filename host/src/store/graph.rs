//! The graph outside the commit protocol, and garbage collection.

use lash_core::{GcReport, SessionGraph, SessionNodeRecord, VacuumReport};

use super::{Store, logged};
use crate::convert;
use crate::database::Database;
use crate::error::Error;
use crate::operation;

impl Store {
    /// Makes a graph the whole graph; the head stays as it is.
    pub async fn replace_session_graph(&self, graph: &SessionGraph) {
        logged(
            "replace graph",
            self.try_replace_session_graph(graph).await,
            || (),
        );
    }

    /// As [`replace_session_graph`](Self::replace_session_graph), and answers the
    /// error.
    ///
    /// # Errors
    ///
    /// [`EngineError::Invalid`](crate::EngineError::Invalid) if the nodes are no forest.
    pub async fn try_replace_session_graph(&self, graph: &SessionGraph) -> Result<(), Error> {
        let nodes = graph.nodes.clone();
        self.db
            .write("replace graph", move |call| {
                let nodes = convert::graph::to_nodes(call.path(), &nodes)?;
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
    /// answers the error.
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
        let nodes = nodes.to_vec();
        self.db
            .write("append nodes", move |call| {
                let nodes = convert::graph::to_nodes(call.path(), &nodes)?;
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

    /// As [`load_session_graph`](Self::load_session_graph), and answers the error.
    ///
    /// # Errors
    ///
    /// [`EngineError::Corrupt`](crate::EngineError::Corrupt) if a node is missing or damaged.
    pub async fn try_load_session_graph(&self) -> Result<SessionGraph, Error> {
        self.db
            .read("load graph", |call| {
                let bodies = call.graph().load()?;
                let nodes = convert::graph::from_bodies(call.path(), &bodies)?;
                Ok(SessionGraph::from_nodes(nodes, None))
            })
            .await
    }

    /// Removes blobs that nothing refers to. On an error nothing is removed, and
    /// the report is empty.
    pub async fn gc_unreachable(&self) -> GcReport {
        logged(
            "collect garbage",
            self.try_gc_unreachable().await,
            GcReport::default,
        )
    }

    /// As [`gc_unreachable`](Self::gc_unreachable), and answers the error.
    ///
    /// # Errors
    ///
    /// [`EngineError::Corrupt`](crate::EngineError::Corrupt) if anything that is referred to is missing or damaged:
    /// then nothing is removed.
    pub async fn try_gc_unreachable(&self) -> Result<GcReport, Error> {
        let collected = async {
            let report = collect_garbage(self.db.clone()).await?;
            self.db.give_back_pages().await;
            Ok(report)
        };
        operation::within(self.db.operation("collect garbage"), collected).await
    }

    /// Removes tombstoned nodes, and gives their pages back to the file system; as the
    /// trait's `vacuum`, and answers the error.
    ///
    /// # Errors
    ///
    /// [`EngineError::Busy`](crate::EngineError::Busy), [`EngineError::ReadOnly`](crate::EngineError::ReadOnly) and their like; then nothing is removed.
    pub async fn try_vacuum(&self) -> Result<VacuumReport, Error> {
        let removed = self
            .db
            .write("vacuum", |call| Ok(call.maintenance().vacuum()?));
        let vacuumed = async {
            let removed_node_count = count(removed.await?);
            self.db.give_back_pages().await;
            Ok(VacuumReport { removed_node_count })
        };
        operation::within(self.db.operation("vacuum"), vacuumed).await
    }
}

fn count(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

async fn collect_garbage(db: Database) -> Result<GcReport, Error> {
    let report = db
        .write("collect garbage", |call| Ok(call.maintenance().gc()?))
        .await?;
    Ok(GcReport {
        root_count: count(report.roots),
        retained_blob_count: count(report.retained),
        deleted_blob_count: count(report.deleted),
    })
}
