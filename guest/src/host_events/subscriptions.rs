//! Subscribing, and reading and ending subscriptions.

use alloc::vec::Vec;

use crate::Result;
use crate::bindings::host_event_types::{Subscription, SubscriptionDraft, SubscriptionFilter};
use crate::host_events::digests::HostEventTransaction;
use crate::storage::checksum::SetDigest;
use crate::storage::corruption::{verify_complete, verify_order};
use crate::storage::numbers;
use crate::storage::rows::RowReader;
use crate::storage::seam::{Environment, Transaction, Value, clamp, unsigned};
use crate::storage::sql::sql;

use super::settle::settle_subscription;
use super::subscription_row::{
    Sorted, SubscriptionRow, by_name, by_seq, by_session, by_source, by_source_type, confirm_absent,
};

/// How many rows one query reads of all subscriptions.
const PAGE: i64 = 128;

/// The WIT function `host-events.subscribe`.
pub fn subscribe(env: &impl Environment, draft: SubscriptionDraft) -> Result<Subscription> {
    let mut store = HostEventTransaction::write_durably(env)?;
    let now_ms = env.now_ms();
    let next = &mut store.digests.next_subscription;
    let seq = numbers::give_out(next, "the numbers for subscriptions")?;
    let row = SubscriptionRow {
        seq,
        scope_id: &draft.scope_id,
        session_id: draft.session_id.as_deref(),
        name: draft.name.as_deref(),
        source_type: &draft.source_type,
        source_key: &draft.source_key,
        enabled: true,
        created_at_ms: now_ms,
        updated_at_ms: now_ms,
        content: &draft.content,
    };
    row.insert(&store.tx)?;
    store.digests.subscriptions.insert(row.checksum());
    store.commit()?;
    Ok(Subscription {
        sequence: unsigned(seq),
        content: draft.content,
        enabled: true,
        created_at_ms: unsigned(now_ms),
        updated_at_ms: unsigned(now_ms),
    })
}

fn matches(filter: &SubscriptionFilter, row: &SubscriptionRow<'_>) -> bool {
    fn agrees(wanted: Option<&str>, found: Option<&str>) -> bool {
        wanted.is_none_or(|wanted| found == Some(wanted))
    }
    agrees(filter.session_id.as_deref(), row.session_id)
        && agrees(filter.name.as_deref(), row.name)
        && agrees(filter.source_type.as_deref(), Some(row.source_type))
        && agrees(filter.source_key.as_deref(), Some(row.source_key))
        && filter.sequence.is_none_or(|seq| clamp(seq) == row.seq)
        && filter.enabled.is_none_or(|enabled| enabled == row.enabled)
}

/// The WIT function `host-events.subscriptions`.
pub fn subscriptions(
    env: &impl Environment,
    filter: &SubscriptionFilter,
) -> Result<Vec<Subscription>> {
    let store = HostEventTransaction::read(env)?;
    let mut found = Sorted::default();
    let visitor = &mut |row: SubscriptionRow<'_>, _| {
        if matches(filter, &row) {
            found.push(row);
        }
        Ok(())
    };
    let states = match filter.enabled {
        Some(true) => &[true][..],
        Some(false) => &[false],
        None => &[true, false],
    };
    // What leads to the fewest rows.
    match filter {
        SubscriptionFilter {
            sequence: Some(seq),
            ..
        } => {
            if !by_seq(&store.tx, clamp(*seq), visitor)? {
                confirm_absent(&store.tx, clamp(*seq))?;
            }
        }
        SubscriptionFilter {
            session_id: Some(session_id),
            ..
        } => {
            for enabled in states {
                by_session(&store.tx, session_id, *enabled, visitor)?;
            }
        }
        SubscriptionFilter {
            source_type: Some(source_type),
            source_key: Some(source_key),
            ..
        } => {
            for enabled in states {
                by_source(&store.tx, source_type, source_key, *enabled, visitor)?;
            }
        }
        SubscriptionFilter {
            name: Some(name), ..
        } => by_name(&store.tx, name, visitor)?,
        SubscriptionFilter {
            source_type: Some(source_type),
            ..
        } => {
            for enabled in states {
                by_source_type(&store.tx, source_type, *enabled, visitor)?;
            }
        }
        _ => visit_all(&store, visitor)?,
    }
    Ok(found.finish())
}

/// Visits all subscriptions, and checks that all are there.
fn visit_all<T: Transaction>(
    store: &HostEventTransaction<T>,
    visitor: &mut dyn FnMut(SubscriptionRow<'_>, i64) -> Result<()>,
) -> Result<()> {
    let mut found = SetDigest::default();
    let mut last = 0;
    loop {
        let rows = store.tx.query(
            sql!(
                SubscriptionRow::SELECT,
                "WHERE seq > ?1 ORDER BY seq LIMIT ?2"
            ),
            &[Value::Integer(last), Value::Integer(PAGE)],
        )?;
        let mut reader = RowReader::new(SubscriptionRow::TABLE, &rows);
        while reader.advance() {
            let (row, checksum) = SubscriptionRow::read_with_checksum(&mut reader)?;
            found.insert(checksum);
            verify_order(SubscriptionRow::TABLE, row.seq, row.seq > last)?;
            last = row.seq;
            visitor(row, checksum)?;
        }
        if i64::from(rows.count) < PAGE {
            break;
        }
    }
    verify_complete(SubscriptionRow::TABLE, found, store.digests.subscriptions)
}

/// The WIT function `host-events.unsubscribe`.
pub fn unsubscribe(env: &impl Environment, session_id: &str, sequence: u64) -> Result<bool> {
    let mut store = HostEventTransaction::write_durably(env)?;
    let now_ms = env.now_ms();
    let seq = clamp(sequence);
    let mut ended = false;
    let HostEventTransaction { tx, digests, .. } = &mut store;
    let known = by_seq(tx, seq, &mut |row, checksum| {
        if row.session_id == Some(session_id) && row.enabled {
            let row = SubscriptionRow {
                enabled: false,
                updated_at_ms: now_ms,
                ..row
            };
            row.update(tx)?;
            digests.subscriptions.remove(checksum);
            digests.subscriptions.insert(row.checksum());
            ended = true;
        }
        Ok(())
    })?;
    if !known {
        confirm_absent(tx, seq)?;
    }
    if ended {
        store.commit()?;
    }
    Ok(ended)
}

/// The WIT function `host-events.remove-session`.
pub fn remove_session(env: &impl Environment, session_id: &str) -> Result<u64> {
    let mut store = HostEventTransaction::write_durably(env)?;
    let mut removed = Vec::new();
    for enabled in [true, false] {
        by_session(&store.tx, session_id, enabled, &mut |row, checksum| {
            removed.push((row.seq, checksum));
            Ok(())
        })?;
    }
    for (seq, checksum) in &removed {
        settle_subscription(&mut store, *seq)?;
        store.tx.execute(
            "DELETE FROM subscriptions WHERE seq = ?1",
            &[Value::Integer(*seq)],
        )?;
        store.digests.subscriptions.remove(*checksum);
    }
    if !removed.is_empty() {
        store.commit()?;
    }
    Ok(removed.len() as u64)
}
