//! Blobs, artifacts, which are blobs with a name, and what removes what is not used.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use sha2::{Digest, Sha256};

use crate::bindings::exports::lash::store::{artifacts, blobs, maintenance};
use crate::bindings::session_types::{BlobKind, BlobProfile, BlobSource, GcReport, NameSpace};
use crate::bindings::sqlite::{Database, TransactionMode::*};
use crate::bindings::types::{BlobRef, Error};
use crate::sql::{Result, Tx, corrupt, invalid, within};
use crate::{Minimal, checkpoints, session};

impl blobs::Guest for Minimal {
    fn put(
        db: &Database,
        content: Vec<u8>,
        kind: BlobKind,
        _: bool,
        _: BlobProfile,
    ) -> Result<BlobRef> {
        within(db, WriteDurable, |tx| put(tx, content, kind))
    }

    fn get(db: &Database, key: BlobRef) -> Result<Option<Vec<u8>>> {
        within(db, Read, |tx| find(tx, &key))
    }
}

fn key_of(content: &[u8]) -> BlobRef {
    format!("sha256:{:x}", Sha256::digest(content))
}

/// Stores content unless it is stored.
pub(crate) fn put(tx: &Tx, content: Vec<u8>, kind: BlobKind) -> Result<BlobRef> {
    let key = key_of(&content);
    let sql = "INSERT INTO blobs VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
    tx.run(sql, &[&key, &(kind as i64), &content])?;
    Ok(key)
}

/// Stores what is new, and refuses the key of what is not stored.
pub(crate) fn put_source(tx: &Tx, source: BlobSource, kind: BlobKind) -> Result<BlobRef> {
    match source {
        BlobSource::Content(content) => put(tx, content, kind),
        BlobSource::Stored(key) if exists(tx, &key)? => Ok(key),
        BlobSource::Stored(key) => Err(Error::MissingBlob(key)),
    }
}

pub(crate) fn exists(tx: &Tx, key: &BlobRef) -> Result<bool> {
    let found: Option<i64> = tx.one("SELECT 1 FROM blobs WHERE key = ?1", &[key])?;
    Ok(found.is_some())
}

/// Reads content and checks it.
fn find(tx: &Tx, key: &BlobRef) -> Result<Option<Vec<u8>>> {
    let found: Option<Vec<u8>> = tx.one("SELECT content FROM blobs WHERE key = ?1", &[key])?;
    match found {
        Some(content) if key_of(&content) != *key => {
            Err(corrupt("blobs", key, "the content is not that of the key"))
        }
        found => Ok(found),
    }
}

/// Reads content that something stored refers to.
pub(crate) fn load(tx: &Tx, key: &BlobRef) -> Result<Vec<u8>> {
    find(tx, key)?.ok_or_else(|| corrupt("blobs", key, "the blob is missing"))
}

impl artifacts::Guest for Minimal {
    fn put(
        db: &Database,
        space: NameSpace,
        name: String,
        content: Vec<u8>,
        kind: BlobKind,
        _: bool,
        _: BlobProfile,
    ) -> Result<()> {
        within(db, WriteDurable, |tx| {
            let key = put(tx, content, kind)?;
            let sql = "INSERT INTO artifacts (space, name, kind, key) VALUES (?1, ?2, ?3, ?4)
                       ON CONFLICT (space, name) DO UPDATE SET key = excluded.key
                       WHERE kind = excluded.kind";
            match tx.run(sql, &[&(space as i64), &name, &(kind as i64), &key])? {
                0 => invalid(&["the artifact ", &name, " has another kind"]),
                _ => Ok(()),
            }
        })
    }

    fn get(db: &Database, space: NameSpace, name: String) -> Result<Option<Vec<u8>>> {
        let sql = "SELECT key FROM artifacts WHERE space = ?1 AND name = ?2";
        within(db, Read, |tx| {
            let key: Option<BlobRef> = tx.one(sql, &[&(space as i64), &name])?;
            key.map(|key| load(tx, &key)).transpose()
        })
    }
}

impl maintenance::Guest for Minimal {
    fn vacuum(db: &Database) -> Result<u64> {
        let sql = "DELETE FROM nodes WHERE hidden = 1";
        within(db, WriteDurable, |tx| tx.run(sql, &[]))
    }

    fn gc(db: &Database) -> Result<GcReport> {
        within(db, WriteDurable, |tx| {
            let mut live: Vec<BlobRef> = tx.all("SELECT key FROM artifacts", &[])?;
            let mut snapshots = Vec::new();
            if let Some(head) = session::find_head(tx)? {
                if let Some(key) = &head.checkpoint {
                    snapshots = checkpoints::snapshots(tx, key)?;
                }
                live.extend(head.checkpoint);
                live.extend([head.blobs, head.retained].concat());
            }
            let roots = live.len() as u64;
            let live: BTreeSet<BlobRef> = live.into_iter().chain(snapshots).collect();
            for key in &live {
                load(tx, key)?;
            }
            // A replay returns the manifest of its turn, but not what that refers to.
            let sql = "SELECT key FROM blobs WHERE key NOT IN (SELECT checkpoint FROM turns)";
            let mut deleted = 0;
            for key in tx.all::<BlobRef>(sql, &[])? {
                if !live.contains(&key) {
                    deleted += tx.run("DELETE FROM blobs WHERE key = ?1", &[&key])?;
                }
            }
            let retained = live.len() as u64;
            Ok(GcReport {
                roots,
                retained,
                deleted,
            })
        })
    }
}
