//! The head of a session: committing, loading, and writing it directly.

mod commit;
mod head;
mod turn;

use alloc::vec::Vec;

use crate::Result;
use crate::bindings::exports::lash::store::format::Initialized;
use crate::bindings::exports::lash::store::session::{Head, HeadDraft, ReadScope, Snapshot};
use crate::bindings::lash::store::types::BlobKind;
use crate::checkpoint;
use crate::checkpoint::Component;
use crate::corruption::invalid;
use crate::digests::{Digests, SessionDigests};
use crate::format;
use crate::graph;
use crate::schema;
use crate::seam::{Environment, Transaction, unsigned};
use crate::transaction::SessionTransaction;
use crate::usage;

pub use commit::commit;
pub(crate) use head::roots as head_roots;
use head::{HeadIdentity, HeadRow};
pub(crate) use turn::{checkpoints as turn_checkpoints, forget as forget_turns};

/// The WIT function `session.initialize`.
pub fn initialize(env: &impl Environment) -> Result<Initialized> {
    format::initialize(env, &schema::SESSION, |tx| SessionDigests::new().store(tx))
}

/// The WIT function `session.load`.
pub fn load(env: &impl Environment, scope: ReadScope) -> Result<Option<Snapshot>> {
    let session = SessionTransaction::read(env)?;
    let Some(row) = HeadRow::load(&session)? else {
        return Ok(None);
    };
    let (leaf, nodes) = match scope {
        ReadScope::Full => (row.leaf.clone(), graph::load_all(&session)?),
        ReadScope::Path(leaf) => {
            let leaf = leaf.or_else(|| row.leaf.clone());
            let nodes = match leaf.as_deref() {
                Some(leaf) => graph::load_path(&session, leaf)?,
                None => Vec::new(),
            };
            (leaf, nodes)
        }
    };
    let checkpoint = row
        .checkpoint
        .map(|key| checkpoint::load_referenced(&session, &key))
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

/// Checks that the head, if there is one, is the last that was written.
pub(crate) fn check_head<T: Transaction>(session: &SessionTransaction<T>) -> Result<()> {
    HeadRow::load_identity(session).map(|_| ())
}

/// The WIT function `session.save-head`.
pub fn save_head(env: &impl Environment, draft: HeadDraft) -> Result<u64> {
    let mut components = head_components(draft.body.blobs, draft.profile)?;
    crate::blob::compress_missing(env, components.iter_mut().filter_map(Component::new_blob))?;
    let mut session = SessionTransaction::write_durably(env)?;
    let stored = HeadRow::load_identity(&session)?;
    let asked = i64::try_from(draft.revision).map_err(|_| invalid("the revision is too high"))?;
    let revision = match &stored {
        Some(_) => asked.max(next_revision(stored.as_ref())?),
        None => asked,
    };
    if let Some(nodes) = &draft.nodes {
        graph::replace_nodes(&mut session, nodes)?;
    }
    if let Some(entries) = &draft.usage {
        usage::replace_entries(&mut session, entries, env.now_ms())?;
    }
    require_leaf(&session, draft.leaf.as_deref())?;
    let checkpoint = draft
        .checkpoint_ref
        .map(|reference| checkpoint::adopt(&mut session, &reference))
        .transpose()?;
    let mut blobs = Vec::with_capacity(components.len());
    for component in components {
        blobs.push(component.insert(&mut session)?);
    }
    let retained = crate::blob::retain(&session.tx, &draft.body.retained)?;
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

/// The WIT function `session.retire`.
pub fn retire(env: &impl Environment) -> Result<()> {
    let mut session = SessionTransaction::write_durably(env)?;
    session.digests.retired = 1;
    session.commit()
}

fn head_components(
    blobs: Vec<crate::bindings::lash::store::types::BlobSource>,
    profile: crate::bindings::lash::store::types::BlobProfile,
) -> Result<Vec<Component>> {
    blobs
        .into_iter()
        .map(|source| Component::new(source, BlobKind::ExecutionState, profile))
        .collect()
}

/// The revision after that of the stored head. A revision is never used twice, not
/// even the last one.
fn next_revision(stored: Option<&HeadIdentity>) -> Result<i64> {
    let revision = stored.map_or(0, |stored| stored.revision);
    revision
        .checked_add(1)
        .ok_or_else(|| invalid("the revision can not become higher"))
}

/// Refuses a leaf that is not stored.
fn require_leaf<T: Transaction>(session: &SessionTransaction<T>, leaf: Option<&str>) -> Result<()> {
    match leaf {
        Some(leaf) if graph::find(&session.tx, leaf)?.is_none() => {
            Err(invalid(["the leaf ", leaf, " is not stored"].concat()))
        }
        _ => Ok(()),
    }
}
