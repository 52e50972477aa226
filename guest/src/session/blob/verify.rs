//! Checking all blobs.

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

use crate::Result;
use crate::checksum::SetDigest;
use crate::corruption::{corrupt, read_one};
use crate::findings::{Findings, Pages};
use crate::seam::{Transaction, Value};
use crate::transaction::SessionTransaction;

use super::key::BlobKey;
use super::{Row, TABLE};

const PAGES: Pages = Pages {
    table: TABLE,
    sql: "SELECT id, key, kind, encoding, length, edges, checksum, content
          FROM blobs NOT INDEXED WHERE id >= ?1 ORDER BY id LIMIT ?2",
    columns: 8,
    // One may be as large as 256 MiB.
    size: 2,
};

/// Checks every blob against its key.
pub(crate) fn verify_all<T: Transaction>(
    session: &SessionTransaction<T>,
    findings: &mut Findings,
) -> Result<()> {
    let mut found = SetDigest::default();
    findings.walk(&session.tx, &PAGES, &mut |_, reader| {
        let id = reader.integer()?;
        let key = BlobKey::from_bytes(reader.blob()?)
            .ok_or_else(|| corrupt(TABLE, id, "the key is damaged"))?;
        let row = Row::read(reader, &key)?;
        found.insert(row.checksum(&key));
        row.edges(&key)?;
        row.content(reader.blob()?, &key).map(|_| ())
    })?;
    findings.complete(TABLE, found, session.digests.blobs)
}

/// Notes a blob that something refers to and that is missing.
pub(crate) fn require<T: Transaction>(
    session: &SessionTransaction<T>,
    findings: &mut Findings,
    key: &BlobKey,
) -> Result<()> {
    edges_of_stored(session, findings, key).map(|_| ())
}

/// As [`require`], and for the blobs that it refers to, and so on.
pub(crate) fn require_with_edges<T: Transaction>(
    session: &SessionTransaction<T>,
    findings: &mut Findings,
    key: &BlobKey,
) -> Result<()> {
    let mut seen = BTreeSet::new();
    let mut pending = vec![*key];
    while let Some(key) = pending.pop() {
        if seen.insert(key) {
            pending.extend(edges_of_stored(session, findings, &key)?);
        }
    }
    Ok(())
}

/// What a blob refers to; nothing if it is missing or damaged, which is noted here or
/// when all blobs are read.
fn edges_of_stored<T: Transaction>(
    session: &SessionTransaction<T>,
    findings: &mut Findings,
    key: &BlobKey,
) -> Result<Vec<BlobKey>> {
    let rows = session.tx.query(
        "SELECT kind, encoding, length, edges, checksum FROM blobs WHERE key = ?1",
        &[Value::Blob(key.as_bytes())],
    )?;
    let reason = "the blob is missing, but something refers to it";
    findings.require(TABLE, &key.text(), rows.count > 0, reason)?;
    let read = read_one(TABLE, &rows, |reader| Row::read(reader, key)?.edges(key));
    Ok(read.ok().flatten().unwrap_or_default())
}
