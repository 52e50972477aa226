//! Checking all blobs.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::Result;
use crate::session::digests::SessionTransaction;
use crate::storage::checksum::SetDigest;
use crate::storage::corruption::corrupt;
use crate::storage::findings::{Findings, Pages};
use crate::storage::rows::read_one;
use crate::storage::seam::{Transaction, Value};
use crate::storage::sql::sql;

use super::key::BlobKey;
use super::{BlobRow, COLUMNS, TABLE, exists, read_edges};

const PAGES: Pages = Pages {
    table: TABLE,
    sql: sql!(
        "SELECT id, key, ",
        COLUMNS,
        ", content FROM blobs NOT INDEXED WHERE id >= ?1 ORDER BY id LIMIT ?2"
    ),
    columns: 8,
    // One may be as large as 256 MiB.
    size: 2,
};

/// Checks every blob against its key. What a blob refers to may be gone if nothing
/// refers to the blob itself, or a stamp alone: see [`require_whole`].
pub(crate) fn verify_all<T: Transaction>(
    session: &SessionTransaction<T>,
    findings: &mut Findings,
) -> Result<SetDigest> {
    let mut found = SetDigest::default();
    findings.walk(&session.tx, &PAGES, &mut |_, reader| {
        let id = reader.integer()?;
        let key = BlobKey::from_bytes(reader.blob()?)
            .ok_or_else(|| corrupt(TABLE, id, "the key is damaged"))?;
        let row = BlobRow::read(reader, &key)?;
        found.insert(row.checksum(&key));
        read_edges(row.edges)
            .ok_or_else(|| corrupt(TABLE, key.text(), "a reference is damaged"))?;
        row.content(reader.blob()?, &key).map(|_| ())
    })?;
    findings.complete(TABLE, found, session.digests.blobs)?;
    Ok(found)
}

/// Notes what is missing of blobs that are kept, and of what they refer to in turn:
/// what garbage collection follows.
pub(crate) fn require_whole<T: Transaction>(
    session: &SessionTransaction<T>,
    findings: &mut Findings,
    keys: impl IntoIterator<Item = BlobKey>,
) -> Result<()> {
    let mut pending: Vec<BlobKey> = keys.into_iter().collect();
    let mut seen = BTreeSet::new();
    while let Some(key) = pending.pop() {
        if seen.insert(key) {
            require(session, findings, &key)?;
            pending.extend(edges(&session.tx, &key)?);
        }
    }
    Ok(())
}

/// What a blob refers to. A row that is damaged is named where all are read.
pub(crate) fn edges(tx: &impl Transaction, key: &BlobKey) -> Result<Vec<BlobKey>> {
    let rows = tx.query(
        sql!("SELECT ", COLUMNS, " FROM blobs WHERE key = ?1"),
        &[Value::Blob(key.as_bytes())],
    )?;
    let read = read_one(TABLE, &rows, |reader| {
        BlobRow::read(reader, key).map(|row| read_edges(row.edges))
    });
    Ok(read.ok().flatten().flatten().unwrap_or_default())
}

/// Notes a blob that something refers to and that is missing.
pub(crate) fn require<T: Transaction>(
    session: &SessionTransaction<T>,
    findings: &mut Findings,
    key: &BlobKey,
) -> Result<()> {
    let stored = exists(&session.tx, key)?;
    findings.require(
        TABLE,
        &key.text(),
        stored,
        "the blob is missing, but something refers to it",
    )
}
