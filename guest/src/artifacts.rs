//! Blobs that are kept under a name.

use alloc::vec::Vec;

use crate::Result;
use crate::bindings::exports::lash::store::artifacts::NameSpace;
use crate::bindings::lash::store::types::{BlobKind, BlobProfile};
use crate::blob::key::BlobKey;
use crate::blob::{self, NewBlob, kind_code};
use crate::checksum::{Checksum, SetDigest};
use crate::corruption::{RowReader, corrupt, incomplete, invalid, verify};
use crate::seam::{Environment, Transaction, Value};
use crate::transaction::{self, SessionTransaction};

const TABLE: &str = "artifacts";

struct Row {
    kind: i64,
    key: BlobKey,
    checksum: i64,
}

impl Row {
    /// Reads and checks `space, name, kind, blob_key, checksum`.
    fn read(reader: &mut RowReader<'_>) -> Result<Self> {
        let space = reader.integer()?;
        let name = reader.text()?;
        let kind = reader.integer()?;
        let key = reader.blob()?;
        let stored = reader.integer()?;
        verify(TABLE, name, stored, checksum(space, name, kind, key))?;
        Ok(Self {
            kind,
            key: BlobKey::from_bytes(key)
                .ok_or_else(|| corrupt(TABLE, name, "the key of the blob is damaged"))?,
            checksum: stored,
        })
    }
}

fn checksum(space: i64, name: &str, kind: i64, key: &[u8]) -> i64 {
    Checksum::of(TABLE)
        .integer(space)
        .bytes(name.as_bytes())
        .integer(kind)
        .bytes(key)
        .finish()
}

fn space_code(space: NameSpace) -> i64 {
    match space {
        NameSpace::Modules => 0,
        NameSpace::Bytes => 1,
    }
}

fn find(tx: &impl Transaction, space: i64, name: &str) -> Result<Option<Row>> {
    let rows = tx.query(
        "SELECT space, name, kind, blob_key, checksum FROM artifacts
         WHERE space = ?1 AND name = ?2",
        &[Value::Integer(space), Value::Text(name)],
    )?;
    let mut reader = RowReader::new(TABLE, &rows);
    if reader.advance() {
        Row::read(&mut reader).map(Some)
    } else {
        Ok(None)
    }
}

/// The index says that there is no such artifact; the table must agree.
fn confirm_absent(tx: &impl Transaction, space: i64, name: &str) -> Result<()> {
    let rows = tx.query(
        "SELECT 1 FROM artifacts NOT INDEXED WHERE space = ?1 AND name = ?2",
        &[Value::Integer(space), Value::Text(name)],
    )?;
    if rows.count == 0 {
        Ok(())
    } else {
        Err(corrupt(TABLE, name, "the index does not know the row"))
    }
}

/// The blobs of all artifacts.
pub(crate) fn all_keys<T: Transaction>(session: &SessionTransaction<T>) -> Result<Vec<BlobKey>> {
    let rows = session.tx.query(
        "SELECT space, name, kind, blob_key, checksum FROM artifacts",
        &[],
    )?;
    let mut reader = RowReader::new(TABLE, &rows);
    let mut found = SetDigest::default();
    let mut keys = Vec::with_capacity(rows.count as usize);
    while reader.advance() {
        let row = Row::read(&mut reader)?;
        found.insert(row.checksum);
        keys.push(row.key);
    }
    if found == session.digests.artifacts {
        Ok(keys)
    } else {
        Err(incomplete(
            TABLE,
            found.count,
            session.digests.artifacts.count,
        ))
    }
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
    blob::compress_missing(env, core::iter::once(&mut new))?;
    let mut session = transaction::write_durably(env)?;
    let space = space_code(space);
    let kind = kind_code(kind);
    if let Some(row) = find(&session.tx, space, name)? {
        if row.kind != kind {
            return Err(invalid(
                ["an artifact of another kind is stored as ", name].concat(),
            ));
        }
        session.digests.artifacts.remove(row.checksum);
    }
    let key = blob::insert(&session.tx, new)?;
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
    let tx = transaction::read(env)?.tx;
    let space = space_code(space);
    match find(&tx, space, name)? {
        Some(row) => blob::load_referenced(&tx, &row.key).map(|blob| Some(blob.content)),
        None => confirm_absent(&tx, space, name).map(|()| None),
    }
}
