//! What can be seen from outside of what the stores do: spans, events, metrics, and
//! nothing that anybody stored.

#[cfg(feature = "metrics")]
mod metrics;
mod plugins;
mod secret;
mod subscriber;

use std::thread;
use std::time::Duration;

use lash_core::{
    EffectHost, ProcessRegistry, RuntimePersistence, SessionPolicy, SessionReadScope,
    SessionStoreCreateRequest, SessionStoreFactory, StoreError,
};
use lash_wasm_store::inspect::Inspector;
use lash_wasm_store::{
    BlobArtifactDescriptor, BuiltinBlobProfile, SqliteSessionStoreFactory, StoreBuilder,
    StoreOptions,
};
use lash_wasm_store_testing::effects::{self, controller, effect, forbidden, returning};
use lash_wasm_store_testing::fixtures::{Place, SESSION, append, chain, meta, noise};
use lash_wasm_store_testing::process_fixtures::{self, registration};
use tracing::Instrument;

use subscriber::{Span, recorded};

/// The only span of an operation on the database in a place.
#[track_caller]
fn only(place: &Place, operation: &str) -> Span {
    let mut spans = recorded().operations(place.path(), operation);
    assert_eq!(spans.len(), 1, "{operation}: {spans:?}");
    spans.remove(0)
}

/// How the calls of an operation ended, in order.
fn outcomes(place: &Place, operation: &str) -> Vec<String> {
    let spans = recorded().operations(place.path(), operation);
    let outcome = |span: &Span| span.text("outcome").to_owned();
    spans.iter().map(outcome).collect()
}

#[tokio::test]
async fn a_commit_is_a_span_within_that_of_its_caller() {
    recorded();
    let place = Place::new();
    let store = place.open().await;
    let caller = tracing::info_span!("caller", path = %place.path().display());
    let parent = caller.id().unwrap().into_u64();
    let commit = append(None, chain(0, 3));
    store
        .commit_runtime_state(commit)
        .instrument(caller)
        .await
        .unwrap();

    let span = only(&place, "commit");
    assert_eq!((span.name, span.target), ("call", "lash_wasm_store"));
    assert_eq!(span.parent, Some(parent));
    assert_eq!(span.text("kind"), "session");
    assert_eq!(span.text("session"), SESSION);
    assert_eq!(span.text("outcome"), "ok");
    // Three nodes and the head at least.
    assert!(span.number("rows_written") >= 4, "{span:?}");
    assert!(span.number("bytes_written") > 100, "{span:?}");
    // It is entered where the work is done.
    assert!(!span.threads.is_empty());
    assert!(!span.threads.contains(&thread::current().id()));

    // What comes afterwards is known to belong to the session.
    store.load_node("n1").await.unwrap().unwrap();
    let span = only(&place, "load node");
    assert_eq!(span.text("session"), SESSION);
    assert_eq!(span.number("rows_written"), 0);
    assert_eq!(span.number("bytes_written"), 0);
    assert!(span.number("rows_read") >= 1, "{span:?}");
    assert!(span.number("bytes_read") > 10, "{span:?}");
}

#[tokio::test]
async fn rows_and_bytes_are_those_of_the_call() {
    recorded();
    let place = Place::new();
    let options = StoreOptions {
        blob_profile: BuiltinBlobProfile::LowLatency,
        ..StoreOptions::default()
    };
    let store = place.open_with(StoreBuilder::new().options(options)).await;
    let blob = noise(100_000);
    let descriptor = BlobArtifactDescriptor::execution_state_snapshot();
    let key = store.put_artifact_blob(descriptor, &blob).await;
    let put = only(&place, "put blob");
    assert!((100_000..101_000).contains(&put.number("bytes_written")));
    // The blob, and the digest of its table.
    assert_eq!(put.number("rows_written"), 2);

    assert_eq!(store.get_blob(&key).await.unwrap(), blob);
    let get = only(&place, "get blob");
    assert!((100_000..101_000).contains(&get.number("bytes_read")));
}

#[tokio::test]
async fn a_lost_race_is_an_outcome_and_an_error_has_its_code() {
    recorded();
    let place = Place::new();
    let builder = StoreBuilder::new().busy_timeout(Duration::from_millis(20));
    let store = place.open_with(builder).await;
    store
        .commit_runtime_state(append(None, chain(0, 1)))
        .await
        .unwrap();
    let conflict = store.commit_runtime_state(append(None, chain(1, 1))).await;
    assert!(matches!(
        conflict,
        Err(StoreError::HeadRevisionConflict { .. })
    ));
    let raw = place.raw();
    let locked = {
        let _lock = raw.lock();
        store
            .commit_runtime_state(append(Some(1), chain(1, 1)))
            .await
    };
    assert!(matches!(locked, Err(StoreError::Backend(_))));
    assert_eq!(
        outcomes(&place, "commit"),
        ["ok", "revision-conflict", "busy"]
    );
    let busy = &recorded().operations(place.path(), "commit")[2];
    assert_eq!(busy.number("rows_written"), 0);
    let waited = recorded().events_of(busy);
    assert!(
        waited
            .iter()
            .any(|event| event.fields["message"].contains("waited for the lock")),
        "{waited:?}"
    );

    raw.damage("UPDATE graph_nodes SET body = x'00' WHERE node_id = 'n0'");
    assert!(store.load_node("n0").await.is_err());
    assert_eq!(outcomes(&place, "load node"), ["corrupt"]);
}

#[tokio::test]
async fn an_operation_of_several_calls_has_a_span_around_them() {
    recorded();
    let directory = tempfile::tempdir().unwrap();
    let factory = SqliteSessionStoreFactory::new(directory.path());
    let request = SessionStoreCreateRequest {
        session_id: "of-a-factory".to_owned(),
        relation: meta().relation,
        policy: SessionPolicy::default(),
    };
    let store = factory.create_store(&request).await.unwrap();
    let path = factory.path_for_session("of-a-factory");
    store
        .load_session(SessionReadScope::FullGraph)
        .await
        .unwrap();
    drop(store);
    factory.delete_session("of-a-factory").await.unwrap();

    let spans = recorded().of(&path);
    let made = spans
        .iter()
        .find(|span| span.text("operation") == "create store");
    let made = made.unwrap();
    assert_eq!(made.name, "operation");
    assert_eq!(made.text("outcome"), "ok");
    let within = spans.iter().filter(|span| span.parent == Some(made.id));
    let within: Vec<&str> = within.map(|span| span.text("operation")).collect();
    assert_eq!(
        within,
        ["open", "load session metadata", "create session metadata"]
    );
    for span in &spans {
        let of_file = ["open", "delete", "delete session"].contains(&span.text("operation"));
        if !of_file || span.name == "operation" {
            assert_eq!(span.text("session"), "of-a-factory", "{span:?}");
        }
    }
}

#[tokio::test]
async fn an_effect_is_executed_and_then_replayed() {
    recorded();
    let place = effects::place();
    let host = effects::open(place.path()).await;
    for executor in [returning("done"), forbidden()] {
        let controller = controller(&host);
        effects::run(&controller, effect("one"), executor)
            .await
            .unwrap();
    }
    assert_eq!(outcomes(&place, "execute effect"), ["executed", "replayed"]);
    let spans = recorded().of(place.path());
    let scoped = spans.iter().filter(|span| span.text("operation") != "open");
    for span in scoped {
        assert!(span.text("scope").contains("turn"), "{span:?}");
    }
    assert_eq!(outcomes(&place, "find effect"), ["nothing", "finished"]);
    assert_eq!(host.durability_tier(), lash_core::DurabilityTier::Durable);
}

#[tokio::test]
async fn calls_about_a_process_name_it() {
    recorded();
    let place = Place::named("processes.db");
    let registry = process_fixtures::open(place.path()).await;
    registry.register_process(registration("p")).await.unwrap();
    let other = registration("p")
        .with_extra_event_types([])
        .with_wake_target(None);
    let conflict = registry.register_process(other).await;
    assert!(conflict.is_err());
    registry
        .claim_process_lease("p", "a", 60_000)
        .await
        .unwrap();
    assert!(
        registry
            .claim_process_lease("p", "b", 60_000)
            .await
            .is_err()
    );
    assert!(
        registry
            .claim_process_lease("q", "b", 60_000)
            .await
            .is_err()
    );
    assert_eq!(outcomes(&place, "register process"), ["ok", "conflict"]);
    assert_eq!(outcomes(&place, "claim process"), ["ok", "held", "unknown"]);
    let claims = recorded().operations(place.path(), "claim process");
    let named: Vec<&str> = claims.iter().map(|span| span.text("process")).collect();
    assert_eq!(named, ["p", "p", "q"]);
}

/// `tests/native` has a SQLite that is warned of.
#[tokio::test]
async fn a_sqlite_without_the_wal_reset_bug_is_not_warned_of() {
    recorded();
    let place = Place::new();
    drop(place.open().await);
    let inspector = Inspector::open(place.path()).await.unwrap();
    assert!(!inspector.file_statistics().await.unwrap().wal_reset_bug);
    assert!(!recorded().everything().contains("walresetbug"));
}
