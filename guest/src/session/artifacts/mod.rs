//! Blobs that are kept under a name.

use alloc::vec::Vec;

use super::blobs::key::BlobKey;
use super::blobs::{self, NewBlob, kind_code};
use crate::Result;
use crate::bindings::exports::lash::store::artifacts::NameSpace;
use crate::bindings::exports::lash::store::session_import::ImportedArtifact;
use crate::bindings::lash::store::types::{BlobKind, BlobProfile};
use crate::session::digests::SessionTransaction;
use crate::storage::checksum::{Checksum, SetDigest};
use crate::storage::corruption::{
    confirm_found, corrupt, invalid, refuse_repeated, verify, verify_complete,
};
use crate::storage::findings::{Findings, Pages};
use crate::storage::paging::{Cursor, Numbered, Page, RecordBuilder};
use crate::storage::rows::RowReader;
use crate::storage::seam::{Environment, Transaction, Value};

const TABLE: &str = "artifacts";

struct Row<'r> {
    space: i64,
    name: &'r str,
    kind: i64,
    key: BlobKey,
    checksum: i64,
}

impl<'r> Row<'r> {
    /// Reads and checks `space, name, kind, blob_key, checksum`.
    fn read(reader: &mut RowReader<'r>) -> Result<Self> {
        let space = reader.integer()?;
        let name = reader.text()?;
        let kind = reader.integer()?;
        let key = reader.blob()?;
        let stored = reader.integer()?;
        verify(TABLE, name, stored, checksum(space, name, kind, key))?;
        Ok(Self {
            space,
            name,
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

/// The kind, the blob and the checksum of an artifact.
fn find(tx: &impl Transaction, space: i64, name: &str) -> Result<Option<(i64, BlobKey, i64)>> {
    let rows = tx.query(
        "SELECT space, name, kind, blob_key, checksum FROM artifacts
         WHERE space = ?1 AND name = ?2",
        &[Value::Integer(space), Value::Text(name)],
    )?;
    let mut reader = RowReader::new(TABLE, &rows);
    if reader.advance() {
        let row = Row::read(&mut reader)?;
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
    mut visitor: impl FnMut(Row<'_>) -> Result<()>,
) -> Result<()> {
    let rows = session.tx.query(
        "SELECT space, name, kind, blob_key, checksum FROM artifacts NOT INDEXED",
        &[],
    )?;
    let mut reader = RowReader::new(TABLE, &rows);
    let mut found = SetDigest::default();
    while reader.advance() {
        let row = Row::read(&mut reader)?;
        found.insert(row.checksum);
        visitor(row)?;
    }
    let expected = session.digests.artifacts;
    verify_complete(TABLE, found, expected)
}

const PAGES: Pages = Pages {
    table: TABLE,
    sql: "SELECT id, space, name, kind, blob_key, checksum
          FROM artifacts NOT INDEXED WHERE id >= ?1 ORDER BY id LIMIT ?2",
    columns: 6,
    size: 1024,
};

/// Checks every artifact, and that its blob is there.
pub(crate) fn verify_all<T: Transaction>(
    session: &SessionTransaction<T>,
    findings: &mut Findings,
) -> Result<()> {
    let mut found = SetDigest::default();
    findings.walk(&session.tx, &PAGES, &mut |findings, reader| {
        reader.integer()?;
        let row = Row::read(reader)?;
        found.insert(row.checksum);
        blobs::require_whole(session, findings, [row.key])
    })?;
    findings.complete(TABLE, found, session.digests.artifacts)
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

/// The WIT function `session-import.add-artifacts`.
pub fn add(env: &impl Environment, artifacts: &[ImportedArtifact]) -> Result<()> {
    let mut session = SessionTransaction::write(env)?;
    for artifact in artifacts {
        let space = space_code(artifact.space);
        let kind = kind_code(artifact.kind);
        let key = blobs::require(&session.tx, &artifact.blob)?;
        let checksum = checksum(space, &artifact.name, kind, key.as_bytes());
        let added = session.tx.execute(
            "INSERT INTO artifacts (space, name, kind, blob_key, checksum)
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (space, name) DO NOTHING",
            &[
                Value::Integer(space),
                Value::Text(&artifact.name),
                Value::Integer(kind),
                Value::Blob(key.as_bytes()),
                Value::Integer(checksum),
            ],
        )?;
        refuse_repeated(added, &artifact.name)?;
        session.digests.artifacts.insert(checksum);
    }
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

const ROWS: Numbered = Numbered {
    table: TABLE,
    lengths: None,
    rows: "SELECT id, space, name, kind, blob_key, checksum FROM artifacts NOT INDEXED
           WHERE id >= ?1 ORDER BY id LIMIT ?2",
};

/// Exports the names and what they stand for.
pub(crate) fn export<T: Transaction>(
    session: &SessionTransaction<T>,
    cursor: &mut Cursor,
    page: &mut Page,
) -> Result<bool> {
    let ended = ROWS.read(&session.tx, cursor, page, &mut |cursor, page, reader| {
        reader.integer()?;
        let row = Row::read(reader)?;
        cursor.found.insert(row.checksum);
        let unknown = |what| corrupt(TABLE, row.name, what);
        let space = match row.space {
            0 => "modules",
            1 => "bytes",
            _ => return Err(unknown("the name space is unknown")),
        };
        let kind = blobs::kind_name(row.kind).ok_or_else(|| unknown("the kind is unknown"))?;
        page.push(
            RecordBuilder::new("artifact")
                .text("space", space)
                .text("name", row.name)
                .text("kind", kind)
                .text("blob", &row.key.text()),
        );
        Ok(())
    })?;
    if ended {
        verify_complete(TABLE, cursor.found, session.digests.artifacts)?;
    }
    Ok(ended)
}
