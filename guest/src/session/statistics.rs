//! Counting what a session database holds.

use alloc::vec::Vec;

use crate::Result;
use crate::bindings::inspection_types::{
    AttachmentStatistics, BlobSizes, Garbage, HeadStatistics, QueueStatistics, SessionStatistics,
};
use crate::bindings::types::Error;
use crate::session::digests::SessionTransaction;
use crate::storage::counts::counts;
use crate::storage::rows::read_all;
use crate::storage::seam::{Environment, Transaction, Value, unsigned};
use crate::storage::skipped::Skipped;

use super::blobs::kind_from_code;
use super::head::HeadRow;
use super::maintenance;

/// The WIT function `session-inspection.statistics`.
pub fn statistics(env: &impl Environment) -> Result<SessionStatistics> {
    let session = SessionTransaction::read(env)?;
    let now_ms = env.now_ms();
    let tx = &session.tx;
    let head = HeadRow::load(&session)?.map(|head| HeadStatistics {
        bytes: head.content.len() as u64,
        session_id: head.session_id,
        revision: unsigned(head.revision),
        leaf: head.leaf,
        checkpoint: head
            .checkpoint
            .as_ref()
            .map(super::blobs::key::BlobKey::text),
    });
    let digests = &session.digests;
    let [node_bytes] = counts(
        tx,
        "graph_nodes",
        "SELECT sum(length(body)) FROM graph_nodes NOT INDEXED",
        &[],
    )?;
    Ok(SessionStatistics {
        head,
        nodes: digests.nodes.count,
        prompts: digests.prompts,
        tombstoned_nodes: digests.tombstones.count,
        node_bytes,
        blobs: blobs(tx)?,
        garbage: garbage(&session)?,
        artifacts: digests.artifacts.count,
        turns: digests.turns.count,
        usage_entries: digests.usage_entries.count,
        queue: queue(tx, now_ms)?,
        attachments: attachments(tx)?,
    })
}

fn blobs(tx: &impl Transaction) -> Result<Vec<BlobSizes>> {
    let rows = tx.query(
        "SELECT kind, count(*), sum(length), sum(length(content))
         FROM blobs NOT INDEXED GROUP BY kind ORDER BY kind",
        &[],
    )?;
    read_all("blobs", &rows, |reader| {
        Ok(BlobSizes {
            kind: kind_from_code(reader.integer()?),
            count: unsigned(reader.integer()?),
            bytes: unsigned(reader.integer()?),
            stored_bytes: unsigned(reader.integer()?),
        })
    })
}

/// What nothing refers to; `None` if that is unknown.
fn garbage<T: Transaction>(session: &SessionTransaction<T>) -> Result<Option<Garbage>> {
    let mut garbage = Garbage {
        blobs: 0,
        stored_bytes: 0,
    };
    let visited = maintenance::visit_garbage(session, &mut Skipped::default(), &mut |row| {
        let [bytes] = counts(
            &session.tx,
            "blobs",
            "SELECT length(content) FROM blobs WHERE id = ?1",
            &[Value::Integer(row.id)],
        )?;
        garbage.blobs += 1;
        garbage.stored_bytes = garbage.stored_bytes.saturating_add(bytes);
        Ok(())
    });
    match visited {
        Ok(_) => Ok(Some(garbage)),
        Err(Error::Corrupt(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn queue(tx: &impl Transaction, now_ms: i64) -> Result<QueueStatistics> {
    let [claimed, waiting, all, next_ready_at_ms] = counts(
        tx,
        "queued_batches",
        "SELECT count(CASE WHEN lease_expires_ms > ?1 THEN 1 END),
                count(CASE WHEN lease_expires_ms <= ?1 AND available_at_ms > ?1 THEN 1 END),
                count(*),
                min(CASE WHEN max(available_at_ms, lease_expires_ms) > ?1
                         THEN max(available_at_ms, lease_expires_ms) END)
         FROM queued_batches NOT INDEXED",
        &[Value::Integer(now_ms)],
    )?;
    let [bytes] = counts(
        tx,
        "queued_payloads",
        "SELECT sum(length(payloads)) FROM queued_payloads",
        &[],
    )?;
    let [completed_source_keys] = counts(
        tx,
        "completed_sources",
        "SELECT count(*) FROM completed_sources",
        &[],
    )?;
    Ok(QueueStatistics {
        ready: all.saturating_sub(claimed).saturating_sub(waiting),
        claimed,
        waiting,
        // It is later than now.
        next_ready_at_ms: Some(next_ready_at_ms).filter(|at_ms| *at_ms > 0),
        bytes,
        completed_source_keys,
    })
}

fn attachments(tx: &impl Transaction) -> Result<AttachmentStatistics> {
    let [committed, uncommitted, oldest_uncommitted_at_ms] = counts(
        tx,
        "attachment_intents",
        "SELECT count(committed_at_ms),
                count(CASE WHEN committed_at_ms IS NULL AND state < 2 THEN 1 END),
                min(CASE WHEN committed_at_ms IS NULL AND state < 2 THEN intent_at_ms END)
         FROM attachment_intents NOT INDEXED",
        &[],
    )?;
    Ok(AttachmentStatistics {
        committed,
        uncommitted,
        oldest_uncommitted_at_ms: (uncommitted > 0).then_some(oldest_uncommitted_at_ms),
    })
}
