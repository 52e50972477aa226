//! Checking everything in a database of host events.

use alloc::string::ToString;

use crate::Result;
use crate::bindings::inspection_types::Verification;
use crate::host_events::digests::HostEventTransaction;
use crate::storage::checksum::SetDigest;
use crate::storage::findings::{Findings, Pages, verify_step};
use crate::storage::identity as database_identity;
use crate::storage::paging::List;
use crate::storage::rows::read_one;
use crate::storage::seam::{Environment, Transaction, Value};
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
    let (store, damage) = HostEventTransaction::inspect(env)?;
    let list = List::of_all("host-event-inspection.verify", store.digests);
    verify_step(
        cursor,
        &list,
        damage,
        &[
            &|findings| {
                database_identity::verify_row(&store.tx, findings)?;
                verify_subscriptions(&store, findings)
            },
            &|findings| {
                verify_occurrences(&store, findings)?;
                findings.orphans(
                    &store.tx,
                    "occurrence_payloads",
                    "SELECT p.number FROM occurrence_payloads p
                     LEFT JOIN occurrences o ON o.number = p.number
                     WHERE o.number IS NULL LIMIT 100",
                    "the occurrence of the payload is missing",
                )
            },
            &|findings| verify_deliveries(&store, findings),
        ],
    )
}

fn verify_subscriptions<T: Transaction>(
    store: &HostEventTransaction<T>,
    findings: &mut Findings,
) -> Result<()> {
    let mut found = SetDigest::default();
    let next = findings.end_of_numbers(store.digests.next_subscription);
    findings.walk(&store.tx, &SUBSCRIPTIONS, &mut |findings, reader| {
        let (row, checksum) = SubscriptionRow::read_with_checksum(reader)?;
        found.insert(checksum);
        let stored = (reader.optional_integer()?, reader.integer()?);
        let expected = (
            row.session_id.map(session_identity),
            source_identity(row.source_type, row.source_key),
        );
        let key = row.seq.to_string();
        findings.require_index_keys(SubscriptionRow::TABLE, &key, stored, expected)?;
        findings.require_number(SubscriptionRow::TABLE, row.seq, next)
    })?;
    findings.complete(SubscriptionRow::TABLE, found, store.digests.subscriptions)
}

/// Checks every occurrence with its payload, and that it has the deliveries that it
/// counts.
fn verify_occurrences<T: Transaction>(
    store: &HostEventTransaction<T>,
    findings: &mut Findings,
) -> Result<()> {
    let tx = &store.tx;
    let next = findings.end_of_numbers(store.digests.next_occurrence);
    findings.walk(tx, &OCCURRENCES, &mut |findings, reader| {
        let row = OccurrenceRow::read(reader)?;
        let stored = reader.integer()?;
        let expected = identity(&row.idempotency_key);
        findings.require_index_keys(OccurrenceRow::TABLE, &row.id, stored, expected)?;
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
    })
}

/// Checks every delivery, and that what it refers to is there: the subscription only
/// until it is settled.
fn verify_deliveries<T: Transaction>(
    store: &HostEventTransaction<T>,
    findings: &mut Findings,
) -> Result<()> {
    let tx = &store.tx;
    let mut unsettled = SetDigest::default();
    let next = findings.end_of_numbers(store.digests.next_delivery);
    findings.walk(tx, &DELIVERIES, &mut |findings, reader| {
        let row = DeliveryRow::read(reader)?;
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
    findings.complete(DeliveryRow::TABLE, unsettled, store.digests.unsettled)
}
