//! Lists that are longer than a page of the WIT, which holds about 1 MiB.

use lash_core::store::SessionReadScope;
use lash_core::{RuntimePersistence, SessionNodeRecord};
use lash_wasm_store::{COMPONENT, Limits, Store, StoreBuilder, StoreComponent};
use lash_wasm_store_testing::fixtures::{
    Place, SESSION, append, commit, ids, large_node, ledger, usage, work,
};

const FULL: SessionReadScope = SessionReadScope::FullGraph;

/// So long that a page has three nodes.
const BODY: usize = 300_000;

fn large_chain(first: usize, count: usize) -> Vec<SessionNodeRecord> {
    let id = |number: usize| format!("n{number:03}");
    (first..first + count)
        .map(|number| {
            let parent = number.checked_sub(1).map(id);
            large_node(&id(number), parent.as_deref(), BODY)
        })
        .collect()
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("n{number:03}")).collect()
}

#[tokio::test]
async fn a_long_session_is_read_whole_and_in_order() {
    let place = Place::new();
    let store = place.open().await;
    for revision in 0..4 {
        let expected = (revision > 0).then_some(revision as u64);
        let nodes = append(expected, large_chain(revision * 5, 5));
        store.commit_runtime_state(nodes).await.unwrap();
    }
    let path = |leaf: Option<&str>| SessionReadScope::ActivePath {
        leaf_node_id: leaf.map(str::to_owned),
    };
    for (scope, count) in [
        (FULL, 20),
        (path(None), 20),
        (path(Some("n011")), 12),
        (path(Some("n000")), 1),
    ] {
        let read = store.load_session(scope).await.unwrap().unwrap();
        assert_eq!(ids(&read.graph.nodes), numbered(count));
    }
    let graph = store.try_load_session_graph().await.unwrap();
    assert_eq!(ids(&graph.nodes), numbered(20));

    // What is hidden or gone in the middle ends a path, wherever its pages end.
    store.tombstone_nodes(&["n007".to_owned()]).await.unwrap();
    for _ in 0..2 {
        let read = store.load_session(path(None)).await.unwrap().unwrap();
        assert_eq!(ids(&read.graph.nodes), numbered(20)[8..]);
        let all = store.load_session(FULL).await.unwrap().unwrap();
        assert_eq!(all.graph.nodes.len(), 19);
        store.vacuum().await.unwrap();
    }
}

/// A page would be refused as stale after a commit, if each had its own snapshot.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_read_from_one_snapshot_while_others_commit() {
    const COMMITS: u64 = 24;
    let place = Place::new();
    let (reader, writer) = (place.open().await, place.open().await);
    let first = append(None, large_chain(0, 1));
    writer.commit_runtime_state(first).await.unwrap();
    let committing = tokio::spawn(async move {
        for revision in 1..COMMITS {
            let nodes = append(Some(revision), large_chain(revision as usize, 1));
            writer.commit_runtime_state(nodes).await.unwrap();
        }
    });
    let mut seen = 0;
    while seen < COMMITS {
        let read = reader.load_session(FULL).await.unwrap().unwrap();
        assert_eq!(read.graph.nodes.len() as u64, read.head_revision);
        assert!(read.head_revision >= seen);
        seen = read.head_revision;
    }
    committing.await.unwrap();
}

#[tokio::test]
async fn long_queues_and_ledgers_are_read_whole_and_in_order() {
    let store = Store::memory().await.unwrap();
    let mut enqueued = Vec::new();
    for number in 0..6 {
        let batch = work(&format!("{number}{}", "x".repeat(400_000)));
        enqueued.push(store.enqueue_queued_work(batch).await.unwrap().batch_id);
    }
    let listed = store.list_queued_work(SESSION).await.unwrap();
    let listed: Vec<String> = listed.into_iter().map(|batch| batch.batch_id).collect();
    assert_eq!(listed, enqueued);

    let source = "a source with a name that takes some room".repeat(4);
    let entry = |number| usage(&source, "m", [number, 0, 0, 0]);
    let entries: Vec<_> = (1..=8000).map(entry).collect();
    store.try_append_usage_deltas(&entries).await.unwrap();
    let read = store.try_load_usage_deltas().await.unwrap();
    assert_eq!(ledger(&read), ledger(&entries));
}

/// The component had the whole session in its memory at a time, more than once.
#[tokio::test]
async fn a_session_may_be_longer_than_the_memory_of_the_component() {
    let place = Place::new();
    let store = place.open().await;
    let nodes = append(None, large_chain(0, 100));
    store.commit_runtime_state(nodes).await.unwrap();
    let few = Limits::default().memory_bytes(12 << 20);
    let component = StoreComponent::untrusted(COMPONENT, few).unwrap();
    let small = StoreBuilder::new().component(component);
    let small = small.open(place.path()).await.unwrap();
    let read = small.load_session(FULL).await.unwrap().unwrap();
    assert_eq!(ids(&read.graph.nodes), numbered(100));
    let next = append(Some(1), large_chain(100, 1));
    small.commit_runtime_state(next).await.unwrap();
    small.commit_runtime_state(commit(Some(2))).await.unwrap();
}
