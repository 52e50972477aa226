//! The functions of databases of host events.

use lash_wasm_store_guest::bindings::host_event_types::{
    OccurrenceDraft, Settlement, SubscriptionDraft, SubscriptionFilter,
};
use lash_wasm_store_guest::bindings::import_types::{
    ImportedDelivery, ImportedOccurrence, ImportedSubscription,
};
use lash_wasm_store_guest::host_events;
use lash_wasm_store_guest::seam::Environment;

use super::Calls;
use crate::fuzz::input::Input;

pub(super) fn call<E: Environment>(env: &E, input: &mut Input<'_>, calls: &mut Calls) {
    match input.below(12) {
        0..3 => {
            let subscribed = host_events::subscribe(env, subscription(input));
            if let Some(subscribed) = calls.answered("host-events.subscribe", subscribed) {
                calls.numbers.push(subscribed.sequence);
            }
        }
        3 | 4 => {
            let recorded = host_events::record_occurrence(env, occurrence(input));
            calls.answered("host-events.record-occurrence", recorded);
        }
        5 => {
            let reserved = host_events::reserve(env, &input.name());
            calls.answered("host-events.reserve", reserved);
        }
        6 => settle(env, input, calls),
        7 => unsubscribe(env, input, calls),
        8 | 9 => read(env, input, calls),
        10 => {
            let pruned = host_events::prune(env, input.number(), input.number() as u32);
            calls.answered("host-events.prune", pruned);
        }
        _ => import(env, input, calls),
    }
}

fn subscription(input: &mut Input<'_>) -> SubscriptionDraft {
    SubscriptionDraft {
        scope_id: input.name(),
        session_id: input.maybe(Input::name),
        name: input.maybe(Input::name),
        source_type: source(input),
        source_key: source(input),
        content: input.bytes(),
    }
}

fn occurrence(input: &mut Input<'_>) -> OccurrenceDraft {
    OccurrenceDraft {
        id: input.name(),
        idempotency_key: input.name(),
        request_hash: input.name(),
        source_type: source(input),
        source_key: source(input),
        content: input.bytes(),
    }
}

/// Mostly the same one, so that occurrences have subscribers.
fn source(input: &mut Input<'_>) -> String {
    match input.byte() < 200 {
        true => "source".to_owned(),
        false => input.name(),
    }
}

fn settle<E: Environment>(env: &E, input: &mut Input<'_>, calls: &mut Calls) {
    let settlements = input.list(|input| Settlement {
        occurrence_id: input.name(),
        subscriptions: input.list(|input| calls.number(input)),
    });
    let settled = host_events::settle(env, &settlements);
    calls.answered("host-events.settle", settled);
}

fn unsubscribe<E: Environment>(env: &E, input: &mut Input<'_>, calls: &mut Calls) {
    let session = input.name();
    if input.flag() {
        let removed = host_events::remove_session(env, &session);
        calls.answered("host-events.remove-session", removed);
    } else {
        let number = calls.number(input);
        let removed = host_events::unsubscribe(env, &session, number);
        calls.answered("host-events.unsubscribe", removed);
    }
}

fn read<E: Environment>(env: &E, input: &mut Input<'_>, calls: &mut Calls) {
    match input.below(4) {
        0 | 1 => {
            let filter = SubscriptionFilter {
                session_id: input.maybe(Input::name),
                sequence: input.maybe(|input| calls.number(input)),
                name: input.maybe(Input::name),
                source_type: input.maybe(source),
                source_key: input.maybe(source),
                enabled: input.maybe(Input::flag),
            };
            let listed = host_events::subscriptions(env, &filter);
            calls.answered("host-events.subscriptions", listed);
        }
        2 => {
            let unsettled = host_events::unsettled(env, input.number(), input.number() as u32);
            calls.answered("host-events.unsettled", unsettled);
            calls.answered("statistics", host_events::statistics(env));
        }
        _ => {
            let cursor = input.maybe(Input::bytes);
            let page = host_events::read_page(env, cursor.as_deref());
            calls.answered("host-event-export.read-page", page);
        }
    }
}

fn import<E: Environment>(env: &E, input: &mut Input<'_>, calls: &mut Calls) {
    match input.below(4) {
        0 => {
            let added = input.list(|input| ImportedSubscription {
                sequence: input.number(),
                draft: subscription(input),
                enabled: input.flag(),
                created_at_ms: input.number(),
                updated_at_ms: input.number(),
            });
            let added = host_events::add_subscriptions(env, &added);
            calls.answered("host-event-import.add-subscriptions", added);
        }
        1 => {
            let skipped = host_events::skip_subscriptions(env, input.number());
            calls.answered("host-event-import.skip-subscriptions", skipped);
        }
        2 => {
            let added = input.list(|input| ImportedOccurrence {
                draft: occurrence(input),
                occurred_at_ms: input.number(),
            });
            let added = host_events::add_occurrences(env, &added);
            calls.answered("host-event-import.add-occurrences", added);
        }
        _ => {
            let added = input.list(|input| ImportedDelivery {
                occurrence_id: input.name(),
                subscription: calls.number(input),
                created_at_ms: input.number(),
            });
            let added = host_events::add_deliveries(env, &added);
            calls.answered("host-event-import.add-deliveries", added);
        }
    }
}
