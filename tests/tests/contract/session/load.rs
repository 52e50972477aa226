//! What is read of a session: scopes, order, ledger, single nodes.

use lash_core::{RuntimePersistence, SessionReadScope};
use lash_wasm_store::Store;
use lash_wasm_store_testing::fixtures::{
    SESSION, append, chain, commit, ids, json, ledger, node, usage,
};

const FULL: SessionReadScope = SessionReadScope::FullGraph;

fn path(leaf: Option<&str>) -> SessionReadScope {
    SessionReadScope::ActivePath {
        leaf_node_id: leaf.map(str::to_owned),
    }
}

async fn path_ids(store: &Store, leaf: Option<&str>) -> (Vec<String>, Option<String>) {
    let read = store.load_session(path(leaf)).await.unwrap().unwrap();
    (
        ids(&read.graph.nodes)
            .into_iter()
            .map(str::to_owned)
            .collect(),
        read.graph.leaf_node_id.clone(),
    )
}

fn expected(nodes: &[&str], leaf: Option<&str>) -> (Vec<String>, Option<String>) {
    (
        nodes.iter().map(|&node| node.to_owned()).collect(),
        leaf.map(str::to_owned),
    )
}

#[tokio::test]
async fn without_a_head_there_is_no_session_whatever_else_is_stored() {
    let store = Store::memory().await.unwrap();
    store
        .try_append_session_graph_nodes(&chain(0, 2))
        .await
        .unwrap();
    store
        .try_append_usage_deltas(&[usage("s", "m", [1; 4])])
        .await
        .unwrap();
    for scope in [FULL, path(None), path(Some("n0"))] {
        assert!(store.load_session(scope).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn the_full_graph_is_in_the_order_in_which_nodes_were_added() {
    let store = Store::memory().await.unwrap();
    store
        .commit_runtime_state(append(None, vec![node("z", None), node("a", Some("z"))]))
        .await
        .unwrap();
    store
        .commit_runtime_state(append(
            Some(1),
            vec![node("m", Some("z")), node("b", None), node("0", Some("a"))],
        ))
        .await
        .unwrap();
    let read = store.load_session(FULL).await.unwrap().unwrap();
    assert_eq!(ids(&read.graph.nodes), ["z", "a", "m", "b", "0"]);
    assert_eq!(read.graph.leaf_node_id.as_deref(), Some("0"));
    let graph = store.try_load_session_graph().await.unwrap();
    assert_eq!(ids(&graph.nodes), ["z", "a", "m", "b", "0"]);
    assert_eq!(graph.leaf_node_id, None);
}

#[tokio::test]
async fn a_graph_of_many_pages_is_read_whole() {
    let store = Store::memory().await.unwrap();
    let nodes = chain(0, 3000);
    store
        .commit_runtime_state(append(None, nodes.clone()))
        .await
        .unwrap();
    let read = store.load_session(FULL).await.unwrap().unwrap();
    assert_eq!(json(&read.graph.nodes), json(&nodes));
    let read = store.load_session(path(None)).await.unwrap().unwrap();
    assert_eq!(json(&read.graph.nodes), json(&nodes));
}

#[tokio::test]
async fn a_path_to_a_leaf_that_is_unknown_is_empty_and_keeps_the_leaf() {
    let store = Store::memory().await.unwrap();
    store
        .commit_runtime_state(append(None, chain(0, 3)))
        .await
        .unwrap();
    assert_eq!(
        path_ids(&store, Some("nowhere")).await,
        expected(&[], Some("nowhere"))
    );
    assert_eq!(
        path_ids(&store, Some("n1")).await,
        expected(&["n0", "n1"], Some("n1"))
    );
    assert_eq!(
        path_ids(&store, None).await,
        expected(&["n0", "n1", "n2"], Some("n2"))
    );
}

#[tokio::test]
async fn a_path_without_any_leaf_is_empty() {
    let store = Store::memory().await.unwrap();
    store.commit_runtime_state(commit(None)).await.unwrap();
    assert_eq!(path_ids(&store, None).await, expected(&[], None));
}

#[tokio::test]
async fn a_tombstoned_node_ends_a_path_before_and_after_vacuum() {
    let store = Store::memory().await.unwrap();
    store
        .commit_runtime_state(append(None, chain(0, 5)))
        .await
        .unwrap();
    let hidden = ["n1".to_owned(), "n4".to_owned(), "unknown".to_owned()];
    store.tombstone_nodes(&hidden).await.unwrap();
    // Doing it again changes nothing.
    store.tombstone_nodes(&hidden).await.unwrap();
    store.tombstone_nodes(&[]).await.unwrap();

    for removed in [2, 0] {
        let read = store.load_session(FULL).await.unwrap().unwrap();
        assert_eq!(ids(&read.graph.nodes), ["n0", "n2", "n3"]);
        assert_eq!(read.graph.leaf_node_id.as_deref(), Some("n4"));
        assert_eq!(path_ids(&store, None).await, expected(&[], Some("n4")));
        assert_eq!(
            path_ids(&store, Some("n3")).await,
            expected(&["n2", "n3"], Some("n3"))
        );
        let head = store.try_load_session_head_meta().await.unwrap().unwrap();
        assert_eq!(head.graph_node_count, 3);
        let report = store.vacuum().await.unwrap();
        assert_eq!(report.removed_node_count, removed);
    }
    // The session can go on from a node that is there.
    store
        .commit_runtime_state(append(Some(1), vec![node("next", Some("n3"))]))
        .await
        .unwrap();
    assert_eq!(
        path_ids(&store, None).await,
        expected(&["n2", "n3", "next"], Some("next"))
    );
}

#[tokio::test]
async fn a_single_node_is_read_as_it_was_stored() {
    let store = Store::memory().await.unwrap();
    let nodes = chain(0, 2);
    // Nodes need no head.
    store.try_append_session_graph_nodes(&nodes).await.unwrap();
    let read = store.load_node("n1").await.unwrap().unwrap();
    assert_eq!(json(&read), json(&nodes[1]));
    assert!(store.load_node("unknown").await.unwrap().is_none());
    store.tombstone_nodes(&["n1".to_owned()]).await.unwrap();
    assert!(store.load_node("n1").await.unwrap().is_none());
    store.vacuum().await.unwrap();
    assert!(store.load_node("n1").await.unwrap().is_none());
    assert!(store.load_node("n0").await.unwrap().is_some());
}

#[tokio::test]
async fn the_ledger_is_merged_by_source_and_model_and_entries_of_no_tokens_are_left_out() {
    let store = Store::memory().await.unwrap();
    let entries = [
        usage("turn", "b", [1, 2, 3, 4]),
        usage("turn", "a", [5, 0, 0, 0]),
        usage("other", "b", [0, 6, 0, 0]),
        // Cached input is part of the input and not counted again.
        usage("turn", "cached", [0, 0, 9, 0]),
        usage("turn", "a", [0, 0, 9, 0]),
        usage("turn", "b", [10, 20, 30, 40]),
        usage("turn", "reasoning", [0, 0, 0, 7]),
        usage("turn", "nothing", [0; 4]),
    ];
    let (first, rest) = entries.split_at(2);
    let mut next = commit(None);
    next.usage_deltas = first.to_vec();
    store.commit_runtime_state(next).await.unwrap();
    store.append_usage_deltas(rest).await;
    store.append_usage_deltas(&[]).await;

    let row = |source: &str, model: &str, tokens| (source.to_owned(), model.to_owned(), tokens);
    let merged = [
        row("turn", "b", [11, 22, 33, 44]),
        row("turn", "a", [5, 0, 0, 0]),
        row("other", "b", [0, 6, 0, 0]),
        row("turn", "reasoning", [0, 0, 0, 7]),
    ];
    for scope in [FULL, path(None)] {
        let read = store.load_session(scope).await.unwrap().unwrap();
        assert_eq!(ledger(&read.token_ledger), merged);
        assert_eq!(read.session_id, SESSION);
    }
    let head = store.load_session_head().await.unwrap();
    assert_eq!(ledger(&head.token_ledger), merged);
    // The entries themselves are all there, in order.
    assert_eq!(ledger(&store.load_usage_deltas().await), ledger(&entries));
}
