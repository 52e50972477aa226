//! The head of a session and the commit protocol.

use alloc::string::String;
use alloc::vec::Vec;

use crate::bindings::exports::lash::store::session::Guest;
use crate::bindings::format_types::Initialized;
use crate::bindings::session_types::{
    BlobKind, CommitOutcome, CommitOutcome::*, CommitRequest, GraphChange, Head, HeadBody,
    HeadDraft, ReadScope, Receipt, RevisionConflict as Conflict, Snapshot, TurnStamp,
};
use crate::bindings::sqlite::{Database, TransactionMode::*};
use crate::bindings::types::BlobRef;
use crate::sql::{Result, Tx, invalid, now_ms, record, within};
use crate::{Minimal, blobs, checkpoints, format, graph, queue, records};

/// The head as it is stored.
#[derive(Default)]
pub(crate) struct StoredHead {
    session_id: String,
    revision: u64,
    leaf: Option<String>,
    pub(crate) checkpoint: Option<BlobRef>,
    pub(crate) blobs: Vec<BlobRef>,
    pub(crate) retained: Vec<BlobRef>,
    content: Vec<u8>,
}

record!(StoredHead: session_id, revision, leaf, checkpoint, blobs, retained, content);

impl Guest for Minimal {
    fn initialize(db: &Database) -> Result<Initialized> {
        format::initialize(db)
    }

    fn retire(db: &Database) -> Result<()> {
        let sql = "UPDATE state SET retired = 1";
        within(db, WriteDurable, |tx| tx.run(sql, &[]).map(drop))
    }

    fn commit(db: &Database, request: CommitRequest) -> Result<CommitOutcome> {
        within(db, WriteDurable, |tx| commit(tx, request))
    }

    fn load(db: &Database, scope: ReadScope) -> Result<Option<Snapshot>> {
        within(db, Read, |tx| {
            let Some(stored) = find_head(tx)? else {
                return Ok(None);
            };
            let (leaf, nodes) = match scope {
                ReadScope::Full => (stored.leaf.clone(), graph::load(tx)?),
                ReadScope::Path(leaf) => {
                    let leaf = leaf.or_else(|| stored.leaf.clone());
                    let nodes = graph::load_path(tx, &leaf)?;
                    (leaf, nodes)
                }
            };
            let load = |key| checkpoints::load(tx, key);
            Ok(Some(Snapshot {
                leaf,
                nodes,
                checkpoint: stored.checkpoint.as_ref().map(load).transpose()?,
                usage: records::total_usage(tx)?,
                head: into_head(tx, stored)?,
            }))
        })
    }

    fn load_head(db: &Database) -> Result<Option<Head>> {
        within(db, Read, |tx| {
            let stored = find_head(tx)?;
            stored.map(|stored| into_head(tx, stored)).transpose()
        })
    }

    fn save_head(db: &Database, draft: HeadDraft) -> Result<u64> {
        within(db, WriteDurable, |tx| {
            let revision = match find_head(tx)? {
                Some(stored) => draft.revision.max(next_revision(stored.revision)?),
                None => draft.revision,
            };
            if revision > i64::MAX as u64 {
                return invalid(&["the revision is too high"]);
            }
            if let Some(nodes) = &draft.nodes {
                graph::replace(tx, nodes)?;
            }
            if let Some(entries) = &draft.usage {
                tx.run("DELETE FROM usage", &[])?;
                records::append_usage(tx, entries)?;
            }
            if let Some(key) = &draft.checkpoint_ref {
                checkpoints::require(tx, key)?;
            }
            let head = StoredHead {
                session_id: draft.session_id,
                revision,
                leaf: draft.leaf,
                checkpoint: draft.checkpoint_ref,
                ..StoredHead::default()
            };
            put_head(tx, head, draft.body)?;
            Ok(revision)
        })
    }
}

pub(crate) fn find_head(tx: &Tx) -> Result<Option<StoredHead>> {
    tx.one("SELECT * FROM head", &[])
}

fn into_head(tx: &Tx, stored: StoredHead) -> Result<Head> {
    let blobs = stored.blobs.iter().map(|key| blobs::load(tx, key));
    Ok(Head {
        blobs: blobs.collect::<Result<_>>()?,
        session_id: stored.session_id,
        revision: stored.revision,
        content: stored.content,
        blob_refs: stored.blobs,
        leaf: stored.leaf,
        checkpoint_ref: stored.checkpoint,
        node_count: tx.number("SELECT nodes FROM state")?,
    })
}

/// Stores a head with its blobs, in place of the one that is stored.
fn put_head(tx: &Tx, mut head: StoredHead, body: HeadBody) -> Result<()> {
    if head.leaf.is_some() && graph::find(tx, &head.leaf)?.is_none() {
        return invalid(&["the leaf is not stored"]);
    }
    for source in body.blobs {
        let key = blobs::put_source(tx, source, BlobKind::ExecutionState)?;
        head.blobs.push(key);
    }
    for key in body.retained {
        if blobs::exists(tx, &key)? {
            head.retained.push(key);
        }
    }
    head.content = body.content;
    tx.run("DELETE FROM head", &[])?;
    let sql = "INSERT INTO head VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    tx.run(sql, &head.params()).map(drop)
}

/// No revision is used twice, not even the last.
fn next_revision(revision: u64) -> Result<u64> {
    match revision < i64::MAX as u64 {
        true => Ok(revision + 1),
        false => invalid(&["the revision cannot become higher"]),
    }
}

/// Everything is checked before something is written.
fn commit(tx: &Tx, request: CommitRequest) -> Result<CommitOutcome> {
    let (stored, session_id) = (find_head(tx)?, request.session_id);
    if let Some(stored) = &stored
        && stored.session_id != session_id
    {
        return Ok(SessionMismatch(stored.session_id.clone()));
    }
    if let Some(stamp) = &request.turn
        && let Some(outcome) = replay(tx, &session_id, stamp)?
    {
        return Ok(outcome);
    }
    let (expected, stored) = (request.expected_revision, stored.map(|head| head.revision));
    let actual = stored.unwrap_or(0);
    // Revision 0 stands for no head, too.
    if expected != stored && expected != Some(actual) {
        return Ok(RevisionConflict(Conflict { expected, actual }));
    }
    match queue::find_completed(tx, &session_id, request.completions)? {
        Ok(completed) => queue::complete(tx, &completed)?,
        Err(lost) => return Ok(ClaimLost(lost)),
    }
    match &request.graph {
        GraphChange::Unchanged => {}
        GraphChange::Append(nodes) => graph::append(tx, nodes)?,
        GraphChange::Replace(nodes) => graph::replace(tx, nodes)?,
    }
    let revision = next_revision(actual)?;
    let stored = checkpoints::put(tx, request.checkpoint)?;
    records::append_usage(tx, &request.usage)?;
    records::commit_attachments(tx, &session_id, &request.attachment_ids)?;
    if let Some(stamp) = &request.turn {
        let (turn, hash, key) = (&stamp.turn_id, &stamp.commit_hash, &stored.key);
        let sql = "INSERT INTO turns VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        tx.run(sql, &[&session_id, turn, hash, &revision, key, &now_ms()])?;
    }
    let head = StoredHead {
        session_id,
        revision,
        leaf: request.leaf,
        checkpoint: Some(stored.key.clone()),
        ..StoredHead::default()
    };
    put_head(tx, head, request.head)?;
    Ok(Committed(Receipt {
        revision,
        checkpoint_ref: stored.key,
        manifest: stored.manifest,
    }))
}

/// How the commit of a turn ends that was committed before, or is of another session.
fn replay(tx: &Tx, session_id: &str, stamp: &TurnStamp) -> Result<Option<CommitOutcome>> {
    let sql = "SELECT hash, revision, checkpoint FROM turns
               WHERE session_id = ?1 AND turn_id = ?2";
    let turn: Option<(String, u64, BlobRef)> = tx.one(sql, &[&stamp.session_id, &stamp.turn_id])?;
    Ok(match turn {
        _ if stamp.session_id != session_id => Some(TurnConflict(stamp.clone())),
        Some((hash, ..)) if hash != stamp.commit_hash => Some(TurnConflict(stamp.clone())),
        Some((_, revision, key)) => Some(Replayed(Receipt {
            revision,
            manifest: checkpoints::load_manifest(tx, &key)?,
            checkpoint_ref: key,
        })),
        None => None,
    })
}
