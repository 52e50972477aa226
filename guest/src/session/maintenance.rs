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
use crate::storage::skipped::Skipped;

/// The WIT function `maintenance.vacuum`.
pub fn vacuum(env: &impl Environment, limit: u32) -> Result<VacuumStep> {
    let mut session = SessionTransaction::write_durably(env)?;
    let mut skipped = Skipped::default();
    let removed = graph::remove_tombstoned(&mut session, limit.max(1), &mut skipped)?;
    let remaining = session.digests.tombstones.count;
    session.commit()?;
    Ok(VacuumStep {
        removed,
        remaining: remaining.saturating_sub(skipped.count().into()),
        corrupt: skipped.into_corrupt(),
    })
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
    let mut skipped = Skipped::default();
    let (roots, retained) = visit_garbage(session, &mut skipped, &mut |row| {
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
        corrupt: skipped.into_corrupt(),
    };
    Ok((step, garbage))
}

/// Visits the blobs that nothing refers to; returns how many roots there are, and how many
/// blobs are reachable from them. The manifest of a stamped turn stays, because a replay
/// returns it; what it refers to need not. If a stamp is corrupt, or an imported manifest that
/// it names, all manifests stay.
pub(super) fn visit_garbage<T: Transaction>(
    session: &SessionTransaction<T>,
    skipped: &mut Skipped,
    visitor: &mut dyn FnMut(StoredRow) -> Result<()>,
) -> Result<(u64, u64)> {
    let mut roots = head::roots(session)?;
    roots.extend(artifacts::all_keys(session)?);
    let root_count = roots.len() as u64;
    let reachable = mark(session, roots)?;
    let mut replayed = skipped.note("runtime_turn_commits", turns::checkpoints(session))?;
    let is_imported = |key: &&BlobKey| key.is_imported();
    let imported: Vec<BlobKey> = replayed
        .iter()
        .flatten()
        .filter(is_imported)
        .copied()
        .collect();
    for key in &imported {
        // What it says is in the blob that it refers to.
        let edges = skipped.note("blobs", blobs::references(session, key))?;
        replayed = replayed.zip(edges).map(|(mut replayed, edges)| {
            replayed.extend(edges);
            replayed
        });
    }
    blobs::visit(session, &mut |row| {
        let Some(row) = skipped.note("blobs", row)? else {
            return Ok(());
        };
        let is_replayed = match &replayed {
            Some(replayed) => replayed.contains(&row.key),
            None => row.is_manifest,
        };
        match is_replayed || reachable.contains(&row.key) {
            true => Ok(()),
            false => visitor(row),
        }
    })?;
    Ok((root_count, reachable.len() as u64))
}

/// Follows recorded references. What is recorded of a blob on the way is checked: what cannot
/// be read could refer to anything. Its content refers to nothing.
fn mark<T: Transaction>(
    session: &SessionTransaction<T>,
    roots: Vec<BlobKey>,
) -> Result<BTreeSet<BlobKey>> {
    let mut reachable = BTreeSet::new();
    let mut pending = roots;
    while let Some(key) = pending.pop() {
        if reachable.insert(key) {
            pending.extend(blobs::references(session, &key)?);
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
