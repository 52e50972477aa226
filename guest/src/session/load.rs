//! Reading a session.

use super::head::HeadRow;
use super::{checkpoints, graph, usage};
use crate::Result;
use crate::bindings::session_types::{Head, ReadScope, Snapshot};
use crate::session::digests::SessionTransaction;
use crate::storage::seam::Environment;

/// The WIT function `session.load`.
pub fn load(env: &impl Environment, scope: ReadScope) -> Result<Option<Snapshot>> {
    let session = SessionTransaction::read(env)?;
    let Some(row) = HeadRow::load(&session)? else {
        return Ok(None);
    };
    let (leaf, nodes) = match scope {
        ReadScope::Full => (row.leaf.clone(), graph::first_bodies(&session, None)?),
        ReadScope::Path(leaf) => {
            let leaf = leaf.or_else(|| row.leaf.clone());
            let nodes = graph::first_bodies(&session, Some(leaf.as_deref()))?;
            (leaf, nodes)
        }
    };
    let checkpoint = row
        .checkpoint
        .map(|key| checkpoints::load_referenced(&session, &key))
        .transpose()?;
    let usage = usage::load_totals(&session)?;
    Ok(Some(Snapshot {
        head: row.hydrate(&session)?,
        leaf,
        nodes,
        checkpoint,
        usage,
    }))
}

/// The WIT function `session.load-head`.
pub fn load_head(env: &impl Environment) -> Result<Option<Head>> {
    let session = SessionTransaction::read(env)?;
    HeadRow::load(&session)?
        .map(|row| row.hydrate(&session))
        .transpose()
}
