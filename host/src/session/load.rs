//! Reading a whole session.

use std::mem;
use std::path::Path;

use lash_core::store::{PersistedSessionRead, SessionReadScope};
use lash_core::{BlobRef, SessionGraph};
use lash_store_engine::wit::session::{BodyPage, ReadScope, Snapshot};
use lash_store_engine::wit::types::ByteStrings;

use super::{Store, checkpoints, graph, head, usage};
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
    pages: &[BodyPage],
) -> Result<PersistedSessionRead, Error> {
    let meta = head::from_head(path, snapshot.head)?;
    let bodies = graph::oldest_first(pages.iter().map(|page| &page.bodies));
    let nodes = graph::from_bodies(path, &bodies)?;
    let checkpoint = snapshot
        .checkpoint
        .map(|stored| {
            let key = meta.checkpoint_ref.as_ref().map_or("", BlobRef::as_str);
            checkpoints::from_checkpoint(path, key, stored)
        })
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

/// Takes the first page of the nodes out of a snapshot.
fn take_nodes(snapshot: &mut Snapshot) -> BodyPage {
    let none = BodyPage {
        bodies: ByteStrings::from_iter([[]; 0]),
        next: None,
    };
    mem::replace(&mut snapshot.nodes, none)
}

impl Store {
    /// Reads a session as `load_session` of the trait does, and returns a failure as this
    /// crate's error. `None` if nothing was committed.
    ///
    /// # Errors
    ///
    /// [`EngineError::Corrupt`](crate::EngineError::Corrupt) if what is stored is corrupt,
    /// [`Error::Decode`] if another release has written it,
    /// [`EngineError::Retired`](crate::EngineError::Retired) if the session was deleted.
    pub async fn try_load_session(
        &self,
        scope: SessionReadScope,
    ) -> Result<Option<PersistedSessionRead>, Error> {
        let scope = to_scope(scope);
        self.db
            .read("load session", move |call| {
                call.keep_snapshot();
                let Some(mut snapshot) = call.session().load(&scope)? else {
                    return Ok(None);
                };
                let first = take_nodes(&mut snapshot);
                let pages = call.pages(first, |call, cursor| call.session().load_nodes(cursor))?;
                let read = from_snapshot(call.path(), snapshot, &pages)?;
                call.belongs_to(&read.session_id);
                Ok(Some(read))
            })
            .await
    }

    pub(super) async fn try_load_full(&self) -> Result<Option<PersistedSessionRead>, Error> {
        self.try_load_session(SessionReadScope::FullGraph).await
    }
}
