//! The commit protocol.
//!
//! Hashing and compressing come first, without a lock. Then one transaction
//! checks, in the order that the WIT gives, and writes. An outcome that is not
//! `committed` drops the transaction, and so writes nothing.

use alloc::vec::Vec;

use super::checkpoints::{self, Component, NewCheckpoint};
use super::graph::{self, Kept};
use super::head::{self, HeadIdentity, HeadRow, next_revision, require_leaf};
use super::queue::{self, CompletedBatches};
use super::{attachments, blobs, turns, usage};
use crate::Result;
use crate::bindings::session_types::{
    CommitOutcome, CommitRequest, GraphChange, Receipt, RevisionConflict, TurnStamp,
};
use crate::session::digests::SessionTransaction;
use crate::storage::seam::{Environment, Transaction, unsigned};

/// The WIT function `session.commit`.
pub fn commit(env: &impl Environment, request: CommitRequest) -> Result<CommitOutcome> {
    let mut checkpoint = NewCheckpoint::new(request.checkpoint, request.profile)?;
    let mut head_blobs = head::components(request.head.blobs, request.profile)?;
    blobs::compress_missing(
        env,
        checkpoint
            .new_blobs()
            .chain(head_blobs.iter_mut().filter_map(Component::new_blob)),
    )?;

    let mut session = SessionTransaction::write_durably(env)?;
    let stored = HeadRow::load_identity(&session)?;
    if let Some(stored) = &stored
        && stored.session_id != request.session_id
    {
        return Ok(CommitOutcome::SessionMismatch(stored.session_id.clone()));
    }
    if let Some(stamp) = &request.turn
        && let Some(outcome) = replay(&session, &request.session_id, stamp)?
    {
        return Ok(outcome);
    }
    if let Some(conflict) = conflict(request.expected_revision, stored.as_ref()) {
        return Ok(CommitOutcome::RevisionConflict(conflict));
    }
    let completed: CompletedBatches =
        match queue::check_completions(&session.tx, &request.session_id, &request.completions)? {
            Ok(completed) => completed,
            Err(lost) => return Ok(CommitOutcome::ClaimLost(lost)),
        };

    let now_ms = env.now_ms();
    let (checkpoint_key, manifest) = checkpoint.insert(&mut session)?;
    let mut blobs = Vec::with_capacity(head_blobs.len());
    for component in head_blobs {
        blobs.push(component.insert(&mut session)?);
    }
    let retained = blobs::retain(&session.tx, &request.head.retained)?;
    usage::append_entries(&mut session, &request.usage, now_ms)?;
    change_graph(
        &mut session,
        &request.graph,
        request.leaf.as_deref(),
        stored.as_ref(),
    )?;
    let revision = next_revision(stored.as_ref())?;
    let head = HeadRow {
        session_id: request.session_id,
        revision,
        leaf: request.leaf,
        checkpoint: Some(checkpoint_key),
        blobs,
        retained,
        content: request.head.content,
    };
    head.store(&mut session)?;
    queue::complete(&mut session, completed, now_ms)?;
    let condemned = attachments::commit_ids(
        &mut session,
        &head.session_id,
        &request.attachment_ids,
        now_ms,
    )?;
    if let Some(attachment_id) = condemned {
        return Ok(CommitOutcome::AttachmentCondemned(attachment_id));
    }
    if let Some(stamp) = &request.turn {
        turns::insert(&mut session, stamp, revision, &checkpoint_key, now_ms)?;
    }
    session.commit()?;
    Ok(CommitOutcome::Committed(Receipt {
        revision: unsigned(revision),
        checkpoint_ref: checkpoint_key.text(),
        manifest,
    }))
}

/// How a stamp that is known already, or that is wrong, ends the commit.
fn replay<T: Transaction>(
    session: &SessionTransaction<T>,
    session_id: &str,
    stamp: &TurnStamp,
) -> Result<Option<CommitOutcome>> {
    if stamp.session_id != session_id {
        return Ok(Some(CommitOutcome::TurnConflict(stamp.clone())));
    }
    let Some(committed) = turns::find(&session.tx, stamp)? else {
        return Ok(None);
    };
    if committed.commit_hash != stamp.commit_hash {
        return Ok(Some(CommitOutcome::TurnConflict(stamp.clone())));
    }
    Ok(Some(CommitOutcome::Replayed(Receipt {
        revision: unsigned(committed.revision),
        checkpoint_ref: committed.checkpoint.text(),
        manifest: checkpoints::load_manifest(session, &committed.checkpoint)?,
    })))
}

/// The compare of compare-and-swap. Revision 0 and "no head" are the same to a
/// caller that has seen nothing, but not to one that expects no head.
fn conflict(expected: Option<u64>, stored: Option<&HeadIdentity>) -> Option<RevisionConflict> {
    let actual = stored.map_or(0, |stored| unsigned(stored.revision));
    let agrees = match expected {
        Some(expected) => expected == actual,
        None => stored.is_none(),
    };
    (!agrees).then_some(RevisionConflict { expected, actual })
}

fn change_graph<T: Transaction>(
    session: &mut SessionTransaction<T>,
    change: &GraphChange,
    leaf: Option<&str>,
    stored: Option<&HeadIdentity>,
) -> Result<()> {
    let nodes = match change {
        GraphChange::Unchanged => &[][..],
        GraphChange::Append(nodes) => {
            graph::append_nodes(session, nodes)?;
            nodes
        }
        GraphChange::Replace(nodes) => {
            graph::replace_nodes(session, nodes, Kept::ByChecksum)?;
            nodes
        }
    };
    let last = nodes.last().map(|node| node.id.as_str());
    let unmoved = matches!(change, GraphChange::Unchanged | GraphChange::Append(_))
        && stored.is_some_and(|stored| stored.leaf.as_deref() == leaf);
    // The usual leaf is the last node added, which need not be looked up.
    if leaf == last || unmoved {
        return Ok(());
    }
    require_leaf(session, leaf)
}
