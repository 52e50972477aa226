//! What is replaced is whole afterwards, whatever was wrong with it before.

use lash_core::RuntimePersistence;
use lash_core::store::SessionReadScope;
use lash_wasm_store::StoreBuilder;
use lash_wasm_store_testing::fixtures::{Place, append, chain, checkpointed, graph, ids};
use lash_wasm_store_testing::flips::is_sound;

/// Replacing a graph with a missing row succeeded, and every later load failed: what was
/// known of the graph still counted the row.
#[tokio::test]
async fn a_graph_that_is_replaced_can_be_read() {
    for damage in [
        "DELETE FROM graph_nodes WHERE node_id = 'n0'",
        "DELETE FROM graph_nodes WHERE node_id = 'n2'",
        "DELETE FROM graph_nodes WHERE node_id = 'n5'",
        "UPDATE graph_nodes SET body = x'7b7d' WHERE node_id = 'n2'",
        "UPDATE graph_nodes SET parent_seq = 1 WHERE node_id = 'n4'",
        "UPDATE graph_nodes SET tombstoned = 1 WHERE node_id = 'n3'",
        "UPDATE graph_nodes SET checksum = 7 WHERE node_id = 'n1'",
    ] {
        let place = Place::new();
        let store = place.open().await;
        let nodes = append(None, chain(0, 6));
        store.commit_runtime_state(nodes).await.unwrap();
        place.raw().damage(damage);
        let load = || store.load_session(SessionReadScope::FullGraph);
        assert!(load().await.is_err(), "{damage}");

        let whole = graph(chain(0, 6));
        store.try_replace_session_graph(&whole).await.unwrap();
        let read = load().await.unwrap().unwrap();
        assert_eq!(ids(&read.graph.nodes), ids(&chain(0, 6)), "{damage}");
        let inspector = StoreBuilder::new().open_inspector(place.path()).await;
        let verification = inspector.unwrap().verify().await.unwrap();
        assert!(verification.is_sound(), "{damage}: {verification:?}");
    }
}

/// A blob that is put again replaces the stored copy if that is corrupt: it was looked for by
/// its key alone, and the copy stayed corrupt for good.
#[tokio::test]
async fn a_blob_that_is_put_again_can_be_read() {
    let content = "content that can be compressed ".repeat(200);
    for damage in [
        "UPDATE blobs SET content = zeroblob(length(content)) WHERE id = 1",
        "UPDATE blobs SET content = x'00' WHERE id = 1",
        "UPDATE blobs SET checksum = 7 WHERE id = 1",
        "UPDATE blobs SET length = 7 WHERE id = 1",
        "UPDATE blobs SET encoding = 1 - encoding WHERE id = 1",
        "UPDATE blobs SET edges = x'00', checksum = 7 WHERE id < 3",
        "DELETE FROM blobs WHERE id = 1",
    ] {
        for content in [content.as_bytes(), b"small"] {
            let place = Place::new();
            let store = place.open().await;
            let key = store.try_put_blob(content).await.unwrap();
            let other = store.try_put_blob(b"other").await.unwrap();
            place.raw().execute(damage);
            for (key, content) in [(&key, content), (&other, b"other")] {
                let gone = damage.starts_with("DELETE");
                if gone && content == b"other" {
                    continue;
                }
                assert_eq!(store.try_put_blob(content).await.unwrap(), *key, "{damage}");
                let read = store.try_get_blob(key).await.unwrap();
                assert_eq!(read.as_deref(), Some(content), "{damage}");
            }
            if !damage.starts_with("DELETE") {
                assert!(is_sound(place.path()).await, "{damage}");
            }
        }
    }
}

/// A commit does not read what it leaves as it is, but sees what is known of it.
#[tokio::test]
async fn a_commit_replaces_a_snapshot_of_which_the_row_is_corrupt() {
    for damage in [
        "UPDATE blobs SET content = x'00' WHERE kind = 2",
        "UPDATE blobs SET checksum = 7 WHERE kind = 3",
        "UPDATE blobs SET length = 7 WHERE kind = 4",
        "UPDATE blobs SET kind = 0 WHERE kind = 1",
    ] {
        let place = Place::new();
        let store = place.open().await;
        let committed = store.commit_runtime_state(checkpointed(None, 1)).await;
        let revision = committed.unwrap().head_revision;
        place.raw().damage(damage);
        assert!(
            store
                .load_session(SessionReadScope::FullGraph)
                .await
                .is_err()
        );
        let again = checkpointed(Some(revision), 1);
        store.commit_runtime_state(again).await.unwrap();
        let loaded = store.load_session(SessionReadScope::FullGraph).await;
        assert!(loaded.unwrap().is_some(), "{damage}");
        assert!(is_sound(place.path()).await, "{damage}");
    }
}

/// A head that is saved replaces one that is corrupt or lost.
#[tokio::test]
async fn a_head_that_is_saved_can_be_read() {
    for damage in [
        "UPDATE session_head SET content = x'7b'",
        "UPDATE session_head SET revision = 4711",
        "UPDATE session_head SET checkpoint = NULL",
        "DELETE FROM session_head",
    ] {
        let place = Place::new();
        let store = place.open().await;
        let committed = store.commit_runtime_state(checkpointed(None, 1)).await;
        let revision = committed.unwrap().head_revision;
        let head = store.try_load_session_head().await.unwrap().unwrap();
        place.raw().damage(damage);
        assert!(store.try_load_session_head().await.is_err(), "{damage}");
        let saved = store.try_save_session_head(head).await.unwrap();
        assert!(saved >= revision, "{damage}: {saved}");
        let read = store.try_load_session_head().await.unwrap();
        assert!(read.is_some(), "{damage}");
        assert!(is_sound(place.path()).await, "{damage}");
    }
}
