//! Databases of host events.
//!
//! Subscriptions keep their numbers and so their handles, and the next one gets the
//! number that it would have got. Deliveries come over unsettled: the native crate does
//! not know which processes were started.

use lash_core::{
    HostEventOccurrenceRecord, HostEventOccurrenceRequest, TriggerSubscriptionDraft,
    TriggerSubscriptionRecord, deterministic_delivery_process_id, deterministic_occurrence_id,
    validate_host_event_occurrence_request,
};
use lash_store_engine::wit::host_event_import::{
    ImportedDelivery, ImportedOccurrence, ImportedSubscription,
};
use lash_store_engine::wit::host_events::{OccurrenceDraft, SubscriptionDraft};

use super::error::ImportError;
use super::json::{Object, decode, digest, require};
use super::run::Run;
use super::source::is_damage;
use super::table::{Reason, SourceRow, Table};
use crate::host_events::subscriptions::{handle_sequence, subscription_sequence};

const SUBSCRIPTIONS: Table = Table {
    name: "host_event_trigger_subscriptions",
    columns: "subscription_id, registrant_scope_id, handle, source_type, source_key, enabled,
        created_at_ms, updated_at_ms, record_json",
};

const OCCURRENCES: Table = Table {
    name: "host_event_occurrences",
    columns: "occurrence_id, idempotency_key, request_hash, source_type, source_key,
        occurred_at_ms, record_json",
};

const DELIVERIES: Table = Table {
    name: "host_event_deliveries",
    columns: "occurrence_id || ' ' || subscription_id, occurrence_id, subscription_id,
        process_id, created_at_ms",
};

/// The table whose rows are the numbers that were given out, one each.
const NUMBERS: &str = "host_event_subscription_seq";

/// The members of a subscription that whoever subscribed has said.
const DRAFT: [&str; 13] = [
    "registrant",
    "env_ref",
    "wake_target",
    "name",
    "source_type",
    "source_key",
    "source",
    "event_ty",
    "module_ref",
    "required_surface_ref",
    "process_ref",
    "process_name",
    "input_template",
];

/// The members of an occurrence that whoever reported it has said.
const REQUEST: [&str; 5] = [
    "source_type",
    "source_key",
    "payload",
    "idempotency_key",
    "source",
];

/// Brings everything over.
pub(super) fn import(run: &mut Run<'_>) -> Result<(), ImportError> {
    let mut highest = 0;
    run.table(
        &SUBSCRIPTIONS,
        |_, row| {
            // Also of one that can not be read otherwise: its number was given out.
            let sequence = sequence_of(row)?;
            highest = highest.max(sequence);
            subscription(row, sequence)
        },
        |call, subscriptions| Ok(call.host_event_import().add_subscriptions(subscriptions)?),
    )?;
    skip_numbers(run, highest)?;
    run.table(
        &OCCURRENCES,
        |_, row| occurrence(row),
        |call, occurrences| Ok(call.host_event_import().add_occurrences(occurrences)?),
    )?;
    run.table(
        &DELIVERIES,
        |_, row| delivery(row),
        |call, deliveries| Ok(call.host_event_import().add_deliveries(deliveries)?),
    )
}

/// The number of a subscription.
/// The largest number of a subscription: there is room for the next one.
const LARGEST_NUMBER: u64 = i64::MAX as u64 - 1;

fn sequence_of(row: &SourceRow<'_>) -> Result<u64, Reason> {
    subscription_sequence(row.text(0)?)
        .filter(|number| *number <= LARGEST_NUMBER)
        .ok_or_else(|| "the identifier has no number that was given out".to_owned())
}

fn subscription(row: &SourceRow<'_>, sequence: u64) -> Result<ImportedSubscription, Reason> {
    let json = row.text(8)?;
    let record: TriggerSubscriptionRecord = decode("the subscription", json)?;
    let enabled = match row.integer(5)? {
        0 => false,
        1 => true,
        _ => return Err("the column enabled is neither 0 nor 1".to_owned()),
    };
    let created_at_ms = row.unsigned(6)?;
    let updated_at_ms = row.unsigned(7)?;
    require(
        record.subscription_id == row.text(0)?
            && record.registrant_scope_id() == row.text(1)?
            && record.handle == row.text(2)?
            && record.source_type == row.text(3)?
            && record.source_key == row.text(4)?
            && record.enabled == enabled
            && record.created_at_ms == created_at_ms
            && record.updated_at_ms == updated_at_ms,
        "the subscription does not agree with its columns",
    )?;
    require(
        handle_sequence(&record.handle) == Some(sequence),
        "the handle has another number",
    )?;
    let content = Object::parse(json)?.pick(&DRAFT);
    decode::<TriggerSubscriptionDraft>("the subscription", &String::from_utf8_lossy(&content))?;
    Ok(ImportedSubscription {
        sequence,
        draft: SubscriptionDraft {
            scope_id: record.registrant_scope_id(),
            session_id: record.registrant_session_id().map(str::to_owned),
            name: record.name,
            source_type: record.source_type,
            source_key: record.source_key,
            content,
        },
        enabled,
        created_at_ms,
        updated_at_ms,
    })
}

/// Makes the next subscription get the number that the native crate would have given it.
fn skip_numbers(run: &mut Run<'_>, highest: u64) -> Result<(), ImportError> {
    let given_out = run.source.read(|connection| {
        let rows = connection.query_row(
            &format!("SELECT ifnull(max(id), 0) FROM {NUMBERS}"),
            [],
            |row| row.get::<_, i64>(0),
        )?;
        let counter = connection.query_row(
            "SELECT ifnull(max(seq), 0) FROM sqlite_sequence WHERE name = ?1",
            [NUMBERS],
            |row| row.get::<_, i64>(0),
        )?;
        Ok(rows.max(counter))
    });
    let given_out = match given_out {
        Ok(number) if u64::try_from(number).is_ok_and(|number| number <= LARGEST_NUMBER) => {
            number.unsigned_abs()
        }
        Ok(number) => {
            run.losses
                .note(NUMBERS, "", format!("{number} was never given out"));
            0
        }
        Err(error) if !is_damage(&error) && error.sqlite_error_code().is_some() => {
            return Err(run.source.unreadable(error));
        }
        Err(error) => {
            run.losses.note(NUMBERS, "", error.to_string());
            0
        }
    };
    if given_out < highest {
        let reason = format!(
            "it ends at {given_out}, and there is a subscription with the number {highest}"
        );
        run.losses.note(NUMBERS, "", reason);
    }
    let last = given_out.max(highest);
    if last == 0 {
        return Ok(());
    }
    run.write(move |call| Ok(call.host_event_import().skip_subscriptions(last)?))
}

fn occurrence(row: &SourceRow<'_>) -> Result<ImportedOccurrence, Reason> {
    let json = row.text(6)?;
    let record: HostEventOccurrenceRecord = decode("the occurrence", json)?;
    let request_hash = row.text(2)?;
    let occurred_at_ms = row.unsigned(5)?;
    require(
        record.occurrence_id == row.text(0)?
            && record.idempotency_key == row.text(1)?
            && record.source_type == row.text(3)?
            && record.source_key == row.text(4)?
            && record.occurred_at_ms == occurred_at_ms,
        "the occurrence does not agree with its columns",
    )?;
    let object = Object::parse(json)?;
    let member = |name| object.get(name).unwrap_or("null");
    let hashed = ["source_type", "source_key", "payload", "source"].map(member);
    require(
        digest(&hashed) == request_hash,
        "the occurrence does not agree with the digest of its request",
    )?;
    let content = object.pick(&REQUEST);
    let request: HostEventOccurrenceRequest =
        decode("the occurrence", &String::from_utf8_lossy(&content))?;
    validate_host_event_occurrence_request(&request).map_err(|error| error.to_string())?;
    let id = deterministic_occurrence_id(&request).map_err(|error| error.to_string())?;
    require(
        id == record.occurrence_id,
        "the identifier is that of another occurrence",
    )?;
    Ok(ImportedOccurrence {
        draft: OccurrenceDraft {
            id,
            idempotency_key: record.idempotency_key,
            request_hash: request_hash.to_owned(),
            source_type: record.source_type,
            source_key: record.source_key,
            content,
        },
        occurred_at_ms,
    })
}

fn delivery(row: &SourceRow<'_>) -> Result<ImportedDelivery, Reason> {
    let occurrence_id = row.text(1)?;
    let subscription_id = row.text(2)?;
    let process_id = deterministic_delivery_process_id(occurrence_id, subscription_id)
        .map_err(|error| error.to_string())?;
    require(
        process_id == row.text(3)?,
        "the process is not that of the delivery",
    )?;
    Ok(ImportedDelivery {
        occurrence_id: occurrence_id.to_owned(),
        subscription: subscription_sequence(subscription_id)
            .ok_or_else(|| "the identifier of the subscription has no number".to_owned())?,
        created_at_ms: row.unsigned(4)?,
    })
}
