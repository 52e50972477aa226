//! Making the database smaller without changing an answer.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::Result;
use crate::artifacts;
use crate::bindings::exports::lash::store::maintenance::GcReport;
use crate::blob;
use crate::blob::key::BlobKey;
use crate::corruption::{RowReader, corrupt};
use crate::seam::{Environment, Transaction, Value};
use crate::session;
use crate::transaction::{self, SessionTransaction};

/// How many blobs the sweep looks at in one query.
const PAGE: i64 = 4096;

/// The WIT function `maintenance.vacuum`.
pub fn vacuum(env: &impl Environment) -> Result<u64> {
    let session = transaction::write_durably(env)?;
    session.tx.execute(
        "INSERT INTO removed_nodes (seq) SELECT seq FROM graph_nodes WHERE tombstoned = 1",
        &[],
    )?;
    let removed = session
        .tx
        .execute("DELETE FROM graph_nodes WHERE tombstoned = 1", &[])?;
    session.commit()?;
    Ok(removed)
}

/// The WIT function `maintenance.gc`.
pub fn gc(env: &impl Environment) -> Result<GcReport> {
    let session = transaction::write_durably(env)?;
    let mut roots = session::head_roots(&session)?;
    roots.extend(artifacts::all_keys(&session)?);
    let root_count = roots.len() as u64;
    let reachable = mark(&session, roots)?;
    let deleted = sweep(&session, &reachable)?;
    let report = GcReport {
        roots: root_count,
        retained: reachable.len() as u64,
        deleted,
    };
    if deleted > 0 {
        session.commit()?;
    }
    Ok(report)
}

/// Follows recorded references. Every blob on the way is read and checked: what
/// can not be read could refer to anything.
fn mark<T: Transaction>(
    session: &SessionTransaction<T>,
    roots: Vec<BlobKey>,
) -> Result<BTreeSet<BlobKey>> {
    let mut reachable = BTreeSet::new();
    let mut pending = roots;
    while let Some(key) = pending.pop() {
        if reachable.insert(key) {
            pending.extend(blob::load_referenced(&session.tx, &key)?.edges);
        }
    }
    Ok(reachable)
}

/// Deletes what is not reachable. The manifest of a stamped turn stays, because a
/// replay answers it; what it refers to need not.
fn sweep<T: Transaction>(
    session: &SessionTransaction<T>,
    reachable: &BTreeSet<BlobKey>,
) -> Result<u64> {
    let mut deleted = 0;
    let mut last = 0;
    loop {
        let rows = session.tx.query(
            "SELECT id, key FROM blobs
             WHERE id > ?1 AND key NOT IN (SELECT checkpoint FROM runtime_turn_commits)
             ORDER BY id LIMIT ?2",
            &[Value::Integer(last), Value::Integer(PAGE)],
        )?;
        let mut reader = RowReader::new("blobs", &rows);
        let mut garbage = Vec::new();
        while reader.advance() {
            last = reader.integer()?;
            let key = reader.blob()?;
            let key = BlobKey::from_bytes(key)
                .ok_or_else(|| corrupt("blobs", last, "the key is damaged"))?;
            if !reachable.contains(&key) {
                garbage.push([Value::Integer(last)]);
            }
        }
        let garbage: Vec<&[Value<'_>]> = garbage.iter().map(|row| &row[..]).collect();
        deleted += session
            .tx
            .execute_many("DELETE FROM blobs WHERE id = ?1", &garbage)?;
        if i64::from(rows.count) < PAGE {
            return Ok(deleted);
        }
    }
}
