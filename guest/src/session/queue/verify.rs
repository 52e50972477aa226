//! Checking all of the queue.

use crate::Result;
use crate::session::digests::{SessionDigests, SessionTransaction};
use crate::storage::checksum::SetDigest;
use crate::storage::findings::{Findings, Pages};
use crate::storage::seam::{Transaction, Value};
use crate::storage::sql::sql;

use super::completed;
use super::row::{BATCHES_FROM, BatchRow, PayloadRow, unpack};

const BATCHES: Pages = Pages {
    table: BatchRow::TABLE,
    sql: BATCHES_FROM,
    columns: BatchRow::WIDTH,
    size: 1024,
};

const PAYLOAD_PAGES: Pages = Pages {
    table: PayloadRow::TABLE,
    sql: sql!(PayloadRow::SELECT, "WHERE seq >= ?1 ORDER BY seq LIMIT ?2"),
    columns: PayloadRow::WIDTH,
    size: 64,
};

/// Checks every batch with its claim, every payload, that both belong together, and
/// the source keys of completed batches.
pub(crate) fn verify_all<T: Transaction>(
    session: &SessionTransaction<T>,
    findings: &mut Findings,
    known: &mut SessionDigests,
) -> Result<()> {
    let digests = &session.digests;
    let next = findings.end_of_numbers(digests.next_batch);
    let mut found = SetDigest::default();
    let mut last = 0;
    findings.walk(&session.tx, &BATCHES, &mut |findings, reader| {
        let (row, checksum) = BatchRow::read_with_checksum(reader)?;
        found.insert(checksum);
        last = row.seq.max(last);
        let mut require =
            |right, reason| findings.require(BatchRow::TABLE, &row.batch_id, right, reason);
        require(
            stored(
                session,
                "SELECT 1 FROM queued_payloads WHERE seq = ?1",
                row.seq,
            )?,
            "the payloads of the batch are missing",
        )?;
        require(
            row.claim_id.is_some() == row.lease_token.is_some()
                && (row.claim_id.is_some() || row.lease_expires_ms == 0),
            "the claim is not whole",
        )?;
        findings.require_number(BatchRow::TABLE, row.seq, next)
    })?;
    findings.complete(BatchRow::TABLE, found, digests.batches)?;
    known.batches = found;
    known.next_batch = findings.next_number(digests.next_batch, last);
    findings.walk(&session.tx, &PAYLOAD_PAGES, &mut |findings, reader| {
        let PayloadRow { seq, payloads } = PayloadRow::read(reader)?;
        unpack(seq, payloads)?;
        findings.require(
            PayloadRow::TABLE,
            "",
            stored(
                session,
                "SELECT 1 FROM queued_batches NOT INDEXED WHERE seq = ?1",
                seq,
            )?,
            "payloads belong to no batch",
        )
    })?;
    completed::verify_all(&session.tx, findings)
}

fn stored<T: Transaction>(
    session: &SessionTransaction<T>,
    sql: &'static str,
    seq: i64,
) -> Result<bool> {
    Ok(session.tx.query(sql, &[Value::Integer(seq)])?.count > 0)
}
