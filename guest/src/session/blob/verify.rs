//! Checking all blobs.

use crate::Result;
use crate::checksum::SetDigest;
use crate::corruption::corrupt;
use crate::findings::{Findings, Pages};
use crate::seam::Transaction;
use crate::transaction::SessionTransaction;

use super::key::BlobKey;
use super::{Row, TABLE, exists, read_edges};

const PAGES: Pages = Pages {
    table: TABLE,
    sql: "SELECT id, key, kind, encoding, length, edges, checksum, content
          FROM blobs NOT INDEXED WHERE id >= ?1 ORDER BY id LIMIT ?2",
    columns: 8,
    // One may be as large as 256 MiB.
    size: 2,
};

/// Checks every blob against its key, and what it refers to.
pub(crate) fn verify_all<T: Transaction>(
    session: &SessionTransaction<T>,
    findings: &mut Findings,
) -> Result<()> {
    let mut found = SetDigest::default();
    findings.walk(&session.tx, &PAGES, &mut |findings, reader| {
        let id = reader.integer()?;
        let key = BlobKey::from_bytes(reader.blob()?)
            .ok_or_else(|| corrupt(TABLE, id, "the key is damaged"))?;
        let row = Row::read(reader, &key)?;
        found.insert(row.checksum(&key));
        let edges = read_edges(row.edges)
            .ok_or_else(|| corrupt(TABLE, key.text(), "a reference is damaged"))?;
        for edge in &edges {
            require(session, findings, edge)?;
        }
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
    let stored = exists(&session.tx, key)?;
    findings.require(
        TABLE,
        &key.text(),
        stored,
        "the blob is missing, but something refers to it",
    )
}
