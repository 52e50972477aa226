//! What is replaced is whole afterwards, whatever was wrong with it before.

use lash_core::RuntimePersistence;
use lash_core::store::SessionReadScope;
use lash_wasm_store::StoreBuilder;
use lash_wasm_store_testing::fixtures::{Place, append, chain, graph, ids};

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
