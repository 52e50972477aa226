//! Exporting the queue.

use alloc::string::String;

use crate::Result;
use crate::bindings::session_types::{DeliveryPolicy, SlotPolicy};
use crate::session::digests::SessionTransaction;
use crate::storage::hex::push_hex;
use crate::storage::paging::{Cursor, Named, Numbered, Page, RecordBuilder};
use crate::storage::seam::Transaction;

use super::completed::{self, CompletedRow};
use super::row::{self, BATCHES_FROM, BatchRow};

const BATCHES: Numbered = Numbered {
    table: BatchRow::TABLE,
    lengths: Some(
        "SELECT ifnull(length(p.payloads), 0) FROM queued_batches b NOT INDEXED
         LEFT JOIN queued_payloads p ON p.seq = b.seq
         WHERE b.seq >= ?1 ORDER BY b.seq LIMIT ?2",
    ),
    rows: BATCHES_FROM,
};

const COMPLETED: Named = Named {
    table: CompletedRow::TABLE,
    rows: completed::FROM,
};

/// Exports what is queued.
pub(crate) fn export<T: Transaction>(
    session: &SessionTransaction<T>,
    cursor: &mut Cursor,
    page: &mut Page,
) -> Result<bool> {
    let ended = BATCHES.export(&session.tx, cursor, page, &mut |cursor, page, reader| {
        let (row, checksum) = BatchRow::read_with_checksum(reader)?;
        cursor.found.insert(checksum);
        let payloads = row::load_payloads(&session.tx, row.seq)?;
        let claim = row.claim_id.as_deref();
        page.push(
            batch("queued_batch", &row)
                .payloads("payloads", payloads)
                .optional_text("claim_id", claim)
                .optional_text("lease_token", row.lease_token.as_deref())
                .number("fencing_token", row.fencing_token)
                .optional_number("lease_expires_at_ms", claim.map(|_| row.lease_expires_ms)),
        );
        Ok(())
    })?;
    if ended {
        page.complete(BatchRow::TABLE, cursor.found, session.digests.batches)?;
    }
    Ok(ended)
}

/// Exports the source keys of what was completed.
pub(crate) fn export_completed<T: Transaction>(
    session: &SessionTransaction<T>,
    cursor: &mut Cursor,
    page: &mut Page,
) -> Result<bool> {
    COMPLETED.export(&session.tx, cursor, page, &mut |_, page, reader| {
        let row = CompletedRow::read(reader)?;
        page.push(
            batch("completed_batch", &row.to_batch_row())
                .text("payload_digest", &digest_text(row.payload_digest))
                .number("completed_at_ms", row.completed_at_ms),
        );
        Ok(())
    })
}

/// A digest as blobs have it in their keys.
fn digest_text(digest: &[u8]) -> String {
    let mut text = String::from("blake3:");
    push_hex(&mut text, digest);
    text
}

/// What a batch has whether it is queued or completed.
fn batch(name: &'static str, row: &BatchRow) -> RecordBuilder {
    RecordBuilder::new(name)
        .number("sequence", row.seq)
        .text("id", &row.batch_id)
        .text("session_id", &row.session_id)
        .optional_text("source_key", row.source_key.as_deref())
        .text(
            "delivery",
            match row.delivery {
                DeliveryPolicy::EarliestSafeBoundary => "earliest_safe_boundary",
                DeliveryPolicy::AfterCurrentTurnCommit => "after_current_turn_commit",
            },
        )
        .text(
            "slot",
            match row.slot {
                SlotPolicy::Join => "join",
                SlotPolicy::Exclusive => "exclusive",
            },
        )
        .payload("merge_key", row.merge_key.clone().into_bytes())
        .number("available_at_ms", row.available_at_ms)
        .number("enqueued_at_ms", row.enqueued_at_ms)
}
