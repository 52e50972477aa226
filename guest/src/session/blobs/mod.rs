//! Content-addressed blobs.
//!
//! Hashing and compressing happen before the write lock is taken, and what is
//! stored already is not compressed again.

pub(crate) mod encoding;
mod export;
mod import;
pub(crate) mod key;
mod row;
mod verify;

use alloc::string::String;
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::session_types::{BlobKind, BlobProfile};
use crate::bindings::types::Error;
use crate::session::digests::SessionTransaction;
use crate::storage::checksum::SetDigest;
use crate::storage::corruption::{self, corrupt, missing, verify_complete, verify_order};
use crate::storage::rows::{RowReader, read_one};
use crate::storage::seam::{Environment, Transaction, TransactionMode, Value};
use crate::storage::sql::sql;

use encoding::Encoding;
pub(crate) use export::{export, kind_name};
pub use import::add;
use key::BlobKey;
use row::{BlobRow, COLUMNS, TABLE, select};
pub(crate) use row::{kind_code, kind_from_code, read_edges, write_edges};
pub(crate) use verify::{edges, require as require_stored, require_whole, verify_all};

/// How many rows one query reads of all of them.
const PAGE: i64 = 4096;

/// The largest content of a blob, in bytes.
pub const MAX_LENGTH: usize = 256 << 20;

/// What the stored form of a blob will be, as far as it is known.
enum Plan {
    /// To be inserted like this.
    Ready(Encoding, Option<Vec<u8>>),
    /// It was stored already when we looked; if it is gone by now, compress at
    /// this level.
    Stored(u8),
}

/// Content that is about to be stored.
pub(crate) struct NewBlob {
    pub(crate) key: BlobKey,
    kind: BlobKind,
    /// Empty if the plan has the stored form, and it will not be compressed again.
    content: Vec<u8>,
    /// How long the content is.
    length: usize,
    /// The keys that this blob refers to, one after the other.
    edges: Vec<u8>,
    level: Option<u8>,
    plan: Plan,
    /// Whether a stored copy is read, to replace it if its content is corrupt.
    is_verified: bool,
}

impl NewBlob {
    pub(crate) fn new(
        content: Vec<u8>,
        kind: BlobKind,
        compressible: bool,
        profile: BlobProfile,
    ) -> Result<Self> {
        if content.len() > MAX_LENGTH {
            return Err(Error::TooLarge("a blob is larger than 256 MiB".into()));
        }
        Ok(Self {
            key: BlobKey::of(&content),
            kind,
            edges: Vec::new(),
            level: encoding::level(profile, compressible, content.len()),
            plan: Plan::Ready(Encoding::Raw, None),
            length: content.len(),
            content,
            is_verified: false,
        })
    }

    /// Has a stored copy read, and replaced if it is corrupt. It costs what a read does.
    pub(crate) fn verified(mut self) -> Self {
        self.is_verified = true;
        self
    }

    /// Records what the content refers to, for garbage collection.
    pub(crate) fn with_edges(mut self, edges: &[BlobKey]) -> Self {
        self.edges = write_edges(edges);
        self
    }

    fn compress(&mut self, level: u8) {
        self.plan = match encoding::deflate(&self.content, level) {
            Some(deflated) => Plan::Ready(Encoding::Zlib, Some(deflated)),
            None => Plan::Ready(Encoding::Raw, None),
        };
    }
}

/// Compresses what deserves it and is not stored yet. To be called before the
/// write transaction starts.
pub(crate) fn compress_missing<'b>(
    env: &impl Environment,
    blobs: impl Iterator<Item = &'b mut NewBlob>,
) -> Result<()> {
    let mut snapshot = None;
    let mut missing: Vec<(&mut NewBlob, u8)> = Vec::new();
    for blob in blobs {
        let Some(level) = blob.level else { continue };
        if snapshot.is_none() {
            snapshot = Some(env.begin(TransactionMode::Read)?);
        }
        let repeated = missing.iter().any(|(other, _)| other.key == blob.key);
        let stored = match &snapshot {
            Some(tx) => repeated || is_sound(tx, blob)?,
            None => repeated,
        };
        if stored {
            blob.plan = Plan::Stored(level);
        } else {
            missing.push((blob, level));
        }
    }
    drop(snapshot);
    for (blob, level) in missing {
        blob.compress(level);
    }
    Ok(())
}

/// The named blobs that are stored.
pub(crate) fn retain(tx: &impl Transaction, references: &[String]) -> Result<Vec<BlobKey>> {
    references
        .iter()
        .map(|reference| require(tx, reference))
        .collect()
}

/// Whether a blob is stored. It is not read.
pub(crate) fn exists(tx: &impl Transaction, key: &BlobKey) -> Result<bool> {
    let rows = tx.query(
        "SELECT 1 FROM blobs WHERE key = ?1",
        &[Value::Blob(key.as_bytes())],
    )?;
    Ok(rows.count > 0)
}

/// Finds the stored blob that a request refers to.
pub(crate) fn require(tx: &impl Transaction, reference: &str) -> Result<BlobKey> {
    match BlobKey::parse(reference) {
        Some(key) if exists(tx, &key)? => Ok(key),
        _ => Err(Error::MissingBlob(reference.into())),
    }
}

/// Stores a blob unless it is stored.
pub(crate) fn insert<T: Transaction>(
    session: &mut SessionTransaction<T>,
    mut blob: NewBlob,
) -> Result<BlobKey> {
    if let Plan::Stored(level) = blob.plan {
        if is_sound(&session.tx, &blob)? {
            return Ok(blob.key);
        }
        blob.compress(level);
    }
    let (encoding, stored) = match &blob.plan {
        Plan::Ready(encoding, Some(deflated)) => (*encoding, deflated),
        _ => (Encoding::Raw, &blob.content),
    };
    let row = BlobRow {
        kind: kind_code(blob.kind),
        encoding: encoding.code(),
        length: blob.length as i64,
        edges: &blob.edges,
    };
    let checksum = row.checksum(&blob.key);
    let inserted = session.tx.execute(
        "INSERT INTO blobs (key, kind, encoding, length, edges, checksum, content)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (key) DO NOTHING",
        &[
            Value::Blob(blob.key.as_bytes()),
            Value::Integer(row.kind),
            Value::Integer(row.encoding),
            Value::Integer(row.length),
            Value::Blob(row.edges),
            Value::Integer(checksum),
            Value::Blob(stored),
        ],
    )?;
    if inserted > 0 {
        session.digests.blobs.insert(checksum);
    } else if !is_sound(&session.tx, &blob)? {
        replace(session, &blob.key, &row, checksum, stored)?;
    } else if !blob.edges.is_empty() {
        adopt_edges(session, &blob.key, &blob.edges)?;
    }
    Ok(blob.key)
}

/// Whether a blob is stored, and can be read as far as is looked: always what is known of it,
/// with the length of what is stored, and if it is to be read, the content too.
fn is_sound(tx: &impl Transaction, blob: &NewBlob) -> Result<bool> {
    let key = &blob.key;
    let sql = match blob.is_verified {
        true => sql!(
            "SELECT ",
            COLUMNS,
            ", length(content), content FROM blobs WHERE key = ?1"
        ),
        false => sql!(
            "SELECT ",
            COLUMNS,
            ", length(content), NULL FROM blobs WHERE key = ?1"
        ),
    };
    let rows = tx.query(sql, &[Value::Blob(key.as_bytes())])?;
    let read = read_one(TABLE, &rows, |reader| {
        let row = BlobRow::read(reader, key)?;
        row.require_length(reader.integer()?, key)?;
        match reader.optional_blob()? {
            Some(content) => row.content(content, key).map(drop),
            None => Ok(()),
        }
    });
    match read {
        Ok(found) => Ok(found.is_some()),
        Err(error) => corruption::damage(TABLE, error).map(|_| false),
    }
}

/// Writes a blob in place of the one with its key, which is corrupt.
fn replace<T: Transaction>(
    session: &mut SessionTransaction<T>,
    key: &BlobKey,
    row: &BlobRow<'_>,
    checksum: i64,
    stored: &[u8],
) -> Result<()> {
    let rows = session.tx.query(
        "SELECT checksum FROM blobs WHERE key = ?1",
        &[Value::Blob(key.as_bytes())],
    )?;
    let before = read_one(TABLE, &rows, RowReader::integer)?.unwrap_or(checksum);
    session.tx.execute(
        "UPDATE blobs SET kind = ?2, encoding = ?3, length = ?4, edges = ?5, checksum = ?6,
             content = ?7
         WHERE key = ?1",
        &[
            Value::Blob(key.as_bytes()),
            Value::Integer(row.kind),
            Value::Integer(row.encoding),
            Value::Integer(row.length),
            Value::Blob(row.edges),
            Value::Integer(checksum),
            Value::Blob(stored),
        ],
    )?;
    session.digests.blobs.remove(before);
    session.digests.blobs.insert(checksum);
    if before != checksum {
        // That may not have been the checksum that was written. Once all rows can be read,
        // and are as many as were written, their digest is known.
        let mut are_sound = true;
        let (found, _) = walk(session, &mut |row| {
            are_sound &= row.is_ok();
            Ok(())
        })?;
        if are_sound && found.count == session.digests.blobs.count {
            session.digests.blobs = found;
        }
    }
    Ok(())
}

/// Gives edges to a blob that was stored without, as bytes that nobody knew to
/// be a manifest.
fn adopt_edges<T: Transaction>(
    session: &mut SessionTransaction<T>,
    key: &BlobKey,
    edges: &[u8],
) -> Result<()> {
    let rows = select(&session.tx, key)?;
    let mut row = read_one(TABLE, &rows, |reader| BlobRow::read(reader, key))?
        .ok_or_else(|| missing(TABLE, key.text()))?;
    if row.edges == edges {
        return Ok(());
    }
    session.digests.blobs.remove(row.checksum(key));
    row.kind = kind_code(BlobKind::CheckpointManifest);
    row.edges = edges;
    session.digests.blobs.insert(row.checksum(key));
    session.tx.execute(
        "UPDATE blobs SET kind = ?2, edges = ?3, checksum = ?4 WHERE key = ?1",
        &[
            Value::Blob(key.as_bytes()),
            Value::Integer(row.kind),
            Value::Blob(row.edges),
            Value::Integer(row.checksum(key)),
        ],
    )?;
    Ok(())
}

/// A blob that was read and checked.
pub(crate) struct StoredBlob {
    pub(crate) content: Vec<u8>,
    pub(crate) edges: Vec<BlobKey>,
}

/// Reads a blob and checks it against its key; none if it is not stored.
pub(crate) fn load<T: Transaction>(
    session: &SessionTransaction<T>,
    key: &BlobKey,
) -> Result<Option<StoredBlob>> {
    let rows = select(&session.tx, key)?;
    let mut reader = RowReader::new(TABLE, &rows);
    if !reader.advance() {
        return confirm_absent(session, key).map(|()| None);
    }
    let row = BlobRow::read(&mut reader, key)?;
    let content = row.content(reader.blob()?, key)?;
    let edges = read_edges(row.edges)
        .ok_or_else(|| corrupt(TABLE, key.text(), "a reference is damaged"))?;
    Ok(Some(StoredBlob { content, edges }))
}

/// Reads a blob that must be there, because something stored refers to it.
pub(crate) fn load_referenced<T: Transaction>(
    session: &SessionTransaction<T>,
    key: &BlobKey,
) -> Result<StoredBlob> {
    load(session, key)?.ok_or_else(|| {
        corrupt(
            TABLE,
            key.text(),
            "the blob is missing, but something refers to it",
        )
    })
}

/// What a blob refers to that must be there, because something stored refers to it. Its
/// content is not read.
pub(crate) fn references<T: Transaction>(
    session: &SessionTransaction<T>,
    key: &BlobKey,
) -> Result<Vec<BlobKey>> {
    let rows = session.tx.query(
        sql!("SELECT ", COLUMNS, " FROM blobs WHERE key = ?1"),
        &[Value::Blob(key.as_bytes())],
    )?;
    let found = read_one(TABLE, &rows, |reader| {
        let row = BlobRow::read(reader, key)?;
        read_edges(row.edges).ok_or_else(|| corrupt(TABLE, key.text(), "a reference is damaged"))
    })?;
    match found {
        Some(edges) => Ok(edges),
        None => load_referenced(session, key).map(|blob| blob.edges),
    }
}

/// The index says that there is no such blob; the table must agree.
fn confirm_absent<T: Transaction>(session: &SessionTransaction<T>, key: &BlobKey) -> Result<()> {
    visit(session, &mut |row| {
        if row?.key == *key {
            Err(corrupt(
                TABLE,
                key.text(),
                "the index does not know the row",
            ))
        } else {
            Ok(())
        }
    })
}

/// A row of the table without its content.
pub(crate) struct StoredRow {
    pub(crate) id: i64,
    pub(crate) key: BlobKey,
    pub(crate) checksum: i64,
    pub(crate) is_manifest: bool,
}

/// Visits every row without its content, as far as it can be read, and checks that all are
/// there.
pub(crate) fn visit<T: Transaction>(
    session: &SessionTransaction<T>,
    visitor: &mut dyn FnMut(Result<StoredRow>) -> Result<()>,
) -> Result<()> {
    // Of a corrupt row, the checksum is right or everything else is.
    let (found, computed) = walk(session, visitor)?;
    let expected = session.digests.blobs;
    match computed == expected {
        true => Ok(()),
        false => verify_complete(TABLE, found, expected),
    }
}

/// Visits every row without its content, as far as it can be read; returns the digests of the
/// checksums that are stored, and of those that they should be.
fn walk<T: Transaction>(
    session: &SessionTransaction<T>,
    visitor: &mut dyn FnMut(Result<StoredRow>) -> Result<()>,
) -> Result<(SetDigest, SetDigest)> {
    let mut found = SetDigest::default();
    let mut computed = SetDigest::default();
    // The first row is looked for from the lowest number there is: a row may have
    // been moved.
    let mut next = i64::MIN;
    loop {
        let rows = session.tx.query(
            sql!(
                "SELECT id, key, ",
                COLUMNS,
                " FROM blobs NOT INDEXED WHERE id >= ?1 ORDER BY id LIMIT ?2"
            ),
            &[Value::Integer(next), Value::Integer(PAGE)],
        )?;
        let mut reader = RowReader::new(TABLE, &rows);
        while reader.advance() {
            let id = reader.integer()?;
            verify_order(TABLE, id, id >= next)?;
            let key = BlobKey::from_bytes(reader.blob()?);
            let (row, stored) = BlobRow::parse(&mut reader)?;
            let checksum = key.map_or(stored, |key| row.checksum(&key));
            found.insert(stored);
            computed.insert(checksum);
            next = id.saturating_add(1);
            visitor(match key {
                Some(key) if checksum == stored => Ok(StoredRow {
                    id,
                    key,
                    checksum,
                    is_manifest: row.kind == kind_code(BlobKind::CheckpointManifest),
                }),
                _ => Err(corrupt(TABLE, id, "the row is not what was written")),
            })?;
        }
        if i64::from(rows.count) < PAGE {
            break;
        }
    }
    Ok((found, computed))
}

/// The WIT function `blobs.put`.
pub fn put(
    env: &impl Environment,
    content: Vec<u8>,
    kind: BlobKind,
    compressible: bool,
    profile: BlobProfile,
) -> Result<String> {
    let mut blob = NewBlob::new(content, kind, compressible, profile)?.verified();
    compress_missing(env, core::iter::once(&mut blob))?;
    let mut session = SessionTransaction::write_durably(env)?;
    let key = insert(&mut session, blob)?;
    session.commit()?;
    Ok(key.text())
}

/// The WIT function `blobs.get`.
pub fn get(env: &impl Environment, reference: &str) -> Result<Option<Vec<u8>>> {
    let Some(key) = BlobKey::parse(reference) else {
        return Ok(None);
    };
    let session = SessionTransaction::read(env)?;
    Ok(load(&session, &key)?.map(|blob| blob.content))
}
