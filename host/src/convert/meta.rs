//! Metadata of a session.

use std::path::Path;

use lash_core::{SessionGraph, SessionMeta, SessionPickerInfo};
use lash_store_engine::wit::metadata::{Description, Meta};

use super::{from_json, graph, to_json};
use crate::error::Error;

pub(crate) fn to_meta(path: &Path, meta: SessionMeta) -> Result<Meta, Error> {
    Ok(Meta {
        relation: to_json(path, "the session's relation", &meta.relation)?,
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
        .map(|body| graph::from_body(path, &body))
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
