//! Checking everything in a database of host events, and rebuilding what is derived.

use alloc::string::ToString;

use crate::Result;
use crate::bindings::inspection_types::{Repaired, Verification};
use crate::host_events::digests::{HostEventDigests, HostEventTransaction};
use crate::storage::checksum::SetDigest;
use crate::storage::corruption::invalid;
use crate::storage::findings::{Findings, Pages, repair_all, verify_step};
use crate::storage::identity as database_identity;
use crate::storage::paging::List;
use crate::storage::rows::{RowReader, read_one};
use crate::storage::seam::{Environment, Transaction, TransactionMode, Value};
use crate::storage::sql::sql;

use super::delivery_row::{self, DeliveryRow};
use super::occurrence_row::{OccurrenceRow, identity};
use super::subscription_row::{SubscriptionRow, session_identity, source_identity};

const SUBSCRIPTIONS: Pages = Pages {
    table: SubscriptionRow::TABLE,
    sql: sql!(
        "SELECT ",
        SubscriptionRow::COLUMNS,
        ", session_identity, source_identity
         FROM subscriptions NOT INDEXED WHERE seq >= ?1 ORDER BY seq LIMIT ?2"
    ),
    columns: SubscriptionRow::WIDTH + 2,
    size: 128,
};

const OCCURRENCES: Pages = Pages {
    table: OccurrenceRow::TABLE,
    sql: sql!(
        "SELECT ",
        OccurrenceRow::COLUMNS,
        ", identity
         FROM occurrences NOT INDEXED WHERE number >= ?1 ORDER BY number LIMIT ?2"
    ),
    columns: OccurrenceRow::WIDTH + 1,
    size: 256,
};

const DELIVERIES: Pages = Pages {
    table: DeliveryRow::TABLE,
    sql: delivery_row::FROM,
    columns: DeliveryRow::WIDTH,
    size: 1024,
};

/// The WIT function `host-event-inspection.verify`.
pub fn verify(env: &impl Environment, cursor: Option<&[u8]>) -> Result<Verification> {
    let (store, damage) = HostEventTransaction::inspect(env, TransactionMode::Read)?;
    let list = List::of_all("host-event-inspection.verify", store.digests);
    let mut found = HostEventDigests::default();
    verify_step(cursor, &list, damage, &mut |step, findings| {
        check(&store, step, findings, &mut found)
    })
}

/// The WIT function `repair.host-events`.
pub fn repair(env: &impl Environment) -> Result<Repaired> {
    let (store, damage) = HostEventTransaction::inspect(env, TransactionMode::WriteDurable)?;
    let mut found = HostEventDigests::default();
    let findings = repair_all(env, damage, &mut |step, findings| {
        check(&store, step, findings, &mut found)
    })?;
    store.repair(found, findings)
}

/// Checks the tables of a step, and adds what they hold to `found`.
fn check<T: Transaction>(
    store: &HostEventTransaction<T>,
    step: usize,
    findings: &mut Findings,
    found: &mut HostEventDigests,
) -> Result<bool> {
    match step {
        0 => {
            database_identity::verify_row(&store.tx, findings)?;
            verify_subscriptions(store, findings, found)?;
        }
        1 => {
            verify_occurrences(store, findings, found)?;
            findings.orphans(
                &store.tx,
                "occurrence_payloads",
                "SELECT p.number FROM occurrence_payloads p
                 LEFT JOIN occurrences o ON o.number = p.number
                 WHERE o.number IS NULL LIMIT 100",
                "the occurrence of the payload is missing",
            )?;
        }
        2 => verify_deliveries(store, findings, found)?,
        _ => return Err(invalid("the cursor names no step")),
    }
    Ok(step < 2)
}

fn verify_subscriptions<T: Transaction>(
    store: &HostEventTransaction<T>,
    findings: &mut Findings,
    known: &mut HostEventDigests,
) -> Result<()> {
    let mut found = SetDigest::default();
    // An occurrence knows which subscriptions there were.
    let mut last = last_watermark(&store.tx)?.saturating_sub(1);
    let next = findings.end_of_numbers(store.digests.next_subscription);
    findings.walk(&store.tx, &SUBSCRIPTIONS, &mut |findings, reader| {
        let (row, checksum) = SubscriptionRow::read_with_checksum(reader)?;
        found.insert(checksum);
        last = row.seq.max(last);
        findings.require_index_keys(
            &store.tx,
            (SubscriptionRow::TABLE, &row.seq.to_string(), row.seq),
            [reader.optional_integer()?, reader.optional_integer()?],
            [
                row.session_id.map(session_identity),
                Some(source_identity(row.source_type, row.source_key)),
            ],
            "UPDATE subscriptions SET session_identity = ?2, source_identity = ?3 WHERE seq = ?1",
        )?;
        findings.require_number(SubscriptionRow::TABLE, row.seq, next)
    })?;
    findings.complete(SubscriptionRow::TABLE, found, store.digests.subscriptions)?;
    known.subscriptions = found;
    known.next_subscription = findings.next_number(store.digests.next_subscription, last);
    Ok(())
}

/// The number after that of the newest subscription that an occurrence knows of.
fn last_watermark(tx: &impl Transaction) -> Result<i64> {
    let rows = tx.query("SELECT ifnull(max(watermark), 0) FROM occurrences", &[])?;
    Ok(read_one(OccurrenceRow::TABLE, &rows, RowReader::integer)?.unwrap_or(0))
}

/// Checks every occurrence with its payload, and that it has the deliveries that it
/// counts.
fn verify_occurrences<T: Transaction>(
    store: &HostEventTransaction<T>,
    findings: &mut Findings,
    known: &mut HostEventDigests,
) -> Result<()> {
    let tx = &store.tx;
    let mut last = 0;
    let next = findings.end_of_numbers(store.digests.next_occurrence);
    findings.walk(tx, &OCCURRENCES, &mut |findings, reader| {
        let row = OccurrenceRow::read(reader)?;
        last = row.number.max(last);
        findings.require_index_keys(
            tx,
            (OccurrenceRow::TABLE, &row.id, row.number),
            [reader.optional_integer()?],
            [Some(identity(&row.idempotency_key))],
            "UPDATE occurrences SET identity = ?2 WHERE number = ?1",
        )?;
        findings.note(OccurrenceRow::TABLE, row.load(tx))?;
        findings.require_number(OccurrenceRow::TABLE, row.number, next)?;
        let rows = tx.query(
            "SELECT count(*), count(CASE WHEN settled = 0 THEN 1 END)
             FROM deliveries WHERE occurrence = ?1",
            &[Value::Integer(row.number)],
        )?;
        let counted = read_one(DeliveryRow::TABLE, &rows, |reader| {
            Ok((reader.integer()?, reader.integer()?))
        })?;
        findings.require(
            OccurrenceRow::TABLE,
            &row.id,
            counted == Some((row.deliveries, row.unsettled)),
            "the deliveries are not those that were reserved",
        )
    })?;
    known.next_occurrence = findings.next_number(store.digests.next_occurrence, last);
    Ok(())
}

/// Checks every delivery, and that what it refers to is there: the subscription only
/// until it is settled.
fn verify_deliveries<T: Transaction>(
    store: &HostEventTransaction<T>,
    findings: &mut Findings,
    known: &mut HostEventDigests,
) -> Result<()> {
    let tx = &store.tx;
    let mut last = 0;
    let mut unsettled = SetDigest::default();
    let next = findings.end_of_numbers(store.digests.next_delivery);
    findings.walk(tx, &DELIVERIES, &mut |findings, reader| {
        let row = DeliveryRow::read(reader)?;
        last = row.number.max(last);
        findings.require_number(DeliveryRow::TABLE, row.number, next)?;
        let stored = |sql, number| -> Result<bool> {
            Ok(tx.query(sql, &[Value::Integer(number)])?.count > 0)
        };
        let key = row.number.to_string();
        let mut require = |right, reason| findings.require(DeliveryRow::TABLE, &key, right, reason);
        require(
            stored(
                "SELECT 1 FROM occurrences NOT INDEXED WHERE number = ?1",
                row.occurrence,
            )?,
            "the occurrence of the delivery is missing",
        )?;
        if row.settled {
            return Ok(());
        }
        unsettled.insert(row.checksum());
        require(
            stored(
                "SELECT 1 FROM subscriptions NOT INDEXED WHERE seq = ?1",
                row.subscription,
            )?,
            "the subscription of the delivery is missing",
        )
    })?;
    findings.complete(DeliveryRow::TABLE, unsettled, store.digests.unsettled)?;
    known.unsettled = unsettled;
    known.next_delivery = findings.next_number(store.digests.next_delivery, last);
    Ok(())
}
