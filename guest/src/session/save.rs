//! Writing the head directly, without a commit.

use alloc::vec::Vec;

use super::checkpoints::{self, Component};
use super::graph::{self, Kept};
use super::head::{self, HeadRow, next_revision, require_leaf};
use super::{blobs, turns, usage};
use crate::Result;
use crate::bindings::session_types::HeadDraft;
use crate::bindings::types::Error;
use crate::session::digests::SessionTransaction;
use crate::storage::corruption::invalid;
use crate::storage::seam::{Environment, unsigned};

/// The WIT function `session.save-head`.
pub fn save_head(env: &impl Environment, draft: HeadDraft) -> Result<u64> {
    save(env, draft, false)
}

/// The WIT function `session-import.add-head`.
pub fn add_head(env: &impl Environment, draft: HeadDraft) -> Result<()> {
    if draft.nodes.is_some() || draft.usage.is_some() {
        return Err(invalid("nodes and usage are imported by themselves"));
    }
    save(env, draft, true).map(|_| ())
}

/// Writes a head. One that is imported is the first, and its leaf may be gone.
fn save(env: &impl Environment, draft: HeadDraft, imported: bool) -> Result<u64> {
    let mut components = head::components(draft.body.blobs, draft.profile)?;
    blobs::compress_missing(env, components.iter_mut().filter_map(Component::new_blob))?;
    let mut session = SessionTransaction::write_durably(env)?;
    let asked = i64::try_from(draft.revision).map_err(|_| invalid("the revision is too high"))?;
    let revision = match HeadRow::load_identity(&session) {
        Ok(None) => asked,
        Ok(Some(_)) if imported => return Err(invalid("there is a head already")),
        Ok(stored) => asked.max(next_revision(stored.as_ref())?),
        // It is replaced. What the stamps know was committed before.
        Err(Error::Corrupt(_)) if !imported => {
            let last = turns::last_revision(&session.tx)?;
            asked.max(last.saturating_add(1))
        }
        Err(error) => return Err(error),
    };
    if let Some(nodes) = &draft.nodes {
        graph::replace_nodes(&mut session, nodes, Kept::IfSound)?;
    }
    if let Some(entries) = &draft.usage {
        usage::replace_entries(&mut session, entries, env.now_ms())?;
    }
    if !imported {
        require_leaf(&session, draft.leaf.as_deref())?;
    }
    let checkpoint = draft
        .checkpoint_ref
        .map(|reference| checkpoints::adopt(&mut session, &reference))
        .transpose()?;
    let mut blobs = Vec::with_capacity(components.len());
    for component in components {
        blobs.push(component.insert(&mut session)?);
    }
    let retained = blobs::retain(&session.tx, &draft.body.retained)?;
    let row = HeadRow {
        session_id: draft.session_id,
        revision,
        leaf: draft.leaf,
        checkpoint,
        blobs,
        retained,
        content: draft.body.content,
    };
    row.store(&mut session)?;
    session.commit()?;
    Ok(unsigned(row.revision))
}
