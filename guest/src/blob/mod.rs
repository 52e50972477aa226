//! Content-addressed blobs.
//!
//! Hashing and compressing happen before the write lock is taken, and what is
//! stored already is not compressed again.

pub(crate) mod encoding;
pub(crate) mod key;

use alloc::string::String;
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::lash::store::types::{BlobKind, BlobProfile, Error};
use crate::checksum::Checksum;
use crate::corruption::{RowReader, corrupt, invalid, verify};
use crate::seam::{Environment, Transaction, TransactionMode, Value};
use crate::transaction;

use encoding::Encoding;
use key::{BlobKey, KEY_LENGTH};

const TABLE: &str = "blobs";

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
    content: Vec<u8>,
    /// The keys that this blob refers to, one after the other.
    edges: Vec<u8>,
    level: Option<u8>,
    plan: Plan,
}

impl NewBlob {
    pub(crate) fn new(
        content: Vec<u8>,
        kind: BlobKind,
        compressible: bool,
        profile: BlobProfile,
    ) -> Result<Self> {
        if content.len() > MAX_LENGTH {
            return Err(invalid("a blob is larger than 256 MiB"));
        }
        Ok(Self {
            key: BlobKey::of(&content),
            kind,
            edges: Vec::new(),
            level: encoding::level(profile, compressible, content.len()),
            plan: Plan::Ready(Encoding::Raw, None),
            content,
        })
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
            Some(tx) => repeated || exists(tx, &blob.key)?,
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
    let mut keys = Vec::new();
    for reference in references {
        if let Some(key) = BlobKey::parse(reference)
            && exists(tx, &key)?
        {
            keys.push(key);
        }
    }
    Ok(keys)
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
pub(crate) fn insert(tx: &impl Transaction, mut blob: NewBlob) -> Result<BlobKey> {
    if let Plan::Stored(level) = blob.plan {
        if exists(tx, &blob.key)? {
            return Ok(blob.key);
        }
        blob.compress(level);
    }
    let (encoding, stored) = match &blob.plan {
        Plan::Ready(encoding, Some(deflated)) => (*encoding, deflated),
        _ => (Encoding::Raw, &blob.content),
    };
    let row = Row {
        kind: kind_code(blob.kind),
        encoding: encoding.code(),
        length: blob.content.len() as i64,
        edges: &blob.edges,
    };
    let inserted = tx.execute(
        "INSERT INTO blobs (key, kind, encoding, length, edges, checksum, content)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (key) DO NOTHING",
        &[
            Value::Blob(blob.key.as_bytes()),
            Value::Integer(row.kind),
            Value::Integer(row.encoding),
            Value::Integer(row.length),
            Value::Blob(row.edges),
            Value::Integer(row.checksum(&blob.key)),
            Value::Blob(stored),
        ],
    )?;
    if inserted == 0 && !blob.edges.is_empty() {
        adopt_edges(tx, &blob.key, &blob.edges)?;
    }
    Ok(blob.key)
}

/// Gives edges to a blob that was stored without, as bytes that nobody knew to
/// be a manifest.
fn adopt_edges(tx: &impl Transaction, key: &BlobKey, edges: &[u8]) -> Result<()> {
    let rows = select(tx, key)?;
    let mut reader = RowReader::new(TABLE, &rows);
    if !reader.advance() {
        return Err(corrupt(TABLE, key.text(), "the row is missing"));
    }
    let mut row = Row::read(&mut reader, key)?;
    if row.edges == edges {
        return Ok(());
    }
    row.kind = kind_code(BlobKind::CheckpointManifest);
    row.edges = edges;
    tx.execute(
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
pub(crate) fn load(tx: &impl Transaction, key: &BlobKey) -> Result<Option<StoredBlob>> {
    let rows = select(tx, key)?;
    let mut reader = RowReader::new(TABLE, &rows);
    if !reader.advance() {
        return confirm_absent(tx, key).map(|()| None);
    }
    let row = Row::read(&mut reader, key)?;
    let stored = reader.blob()?;
    let length = usize::try_from(row.length).unwrap_or(usize::MAX);
    let content = match Encoding::from_code(row.encoding) {
        Some(Encoding::Raw) => Some(stored.to_vec()),
        Some(Encoding::Zlib) if length <= MAX_LENGTH => encoding::inflate(stored, length),
        _ => None,
    };
    match content {
        Some(content) if BlobKey::of(&content) == *key => Ok(Some(StoredBlob {
            content,
            edges: read_edges(row.edges)
                .ok_or_else(|| corrupt(TABLE, key.text(), "a reference is damaged"))?,
        })),
        _ => Err(corrupt(
            TABLE,
            key.text(),
            "the content does not match its key",
        )),
    }
}

/// Reads a blob that must be there, because something stored refers to it.
pub(crate) fn load_referenced(tx: &impl Transaction, key: &BlobKey) -> Result<StoredBlob> {
    load(tx, key)?.ok_or_else(|| {
        corrupt(
            TABLE,
            key.text(),
            "the blob is missing, but something refers to it",
        )
    })
}

/// Concatenates keys.
pub(crate) fn write_edges(edges: &[BlobKey]) -> Vec<u8> {
    edges.iter().flat_map(BlobKey::as_bytes).copied().collect()
}

/// Splits concatenated keys; none if they are damaged.
pub(crate) fn read_edges(edges: &[u8]) -> Option<Vec<BlobKey>> {
    edges.chunks(KEY_LENGTH).map(BlobKey::from_bytes).collect()
}

fn select(tx: &impl Transaction, key: &BlobKey) -> Result<crate::seam::Rows> {
    Ok(tx.query(
        "SELECT kind, encoding, length, edges, checksum, content FROM blobs WHERE key = ?1",
        &[Value::Blob(key.as_bytes())],
    )?)
}

/// The index says that there is no such blob; the table must agree.
fn confirm_absent(tx: &impl Transaction, key: &BlobKey) -> Result<()> {
    let rows = tx.query(
        "SELECT 1 FROM blobs NOT INDEXED WHERE key = ?1",
        &[Value::Blob(key.as_bytes())],
    )?;
    if rows.count == 0 {
        Ok(())
    } else {
        Err(corrupt(
            TABLE,
            key.text(),
            "the index does not know the row",
        ))
    }
}

struct Row<'r> {
    kind: i64,
    encoding: i64,
    length: i64,
    edges: &'r [u8],
}

impl<'r> Row<'r> {
    /// Reads and checks every column but the content.
    fn read(reader: &mut RowReader<'r>, key: &BlobKey) -> Result<Self> {
        let row = Self {
            kind: reader.integer()?,
            encoding: reader.integer()?,
            length: reader.integer()?,
            edges: reader.blob()?,
        };
        let stored = reader.integer()?;
        verify(TABLE, key.text(), stored, row.checksum(key))?;
        Ok(row)
    }

    fn checksum(&self, key: &BlobKey) -> i64 {
        Checksum::of(TABLE)
            .bytes(key.as_bytes())
            .integer(self.kind)
            .integer(self.encoding)
            .integer(self.length)
            .bytes(self.edges)
            .finish()
    }
}

/// How a kind is stored.
pub(crate) fn kind_code(kind: BlobKind) -> i64 {
    match kind {
        BlobKind::Generic => 0,
        BlobKind::CheckpointManifest => 1,
        BlobKind::ToolState => 2,
        BlobKind::PluginSnapshot => 3,
        BlobKind::ExecutionState => 4,
        BlobKind::Module => 5,
        BlobKind::ProcessEnvironment => 6,
    }
}

/// The WIT function `blobs.put`.
pub fn put(
    env: &impl Environment,
    content: Vec<u8>,
    kind: BlobKind,
    compressible: bool,
    profile: BlobProfile,
) -> Result<String> {
    let mut blob = NewBlob::new(content, kind, compressible, profile)?;
    compress_missing(env, core::iter::once(&mut blob))?;
    let tx = transaction::write_durably(env)?.tx;
    let key = insert(&tx, blob)?;
    tx.commit()?;
    Ok(key.text())
}

/// The WIT function `blobs.get`.
pub fn get(env: &impl Environment, reference: &str) -> Result<Option<Vec<u8>>> {
    let Some(key) = BlobKey::parse(reference) else {
        return Ok(None);
    };
    let tx = transaction::read(env)?.tx;
    Ok(load(&tx, &key)?.map(|blob| blob.content))
}
