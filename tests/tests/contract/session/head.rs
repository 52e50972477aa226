//! Heads, metadata and the picker, outside the commit protocol.

use lash_core::store::{SessionHead, SessionHeadMeta};
use lash_core::{
    BlobRef, MessageRole, PersistedSessionConfig, RuntimePersistence, SessionNodeRecord,
    SessionReadScope, SessionRelation, StoreError,
};
use lash_wasm_store::{EngineError, Error, Store};
use lash_wasm_store_testing::fixtures::{
    Place, SESSION, append, chain, checkpointed, commit, full_checkpoint, graph, ids, json, ledger,
    message_node, meta, node, replace, usage,
};

const FULL: SessionReadScope = SessionReadScope::FullGraph;

fn head(nodes: Vec<SessionNodeRecord>) -> SessionHead {
    SessionHead {
        session_id: SESSION.to_owned(),
        config: PersistedSessionConfig {
            provider_id: "a provider".to_owned(),
            ..PersistedSessionConfig::default()
        },
        graph: graph(nodes),
        ..SessionHead::default()
    }
}

#[tokio::test]
async fn a_head_comes_back_with_its_graph_and_without_its_revision() {
    let store = Store::memory().await.unwrap();
    assert!(store.load_session_head().await.is_none());
    assert!(store.load_session_head_meta().await.is_none());
    let saved = SessionHead {
        head_revision: 41,
        ..head(chain(0, 3))
    };
    store.save_session_head(saved.clone()).await;
    let read = store.load_session_head().await.unwrap();
    assert_eq!(
        json(&read),
        json(&SessionHead {
            head_revision: 0,
            ..saved
        })
    );
    let meta = store.load_session_head_meta().await.unwrap();
    assert_eq!(meta.graph_node_count, 3);
    assert_eq!(meta.leaf_node_id.as_deref(), Some("n2"));
    assert_eq!(meta.config.provider_id, "a provider");
    assert_eq!(meta.head_revision, 0);
}

#[tokio::test]
async fn a_head_row_comes_back_and_keeps_the_graph() {
    let store = Store::memory().await.unwrap();
    store.append_session_graph_nodes(&chain(0, 2)).await;
    let saved = SessionHeadMeta {
        session_id: SESSION.to_owned(),
        head_revision: 7,
        leaf_node_id: Some("n0".to_owned()),
        token_ledger: vec![usage("s", "m", [1; 4])],
        ..SessionHeadMeta::default()
    };
    assert_eq!(
        store
            .try_save_session_head_meta(saved.clone())
            .await
            .unwrap(),
        7
    );
    let read = store.load_session_head_meta().await.unwrap();
    assert_eq!(read.head_revision, 7);
    assert_eq!(read.leaf_node_id.as_deref(), Some("n0"));
    assert_eq!(read.graph_node_count, 2);
    assert_eq!(ledger(&read.token_ledger), ledger(&saved.token_ledger));
    // A commit goes on from there.
    let result = store.commit_runtime_state(commit(Some(7))).await.unwrap();
    assert_eq!(result.head_revision, 8);
}

#[tokio::test]
async fn a_head_with_a_leaf_or_a_checkpoint_that_is_not_stored_is_refused() {
    let store = Store::memory().await.unwrap();
    let leaf = SessionHeadMeta {
        leaf_node_id: Some("nowhere".to_owned()),
        ..SessionHeadMeta::default()
    };
    assert!(matches!(
        store.try_save_session_head_meta(leaf).await,
        Err(Error::Engine(EngineError::Invalid { .. }))
    ));
    let checkpoint = SessionHeadMeta {
        checkpoint_ref: Some(BlobRef(format!("blake3:{}", "1".repeat(64)))),
        ..SessionHeadMeta::default()
    };
    store.save_session_head_meta(checkpoint.clone()).await;
    assert!(matches!(
        store.try_save_session_head_meta(checkpoint).await,
        Err(Error::Engine(EngineError::MissingBlob { .. }))
    ));
    assert!(store.try_load_session_head_meta().await.unwrap().is_none());
}

#[tokio::test]
async fn graphs_are_replaced_and_extended_under_a_head_that_stays() {
    let store = Store::memory().await.unwrap();
    store
        .commit_runtime_state(append(None, chain(0, 2)))
        .await
        .unwrap();
    store
        .append_session_graph_nodes(&[node("x", Some("n1"))])
        .await;
    store.append_session_graph_nodes(&[]).await;
    assert_eq!(
        ids(&store.load_session_graph().await.nodes),
        ["n0", "n1", "x"]
    );
    let nodes = vec![node("n0", None), node("n1", Some("n0")), node("y", None)];
    store.replace_session_graph(&graph(nodes)).await;
    assert_eq!(
        ids(&store.load_session_graph().await.nodes),
        ["n0", "n1", "y"]
    );
    let head = store.load_session_head().await.unwrap();
    assert_eq!(head.head_revision, 1);
    assert_eq!(head.graph.leaf_node_id.as_deref(), Some("n1"));
}

#[tokio::test]
async fn copying_from_a_store_without_a_head_does_nothing() {
    let place = Place::new();
    let target = place.open().await;
    target
        .commit_runtime_state(append(None, chain(0, 2)))
        .await
        .unwrap();
    let raw = place.raw();
    let before = raw.dump();
    let source = Store::memory().await.unwrap();
    source.append_session_graph_nodes(&chain(5, 0)).await;
    target.head_copy_from_store(&source).await;
    assert_eq!(raw.dump(), before);
}

#[tokio::test]
async fn a_copy_replaces_what_was_there_under_the_next_revision() {
    let source = Store::memory().await.unwrap();
    source
        .commit_runtime_state(append(None, vec![node("source", None)]))
        .await
        .unwrap();
    let target = Store::memory().await.unwrap();
    target
        .commit_runtime_state(append(None, chain(0, 2)))
        .await
        .unwrap();
    target
        .commit_runtime_state(checkpointed(Some(1), 1))
        .await
        .unwrap();
    target.try_head_copy_from_store(&source).await.unwrap();
    let read = target
        .load_session(SessionReadScope::FullGraph)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(ids(&read.graph.nodes), ["source"]);
    assert_eq!(read.head_revision, 3);
    assert!(read.checkpoint.unwrap().execution_state.is_none());
}

#[tokio::test]
async fn metadata_comes_back_and_is_replaced() {
    let place = Place::new();
    let store = place.open().await;
    assert!(store.load_session_meta().await.is_none());
    assert!(store.try_load_session_meta().await.unwrap().is_none());
    store.save_session_meta(meta()).await;
    assert_eq!(json(&store.load_session_meta().await), json(&Some(meta())));
    let mut other = meta();
    other.session_name = "another name".to_owned();
    other.cwd = None;
    other.relation = SessionRelation::Root;
    RuntimePersistence::save_session_meta(&store, other.clone())
        .await
        .unwrap();
    let reopened = place.open().await;
    let read = RuntimePersistence::load_session_meta(&reopened).await;
    assert_eq!(json(&read.unwrap()), json(&Some(other)));
}

#[tokio::test]
async fn without_metadata_there_is_nothing_to_pick() {
    let store = Store::memory().await.unwrap();
    store
        .commit_runtime_state(append(None, chain(0, 1)))
        .await
        .unwrap();
    assert!(store.load_picker_info().await.is_none());
    assert!(store.try_load_picker_info().await.unwrap().is_none());
}

/// The picker says what lash-core says of the graph that the store answers.
async fn agrees_with_lash_core(store: &Store) {
    let info = store.try_load_picker_info().await.unwrap().unwrap();
    let graph = store.try_load_session_graph().await.unwrap();
    assert_eq!(info.user_message_count, graph.user_message_count());
    assert_eq!(info.first_user_message, graph.first_user_message());
    assert_eq!(info.session_id, SESSION);
    assert_eq!(info.cwd, meta().cwd);
    assert_eq!(info.relation, meta().relation);
    assert_eq!(info.parent_session_id(), Some("parent"));
}

#[tokio::test]
async fn the_picker_shows_what_lash_core_makes_of_the_whole_graph() {
    let store = Store::memory().await.unwrap();
    store.save_session_meta(meta()).await;
    agrees_with_lash_core(&store).await;
    let info = store.load_picker_info().await.unwrap();
    assert_eq!(info.user_message_count, 0);
    assert_eq!(info.first_user_message, "");

    let nodes = vec![
        node("p0", None),
        message_node("a0", Some("p0"), MessageRole::Assistant, "welcome"),
        message_node(
            "u0",
            Some("a0"),
            MessageRole::User,
            "  the first\nquestion ",
        ),
        message_node("s0", Some("u0"), MessageRole::System, "system"),
        message_node("u1", Some("s0"), MessageRole::User, "the second"),
        message_node("e0", Some("u1"), MessageRole::Event, "event"),
        message_node("u2", Some("e0"), MessageRole::User, &"long ".repeat(1000)),
    ];
    store
        .commit_runtime_state(append(None, nodes.clone()))
        .await
        .unwrap();
    agrees_with_lash_core(&store).await;
    let info = store.load_picker_info().await.unwrap();
    assert_eq!(info.user_message_count, 3);
    assert!(info.first_user_message.contains("the first"));

    for hidden in ["u0", "a0", "u1", "u2"] {
        store.tombstone_nodes(&[hidden.to_owned()]).await.unwrap();
        agrees_with_lash_core(&store).await;
    }
    store.vacuum().await.unwrap();
    agrees_with_lash_core(&store).await;

    let mut again = nodes;
    again.truncate(5);
    again.push(message_node("u9", None, MessageRole::User, "elsewhere"));
    store.replace_session_graph(&graph(again)).await;
    agrees_with_lash_core(&store).await;
    let info = store.load_picker_info().await.unwrap();
    assert_eq!(info.user_message_count, 3);
    store
        .append_session_graph_nodes(&[message_node("u10", None, MessageRole::User, "more")])
        .await;
    agrees_with_lash_core(&store).await;
    store
        .replace_session_graph(&graph(vec![node("p0", None)]))
        .await;
    agrees_with_lash_core(&store).await;
}

#[tokio::test]
async fn a_head_can_not_be_made_to_refer_to_a_checkpoint_that_is_not_stored() {
    let store = Store::memory().await.unwrap();
    let orphan = store.try_put_blob(b"not a manifest").await.unwrap();
    for reference in [
        BlobRef(format!("blake3:{}", "0".repeat(64))),
        BlobRef("nonsense".to_owned()),
        orphan,
    ] {
        let head = SessionHead {
            checkpoint_ref: Some(reference.clone()),
            ..SessionHead::default()
        };
        assert!(
            store.try_save_session_head(head).await.is_err(),
            "{reference}"
        );
    }
    assert!(store.try_load_session_head_meta().await.unwrap().is_none());
}

/// Defect D10 of the native crate: saving a head sets its revision back to 0, and a stale
/// handle wins a compare-and-swap that it must lose.
#[tokio::test]
async fn saving_a_head_does_not_give_a_stale_handle_its_revision_back() {
    let place = Place::new();
    let store = place.open().await;
    let stale = place.open().await;
    store
        .commit_runtime_state(append(None, chain(0, 1)))
        .await
        .unwrap();
    let seen = stale.load_session(FULL).await.unwrap().unwrap();
    assert_eq!(seen.head_revision, 1);

    let head = SessionHead {
        session_id: SESSION.to_owned(),
        graph: graph(vec![node("saved", None)]),
        ..SessionHead::default()
    };
    store.save_session_head(head).await;
    store
        .commit_runtime_state(append(Some(2), vec![node("next", Some("saved"))]))
        .await
        .unwrap();
    let error = stale
        .commit_runtime_state(replace(Some(seen.head_revision), Vec::new()))
        .await
        .unwrap_err();
    assert!(
        matches!(error, StoreError::HeadRevisionConflict { actual: 3, .. }),
        "{error}"
    );
    let read = store.load_session(FULL).await.unwrap().unwrap();
    assert_eq!(ids(&read.graph.nodes), ["saved", "next"]);
}

#[tokio::test]
async fn a_head_that_is_refused_leaves_the_graph_as_it_was() {
    let place = Place::new();
    let store = place.open().await;
    store
        .commit_runtime_state(append(None, chain(0, 2)))
        .await
        .unwrap();
    let raw = place.raw();
    let before = raw.dump();
    let mut refused = SessionHead {
        session_id: SESSION.to_owned(),
        graph: graph(vec![node("other", None)]),
        ..SessionHead::default()
    };
    refused.graph.set_leaf_node_id(Some("nowhere".to_owned()));
    assert!(matches!(
        store.try_save_session_head(refused).await,
        Err(Error::Engine(EngineError::Invalid { .. }))
    ));
    assert_eq!(raw.dump(), before);
}

#[tokio::test]
async fn copying_a_head_copies_all_that_it_refers_to() {
    let source = Store::memory().await.unwrap();
    let mut first = append(None, chain(0, 2));
    first.checkpoint = full_checkpoint(3);
    first.usage_deltas = vec![usage("turn", "model", [1, 2, 3, 4])];
    source.commit_runtime_state(first).await.unwrap();

    let place = Place::new();
    let target = place.open().await;
    target
        .append_usage_deltas(&[usage("old", "old", [9, 9, 9, 9])])
        .await;
    target.head_copy_from_store(&source).await;

    let copy = target.load_session(FULL).await.unwrap().unwrap();
    let original = source.load_session(FULL).await.unwrap().unwrap();
    assert_eq!(json(&copy.graph), json(&original.graph));
    assert_eq!(ledger(&copy.token_ledger), ledger(&original.token_ledger));
    assert_eq!(copy.checkpoint_ref, original.checkpoint_ref);
    assert_eq!(json(&copy.checkpoint), json(&original.checkpoint));
    assert_eq!(
        copy.checkpoint.unwrap().execution_state.unwrap(),
        b"execution 3"
    );
    assert_eq!(
        RuntimePersistence::gc_unreachable(&target)
            .await
            .unwrap()
            .deleted_blob_count,
        0
    );
}

#[tokio::test]
async fn a_revision_at_the_end_of_the_range_is_not_used_twice() {
    let store = Store::memory().await.unwrap();
    let meta = SessionHeadMeta {
        session_id: SESSION.to_owned(),
        head_revision: u64::MAX,
        ..SessionHeadMeta::default()
    };
    let saved = store.try_save_session_head_meta(meta).await;
    assert!(
        matches!(saved, Err(Error::Engine(EngineError::Invalid { .. }))),
        "{saved:?}"
    );
    assert!(store.try_load_session_head_meta().await.unwrap().is_none());

    let meta = SessionHeadMeta {
        session_id: SESSION.to_owned(),
        head_revision: i64::MAX as u64 - 1,
        ..SessionHeadMeta::default()
    };
    let saved = store.try_save_session_head_meta(meta).await.unwrap();
    let last = store.commit_runtime_state(commit(Some(saved))).await;
    let last = last.unwrap().head_revision;
    assert_eq!(last, saved + 1);
    assert!(
        store
            .commit_runtime_state(commit(Some(last)))
            .await
            .is_err()
    );
}
