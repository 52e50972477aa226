//! Blobs that are kept under a name.

mod export;
mod import;
mod row;
mod verify;

use alloc::vec::Vec;

use crate::Result;
use crate::bindings::exports::lash::store::artifacts::NameSpace;
use crate::bindings::lash::store::types::{BlobKind, BlobProfile};
use crate::session::blobs::key::BlobKey;
use crate::session::blobs::{self, NewBlob, kind_code};
use crate::session::digests::SessionTransaction;
use crate::storage::checksum::SetDigest;
use crate::storage::corruption::{confirm_found, corrupt, invalid, verify_complete};
use crate::storage::rows::RowReader;
use crate::storage::seam::{Environment, Transaction, Value};

pub(crate) use export::export;
pub use import::add;
use row::{ArtifactRow, TABLE, checksum, space_code};
pub(crate) use verify::verify_all;

/// The kind, the blob and the checksum of an artifact.
fn find(tx: &impl Transaction, space: i64, name: &str) -> Result<Option<(i64, BlobKey, i64)>> {
    let rows = tx.query(
        "SELECT space, name, kind, blob_key, checksum FROM artifacts
         WHERE space = ?1 AND name = ?2",
        &[Value::Integer(space), Value::Text(name)],
    )?;
    let mut reader = RowReader::new(TABLE, &rows);
    if reader.advance() {
        let row = ArtifactRow::read(&mut reader)?;
        confirm_found(TABLE, name, row.space == space && row.name == name)?;
        Ok(Some((row.kind, row.key, row.checksum)))
    } else {
        Ok(None)
    }
}

/// The index says that there is no such artifact; the table must agree.
fn confirm_absent<T: Transaction>(
    session: &SessionTransaction<T>,
    space: i64,
    name: &str,
) -> Result<()> {
    visit(session, |row| {
        if row.space == space && row.name == name {
            return Err(corrupt(TABLE, name, "the index does not know the row"));
        }
        Ok(())
    })
}

/// The blobs of all artifacts.
pub(crate) fn all_keys<T: Transaction>(session: &SessionTransaction<T>) -> Result<Vec<BlobKey>> {
    let mut keys = Vec::new();
    visit(session, |row| {
        keys.push(row.key);
        Ok(())
    })?;
    Ok(keys)
}

/// Visits every row, and checks that all are there.
fn visit<T: Transaction>(
    session: &SessionTransaction<T>,
    mut visitor: impl FnMut(ArtifactRow<'_>) -> Result<()>,
) -> Result<()> {
    let rows = session.tx.query(
        "SELECT space, name, kind, blob_key, checksum FROM artifacts NOT INDEXED",
        &[],
    )?;
    let mut reader = RowReader::new(TABLE, &rows);
    let mut found = SetDigest::default();
    while reader.advance() {
        let row = ArtifactRow::read(&mut reader)?;
        found.insert(row.checksum);
        visitor(row)?;
    }
    let expected = session.digests.artifacts;
    verify_complete(TABLE, found, expected)
}

/// The WIT function `artifacts.put`.
pub fn put(
    env: &impl Environment,
    space: NameSpace,
    name: &str,
    content: Vec<u8>,
    kind: BlobKind,
    compressible: bool,
    profile: BlobProfile,
) -> Result<()> {
    let mut new = NewBlob::new(content, kind, compressible, profile)?;
    blobs::compress_missing(env, core::iter::once(&mut new))?;
    let mut session = SessionTransaction::write_durably(env)?;
    let space = space_code(space);
    let kind = kind_code(kind);
    if let Some((stored_kind, _, stored)) = find(&session.tx, space, name)? {
        if stored_kind != kind {
            return Err(invalid(
                ["an artifact of another kind is stored as ", name].concat(),
            ));
        }
        session.digests.artifacts.remove(stored);
    }
    let key = blobs::insert(&mut session, new)?;
    let checksum = checksum(space, name, kind, key.as_bytes());
    session.tx.execute(
        "INSERT INTO artifacts (space, name, kind, blob_key, checksum)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (space, name) DO UPDATE SET
             blob_key = excluded.blob_key, checksum = excluded.checksum",
        &[
            Value::Integer(space),
            Value::Text(name),
            Value::Integer(kind),
            Value::Blob(key.as_bytes()),
            Value::Integer(checksum),
        ],
    )?;
    session.digests.artifacts.insert(checksum);
    session.commit()
}

/// The WIT function `artifacts.get`.
pub fn get(env: &impl Environment, space: NameSpace, name: &str) -> Result<Option<Vec<u8>>> {
    let session = SessionTransaction::read(env)?;
    let space = space_code(space);
    match find(&session.tx, space, name)? {
        Some((_, key, _)) => blobs::load_referenced(&session, &key).map(|blob| Some(blob.content)),
        None => confirm_absent(&session, space, name).map(|()| None),
    }
}
