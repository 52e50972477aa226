//! Answers that lead a host on, where one call of a store is many of the component.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::effect_types::Pruned;
use crate::bindings::export_types::Page;
use crate::bindings::host_event_types::{Delivery, UnsettledPage};
use crate::bindings::process_types::PrunablePage;
use crate::bindings::sqlite::Database;
use crate::host_events;

/// What is asked to be removed before this time in ms is never at an end.
const ENDLESS: u64 = 4711;

/// Full pages of deliveries: the same page again and again, if the first occurrence says
/// `attack repeat`, or ever new ones, if it says `attack invent`.
pub(crate) fn unsettled(db: &Database, after: u64, limit: u32) -> Option<Result<UnsettledPage>> {
    let mut fan_out = match host_events::unsettled(db, 0, limit) {
        Ok(page) => page.fan_outs.into_iter().next()?,
        Err(error) => return Some(Err(error)),
    };
    let says = |words: &[u8]| {
        let mut places = fan_out.occurrence.content.windows(words.len());
        places.any(|place| place == words)
    };
    let before = if says(b"attack repeat") {
        0
    } else if says(b"attack invent") {
        after
    } else {
        return None;
    };
    let subscription = fan_out.deliveries.pop()?.subscription;
    let delivery = |number| Delivery {
        number: before + u64::from(number),
        subscription: subscription.clone(),
    };
    fan_out.deliveries = (1..=limit).map(delivery).collect();
    Some(Ok(UnsettledPage {
        next: fan_out.deliveries.last().map(|delivery| delivery.number),
        fan_outs: vec![fan_out],
        corrupt: vec![],
    }))
}

/// The same scopes of effects for ever.
pub(crate) fn pruned(ended_before_ms: u64, after: u64) -> Option<Pruned> {
    (ended_before_ms == ENDLESS).then_some(Pruned {
        effects: 0,
        last: Some(after),
        corrupt: vec![],
    })
}

/// A process that can be removed, and is not there to be removed.
pub(crate) fn prunable(ended_before_ms: u64) -> Option<PrunablePage> {
    (ended_before_ms == ENDLESS).then(|| PrunablePage {
        ids: vec!["nobody".into()],
        corrupt: vec![],
    })
}

/// A page of the export that leads to itself.
pub(crate) fn page() -> Option<Page> {
    Some(Page {
        records: vec![],
        problems: vec![],
        next: Some(vec![1]),
    })
}

/// Whether somebody else is always faster to tell a process something.
pub(crate) fn moves(process_id: &str) -> bool {
    process_id == "attack moved"
}
