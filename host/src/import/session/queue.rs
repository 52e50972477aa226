//! Queued work.

use lash_core::runtime::QueuedWorkPayload;
use lash_core::{DeliveryPolicy, MergeKey, SlotPolicy};
use lash_store_engine::wit::queue::{self as wit, Batch};
use lash_store_engine::wit::session_import::{ImportedBatch, ImportedBatchClaim};
use lash_store_engine::wit::types::ByteStrings;
use rusqlite::Connection;

use crate::import::error::ImportError;
use crate::import::json::{decode, encode};
use crate::import::run::Run;
use crate::import::table::{Reason, SourceRow, Table};
use crate::session::queue::{to_delivery, to_slot};

/// Brings the queue over.
pub(super) fn import(run: &mut Run<'_>) -> Result<(), ImportError> {
    const BATCHES: Table = Table {
        name: "queued_work_batches",
        columns: "batch_id, enqueue_seq, session_id, source_key, delivery_policy, slot_policy, \
                  merge_key_json, available_at_ms, enqueued_at_ms, claim_id, claim_token, \
                  claim_expires_at_ms, claim_fencing_token",
    };
    const ITEMS: Table = Table {
        name: "queued_work_items",
        columns: "item_id, batch_id",
    };
    run.table(&BATCHES, read, |call, batches| {
        Ok(call.session_import().add_batches(batches)?)
    })?;
    // They were read with their batches; what is left belongs to none.
    run.table(
        &ITEMS,
        |connection, row| require_batch(connection, row.text(1)?),
        |_, _| Ok(()),
    )
}

fn read(connection: &Connection, row: &SourceRow<'_>) -> Result<ImportedBatch, Reason> {
    let id = row.text(0)?;
    let merge_key: MergeKey = decode("the merge key", row.text(6)?)?;
    let claim = match (row.optional_text(9)?, row.optional_text(10)?) {
        (Some(claim_id), Some(token)) => Some(ImportedBatchClaim {
            id: claim_id.to_owned(),
            lease_token: token.to_owned(),
            // The native crate writes a time above 2^63-1 as a negative one, which for it
            // is long ago: others may claim the batch.
            expires_at_ms: u64::try_from(row.integer(11)?).unwrap_or(0),
        }),
        (None, None) => None,
        _ => return Err("the claim is not whole".to_owned()),
    };
    Ok(ImportedBatch {
        batch: Batch {
            id: id.to_owned(),
            sequence: row.unsigned(1)?,
            session_id: row.text(2)?.to_owned(),
            source_key: row.optional_text(3)?.map(str::to_owned),
            delivery: delivery(row.text(4)?)?,
            slot: slot(row.text(5)?)?,
            // As it would be written now: batches join if theirs are equal.
            merge_key: String::from_utf8(encode(&merge_key)?).map_err(|error| error.to_string())?,
            available_at_ms: row.time(7)?,
            enqueued_at_ms: row.time(8)?,
            payloads: payloads(connection, row, id)?,
        },
        claim,
        fencing_token: row.unsigned(12)?,
    })
}

fn delivery(name: &str) -> Result<wit::DeliveryPolicy, Reason> {
    DeliveryPolicy::from_wire_str(name)
        .map(to_delivery)
        .ok_or_else(|| format!("the delivery policy {name} is unknown"))
}

fn slot(name: &str) -> Result<wit::SlotPolicy, Reason> {
    SlotPolicy::from_wire_str(name)
        .map(to_slot)
        .ok_or_else(|| format!("the slot policy {name} is unknown"))
}

/// The payloads of a batch, in order. They are encoded as they would be now, because a
/// delivery that is repeated later is known by their bytes.
fn payloads(
    connection: &Connection,
    of: &SourceRow<'_>,
    batch_id: &str,
) -> Result<ByteStrings, Reason> {
    let sql = |error: rusqlite::Error| format!("its payloads cannot be read: {error}");
    let mut statement = connection
        .prepare_cached(
            "SELECT item_id, payload_json FROM queued_work_items
             WHERE batch_id = ?1 ORDER BY item_index",
        )
        .map_err(sql)?;
    let mut rows = statement.query([batch_id]).map_err(sql)?;
    let mut payloads = Vec::new();
    while let Some(row) = rows.next().map_err(sql)? {
        let item_id: String = row.get(0).map_err(sql)?;
        // The identifier is made from the place: one that does not fit tells of a gap.
        if item_id != format!("{batch_id}:item:{}", payloads.len()) {
            return Err(format!("the payload before {item_id} is missing"));
        }
        let payload: String = row.get(1).map_err(sql)?;
        of.brings(payload.len());
        let payload: QueuedWorkPayload = decode(&format!("the payload {item_id}"), &payload)?;
        payloads.push(encode(&payload)?);
    }
    Ok(ByteStrings::from_iter(payloads))
}

fn require_batch(connection: &Connection, batch_id: &str) -> Result<(), Reason> {
    let found = connection
        .prepare_cached("SELECT 1 FROM queued_work_batches WHERE batch_id = ?1")
        .and_then(|mut statement| statement.exists([batch_id]));
    match found {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("its batch {batch_id} is missing")),
        Err(error) => Err(error.to_string()),
    }
}
