//! Damaged or missing rows of a session are errors, wherever they are met.

use lash_core::{
    MessageRole, RuntimePersistence, SessionPolicy, SessionReadScope, SessionRelation,
    SessionStoreCreateRequest,
};
use lash_wasm_store::{EngineError, Error, SqliteSessionStoreFactory};
use lash_wasm_store_testing::fixtures::{
    Place, Raw, SESSION, append, chain, commit, full_checkpoint, message_node, meta, usage,
};

const FULL: SessionReadScope = SessionReadScope::FullGraph;

/// Defect D4 of the native crate: rows that it cannot decode are left out, so that a
/// session comes back with holes in its history.
#[tokio::test]
async fn a_damaged_or_missing_node_is_an_error_and_not_a_hole() {
    for damage in [
        "UPDATE graph_nodes SET body = x'7b7d' WHERE node_id = 'n1'",
        "UPDATE graph_nodes SET parent_seq = NULL WHERE node_id = 'n1'",
        "UPDATE graph_nodes SET tombstoned = 1 WHERE node_id = 'n1'",
        "UPDATE graph_nodes SET node_id = 'other' WHERE node_id = 'n1'",
        "DELETE FROM graph_nodes WHERE node_id = 'n1'",
    ] {
        let place = Place::new();
        let store = place.open().await;
        store
            .commit_runtime_state(append(None, chain(0, 3)))
            .await
            .unwrap();
        place.raw().damage(damage);

        for scope in [FULL, SessionReadScope::ActivePath { leaf_node_id: None }] {
            assert!(store.load_session(scope).await.is_err(), "{damage}");
        }
        assert!(store.try_load_session_graph().await.is_err(), "{damage}");
        assert!(store.try_load_session_head().await.is_err(), "{damage}");
        // A row that is gone with its index entry can not be told from one that
        // never was, when it is asked for alone.
        let gone = damage.starts_with("DELETE") || damage.contains("'other'");
        if !gone {
            assert!(store.load_node("n1").await.is_err(), "{damage}");
        }
    }
}

#[tokio::test]
async fn a_damaged_first_message_is_an_error_for_the_picker() {
    let place = Place::new();
    let store = place.open().await;
    store.try_save_session_meta(meta()).await.unwrap();
    let nodes = vec![message_node("m0", None, MessageRole::User, "hello")];
    store
        .commit_runtime_state(append(None, nodes))
        .await
        .unwrap();
    place
        .raw()
        .damage("UPDATE graph_nodes SET body = x'7b7d' WHERE node_id = 'm0'");
    assert!(matches!(
        store.try_load_picker_info().await,
        Err(Error::Engine(EngineError::Corrupt { .. }))
    ));
    assert!(store.load_picker_info().await.is_none());
}

#[tokio::test]
async fn a_damaged_or_missing_entry_of_the_ledger_is_an_error_and_not_less_usage() {
    for (damage, entries_fail, totals_fail) in [
        (
            "UPDATE usage_entries SET input_tokens = 0 WHERE seq = 1",
            true,
            false,
        ),
        ("DELETE FROM usage_entries WHERE seq = 2", true, false),
        (
            "UPDATE usage_totals SET input_tokens = 0 WHERE seq = 1",
            false,
            true,
        ),
        ("DELETE FROM usage_totals WHERE seq = 1", false, true),
    ] {
        let place = Place::new();
        let store = place.open().await;
        let mut first = commit(None);
        first.usage_deltas = vec![
            usage("turn", "a", [1, 2, 3, 4]),
            usage("turn", "b", [5, 6, 7, 8]),
        ];
        store.commit_runtime_state(first).await.unwrap();
        place.raw().damage(damage);

        let entries = store.try_load_usage_deltas().await;
        assert_eq!(entries.is_err(), entries_fail, "{damage}");
        let session = store.load_session(FULL).await;
        assert_eq!(session.is_err(), totals_fail, "{damage}");
    }
}

#[tokio::test]
async fn a_table_that_is_gone_is_an_error_and_not_an_empty_one() {
    for table in [
        "graph_nodes",
        "usage_entries",
        "usage_totals",
        "session_head",
    ] {
        let place = Place::new();
        let store = place.open().await;
        store
            .commit_runtime_state(append(None, chain(0, 1)))
            .await
            .unwrap();
        drop(store);
        place
            .raw()
            .execute(&format!("ALTER TABLE {table} RENAME TO elsewhere"));

        let store = place.open().await;
        if table == "usage_entries" {
            assert!(store.try_load_usage_deltas().await.is_err());
        } else {
            assert!(store.load_session(FULL).await.is_err(), "{table}");
        }
    }
}

/// Defect R12 of the native crate: a path is followed without looking for a cycle, for
/// ever, on the only thread of the store.
#[tokio::test]
async fn a_damaged_parent_that_makes_a_cycle_ends_with_an_error() {
    let place = Place::new();
    let store = place.open().await;
    store
        .commit_runtime_state(append(None, chain(0, 3)))
        .await
        .unwrap();
    for parent in [1, 2, 3] {
        place.raw().damage(&format!(
            "UPDATE graph_nodes SET parent_seq = {parent} WHERE node_id = 'n0'"
        ));
        let read = store
            .load_session(SessionReadScope::ActivePath { leaf_node_id: None })
            .await;
        assert!(read.unwrap_err().to_string().contains("damaged"));
    }
}

/// Defect D8 of the native crate: an error counts as no metadata, upon which the factory
/// overwrites what is stored with defaults.
#[tokio::test]
async fn damaged_metadata_is_an_error_and_is_not_overwritten_by_the_factory() {
    let request = SessionStoreCreateRequest {
        session_id: SESSION.to_owned(),
        relation: SessionRelation::Root,
        policy: SessionPolicy::default(),
    };
    for damage in [
        "UPDATE session_meta SET relation = x'00'",
        "UPDATE session_meta SET relation = '\"root\"'",
        "UPDATE session_meta SET session_name = 'other'",
        "DELETE FROM session_meta",
    ] {
        let directory = tempfile::tempdir().unwrap();
        let factory = SqliteSessionStoreFactory::new(directory.path());
        let store = factory.try_create_store(&request).await.unwrap();
        store.try_save_session_meta(meta()).await.unwrap();
        let raw = Raw::open(store.path());
        raw.damage(damage);
        let before = raw.dump();

        assert!(
            RuntimePersistence::load_session_meta(&*store)
                .await
                .is_err(),
            "{damage}"
        );
        assert!(store.load_session_meta().await.is_none(), "{damage}");
        let reopened = factory.try_create_store(&request).await;
        assert!(
            matches!(reopened, Err(Error::Engine(EngineError::Corrupt { .. }))),
            "{damage}"
        );
        assert_eq!(raw.dump(), before, "{damage}");
    }
}

#[tokio::test]
async fn a_head_that_can_not_be_read_whole_is_not_copied() {
    let from = Place::new();
    let source = from.open().await;
    let mut first = append(None, chain(0, 2));
    first.checkpoint = full_checkpoint(1);
    source.commit_runtime_state(first).await.unwrap();
    from.raw().damage("DELETE FROM blobs WHERE kind = 4");

    let to = Place::new();
    let target = to.open().await;
    let raw = to.raw();
    let before = raw.dump();
    assert!(matches!(
        target.try_head_copy_from_store(&source).await,
        Err(Error::Engine(EngineError::Corrupt { .. }))
    ));
    assert_eq!(raw.dump(), before);
}
