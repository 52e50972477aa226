//! The interface of host event databases.

use alloc::string::String;
use alloc::vec::Vec;

use super::Component;
use crate::bindings::exports::lash::store as exports;
use crate::bindings::exports::lash::store::export_types::Page as ExportPage;
use crate::bindings::exports::lash::store::host_event_export as export;
use crate::bindings::exports::lash::store::host_event_import as import;
use crate::bindings::exports::lash::store::host_event_inspection as inspection;
use crate::bindings::exports::lash::store::host_events::{
    FanOut, OccurrenceDraft, Recorded, Settlement, Subscription, SubscriptionDraft,
    SubscriptionFilter,
};
use crate::bindings::exports::lash::store::inspection_types::Verification;
use crate::bindings::lash::store::sqlite::Database;
use crate::bindings::lash::store::types::Error;
use crate::host_events;

impl exports::host_events::Guest for Component {
    fn initialize(db: &Database) -> Result<exports::format::Initialized, Error> {
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

    fn unsettled(db: &Database, after: u64, limit: u32) -> Result<Vec<FanOut>, Error> {
        #[cfg(feature = "hostile")]
        if let Some(answer) = crate::hostile::endless::unsettled(db, after, limit) {
            return answer;
        }
        host_events::unsettled(db, after, limit)
    }

    fn settle(db: &Database, settlements: Vec<Settlement>) -> Result<(), Error> {
        host_events::settle(db, &settlements)
    }

    fn prune(db: &Database, occurred_before_ms: u64, limit: u32) -> Result<u64, Error> {
        host_events::prune(db, occurred_before_ms, limit)
    }
}

impl inspection::Guest for Component {
    fn statistics(db: &Database) -> Result<inspection::HostEventStatistics, Error> {
        host_events::statistics(db)
    }

    fn verify(db: &Database) -> Result<Verification, Error> {
        host_events::verify(db)
    }
}

impl export::Guest for Component {
    fn read_page(db: &Database, cursor: Option<Vec<u8>>) -> Result<ExportPage, Error> {
        host_events::read_page(db, cursor.as_deref())
    }
}

impl import::Guest for Component {
    fn add_subscriptions(
        db: &Database,
        subscriptions: Vec<import::ImportedSubscription>,
    ) -> Result<(), Error> {
        host_events::add_subscriptions(db, &subscriptions)
    }

    fn skip_subscriptions(db: &Database, last_sequence: u64) -> Result<(), Error> {
        host_events::skip_subscriptions(db, last_sequence)
    }

    fn add_occurrences(
        db: &Database,
        occurrences: Vec<import::ImportedOccurrence>,
    ) -> Result<(), Error> {
        host_events::add_occurrences(db, &occurrences)
    }

    fn add_deliveries(
        db: &Database,
        deliveries: Vec<import::ImportedDelivery>,
    ) -> Result<(), Error> {
        host_events::add_deliveries(db, &deliveries)
    }
}
