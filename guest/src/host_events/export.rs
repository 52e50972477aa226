//! Exporting all host events.

use crate::Result;
use crate::bindings::export_types::Page as ExportPage;
use crate::host_events::digests::HostEventTransaction;
use crate::storage::corruption::verify_count;
use crate::storage::paging::{self, Cursor, List, Numbered, Page, RecordBuilder};
use crate::storage::rows::read_one;
use crate::storage::seam::{Environment, Transaction, TransactionMode, Value, unsigned};

use super::delivery_row::{self, DeliveryRow};
use super::occurrence_row::{self, OccurrenceRow};
use super::subscription_row::{self, SubscriptionRow};

const SUBSCRIPTIONS: Numbered = Numbered {
    table: SubscriptionRow::TABLE,
    lengths: Some(
        "SELECT length(content) FROM subscriptions NOT INDEXED
         WHERE seq >= ?1 ORDER BY seq LIMIT ?2",
    ),
    rows: subscription_row::FROM,
};

const OCCURRENCES: Numbered = Numbered {
    table: OccurrenceRow::TABLE,
    lengths: Some(
        "SELECT ifnull(length(p.content), 0) FROM occurrences o NOT INDEXED
         LEFT JOIN occurrence_payloads p ON p.number = o.number
         WHERE o.number >= ?1 ORDER BY o.number LIMIT ?2",
    ),
    rows: occurrence_row::FROM,
};

const DELIVERIES: Numbered = Numbered {
    table: DeliveryRow::TABLE,
    lengths: None,
    rows: delivery_row::FROM,
};

/// The WIT function `host-event-export.read-page`.
pub fn read_page(env: &impl Environment, cursor: Option<&[u8]>) -> Result<ExportPage> {
    let (store, damage) = HostEventTransaction::inspect(env, TransactionMode::Read)?;
    let list = List::of_all("host-event-export.read-page", store.digests);
    paging::read_page(cursor, &list, damage, |cursor, page| match cursor.table {
        0 => Some(export_subscriptions(&store, cursor, page)),
        1 => Some(export_occurrences(&store.tx, cursor, page)),
        2 => Some(export_deliveries(&store, cursor, page)),
        _ => None,
    })
}

fn export_subscriptions<T: Transaction>(
    store: &HostEventTransaction<T>,
    cursor: &mut Cursor,
    page: &mut Page,
) -> Result<bool> {
    let ended = SUBSCRIPTIONS.export(&store.tx, cursor, page, &mut |cursor, page, reader| {
        let (row, checksum) = SubscriptionRow::read_with_checksum(reader)?;
        cursor.found.insert(checksum);
        page.push(
            RecordBuilder::new("subscription")
                .number("sequence", row.seq)
                .text("scope_id", row.scope_id)
                .optional_text("session_id", row.session_id)
                .optional_text("name", row.name)
                .text("source_type", row.source_type)
                .text("source_key", row.source_key)
                .flag("enabled", row.enabled)
                .number("created_at_ms", row.created_at_ms)
                .number("updated_at_ms", row.updated_at_ms)
                .payload("content", row.content.to_vec()),
        );
        Ok(())
    })?;
    if ended {
        page.complete(
            SubscriptionRow::TABLE,
            cursor.found,
            store.digests.subscriptions,
        )?;
    }
    Ok(ended)
}

fn export_occurrences(tx: &impl Transaction, cursor: &mut Cursor, page: &mut Page) -> Result<bool> {
    OCCURRENCES.export(tx, cursor, page, &mut |_, page, reader| {
        let row = OccurrenceRow::read(reader)?;
        let rows = tx.query(
            "SELECT count(*) FROM deliveries WHERE occurrence = ?1",
            &[Value::Integer(row.number)],
        )?;
        let found = read_one(DeliveryRow::TABLE, &rows, |reader| reader.integer())?.unwrap_or(0);
        let counted = verify_count(
            DeliveryRow::TABLE,
            unsigned(found),
            unsigned(row.deliveries),
        );
        page.note(DeliveryRow::TABLE, counted)?;
        let occurrence = row.load(tx)?;
        page.push(
            RecordBuilder::new("occurrence")
                .number("sequence", row.number)
                .text("id", &row.id)
                .text("idempotency_key", &row.idempotency_key)
                .text("request_hash", &row.request_hash)
                .text("source_type", &row.source_type)
                .text("source_key", &row.source_key)
                .number("occurred_at_ms", row.occurred_at_ms)
                .number("first_later_subscription", row.watermark)
                .number("deliveries", row.deliveries)
                .number("unsettled_deliveries", row.unsettled)
                .flag("reserved", row.reserved)
                .payload("content", occurrence.content),
        );
        Ok(())
    })
}

fn export_deliveries<T: Transaction>(
    store: &HostEventTransaction<T>,
    cursor: &mut Cursor,
    page: &mut Page,
) -> Result<bool> {
    let ended = DELIVERIES.export(&store.tx, cursor, page, &mut |cursor, page, reader| {
        let row = DeliveryRow::read(reader)?;
        if !row.settled {
            cursor.found.insert(row.checksum());
        }
        page.push(
            RecordBuilder::new("delivery")
                .number("sequence", row.number)
                .number("occurrence", row.occurrence)
                .number("subscription", row.subscription)
                .number("created_at_ms", row.created_at_ms)
                .flag("settled", row.settled),
        );
        Ok(())
    })?;
    if ended {
        page.complete(DeliveryRow::TABLE, cursor.found, store.digests.unsettled)?;
    }
    Ok(ended)
}
