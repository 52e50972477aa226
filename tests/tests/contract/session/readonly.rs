//! A store that can only be read: what cannot be written is an error, or a reference to
//! nothing where the method returns no error.

use lash_core::RuntimePersistence;
use lash_core::store::{SessionHead, SessionHeadMeta};
use lash_wasm_store::{BlobArtifactDescriptor, EngineError, Error, Store};
use lash_wasm_store_testing::fixtures::{
    Place, chain, commit, full_checkpoint, graph, meta, usage,
};

#[tokio::test]
async fn metadata_that_could_not_be_saved_is_an_error() {
    let place = Place::new();
    drop(place.open().await);
    let store = Store::open_readonly(place.path()).await.unwrap();
    let saved = RuntimePersistence::save_session_meta(&store, meta()).await;
    assert!(saved.is_err());
    assert!(matches!(
        store.try_save_session_meta(meta()).await,
        Err(Error::Engine(EngineError::ReadOnly { .. }))
    ));
}

/// Defect D9 of the native crate: where it cannot write it logs a warning and returns as
/// if it had.
#[tokio::test]
async fn what_could_not_be_written_is_an_error_of_the_twin() {
    let place = Place::new();
    let garbage = place.open().await.try_put_blob(b"garbage").await;
    garbage.unwrap();
    let store = Store::open_readonly(place.path()).await.unwrap();
    let generic = BlobArtifactDescriptor::process_execution_env;
    let head = SessionHeadMeta::default;
    let outcomes = [
        ("blob", store.try_put_blob(b"x").await.err()),
        (
            "artifact blob",
            store.try_put_artifact_blob(generic(), b"x").await.err(),
        ),
        ("typed blob", store.try_put_typed_blob(&1).await.err()),
        (
            "typed artifact blob",
            store.try_put_typed_artifact_blob(generic(), &1).await.err(),
        ),
        (
            "checkpoint",
            store.try_put_checkpoint(&full_checkpoint(1)).await.err(),
        ),
        (
            "nodes",
            store
                .try_append_session_graph_nodes(&chain(0, 1))
                .await
                .err(),
        ),
        (
            "graph",
            store
                .try_replace_session_graph(&graph(chain(0, 1)))
                .await
                .err(),
        ),
        (
            "head",
            store
                .try_save_session_head(SessionHead::default())
                .await
                .err(),
        ),
        (
            "head row",
            store.try_save_session_head_meta(head()).await.err(),
        ),
        (
            "usage",
            store
                .try_append_usage_deltas(&[usage("s", "m", [1, 1, 1, 1])])
                .await
                .err(),
        ),
        ("garbage", store.try_gc_unreachable().await.err()),
    ];
    for (what, error) in outcomes {
        assert!(
            matches!(error, Some(Error::Engine(EngineError::ReadOnly { .. }))),
            "{what}: {error:?}"
        );
    }
}

#[tokio::test]
async fn the_reference_to_what_could_not_be_written_can_not_be_committed() {
    let place = Place::new();
    let store = place.open().await;
    let readonly = Store::open_readonly(place.path()).await.unwrap();
    let references = [
        readonly.put_blob(b"x").await,
        readonly.put_typed_blob(&1).await,
        readonly
            .put_checkpoint(&full_checkpoint(1))
            .await
            .checkpoint_ref,
    ];
    for reference in references {
        assert!(store.try_get_blob(&reference).await.unwrap().is_none());
        let mut next = commit(None);
        next.checkpoint.execution_state_ref = Some(reference);
        assert!(store.commit_runtime_state(next).await.is_err());
    }
}
