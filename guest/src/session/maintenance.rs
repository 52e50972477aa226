//! Making the database smaller without changing an answer.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::blobs::StoredRow;
use super::blobs::key::BlobKey;
use super::{artifacts, blobs, graph, head, turns};
use crate::Result;
use crate::bindings::session_types::GcReport;
use crate::session::digests::SessionTransaction;
use crate::storage::seam::{Environment, Transaction, Value, execute_rows};

/// The WIT function `maintenance.vacuum`.
pub fn vacuum(env: &impl Environment) -> Result<u64> {
    let mut session = SessionTransaction::write_durably(env)?;
    let removed = graph::remove_tombstoned(&mut session)?;
    session.commit()?;
    Ok(removed)
}

/// The WIT function `maintenance.gc`.
pub fn gc(env: &impl Environment) -> Result<GcReport> {
    let mut session = SessionTransaction::write_durably(env)?;
    let found = find_garbage(&session)?;
    let deleted = sweep(&mut session, &found.garbage)?;
    if deleted > 0 {
        session.commit()?;
    }
    Ok(GcReport {
        roots: found.roots,
        retained: found.retained,
        deleted,
    })
}

/// What garbage collection finds.
pub(super) struct Found {
    roots: u64,
    retained: u64,
    /// Blobs that nothing refers to.
    pub(super) garbage: Vec<StoredRow>,
}

/// Looks for blobs that nothing refers to. The manifest of a stamped turn stays,
/// because a replay returns it; what it refers to need not.
pub(super) fn find_garbage<T: Transaction>(session: &SessionTransaction<T>) -> Result<Found> {
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
    let mut garbage = Vec::new();
    blobs::visit(session, |row| {
        if !reachable.contains(&row.key) && !replayed.contains(&row.key) {
            garbage.push(row);
        }
        Ok(())
    })?;
    Ok(Found {
        roots: root_count,
        retained: reachable.len() as u64,
        garbage,
    })
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
