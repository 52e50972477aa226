//! D11, the first half: what was reserved is started, whatever comes between.
//!
//! The native crate commits a reservation before the router starts the processes
//! one by one. A crash, or one start that fails, loses the rest: a repeated
//! report of the occurrence reserves nothing, and nobody can ask what was
//! reserved. Here it stays on a list until its processes exist.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use lash_core::{
    HostEventRouter, HostEventStore, InMemoryLashlangArtifactStore, InlineRuntimeEffectController,
    LashlangArtifactStore, ProcessListFilter, ProcessRegistry, RuntimeEffectController,
    RuntimeEffectControllerError, RuntimeEffectEnvelope, RuntimeEffectLocalExecutor,
    RuntimeEffectOutcome, TestLocalProcessRegistry, TriggerDeliveryReservation,
};
use lash_wasm_store::{SqliteHostEventStore, SqliteProcessRegistry, TriggerRedelivery};
use lash_wasm_store_testing::child::{self, Child};
use lash_wasm_store_testing::fixtures::{Place, poll_once};
use lash_wasm_store_testing::host_events::{
    draft, handles, module, open, record, request, reserve, subscribe,
};
use lash_wasm_store_testing::process_fixtures::success;

/// Starts processes, until its patience ends.
struct Starter {
    left: AtomicUsize,
    then: fn() -> RuntimeEffectControllerError,
}

impl Starter {
    fn failing_after(left: usize) -> Self {
        Self {
            left: AtomicUsize::new(left),
            then: || RuntimeEffectControllerError::new("test", "no more"),
        }
    }
}

#[async_trait::async_trait]
impl RuntimeEffectController for Starter {
    async fn execute_effect(
        &self,
        envelope: RuntimeEffectEnvelope,
        local_executor: RuntimeEffectLocalExecutor<'_>,
    ) -> Result<RuntimeEffectOutcome, RuntimeEffectControllerError> {
        let left = self.left.load(Ordering::SeqCst);
        if left == 0 {
            return Err((self.then)());
        }
        self.left.store(left - 1, Ordering::SeqCst);
        InlineRuntimeEffectController
            .execute_effect(envelope, local_executor)
            .await
    }
}

async fn artifacts() -> Arc<dyn LashlangArtifactStore> {
    let artifacts = InMemoryLashlangArtifactStore::new();
    artifacts.put_module_artifact(&module()).await.unwrap();
    Arc::new(artifacts)
}

async fn router(
    store: Arc<dyn HostEventStore>,
    registry: &Arc<dyn ProcessRegistry>,
) -> HostEventRouter {
    HostEventRouter::new(
        store,
        artifacts().await,
        Some(Arc::clone(registry)),
        None,
        "profile",
    )
}

async fn redeliver(registry: &Arc<dyn ProcessRegistry>, delivery: TriggerDeliveryReservation) {
    let process_id = delivery.process_id.clone();
    let redelivery = TriggerRedelivery::new(delivery);
    let request = redelivery.request();
    let report = router(Arc::new(redelivery), registry)
        .await
        .emit(request, &InlineRuntimeEffectController)
        .await
        .unwrap();
    assert_eq!(report.started_process_ids, [process_id]);
}

fn process_ids(deliveries: &[TriggerDeliveryReservation]) -> Vec<&str> {
    deliveries
        .iter()
        .map(|delivery| delivery.process_id.as_str())
        .collect()
}

async fn registered(registry: &Arc<dyn ProcessRegistry>) -> usize {
    let all = ProcessListFilter::default();
    registry.list_processes(&all).await.unwrap().len()
}

#[tokio::test]
async fn what_a_failing_start_left_is_found_and_started_again_under_the_same_name() {
    let store = Arc::new(SqliteHostEventStore::memory().await.unwrap());
    let registry: Arc<dyn ProcessRegistry> = Arc::new(TestLocalProcessRegistry::durable());
    for session in ["a", "b", "c"] {
        subscribe(&*store, session, "k").await;
    }
    let router = router(store.clone(), &registry).await;
    let starter = Starter::failing_after(1);
    let error = router.emit(request("k", "1"), &starter).await.unwrap_err();
    assert!(error.to_string().contains("no more"), "{error}");
    assert_eq!(registered(&registry).await, 1);
    // Reporting it again starts nothing.
    let report = router.emit(request("k", "1"), &starter).await.unwrap();
    assert!(report.started_process_ids.is_empty());

    let unstarted = store.unstarted_deliveries(&*registry).await.unwrap();
    assert_eq!(handles(&unstarted), ["trigger:2", "trigger:3"]);
    assert_eq!(
        store.unstarted_deliveries(&*registry).await.unwrap(),
        unstarted
    );
    for delivery in unstarted {
        redeliver(&registry, delivery).await;
    }
    assert_eq!(registered(&registry).await, 3);
    let unstarted = store.unstarted_deliveries(&*registry).await.unwrap();
    assert!(unstarted.is_empty());
    // All are settled now: a registry that has lost them is not asked.
    let forgetful = TestLocalProcessRegistry::default();
    let unstarted = store.unstarted_deliveries(&forgetful).await.unwrap();
    assert!(unstarted.is_empty());
}

#[tokio::test]
async fn starting_a_process_twice_registers_it_once() {
    let store = Arc::new(SqliteHostEventStore::memory().await.unwrap());
    let registry: Arc<dyn ProcessRegistry> = Arc::new(TestLocalProcessRegistry::durable());
    subscribe(&*store, "a", "k").await;
    let occurrence = record(&*store, "k", "1").await;
    let delivery = reserve(&*store, &occurrence).await.remove(0);
    redeliver(&registry, delivery.clone()).await;
    let record = registry.get_process(&delivery.process_id).await.unwrap();
    redeliver(&registry, delivery.clone()).await;
    let again = registry.get_process(&delivery.process_id).await.unwrap();
    assert_eq!(again.registration_hash, record.registration_hash);
    assert_eq!(registered(&registry).await, 1);
}

#[tokio::test]
async fn a_redelivery_starts_its_own_delivery_only() {
    let store = SqliteHostEventStore::memory().await.unwrap();
    subscribe(&store, "a", "k").await;
    let occurrence = record(&store, "k", "1").await;
    let delivery = reserve(&store, &occurrence).await.remove(0);
    let redelivery = TriggerRedelivery::new(delivery.clone());
    assert_eq!(redelivery.request(), request("k", "1"));
    let reserved = redelivery
        .reserve_matching_deliveries(&occurrence)
        .await
        .unwrap();
    assert_eq!(reserved, [delivery]);
    let other = redelivery.record_occurrence(request("k", "2")).await;
    assert!(other.is_err());
    assert!(redelivery.reserve_matching_deliveries("x").await.is_err());
    assert!(
        redelivery
            .register_subscription(draft("a", "k"))
            .await
            .is_err()
    );
    let everything = lash_core::TriggerSubscriptionFilter::default();
    assert!(redelivery.list_subscriptions(everything).await.is_err());
    assert!(
        redelivery
            .cancel_subscription("a", "trigger:1")
            .await
            .is_err()
    );
    assert!(redelivery.delete_session_subscriptions("a").await.is_err());
}

#[tokio::test]
async fn what_crashed_between_reserving_and_starting_is_started_by_the_next_process() {
    if let Some(path) = child::file() {
        return starts_one_and_crashes(&path).await;
    }
    let place = Place::new();
    let store = open(place.path()).await;
    for session in ["a", "b", "c"] {
        subscribe(&store, session, "k").await;
    }
    drop(store);
    let mut child = Child::start(
        what_crashed_between_reserving_and_starting_is_started_by_the_next_process,
        place.path(),
    );
    child.wait_for("reserved");
    assert!(!child.wait().success());

    let store = open(place.path()).await;
    let registry: Arc<dyn ProcessRegistry> = Arc::new(
        SqliteProcessRegistry::open(&registry_path(place.path()))
            .await
            .unwrap(),
    );
    assert_eq!(registered(&registry).await, 1);
    let unstarted = store.unstarted_deliveries(&*registry).await.unwrap();
    assert_eq!(handles(&unstarted), ["trigger:2", "trigger:3"]);
    for delivery in unstarted {
        redeliver(&registry, delivery).await;
    }
    assert_eq!(registered(&registry).await, 3);
    let unstarted = store.unstarted_deliveries(&*registry).await.unwrap();
    assert!(unstarted.is_empty());
    let occurrence = record(&store, "k", "crash").await;
    assert!(reserve(&store, &occurrence).await.is_empty());
}

fn registry_path(path: &Path) -> PathBuf {
    path.with_extension("processes.db")
}

/// Starts one of the three processes, and is gone.
async fn starts_one_and_crashes(path: &Path) {
    let registry = SqliteProcessRegistry::open(&registry_path(path)).await;
    let registry: Arc<dyn ProcessRegistry> = Arc::new(registry.unwrap());
    let starter = Starter {
        left: AtomicUsize::new(1),
        then: || {
            println!("reserved");
            std::process::abort()
        },
    };
    let _ = router(Arc::new(open(path).await), &registry)
        .await
        .emit(request("k", "crash"), &starter)
        .await;
}

#[tokio::test]
async fn a_registry_that_can_not_be_read_does_not_make_processes_look_unstarted() {
    let place = Place::new();
    let store = Arc::new(open(place.path()).await);
    let path = registry_path(place.path());
    let registry: Arc<dyn ProcessRegistry> =
        Arc::new(SqliteProcessRegistry::open(&path).await.unwrap());
    subscribe(&*store, "a", "k").await;
    router(store.clone(), &registry)
        .await
        .emit(request("k", "1"), &InlineRuntimeEffectController)
        .await
        .unwrap();

    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch(
        "ALTER TABLE process_grants RENAME TO hidden_grants;
         ALTER TABLE processes RENAME TO hidden_processes;",
    )
    .unwrap();
    // This is how `get_process` looks: as if it had never been started.
    let process_id = lash_core::deterministic_delivery_process_id(
        &record(&*store, "k", "1").await,
        "subscription:1",
    )
    .unwrap();
    assert!(registry.get_process(&process_id).await.is_none());
    assert!(store.unstarted_deliveries(&*registry).await.is_err());

    raw.execute_batch(
        "ALTER TABLE hidden_grants RENAME TO process_grants;
         ALTER TABLE hidden_processes RENAME TO processes;",
    )
    .unwrap();
    let unstarted = store.unstarted_deliveries(&*registry).await.unwrap();
    assert!(unstarted.is_empty());
}

#[tokio::test]
async fn what_is_settled_is_not_found_again() {
    let place = Place::new();
    let store = open(place.path()).await;
    let registry = TestLocalProcessRegistry::default();
    for session in ["a", "b", "c", "d"] {
        subscribe(&store, session, "k").await;
    }
    let occurrence = record(&store, "k", "1").await;
    let deliveries = reserve(&store, &occurrence).await;

    store.settle_deliveries(&deliveries[..1]).await.unwrap();
    store.settle_deliveries(&deliveries[..2]).await.unwrap();
    store.settle_deliveries(&[]).await.unwrap();
    let mut foreign = deliveries[2].clone();
    foreign.subscription.subscription_id = "subscription:77".to_owned();
    let mut unknown = deliveries[2].clone();
    unknown.occurrence.occurrence_id = "unknown".to_owned();
    let mut nameless = deliveries[2].clone();
    nameless.subscription.subscription_id = "three".to_owned();
    store
        .settle_deliveries(&[foreign, unknown, nameless])
        .await
        .unwrap();
    drop(store);
    let store = open(place.path()).await;
    let unstarted = store.unstarted_deliveries(&registry).await.unwrap();
    assert_eq!(process_ids(&unstarted), process_ids(&deliveries[2..]));

    let gone = [deliveries[3].process_id.clone(), "unknown".to_owned()];
    store.settle_processes(&gone).await.unwrap();
    store.settle_processes(&[]).await.unwrap();
    let unstarted = store.unstarted_deliveries(&registry).await.unwrap();
    assert_eq!(process_ids(&unstarted), process_ids(&deliveries[2..3]));

    let now = SystemTime::now() + Duration::from_secs(60);
    assert_eq!(store.prune_occurrences(now).await.unwrap(), 0);
    store.settle_deliveries(&deliveries).await.unwrap();
    assert_eq!(store.prune_occurrences(now).await.unwrap(), 1);
}

#[tokio::test]
async fn a_delivery_of_a_subscription_that_was_cancelled_since_is_found_and_says_so() {
    let store = SqliteHostEventStore::memory().await.unwrap();
    let handle = subscribe(&store, "a", "k").await;
    let occurrence = record(&store, "k", "1").await;
    assert_eq!(reserve(&store, &occurrence).await.len(), 1);
    assert!(store.cancel_subscription("a", &handle).await.unwrap());
    let registry = TestLocalProcessRegistry::default();
    let unstarted = store.unstarted_deliveries(&registry).await.unwrap();
    assert_eq!(handles(&unstarted), [handle]);
    assert!(!unstarted[0].subscription.enabled);
}

#[tokio::test]
async fn more_deliveries_than_a_page_are_found_in_the_order_of_their_reservation() {
    let store = SqliteHostEventStore::memory().await.unwrap();
    let registry = TestLocalProcessRegistry::default();
    for _ in 0..100 {
        subscribe(&store, "a", "k").await;
    }
    let mut expected = Vec::new();
    for number in 0..6 {
        let occurrence = record(&store, "k", &number.to_string()).await;
        expected.extend(reserve(&store, &occurrence).await);
    }
    assert_eq!(expected.len(), 600);
    let unstarted = store.unstarted_deliveries(&registry).await.unwrap();
    assert_eq!(unstarted, expected);
    let every_other: Vec<String> = process_ids(&expected)
        .into_iter()
        .step_by(2)
        .map(str::to_owned)
        .collect();
    store.settle_processes(&every_other).await.unwrap();
    let unstarted = store.unstarted_deliveries(&registry).await.unwrap();
    let rest: Vec<_> = expected.into_iter().skip(1).step_by(2).collect();
    assert_eq!(unstarted, rest);
}

/// A store and a registry with the process of a delivery, which ended and may be
/// pruned.
async fn with_an_ended_process(
    place: &Place,
) -> (
    Arc<SqliteHostEventStore>,
    Arc<SqliteProcessRegistry>,
    String,
) {
    let store = Arc::new(open(place.path()).await);
    let path = registry_path(place.path());
    let processes = Arc::new(SqliteProcessRegistry::open(&path).await.unwrap());
    let registry: Arc<dyn ProcessRegistry> = processes.clone();
    subscribe(&*store, "a", "k").await;
    let report = router(store.clone(), &registry)
        .await
        .emit(request("k", "1"), &InlineRuntimeEffectController)
        .await
        .unwrap();
    let process_id = report.started_process_ids[0].clone();
    registry
        .complete_process(&process_id, success("done"))
        .await
        .unwrap();
    registry.delete_session_process_state("a").await.unwrap();
    (store, processes, process_id)
}

/// A process that is gone from the registry looks as if it had never been started,
/// and would be started again.
#[tokio::test]
async fn a_process_that_was_pruned_is_not_started_again() {
    let place = Place::new();
    let (store, registry, process_id) = with_an_ended_process(&place).await;
    let later = SystemTime::now() + Duration::from_secs(60);
    assert_eq!(registry.prune_ended(later, Some(&*store)).await.unwrap(), 1);
    assert!(registry.get_process(&process_id).await.is_none());
    let unstarted = store.unstarted_deliveries(&*registry).await.unwrap();
    assert!(unstarted.is_empty());
    assert_eq!(store.prune_occurrences(later).await.unwrap(), 1);
}

/// Its delivery was read before it was pruned, and the registry was asked after.
#[tokio::test]
async fn a_process_that_is_pruned_meanwhile_is_not_started_again() {
    let place = Place::new();
    let (store, registry, _) = with_an_ended_process(&place).await;
    let mut search = pin!(store.unstarted_deliveries(&*registry));
    assert!(poll_once(search.as_mut()).is_pending());
    // Reads are done in order, so the delivery is read when this is answered.
    let everything = lash_core::TriggerSubscriptionFilter::default();
    store.list_subscriptions(everything).await.unwrap();
    let later = SystemTime::now() + Duration::from_secs(60);
    assert_eq!(registry.prune_ended(later, Some(&*store)).await.unwrap(), 1);
    assert!(search.await.unwrap().is_empty());
}
