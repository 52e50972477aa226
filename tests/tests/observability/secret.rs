//! Nothing of what a caller stores is ever recorded, at any level.

use std::error::Error;
use std::time::{Duration, SystemTime};

use lash_core::{
    AttachmentId, AttachmentIntent, AttachmentManifest, BlobRef, HostEventOccurrenceRequest,
    HostEventStore, LashlangArtifactStore, MessageRole, ProcessEventAppendRequest,
    ProcessExternalRef, ProcessHandleDescriptor, ProcessListFilter, ProcessRegistry,
    RuntimeEffectControllerError, RuntimePersistence, RuntimeTurnCommitStamp, SessionReadScope,
    SessionScope, TriggerSubscriptionFilter, WaitKind, WaitState,
};
use lash_wasm_store::{BlobArtifactDescriptor, StoreBuilder};
use lash_wasm_store_guest::bindings::session_types::Node;
use lash_wasm_store_guest::session::graph;
use lash_wasm_store_testing::effects::{controller, effect_with, ending, outcome, run};
use lash_wasm_store_testing::fixtures::{
    Place, SESSION, append, claim, full_checkpoint, message_node, meta, usage, work,
};
use lash_wasm_store_testing::native::NativeEnvironment;
use lash_wasm_store_testing::process_fixtures::{registration, success, tick, wake};
use lash_wasm_store_testing::{effects, host_events, process_fixtures};
use serde_json::json;

use crate::subscriber::recorded;

/// It is in everything that these tests store.
const SECRET: &str = "xyzzy-plugh";

#[tokio::test]
async fn no_payload_is_recorded() {
    recorded();
    sessions().await;
    undecodable().await;
    processes().await;
    occurrences().await;
    executions().await;
    let everything = recorded().everything();
    // That it sees what is not secret.
    for operation in [
        "commit",
        "complete process",
        "reserve deliveries",
        "finish effect",
    ] {
        assert!(everything.contains(operation), "{operation}");
    }
    if let Some(at) = everything.find(SECRET) {
        let end = everything.len().min(at + 200);
        panic!("{}", &everything[at.saturating_sub(500)..end]);
    }
}

/// A time at which everything is old.
fn later() -> SystemTime {
    SystemTime::now() + Duration::from_secs(1)
}

async fn sessions() {
    let place = Place::new();
    let store = place.open().await;
    let mut metadata = meta();
    metadata.session_name = SECRET.to_owned();
    metadata.cwd = Some(SECRET.to_owned());
    RuntimePersistence::save_session_meta(&store, metadata)
        .await
        .unwrap();
    store.enqueue_queued_work(work(SECRET)).await.unwrap();
    let claimed = claim(&store, 60_000, 1).await.unwrap();
    let intent = AttachmentIntent {
        attachment_id: AttachmentId::new(format!("{SECRET}-a")),
        session_id: SESSION.to_owned(),
        canonical_uri: format!("file:///{SECRET}"),
        intent_at_epoch_ms: 1,
    };
    store.record_intent(intent.clone()).unwrap();

    let question = message_node(SECRET, None, MessageRole::User, SECRET);
    let mut checkpoint = full_checkpoint(1);
    checkpoint.execution_state = Some(SECRET.repeat(1000).into_bytes());
    let mut commit = append(None, vec![question]);
    commit.checkpoint = checkpoint;
    commit.usage_deltas = vec![usage(SECRET, SECRET, [1, 2, 3, 4])];
    let commit = commit
        .completing_queue_claim(claimed.completion())
        .with_committed_attachments([intent.attachment_id.clone()]);
    let hash = commit.turn_commit_hash().unwrap();
    let stamp = RuntimeTurnCommitStamp::new(SESSION, SECRET, hash);
    let commit = commit.with_turn_commit(stamp);
    store.commit_runtime_state(commit.clone()).await.unwrap();
    // Replayed, and refused in two ways.
    store.commit_runtime_state(commit).await.unwrap();
    let orphan = message_node("orphan", Some(SECRET), MessageRole::User, SECRET);
    assert!(
        store
            .commit_runtime_state(append(None, vec![orphan.clone()]))
            .await
            .is_err()
    );
    let again = message_node(SECRET, None, MessageRole::User, SECRET);
    assert!(
        store
            .commit_runtime_state(append(Some(1), vec![again]))
            .await
            .is_err()
    );

    let pending = store.enqueue_queued_work(work(SECRET)).await.unwrap();
    let held = claim(&store, 60_000, 1).await.unwrap();
    let held = store.renew_queued_work_claim(&held, 60_000).await.unwrap();
    store.abandon_queued_work_claim(&held).await.unwrap();
    store
        .cancel_queued_work_batch(SESSION, &pending.batch_id)
        .await
        .unwrap();
    store
        .commit_refs(SESSION, std::slice::from_ref(&intent.attachment_id))
        .unwrap();

    store
        .load_session(SessionReadScope::FullGraph)
        .await
        .unwrap();
    store.load_node(SECRET).await.unwrap().unwrap();
    store.load_picker_info().await.unwrap();
    store.load_session_head().await.unwrap();
    store.load_usage_deltas().await;
    store.list_queued_work(SESSION).await.unwrap();
    store.list_uncommitted(u64::MAX).unwrap();
    store.forget(&intent.attachment_id).unwrap();
    let bytes = SECRET.as_bytes();
    store
        .put_artifact_bytes(SECRET, SECRET, bytes)
        .await
        .unwrap();
    store.get_artifact_bytes(SECRET).await.unwrap();
    let descriptor = BlobArtifactDescriptor::execution_state_snapshot();
    let text = store.put_typed_artifact_blob(descriptor, &SECRET).await;
    assert!(store.get_typed_blob::<u64>(&text).await.is_none());
    assert!(store.get_blob(&BlobRef(SECRET.to_owned())).await.is_none());
    let stored = store.put_checkpoint(&full_checkpoint(1)).await;
    store.get_checkpoint(&stored.checkpoint_ref).await.unwrap();
    store
        .append_usage_deltas(&[usage(SECRET, SECRET, [1, 1, 1, 1])])
        .await;
    let node = message_node("another", Some(SECRET), MessageRole::User, SECRET);
    store.append_session_graph_nodes(&[node]).await;
    let nodes = store.load_session_graph().await;
    store.replace_session_graph(&nodes).await;
    let head = store.load_session_head_meta().await.unwrap();
    store.save_session_head_meta(head).await;
    let copy = Place::new();
    copy.open().await.head_copy_from_store(&store).await;
    store.tombstone_nodes(&[SECRET.to_owned()]).await.unwrap();
    RuntimePersistence::vacuum(&store).await.unwrap();
    RuntimePersistence::gc_unreachable(&store).await.unwrap();
    store.prune(later()).await.unwrap();

    place.raw().execute("UPDATE graph_nodes SET body = x'00'");
    assert!(store.load_session_graph().await.nodes.is_empty());
}

/// What another release may have written, or none: the decoder's message quotes it. What
/// is logged must not.
async fn undecodable() {
    let place = Place::new();
    let store = place.open().await;
    let body = json!(SECRET).to_string().into_bytes();
    let node = Node {
        id: "odd".to_owned(),
        parent: None,
        prompt: false,
        body,
    };
    let native = NativeEnvironment::open(place.path());
    graph::append(&native, &[node]).unwrap();
    let error = store.try_load_session_graph().await.unwrap_err();
    assert!(error.source().unwrap().to_string().contains(SECRET));
    assert!(store.load_session_graph().await.nodes.is_empty());
}

async fn processes() {
    let place = Place::named("processes.db");
    let registry = process_fixtures::open(place.path()).await;
    registry.register_process(registration("p")).await.unwrap();
    let external = ProcessExternalRef {
        backend: SECRET.to_owned(),
        id: SECRET.to_owned(),
        metadata: Some(json!(SECRET)),
    };
    registry.set_external_ref("p", external).await.unwrap();
    let scope = SessionScope::new("a-session");
    let descriptor = ProcessHandleDescriptor::new(Some(SECRET), Some(SECRET));
    registry
        .grant_handle(&scope, "p", descriptor)
        .await
        .unwrap();
    registry.list_handle_grants(&scope).await.unwrap();
    registry.append_event("p", wake(SECRET)).await.unwrap();
    let keyed = tick(1).with_replay_key(SECRET);
    registry.append_event("p", keyed.clone()).await.unwrap();
    registry.append_event("p", keyed).await.unwrap();
    // Another payload under the key, one that the schema refuses, and an unknown type.
    let other = tick(2).with_replay_key(SECRET);
    assert!(registry.append_event("p", other).await.is_err());
    let invalid = ProcessEventAppendRequest::new("tick", json!({ "n": SECRET }));
    assert!(registry.append_event("p", invalid).await.is_err());
    let unknown = ProcessEventAppendRequest::new(SECRET, json!(SECRET));
    assert!(registry.append_event("p", unknown).await.is_err());
    let waits = WaitState {
        kind: WaitKind::Signal {
            name: SECRET.to_owned(),
            event_type: SECRET.to_owned(),
            key: SECRET.to_owned(),
            ordinal: 1,
        },
        since_ms: 5,
    };
    registry.set_process_wait("p", waits).await.unwrap();
    registry.clear_process_wait("p").await.unwrap();
    let other = SessionScope::new("another-session");
    let ids = ["p".to_owned()];
    registry
        .transfer_handle_grants(&scope, &other, &ids)
        .await
        .unwrap();
    assert!(registry.has_handle_grant(&other, "p").await.unwrap());
    registry.handle_grants_for_process("p").await.unwrap();
    registry
        .delete_session_process_state("another-session")
        .await
        .unwrap();
    registry
        .list_processes(&ProcessListFilter::default())
        .await
        .unwrap();
    registry.ack_wake("p", 1).await.unwrap();
    registry.events_after("p", 0).await.unwrap();
    registry.wait_event_after("p", "wake", 0).await.unwrap();
    let lease = registry
        .claim_process_lease("p", "owner", 60_000)
        .await
        .unwrap();
    registry
        .complete_process_with_lease(&lease, success(SECRET))
        .await
        .unwrap();
    registry.await_process("p").await.unwrap();
    registry.get_process("p").await.unwrap();
    registry.revoke_handle(&scope, "p").await.unwrap();
    assert_eq!(registry.prune_ended(later(), None).await.unwrap(), 1);
}

async fn occurrences() {
    let place = Place::named("host_events.db");
    let store = host_events::open(place.path()).await;
    let handle = host_events::subscribe(&store, "a-session", SECRET).await;
    let occurrence = host_events::record(&store, SECRET, SECRET).await;
    let conflict = HostEventOccurrenceRequest {
        payload: json!({ "another": SECRET }),
        ..host_events::request(SECRET, SECRET)
    };
    assert!(store.record_occurrence(conflict).await.is_err());
    let reserved = host_events::reserve(&store, &occurrence).await;
    assert!(!reserved.is_empty());
    host_events::listed(&store, TriggerSubscriptionFilter::default()).await;
    store.settle_deliveries(&reserved).await.unwrap();
    assert!(
        store
            .cancel_subscription("a-session", &handle)
            .await
            .unwrap()
    );
    assert_eq!(store.prune_occurrences(later()).await.unwrap(), 1);
}

async fn executions() {
    let place = effects::place();
    let host = effects::open_with(StoreBuilder::new(), effects::LONG, place.path()).await;
    let controller = controller(&host);
    let failure = RuntimeEffectControllerError::new(SECRET, SECRET);
    // Recorded, failed, given back, and replayed under another hash.
    let ends = [
        ("one", Ok(outcome(SECRET))),
        ("one", Ok(outcome(SECRET))),
        ("two", Err(failure)),
        ("two", Ok(outcome(SECRET))),
    ];
    for (key, ended) in ends {
        let key = format!("{SECRET}-{key}");
        let _ = run(&controller, effect_with(&key, SECRET), ending(ended)).await;
    }
    let other = effect_with(&format!("{SECRET}-one"), "other");
    assert!(
        run(&controller, other, ending(Ok(outcome(""))))
            .await
            .is_err()
    );
    // Not executed, so given back.
    let failure = RuntimeEffectControllerError::new("runtime_store", SECRET);
    let given_back = effect_with(&format!("{SECRET}-three"), SECRET);
    assert!(
        run(&controller, given_back, ending(Err(failure)))
            .await
            .is_err()
    );
    host.prune(SystemTime::UNIX_EPOCH).await.unwrap();
    host.forget_scope(&effects::turn()).await.unwrap();
}
