//! The head and the metadata of a session, outside the commit protocol.

use lash_core::store::{
    HydratedSessionCheckpoint, PersistedSessionRead, SessionHead, SessionHeadMeta, SessionReadScope,
};
use lash_core::{BlobRef, SessionMeta, SessionNodeRecord, SessionPickerInfo, TokenLedgerEntry};
use lash_store_engine::wit::session::{HeadDraft, ReadScope};

use super::{Store, logged};
use crate::convert;
use crate::error::Error;
use crate::operation;

impl Store {
    /// Reads what a list of sessions shows. The cost does not depend on the size
    /// of the session. `None` if the session has no metadata, and on an error.
    pub async fn load_picker_info(&self) -> Option<SessionPickerInfo> {
        logged(
            "load picker info",
            self.try_load_picker_info().await,
            || None,
        )
    }

    /// As [`load_picker_info`](Self::load_picker_info), and answers the error.
    ///
    /// # Errors
    ///
    /// [`EngineError::Corrupt`](crate::EngineError::Corrupt) if what is stored is damaged.
    pub async fn try_load_picker_info(&self) -> Result<Option<SessionPickerInfo>, Error> {
        self.db
            .read("load picker info", |call| {
                call.metadata()
                    .describe()?
                    .map(|stored| convert::meta::from_description(call.path(), stored))
                    .transpose()
            })
            .await
    }

    /// Writes a head without compare-and-swap.
    ///
    /// A revision is never used twice: if a head with this or a higher revision is
    /// stored, the new one gets the next.
    pub async fn save_session_head_meta(&self, meta: SessionHeadMeta) {
        let saved = self.try_save_session_head_meta(meta).await;
        logged("save session head", saved.map(|_| ()), || ());
    }

    /// As [`save_session_head_meta`](Self::save_session_head_meta), and answers
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

    /// As [`load_session_head_meta`](Self::load_session_head_meta), and answers
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
                    .map(|head| convert::head::from_head(call.path(), head))
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

    /// As [`save_session_head`](Self::save_session_head), and answers the revision
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

    /// As [`load_session_head`](Self::load_session_head), and answers the error.
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

    /// As [`head_copy_from_store`](Self::head_copy_from_store), and answers the
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

    /// Stores metadata in place of what was stored.
    pub async fn save_session_meta(&self, meta: SessionMeta) {
        logged(
            "save session metadata",
            self.try_save_session_meta(meta).await,
            || (),
        );
    }

    /// As [`save_session_meta`](Self::save_session_meta), and answers the error.
    ///
    /// # Errors
    ///
    /// [`EngineError::ReadOnly`](crate::EngineError::ReadOnly) and [`EngineError::DiskFull`](crate::EngineError::DiskFull) among others.
    pub async fn try_save_session_meta(&self, meta: SessionMeta) -> Result<(), Error> {
        self.db
            .write("save session metadata", move |call| {
                call.belongs_to(&meta.session_id);
                let meta = convert::meta::to_meta(call.path(), meta)?;
                Ok(call.metadata().save(&meta)?)
            })
            .await
    }

    /// Stores metadata unless some is stored; answers whether it did.
    pub(crate) async fn create_session_meta(&self, meta: SessionMeta) -> Result<bool, Error> {
        self.db
            .write("create session metadata", move |call| {
                call.belongs_to(&meta.session_id);
                let meta = convert::meta::to_meta(call.path(), meta)?;
                Ok(call.metadata().create(&meta)?)
            })
            .await
    }

    /// Reads metadata. `None` if there is none, and on an error.
    pub async fn load_session_meta(&self) -> Option<SessionMeta> {
        logged(
            "load session metadata",
            self.try_load_session_meta().await,
            || None,
        )
    }

    /// As [`load_session_meta`](Self::load_session_meta), and answers the error.
    ///
    /// # Errors
    ///
    /// [`EngineError::Corrupt`](crate::EngineError::Corrupt) if what is stored is damaged.
    pub async fn try_load_session_meta(&self) -> Result<Option<SessionMeta>, Error> {
        self.db
            .read("load session metadata", |call| {
                call.metadata()
                    .load()?
                    .map(|meta| {
                        call.belongs_to(&meta.session_id);
                        convert::meta::from_meta(call.path(), meta)
                    })
                    .transpose()
            })
            .await
    }

    pub(super) async fn try_load(
        &self,
        scope: ReadScope,
    ) -> Result<Option<PersistedSessionRead>, Error> {
        self.db
            .read("load session", move |call| {
                call.session()
                    .load(&scope)?
                    .map(|snapshot| {
                        let read = convert::session::from_snapshot(call.path(), snapshot)?;
                        call.belongs_to(&read.session_id);
                        Ok(read)
                    })
                    .transpose()
            })
            .await
    }

    async fn try_load_full(&self) -> Result<Option<PersistedSessionRead>, Error> {
        self.try_load(convert::session::to_scope(SessionReadScope::FullGraph))
            .await
    }

    async fn save_head(
        &self,
        meta: SessionHeadMeta,
        nodes: Option<Vec<SessionNodeRecord>>,
        usage: Option<Vec<TokenLedgerEntry>>,
    ) -> Result<u64, Error> {
        let profile = self.profile();
        self.db
            .write("save session head", move |call| {
                call.belongs_to(&meta.session_id);
                let body = convert::head::to_body(
                    call.path(),
                    meta.config,
                    meta.agent_frames,
                    meta.current_agent_frame_id,
                    meta.token_ledger,
                )?;
                let nodes = nodes
                    .map(|nodes| convert::graph::to_nodes(call.path(), &nodes))
                    .transpose()?;
                let draft = HeadDraft {
                    session_id: meta.session_id,
                    revision: meta.head_revision,
                    body,
                    leaf: meta.leaf_node_id,
                    checkpoint_ref: meta.checkpoint_ref.map(|BlobRef(key)| key),
                    nodes,
                    usage: usage
                        .map(|entries| entries.into_iter().map(convert::usage::to_entry).collect()),
                    profile,
                };
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
