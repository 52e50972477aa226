//! Making the database smaller without changing the result of a read, step by step.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::blobs::StoredRow;
use super::blobs::key::BlobKey;
use super::{artifacts, blobs, graph, head, turns};
use crate::Result;
use crate::bindings::session_types::{GcStep, VacuumStep};
use crate::session::digests::SessionTransaction;
use crate::storage::checksum::SetDigest;
use crate::storage::seam::{Environment, Transaction, Value, execute_rows};

/// The WIT function `maintenance.vacuum`.
pub fn vacuum(env: &impl Environment, limit: u32) -> Result<VacuumStep> {
    let mut session = SessionTransaction::write_durably(env)?;
    let removed = graph::remove_tombstoned(&mut session, limit.max(1))?;
    let remaining = session.digests.tombstones.count;
    session.commit()?;
    Ok(VacuumStep { removed, remaining })
}

/// The WIT function `maintenance.gc`.
pub fn gc(env: &impl Environment, limit: u32) -> Result<GcStep> {
    let limit = usize::try_from(limit.max(1)).unwrap_or(usize::MAX);
    let snapshot = SessionTransaction::read(env)?;
    let seen = references(&snapshot);
    let (mut step, mut garbage) = first_garbage(&snapshot, limit)?;
    drop(snapshot);
    if !garbage.is_empty() {
        let mut session = SessionTransaction::write_durably(env)?;
        if references(&session) != seen {
            (step, garbage) = first_garbage(&session, limit)?;
        }
        step.deleted = sweep(&mut session, &garbage)?;
        step.remaining = step.remaining.saturating_sub(step.deleted);
        session.commit()?;
    }
    Ok(step)
}

/// What must not have changed since garbage was found.
fn references<T>(session: &SessionTransaction<T>) -> [SetDigest; 4] {
    let digests = &session.digests;
    [
        digests.head,
        digests.artifacts,
        digests.turns,
        digests.blobs,
    ]
}

/// Looks for blobs that nothing refers to; returns `limit` of them at most, and a step
/// that has removed none yet.
fn first_garbage<T: Transaction>(
    session: &SessionTransaction<T>,
    limit: usize,
) -> Result<(GcStep, Vec<StoredRow>)> {
    let mut garbage = Vec::new();
    let mut remaining = 0;
    let (roots, retained) = visit_garbage(session, |row| {
        remaining += 1;
        if garbage.len() < limit {
            garbage.push(row);
        }
        Ok(())
    })?;
    let step = GcStep {
        roots,
        retained,
        deleted: 0,
        remaining,
    };
    Ok((step, garbage))
}

/// Visits the blobs that nothing refers to; returns how many roots there are, and how many
/// blobs are reachable from them. The manifest of a stamped turn stays, because a replay
/// returns it; what it refers to need not.
pub(super) fn visit_garbage<T: Transaction>(
    session: &SessionTransaction<T>,
    mut visitor: impl FnMut(StoredRow) -> Result<()>,
) -> Result<(u64, u64)> {
    let mut roots = head::roots(session)?;
    roots.extend(artifacts::all_keys(session)?);
    let root_count = roots.len() as u64;
    let reachable = mark(session, roots)?;
    let mut replayed = turns::checkpoints(session)?;
    let imported: Vec<BlobKey> = replayed
        .iter()
        .copied()
        .filter(BlobKey::is_imported)
        .collect();
    for key in &imported {
        // What it says is in the blob that it refers to.
        replayed.extend(blobs::edges(&session.tx, key)?);
    }
    blobs::visit(session, |row| {
        match reachable.contains(&row.key) || replayed.contains(&row.key) {
            true => Ok(()),
            false => visitor(row),
        }
    })?;
    Ok((root_count, reachable.len() as u64))
}

/// Follows recorded references. Every blob on the way is read and checked: what
/// cannot be read could refer to anything.
fn mark<T: Transaction>(
    session: &SessionTransaction<T>,
    roots: Vec<BlobKey>,
) -> Result<BTreeSet<BlobKey>> {
    let mut reachable = BTreeSet::new();
    let mut pending = roots;
    while let Some(key) = pending.pop() {
        if reachable.insert(key) {
            pending.extend(blobs::load_referenced(session, &key)?.edges);
        }
    }
    Ok(reachable)
}

/// Deletes blobs that nothing refers to.
fn sweep<T: Transaction>(
    session: &mut SessionTransaction<T>,
    garbage: &[StoredRow],
) -> Result<u64> {
    for row in garbage {
        session.digests.blobs.remove(row.checksum);
    }
    let ids: Vec<[Value<'_>; 1]> = garbage.iter().map(|row| [Value::Integer(row.id)]).collect();
    Ok(execute_rows(
        &session.tx,
        "DELETE FROM blobs WHERE id = ?1",
        &ids,
    )?)
}
