//! Host events, compared with lash-core's store in memory on random operations.
//!
//! One difference is meant: lash-core's store delivers an occurrence to
//! subscriptions that came after it. The model leaves these out.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use lash_core::{
    HostEventStore, InMemoryHostEventStore, TestLocalProcessRegistry, TriggerDeliveryReservation,
    TriggerSubscriptionDraft, TriggerSubscriptionFilter, TriggerSubscriptionRecord,
};
use lash_wasm_store::{Durability, SqliteHostEventStore, StoreBuilder};
use lash_wasm_store_testing::fixtures::Place;
use lash_wasm_store_testing::host_events::{SOURCE_TYPE, draft, host_draft, request, timeless};
use proptest::prelude::*;

const SESSIONS: [&str; 3] = ["a", "b", "a/frame"];
const SOURCES: [&str; 2] = ["k", "other"];

#[derive(Clone, Debug)]
enum Operation {
    /// By a session, or by the host.
    Subscribe(Option<usize>, usize, Option<u8>),
    Cancel(usize, u64),
    RemoveSession(usize),
    Record(usize, u8),
    Reserve(usize, u8),
    List(Filter),
    Settle(Vec<usize>),
    Unstarted,
    Reopen,
}

#[derive(Clone, Debug)]
struct Filter {
    session: Option<usize>,
    number: Option<u64>,
    name: Option<u8>,
    any_type: bool,
    source: Option<usize>,
    enabled: Option<bool>,
}

fn session() -> std::ops::Range<usize> {
    0..SESSIONS.len()
}

fn source() -> std::ops::Range<usize> {
    0..SOURCES.len()
}

fn filter() -> impl Strategy<Value = Filter> {
    (
        prop::option::of(session()),
        prop::option::weighted(0.2, 1..12_u64),
        prop::option::weighted(0.3, 0..3_u8),
        any::<bool>(),
        prop::option::of(source()),
        any::<Option<bool>>(),
    )
        .prop_map(
            |(session, number, name, any_type, source, enabled)| Filter {
                session,
                number,
                name,
                any_type,
                source,
                enabled,
            },
        )
}

fn operation() -> impl Strategy<Value = Operation> {
    let owner = prop::option::weighted(0.8, session());
    let name = prop::option::of(0..3_u8);
    prop_oneof![
        5 => (owner, source(), name)
            .prop_map(|(owner, source, name)| Operation::Subscribe(owner, source, name)),
        3 => (session(), 1..12_u64).prop_map(|(session, n)| Operation::Cancel(session, n)),
        1 => session().prop_map(Operation::RemoveSession),
        4 => (source(), 0..5_u8).prop_map(|(source, key)| Operation::Record(source, key)),
        6 => (source(), 0..5_u8).prop_map(|(source, key)| Operation::Reserve(source, key)),
        3 => filter().prop_map(Operation::List),
        1 => prop::collection::vec(0..20_usize, 0..4).prop_map(Operation::Settle),
        2 => Just(Operation::Unstarted),
        1 => Just(Operation::Reopen),
    ]
}

/// Both stores, and what the model adds to lash-core's.
struct Pair {
    place: Place,
    ours: Option<SqliteHostEventStore>,
    model: InMemoryHostEventStore,
    /// How many subscriptions there were when an occurrence was recorded.
    watermarks: BTreeMap<String, u64>,
    /// What was recorded and not reserved, in this order.
    unreserved: Vec<String>,
    /// How many subscriptions there ever were.
    registered: u64,
    /// What was reserved and not settled, in this order.
    unsettled: Vec<TriggerDeliveryReservation>,
}

async fn open(place: &Place) -> Option<SqliteHostEventStore> {
    let builder = StoreBuilder::new().durability(Durability::Normal);
    Some(builder.open_host_event_store(place.path()).await.unwrap())
}

fn number(record: &TriggerSubscriptionRecord) -> u64 {
    record
        .handle
        .strip_prefix("trigger:")
        .unwrap()
        .parse()
        .unwrap()
}

/// The order in which deliveries are reserved.
fn order(delivery: &TriggerDeliveryReservation) -> (String, String) {
    let subscription = &delivery.subscription;
    let scope = subscription.registrant_scope_id();
    (scope.to_string(), subscription.handle.clone())
}

/// What identifies a delivery: its times differ between the stores, and its
/// subscription may change.
fn names(deliveries: &[TriggerDeliveryReservation]) -> Vec<(&str, &str)> {
    let names = deliveries.iter().map(|delivery| {
        (
            delivery.process_id.as_str(),
            delivery.subscription.handle.as_str(),
        )
    });
    names.collect()
}

impl Pair {
    async fn new() -> Self {
        let place = Place::new();
        Self {
            ours: open(&place).await,
            place,
            model: InMemoryHostEventStore::default(),
            watermarks: BTreeMap::new(),
            unreserved: Vec::new(),
            registered: 0,
            unsettled: Vec::new(),
        }
    }

    async fn run(&mut self, operation: Operation) {
        let ours = self.ours.as_ref().unwrap();
        match operation {
            Operation::Subscribe(owner, source, name) => {
                let draft = TriggerSubscriptionDraft {
                    name: name.map(|name| name.to_string()),
                    ..match owner {
                        Some(owner) => draft(SESSIONS[owner], SOURCES[source]),
                        None => host_draft(SOURCES[source]),
                    }
                };
                let left = ours.register_subscription(draft.clone()).await.unwrap();
                let right = self.model.register_subscription(draft).await.unwrap();
                assert_eq!(timeless(left), timeless(right));
                self.registered += 1;
            }
            Operation::Cancel(session, number) => {
                let handle = format!("trigger:{number}");
                let session = SESSIONS[session];
                assert_eq!(
                    ours.cancel_subscription(session, &handle).await.unwrap(),
                    self.model
                        .cancel_subscription(session, &handle)
                        .await
                        .unwrap()
                );
            }
            Operation::RemoveSession(session) => {
                let session = SESSIONS[session];
                assert_eq!(
                    ours.delete_session_subscriptions(session).await.unwrap(),
                    self.model
                        .delete_session_subscriptions(session)
                        .await
                        .unwrap()
                );
                self.unsettled.retain(|delivery| {
                    delivery.subscription.registrant_session_id() != Some(session)
                });
            }
            Operation::Record(source, key) => {
                let request = request(SOURCES[source], &key.to_string());
                let left = ours.record_occurrence(request.clone()).await;
                let right = self.model.record_occurrence(request).await;
                match (left, right) {
                    (Ok(mut left), Ok(right)) => {
                        left.occurred_at_ms = right.occurred_at_ms;
                        assert_eq!(left, right);
                        if !self.watermarks.contains_key(&right.occurrence_id) {
                            self.unreserved.push(right.occurrence_id.clone());
                            self.watermarks.insert(right.occurrence_id, self.registered);
                        }
                    }
                    (left, right) => assert_eq!(
                        left.unwrap_err().to_string(),
                        right.unwrap_err().to_string()
                    ),
                }
            }
            Operation::Reserve(source, key) => self.reserve(source, key).await,
            Operation::List(filter) => {
                let filter = TriggerSubscriptionFilter {
                    session_id: filter.session.map(|session| SESSIONS[session].to_owned()),
                    handle: filter.number.map(|number| format!("trigger:{number}")),
                    name: filter.name.map(|name| name.to_string()),
                    source_type: (!filter.any_type).then(|| SOURCE_TYPE.to_owned()),
                    source_key: filter.source.map(|source| SOURCES[source].to_owned()),
                    target: None,
                    enabled: filter.enabled,
                };
                let left = ours.list_subscriptions(filter.clone()).await.unwrap();
                let right = self.model.list_subscriptions(filter).await.unwrap();
                let left: Vec<_> = left.into_iter().map(timeless).collect();
                let right: Vec<_> = right.into_iter().map(timeless).collect();
                assert_eq!(left, right);
            }
            Operation::Settle(indexes) => {
                let indexes: BTreeSet<usize> = indexes.into_iter().collect();
                let settled: Vec<_> = indexes
                    .into_iter()
                    .filter_map(|index| self.unsettled.get(index).cloned())
                    .collect();
                ours.settle_deliveries(&settled).await.unwrap();
                self.unsettled
                    .retain(|delivery| !settled.contains(delivery));
            }
            Operation::Unstarted => {
                // What was recorded and not reserved is reserved, in order.
                for id in mem::take(&mut self.unreserved) {
                    let watermark = self.watermarks[&id];
                    let mut right = self.model.reserve_matching_deliveries(&id).await.unwrap();
                    right.retain(|delivery| number(&delivery.subscription) <= watermark);
                    right.sort_by_key(order);
                    self.unsettled.extend(right);
                }
                let registry = TestLocalProcessRegistry::default();
                let found = ours.unstarted_deliveries(&registry).await.unwrap();
                assert_eq!(names(&found), names(&self.unsettled));
            }
            Operation::Reopen => {
                self.ours = None;
                self.ours = open(&self.place).await;
            }
        }
    }

    async fn reserve(&mut self, source: usize, key: u8) {
        let request = request(SOURCES[source], &key.to_string());
        let id = lash_core::deterministic_occurrence_id(&request).unwrap();
        let ours = self.ours.as_ref().unwrap();
        let left = ours.reserve_matching_deliveries(&id).await;
        let right = self.model.reserve_matching_deliveries(&id).await;
        match (left, right) {
            (Ok(left), Ok(mut right)) => {
                let watermark = self.watermarks[&id];
                right.retain(|delivery| number(&delivery.subscription) <= watermark);
                right.sort_by_key(order);
                self.unreserved.retain(|unreserved| *unreserved != id);
                assert_eq!(names(&left), names(&right));
                self.unsettled.extend(left);
            }
            (left, right) => assert_eq!(
                left.unwrap_err().to_string(),
                right.unwrap_err().to_string()
            ),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn random_operations_are_answered_as_by_the_store_in_memory(
        operations in prop::collection::vec(operation(), 1..80)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut pair = Pair::new().await;
            for operation in operations {
                pair.run(operation).await;
            }
            pair.run(Operation::Unstarted).await;
        });
    }
}
