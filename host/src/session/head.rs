//! The head of a session, outside the commit protocol.

use std::path::Path;

use lash_core::store::{
    HydratedSessionCheckpoint, PersistedSessionRead, SessionHead, SessionHeadMeta,
};
use lash_core::{
    AgentFrameId, AgentFrameRecord, BlobRef, PersistedSessionConfig, SessionNodeRecord,
    TokenLedgerEntry,
};
use lash_store_engine::wit::session::{Head, HeadBody, HeadDraft};
use lash_store_engine::wit::types::BlobSource;

use super::{Store, graph, logged, usage};
use crate::encoding::{from_json, to_json};
use crate::error::Error;
use crate::operation;

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
    session_id: &str,
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
        content: to_json(path, WHAT, session_id, &content)?,
        blobs,
        retained,
    })
}

pub(crate) fn from_head(path: &Path, head: Head) -> Result<SessionHeadMeta, Error> {
    let content: Content = from_json(path, WHAT, &head.session_id, &head.content)?;
    let mut agent_frames = content.agent_frames;
    for (position, snapshot) in content.snapshots.into_iter().zip(head.blobs.iter()) {
        if let Some(frame) = agent_frames.get_mut(position) {
            frame.execution_state_snapshot = Some(snapshot.to_vec());
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

impl Store {
    /// Writes a head without compare-and-swap.
    ///
    /// A revision is never used twice: if a head with this or a higher revision is
    /// stored, the new one gets the next.
    pub async fn save_session_head_meta(&self, meta: SessionHeadMeta) {
        let saved = self.try_save_session_head_meta(meta).await;
        logged("save session head", saved.map(|_| ()), || ());
    }

    /// As [`save_session_head_meta`](Self::save_session_head_meta), and returns
    /// the revision or the error.
    ///
    /// # Errors
    ///
    /// [`EngineError::Invalid`](crate::EngineError::Invalid) if the leaf is not stored, [`EngineError::MissingBlob`](crate::EngineError::MissingBlob) if the
    /// checkpoint is not.
    pub async fn try_save_session_head_meta(&self, meta: SessionHeadMeta) -> Result<u64, Error> {
        self.save_head(meta, None, None).await
    }

    /// Reads the head. `None` if there is none, and on an error.
    pub async fn load_session_head_meta(&self) -> Option<SessionHeadMeta> {
        logged(
            "load session head",
            self.try_load_session_head_meta().await,
            || None,
        )
    }

    /// As [`load_session_head_meta`](Self::load_session_head_meta), and returns
    /// the error.
    ///
    /// # Errors
    ///
    /// [`EngineError::Corrupt`](crate::EngineError::Corrupt) if what is stored is damaged.
    pub async fn try_load_session_head_meta(&self) -> Result<Option<SessionHeadMeta>, Error> {
        self.db
            .read("load session head", |call| {
                call.session()
                    .load_head()?
                    .map(|head| from_head(call.path(), head))
                    .transpose()
            })
            .await
    }

    /// Replaces the graph and the head, in one transaction. The head's own
    /// revision is not used, see
    /// [`save_session_head_meta`](Self::save_session_head_meta): the first head of
    /// a store gets revision 0.
    pub async fn save_session_head(&self, head: SessionHead) {
        let saved = self.try_save_session_head(head).await;
        logged("save session head", saved.map(|_| ()), || ());
    }

    /// As [`save_session_head`](Self::save_session_head), and returns the revision
    /// or the error.
    ///
    /// # Errors
    ///
    /// [`EngineError::Invalid`](crate::EngineError::Invalid) if the graph is no forest or the leaf is not in it,
    /// [`EngineError::MissingBlob`](crate::EngineError::MissingBlob) if the checkpoint is not stored.
    pub async fn try_save_session_head(&self, head: SessionHead) -> Result<u64, Error> {
        let nodes = head.graph.nodes.clone();
        self.save_head(head_meta(head), Some(nodes), None).await
    }

    /// Reads the head with the graph and the ledger, from one snapshot. `None` if
    /// there is no head, and on an error.
    pub async fn load_session_head(&self) -> Option<SessionHead> {
        logged(
            "load session head",
            self.try_load_session_head().await,
            || None,
        )
    }

    /// As [`load_session_head`](Self::load_session_head), and returns the error.
    ///
    /// # Errors
    ///
    /// [`EngineError::Corrupt`](crate::EngineError::Corrupt) if what is stored is damaged.
    pub async fn try_load_session_head(&self) -> Result<Option<SessionHead>, Error> {
        Ok(self.try_load_full().await?.map(|read| into_head(read).0))
    }

    /// Copies the head of another store with all that it refers to: graph,
    /// checkpoint, execution state and ledger.
    pub async fn head_copy_from_store(&self, source: &Self) {
        let copied = self.try_head_copy_from_store(source).await;
        logged("copy session head", copied, || ());
    }

    /// As [`head_copy_from_store`](Self::head_copy_from_store), and returns the
    /// error. Without a head in the source it does nothing.
    ///
    /// # Errors
    ///
    /// [`EngineError::Corrupt`](crate::EngineError::Corrupt) if what the source stores is damaged: nothing is copied
    /// then.
    pub async fn try_head_copy_from_store(&self, source: &Self) -> Result<(), Error> {
        let span = self.db.operation("copy session head");
        operation::within(span, self.copy_head(source)).await
    }

    async fn copy_head(&self, source: &Self) -> Result<(), Error> {
        let Some(read) = source.try_load_full().await? else {
            return Ok(());
        };
        let (head, checkpoint) = into_head(read);
        let nodes = head.graph.nodes.clone();
        let ledger = head.token_ledger.clone();
        let mut meta = head_meta(head);
        if let Some(checkpoint) = checkpoint {
            let stored = self.try_put_checkpoint(&checkpoint).await?;
            meta.checkpoint_ref = Some(stored.checkpoint_ref);
        }
        self.save_head(meta, Some(nodes), Some(ledger)).await?;
        Ok(())
    }

    async fn save_head(
        &self,
        meta: SessionHeadMeta,
        nodes: Option<Vec<SessionNodeRecord>>,
        usage: Option<Vec<TokenLedgerEntry>>,
    ) -> Result<u64, Error> {
        let body = to_body(
            self.path(),
            &meta.session_id,
            meta.config,
            meta.agent_frames,
            meta.current_agent_frame_id,
            meta.token_ledger,
        )?;
        let nodes = nodes
            .map(|nodes| graph::to_nodes(self.path(), &nodes))
            .transpose()?;
        let draft = HeadDraft {
            session_id: meta.session_id,
            revision: meta.head_revision,
            body,
            leaf: meta.leaf_node_id,
            checkpoint_ref: meta.checkpoint_ref.map(|BlobRef(key)| key),
            nodes,
            usage: usage.map(|entries| entries.into_iter().map(usage::to_entry).collect()),
            profile: self.profile(),
        };
        self.db
            .write("save session head", move |call| {
                call.belongs_to(&draft.session_id);
                Ok(call.session().save_head(&draft)?)
            })
            .await
    }
}

/// A read session as a head and its checkpoint.
fn into_head(read: PersistedSessionRead) -> (SessionHead, Option<HydratedSessionCheckpoint>) {
    let head = SessionHead {
        session_id: read.session_id,
        head_revision: read.head_revision,
        agent_frames: read.agent_frames,
        current_agent_frame_id: read.current_agent_frame_id,
        graph: read.graph,
        config: read.config,
        checkpoint_ref: read.checkpoint_ref,
        token_ledger: read.token_ledger,
    };
    (head, read.checkpoint)
}

/// What of a head goes into the head's row. Its ledger is not stored there.
fn head_meta(head: SessionHead) -> SessionHeadMeta {
    SessionHeadMeta {
        session_id: head.session_id,
        head_revision: 0,
        config: head.config,
        agent_frames: head.agent_frames,
        current_agent_frame_id: head.current_agent_frame_id,
        checkpoint_ref: head.checkpoint_ref,
        leaf_node_id: head.graph.leaf_node_id.clone(),
        graph_node_count: head.graph.nodes.len(),
        token_ledger: Vec::new(),
    }
}
