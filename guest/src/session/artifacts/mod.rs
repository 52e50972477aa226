//! Blobs that are kept under a name.

mod export;
mod import;
mod row;
mod verify;

use alloc::vec::Vec;

use crate::Result;
use crate::bindings::session_types::{ArtifactPage, BlobKind, BlobProfile, Namespace};
use crate::session::blobs::key::BlobKey;
use crate::session::blobs::{self, NewBlob, kind_code};
use crate::session::digests::SessionTransaction;
use crate::storage::checksum::SetDigest;
use crate::storage::corruption::{confirm_found, corrupt, invalid, verify_complete};
use crate::storage::paging::{Cursor, ItemPage, List, Numbered};
use crate::storage::rows::{RowReader, read_one};
use crate::storage::seam::{Environment, Transaction, Value};
use crate::storage::sql::sql;

pub(crate) use export::export;
pub use import::add;
use row::{ArtifactRow, FROM, space_code};
pub(crate) use verify::verify_all;

/// How `list` reads the names.
const NAMES: Numbered = Numbered {
    table: ArtifactRow::TABLE,
    lengths: None,
    rows: FROM,
};

/// What an artifact takes of a page, without its name, in bytes.
const ROW_BYTES: usize = 96;

/// The kind, the blob and the checksum of an artifact.
fn find(tx: &impl Transaction, space: i64, name: &str) -> Result<Option<(i64, BlobKey, i64)>> {
    let rows = tx.query(
        sql!(ArtifactRow::SELECT, "WHERE space = ?1 AND name = ?2"),
        &[Value::Integer(space), Value::Text(name)],
    )?;
    read_one(ArtifactRow::TABLE, &rows, |reader| {
        let (row, checksum) = ArtifactRow::read_with_checksum(reader)?;
        let key = row.key()?;
        confirm_found(
            ArtifactRow::TABLE,
            name,
            row.space == space && row.name == name,
        )?;
        Ok((row.kind, key, checksum))
    })
}

/// The index says that there is no such artifact; the table must agree.
fn confirm_absent<T: Transaction>(
    session: &SessionTransaction<T>,
    space: i64,
    name: &str,
) -> Result<()> {
    visit(session, |row, _| {
        if row.space == space && row.name == name {
            let reason = "the index does not know the row";
            return Err(corrupt(ArtifactRow::TABLE, name, reason));
        }
        Ok(())
    })
}

/// The blobs of all artifacts.
pub(crate) fn all_keys<T: Transaction>(session: &SessionTransaction<T>) -> Result<Vec<BlobKey>> {
    let mut keys = Vec::new();
    visit(session, |_, key| {
        keys.push(key);
        Ok(())
    })?;
    Ok(keys)
}

/// Visits every row with its key, and checks that all are there.
fn visit<T: Transaction>(
    session: &SessionTransaction<T>,
    mut visitor: impl FnMut(ArtifactRow<'_>, BlobKey) -> Result<()>,
) -> Result<()> {
    let rows = session
        .tx
        .query(sql!(ArtifactRow::SELECT, "NOT INDEXED"), &[])?;
    let mut reader = RowReader::new(ArtifactRow::TABLE, &rows);
    let mut found = SetDigest::default();
    while reader.advance() {
        let (row, checksum) = ArtifactRow::read_with_checksum(&mut reader)?;
        let key = row.key()?;
        found.insert(checksum);
        visitor(row, key)?;
    }
    let expected = session.digests.artifacts;
    verify_complete(ArtifactRow::TABLE, found, expected)
}

/// The WIT function `artifacts.put`.
pub fn put(
    env: &impl Environment,
    namespace: Namespace,
    name: &str,
    content: Vec<u8>,
    kind: BlobKind,
    compressible: bool,
    profile: BlobProfile,
) -> Result<()> {
    let mut new = NewBlob::new(content, kind, compressible, profile)?.verified();
    blobs::compress_missing(env, core::iter::once(&mut new))?;
    let mut session = SessionTransaction::write_durably(env)?;
    let space = space_code(namespace);
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
    let row = ArtifactRow {
        space,
        name,
        kind,
        blob_key: key.as_bytes(),
    };
    session.tx.execute(
        sql!(
            ArtifactRow::INSERT,
            " ON CONFLICT (space, name) DO UPDATE SET ",
            ArtifactRow::EXCLUDED
        ),
        &row.values(),
    )?;
    session.digests.artifacts.insert(row.checksum());
    session.commit()
}

/// The WIT function `artifacts.get`.
pub fn get(env: &impl Environment, namespace: Namespace, name: &str) -> Result<Option<Vec<u8>>> {
    let session = SessionTransaction::read(env)?;
    let space = space_code(namespace);
    match find(&session.tx, space, name)? {
        Some((_, key, _)) => blobs::load_referenced(&session, &key).map(|blob| Some(blob.content)),
        None => confirm_absent(&session, space, name).map(|()| None),
    }
}

/// The WIT function `artifacts.list`.
pub fn list(env: &impl Environment, cursor: Option<&[u8]>) -> Result<ArtifactPage> {
    let session = SessionTransaction::read(env)?;
    // A name that is deleted and stored again has the same checksum, and another number.
    let last = SetDigest::single(last_number(&session.tx)?);
    let stored = [session.digests.artifacts, last];
    let list = List::of("artifacts.list", &[], &stored);
    let mut cursor = Cursor::resume(cursor, &list)?;
    let mut page = ItemPage::new();
    let tx = &session.tx;
    let ended = NAMES.read(tx, &mut cursor, &mut page, &mut |cursor, page, reader| {
        reader.integer()?;
        let (row, checksum) = ArtifactRow::read_with_checksum(reader)?;
        cursor.found.insert(checksum);
        page.add(row.to_artifact()?, row.name.len() + ROW_BYTES);
        Ok(())
    })?;
    Ok(ArtifactPage {
        artifacts: page.into_items(),
        next: cursor.finish(ArtifactRow::TABLE, session.digests.artifacts, ended)?,
    })
}

/// The highest number of a row, 0 if there is none.
fn last_number(tx: &impl Transaction) -> Result<i64> {
    let rows = tx.query("SELECT max(id) FROM artifacts NOT INDEXED", &[])?;
    let last = read_one(ArtifactRow::TABLE, &rows, RowReader::optional_integer)?;
    Ok(last.flatten().unwrap_or(0))
}

/// The WIT function `artifacts.delete`.
pub fn delete(env: &impl Environment, namespace: Namespace, name: &str) -> Result<bool> {
    let mut session = SessionTransaction::write_durably(env)?;
    let space = space_code(namespace);
    let Some((_, _, checksum)) = find(&session.tx, space, name)? else {
        return confirm_absent(&session, space, name).map(|()| false);
    };
    session.digests.artifacts.remove(checksum);
    session.tx.execute(
        "DELETE FROM artifacts WHERE space = ?1 AND name = ?2",
        &[Value::Integer(space), Value::Text(name)],
    )?;
    session.commit()?;
    Ok(true)
}
