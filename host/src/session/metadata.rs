//! What a session is called and where it comes from.

use std::path::Path;

use lash_core::{SessionGraph, SessionMeta, SessionPickerInfo};
use lash_store_engine::wit::metadata::{Description, Meta};

use super::{Store, graph, logged};
use crate::encoding::{from_json, to_json};
use crate::error::Error;

pub(crate) fn to_meta(path: &Path, meta: SessionMeta) -> Result<Meta, Error> {
    Ok(Meta {
        relation: to_json(
            path,
            "the session's relation",
            &meta.session_id,
            &meta.relation,
        )?,
        session_id: meta.session_id,
        session_name: meta.session_name,
        created_at: meta.created_at,
        model: meta.model,
        cwd: meta.cwd,
    })
}

pub(crate) fn from_meta(path: &Path, meta: Meta) -> Result<SessionMeta, Error> {
    Ok(SessionMeta {
        relation: from_json(
            path,
            "the session's relation",
            &meta.session_id,
            &meta.relation,
        )?,
        session_id: meta.session_id,
        session_name: meta.session_name,
        created_at: meta.created_at,
        model: meta.model,
        cwd: meta.cwd,
    })
}

pub(crate) fn from_description(
    path: &Path,
    description: Description,
) -> Result<SessionPickerInfo, Error> {
    let meta = from_meta(path, description.meta)?;
    let first = description
        .first_prompt
        .map(|body| graph::from_body(path, "(the first of the user)", &body))
        .transpose()?;
    // lash-core makes the text that a picker shows; it needs a graph for it.
    let first = SessionGraph::from_nodes(first.into_iter().collect(), None);
    Ok(SessionPickerInfo {
        session_id: meta.session_id,
        cwd: meta.cwd,
        relation: meta.relation,
        first_user_message: first.first_user_message(),
        user_message_count: usize::try_from(description.prompts).unwrap_or(usize::MAX),
    })
}

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

    /// As [`load_picker_info`](Self::load_picker_info), and returns the error.
    ///
    /// # Errors
    ///
    /// [`EngineError::Corrupt`](crate::EngineError::Corrupt) if what is stored is damaged.
    pub async fn try_load_picker_info(&self) -> Result<Option<SessionPickerInfo>, Error> {
        self.db
            .read("load picker info", |call| {
                call.metadata()
                    .describe()?
                    .map(|stored| from_description(call.path(), stored))
                    .transpose()
            })
            .await
    }

    /// Stores metadata in place of what was stored.
    pub async fn save_session_meta(&self, meta: SessionMeta) {
        logged(
            "save session metadata",
            self.try_save_session_meta(meta).await,
            || (),
        );
    }

    /// As [`save_session_meta`](Self::save_session_meta), and returns the error.
    ///
    /// # Errors
    ///
    /// [`EngineError::ReadOnly`](crate::EngineError::ReadOnly) and [`EngineError::DiskFull`](crate::EngineError::DiskFull) among others.
    pub async fn try_save_session_meta(&self, meta: SessionMeta) -> Result<(), Error> {
        let meta = to_meta(self.path(), meta)?;
        self.db
            .write("save session metadata", move |call| {
                call.belongs_to(&meta.session_id);
                Ok(call.metadata().save(&meta)?)
            })
            .await
    }

    /// Stores metadata unless some is stored; returns whether it did.
    pub(crate) async fn create_session_meta(&self, meta: SessionMeta) -> Result<bool, Error> {
        let meta = to_meta(self.path(), meta)?;
        self.db
            .write("create session metadata", move |call| {
                call.belongs_to(&meta.session_id);
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

    /// As [`load_session_meta`](Self::load_session_meta), and returns the error.
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
                        from_meta(call.path(), meta)
                    })
                    .transpose()
            })
            .await
    }
}
