//! Files of host events.

mod flips;
mod rows;

use std::fmt::Debug;
use std::path::Path;
use std::time::{Duration, SystemTime};

use lash_core::{
    HostEventOccurrenceRecord, HostEventStore, PluginError, TestLocalProcessRegistry,
    TriggerDeliveryReservation, TriggerSubscriptionDraft, TriggerSubscriptionFilter,
};
use lash_wasm_store::{Durability, Error, SqliteHostEventStore};
use lash_wasm_store_testing::damage::wait_until_closed;
use lash_wasm_store_testing::fixtures::{Place, TestClock};
use lash_wasm_store_testing::host_events::{SOURCE_TYPE, draft, host_draft, request, subscribe};

use crate::harness::{Answers, copied};

const NOW_MS: i64 = 1_700_000_000_000;

/// A closed file with something of everything in it.
pub(crate) struct File {
    bytes: Vec<u8>,
    earlier: Vec<u8>,
    deliveries: Vec<TriggerDeliveryReservation>,
}

async fn try_open_at(path: &Path, now_ms: i64) -> Result<SqliteHostEventStore, Error> {
    TestClock::at(now_ms)
        .builder()
        .durability(Durability::Normal)
        .open_host_event_store(path)
        .await
}

impl File {
    async fn new() -> Self {
        let place = Place::new();
        let store = try_open_at(place.path(), NOW_MS).await.unwrap();
        subscribe(&store, "a", "k").await;
        subscribe(&store, "b", "k").await;
        store.register_subscription(host_draft("k")).await.unwrap();
        let named = TriggerSubscriptionDraft {
            name: Some("name".to_owned()),
            ..draft("a", "other")
        };
        store.register_subscription(named).await.unwrap();
        subscribe(&store, "a", "k").await;
        store.cancel_subscription("a", "trigger:5").await.unwrap();
        let earlier = copied(&place);
        record(&store, "k", "partly").await.unwrap();
        let partly = reserve(&store, "k", "partly").await.unwrap();
        record(&store, "other", "settled").await.unwrap();
        let settled = reserve(&store, "other", "settled").await.unwrap();
        record(&store, "k", "recorded").await.unwrap();
        store.settle_deliveries(&partly[..1]).await.unwrap();
        store.settle_deliveries(&settled).await.unwrap();
        drop(store);
        wait_until_closed(place.path());
        Self {
            bytes: std::fs::read(place.path()).unwrap(),
            earlier,
            deliveries: partly,
        }
    }

    /// A copy of the file.
    fn place(&self) -> Place {
        let place = Place::new();
        std::fs::write(place.path(), &self.bytes).unwrap();
        place
    }

    /// Asks every question. Those whose answers depend on what another one writes
    /// are asked of a file of their own.
    async fn ask(&self, path: &Path) -> Answers {
        let bytes = std::fs::read(path).unwrap();
        let mut answers = Answers::new();
        let store = &match try_open_at(path, NOW_MS).await {
            Ok(store) => store,
            Err(error) => {
                answers.insert("open".to_owned(), Err(error.to_string()));
                return answers;
            }
        };
        let mut put = |question: &str, answer: Result<String, String>| {
            answers.insert(question.to_owned(), answer);
        };

        for (name, filter) in filters() {
            let list = store.list_subscriptions(filter).await;
            put(&format!("list {name}"), text(list));
        }
        for (source, key) in [("k", "partly"), ("other", "settled")] {
            put(
                &format!("record {key}"),
                text(record(store, source, key).await),
            );
            put(
                &format!("reserve {key}"),
                text(reserve(store, source, key).await),
            );
        }
        // That two requests conflict is an answer, which must be right.
        put("conflict", text(record(store, "other", "partly").await));
        let registry = TestLocalProcessRegistry::default();
        put(
            "unstarted",
            text(store.unstarted_deliveries(&registry).await),
        );
        put("record new", text(record(store, "k", "new").await));
        let subscribed = store.register_subscription(draft("c", "k")).await;
        put("subscribe", text(subscribed));
        put(
            "reserve recorded",
            text(reserve(store, "k", "recorded").await),
        );
        put(
            "cancel",
            text(store.cancel_subscription("a", "trigger:1").await),
        );

        for question in ["settle", "remove a", "prune"] {
            let place = Place::new();
            std::fs::write(place.path(), &bytes).unwrap();
            let answer = match try_open_at(place.path(), 2 * NOW_MS).await {
                Err(error) => Err(error.to_string()),
                Ok(store) if question == "settle" => text(self.settle(&store).await),
                Ok(store) if question == "prune" => text(store.prune_occurrences(later()).await),
                Ok(store) => text(store.delete_session_subscriptions("a").await),
            };
            put(question, answer);
        }
        answers
    }

    async fn settle(&self, store: &SqliteHostEventStore) -> Result<u64, Error> {
        store.settle_deliveries(&self.deliveries).await?;
        store.prune_occurrences(later()).await
    }
}

fn later() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(2 * NOW_MS.unsigned_abs())
}

async fn record(
    store: &SqliteHostEventStore,
    source_key: &str,
    key: &str,
) -> Result<HostEventOccurrenceRecord, PluginError> {
    store.record_occurrence(request(source_key, key)).await
}

async fn reserve(
    store: &SqliteHostEventStore,
    source_key: &str,
    key: &str,
) -> Result<Vec<TriggerDeliveryReservation>, PluginError> {
    let id = lash_core::deterministic_occurrence_id(&request(source_key, key))?;
    store.reserve_matching_deliveries(&id).await
}

fn filters() -> Vec<(&'static str, TriggerSubscriptionFilter)> {
    let some = |text: &str| Some(text.to_owned());
    let everything = TriggerSubscriptionFilter::default();
    vec![
        ("everything", everything.clone()),
        ("of a", TriggerSubscriptionFilter::for_session("a")),
        ("of b", TriggerSubscriptionFilter::for_session("b")),
        (
            "of nobody",
            TriggerSubscriptionFilter::for_session("nobody"),
        ),
        (
            "of the type",
            TriggerSubscriptionFilter::for_source_type(SOURCE_TYPE),
        ),
        (
            "of the source",
            TriggerSubscriptionFilter {
                source_key: some("k"),
                enabled: Some(true),
                ..TriggerSubscriptionFilter::for_source_type(SOURCE_TYPE)
            },
        ),
        (
            "of the source, ended or not",
            TriggerSubscriptionFilter {
                source_key: some("k"),
                ..TriggerSubscriptionFilter::for_source_type(SOURCE_TYPE)
            },
        ),
        (
            "of another source",
            TriggerSubscriptionFilter {
                source_key: some("other"),
                ..TriggerSubscriptionFilter::for_source_type(SOURCE_TYPE)
            },
        ),
        (
            "by name",
            TriggerSubscriptionFilter {
                name: some("name"),
                ..everything.clone()
            },
        ),
        (
            "by handle",
            TriggerSubscriptionFilter {
                handle: some("trigger:1"),
                ..everything
            },
        ),
    ]
}

fn text<T: Debug, E: ToString>(answer: Result<T, E>) -> Result<String, String> {
    answer
        .map(|answer| format!("{answer:?}"))
        .map_err(|error| error.to_string())
}
