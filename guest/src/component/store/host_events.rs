//! The interface of host event databases.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Component, exports};
use crate::bindings::format_types::Initialized;
use crate::bindings::host_event_types::{
    FanOut, OccurrenceDraft, Pruned, Recorded, Settlement, Subscription, SubscriptionDraft,
    SubscriptionFilter, UnreservedPage, UnsettledPage,
};
use crate::bindings::sqlite::Database;
use crate::bindings::types::Error;
use crate::host_events;

impl exports::host_events::Guest for Component {
    fn initialize(db: &Database) -> Result<Initialized, Error> {
        host_events::initialize(db)
    }

    fn subscribe(db: &Database, draft: SubscriptionDraft) -> Result<Subscription, Error> {
        host_events::subscribe(db, draft)
    }

    fn subscriptions(
        db: &Database,
        filter: SubscriptionFilter,
    ) -> Result<Vec<Subscription>, Error> {
        host_events::subscriptions(db, &filter)
    }

    fn unsubscribe(db: &Database, session_id: String, sequence: u64) -> Result<bool, Error> {
        host_events::unsubscribe(db, &session_id, sequence)
    }

    fn remove_session(db: &Database, session_id: String) -> Result<u64, Error> {
        host_events::remove_session(db, &session_id)
    }

    fn record_occurrence(db: &Database, draft: OccurrenceDraft) -> Result<Recorded, Error> {
        host_events::record_occurrence(db, draft)
    }

    fn reserve(db: &Database, occurrence_id: String) -> Result<Option<FanOut>, Error> {
        host_events::reserve(db, &occurrence_id)
    }

    fn unreserved(db: &Database, after: u64, limit: u32) -> Result<UnreservedPage, Error> {
        host_events::unreserved(db, after, limit)
    }

    fn unsettled(db: &Database, after: u64, limit: u32) -> Result<UnsettledPage, Error> {
        #[cfg(feature = "hostile")]
        if let Some(answer) = crate::hostile::endless::unsettled(db, after, limit) {
            return answer;
        }
        host_events::unsettled(db, after, limit)
    }

    fn settle(db: &Database, settlements: Vec<Settlement>) -> Result<(), Error> {
        host_events::settle(db, &settlements)
    }

    fn prune(db: &Database, occurred_before_ms: u64, limit: u32) -> Result<Pruned, Error> {
        host_events::prune(db, occurred_before_ms, limit)
    }
}
