//! Damaged blobs: a blob is what was stored, or an error.

use lash_core::{RuntimePersistence, SessionReadScope};
use lash_wasm_store::{
    BlobArtifactDescriptor, BuiltinBlobProfile, EngineError, Error, StoreBuilder, StoreGcPolicy,
    StoreOptions,
};
use lash_wasm_store_guest::seam::Value;
use lash_wasm_store_testing::fixtures::{Place, checkpointed, noise};

const FULL: SessionReadScope = SessionReadScope::FullGraph;

/// Defect D3 of the native crate: a checkpoint that cannot be read counts as none, the
/// runtime goes on at turn 0, and its next commit overwrites the head.
#[tokio::test]
async fn a_checkpoint_that_cannot_be_read_is_an_error_and_not_no_checkpoint() {
    for kind in 1..=4 {
        for damage in [
            "DELETE FROM blobs",
            "UPDATE blobs SET content = substr(content, 1, length(content) - 1)",
            "UPDATE blobs SET content = zeroblob(length(content))",
            "UPDATE blobs SET encoding = 1 - encoding",
            "UPDATE blobs SET length = length + 1",
        ] {
            let place = Place::new();
            let store = place.open().await;
            let result = store
                .commit_runtime_state(checkpointed(None, 1))
                .await
                .unwrap();
            place.raw().damage(&format!("{damage} WHERE kind = {kind}"));

            let case = format!("{damage} of kind {kind}");
            for scope in [FULL, SessionReadScope::ActivePath { leaf_node_id: None }] {
                let error = store.load_session(scope).await.unwrap_err();
                assert!(error.to_string().contains("damaged"), "{case}: {error}");
            }
            assert!(
                matches!(
                    store.try_load_session_head().await,
                    Err(Error::Engine(EngineError::Corrupt { .. }))
                ),
                "{case}"
            );
            // Without its manifest a checkpoint is unknown, not damaged.
            if kind != 1 || !damage.starts_with("DELETE") {
                let checkpoint = store.try_get_checkpoint(&result.checkpoint_ref).await;
                assert!(
                    matches!(checkpoint, Err(Error::Engine(EngineError::Corrupt { .. }))),
                    "{case}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_damaged_blob_is_an_error_whatever_its_encoding() {
    for (profile, encoding) in [
        (BuiltinBlobProfile::LowLatency, 0),
        (BuiltinBlobProfile::Balanced, 1),
        (BuiltinBlobProfile::Compact, 1),
    ] {
        let place = Place::new();
        let options = StoreOptions {
            blob_profile: profile,
            gc_policy: StoreGcPolicy::default(),
        };
        let store = place.open_with(StoreBuilder::new().options(options)).await;
        let content = b"what is stored ".repeat(1000);
        let key = store
            .try_put_artifact_blob(BlobArtifactDescriptor::tool_state_snapshot(), &content)
            .await
            .unwrap();
        let raw = place.raw();
        assert_eq!(raw.integer("SELECT encoding FROM blobs"), encoding);
        let stored = raw.blob("SELECT content FROM blobs");
        for position in [0, 1, stored.len() / 2, stored.len() - 1] {
            let mut damaged = stored.clone();
            damaged[position] ^= 0x10;
            raw.execute_with("UPDATE blobs SET content = ?1", &[Value::Blob(&damaged)]);
            assert!(
                matches!(
                    store.try_get_blob(&key).await,
                    Err(Error::Engine(EngineError::Corrupt { .. }))
                ),
                "{profile:?}, byte {position}"
            );
            assert!(store.get_blob(&key).await.is_none());
        }
        raw.execute_with("UPDATE blobs SET content = ?1", &[Value::Blob(&stored)]);
        assert_eq!(store.try_get_blob(&key).await.unwrap().unwrap(), content);
    }
}

#[tokio::test]
async fn a_blob_that_took_the_place_of_another_is_an_error() {
    let place = Place::new();
    let store = place.open().await;
    let contents = [noise(64), vec![7; 64]];
    let mut keys = Vec::new();
    for content in &contents {
        keys.push(store.try_put_blob(content).await.unwrap());
    }
    let raw = place.raw();
    for (id, content) in [(1, &contents[1]), (2, &contents[0])] {
        raw.execute_with(
            "UPDATE blobs SET content = ?2 WHERE id = ?1",
            &[Value::Integer(id), Value::Blob(content)],
        );
    }
    for key in keys {
        assert!(matches!(
            store.try_get_blob(&key).await,
            Err(Error::Engine(EngineError::Corrupt { .. }))
        ));
    }
}

/// Defect R17 of the native crate: it inflates whatever a row holds to its end. Here no
/// more is inflated than the checked length of the row.
#[tokio::test]
async fn a_row_that_inflates_to_more_than_its_length_is_an_error() {
    let place = Place::new();
    let store = place.open().await;
    let tools = BlobArtifactDescriptor::tool_state_snapshot;
    let small = vec![0; 8 * 1024];
    let large = vec![0; 16 << 20];
    let key = store.try_put_artifact_blob(tools(), &small).await.unwrap();
    store.try_put_artifact_blob(tools(), &large).await.unwrap();
    let raw = place.raw();
    assert_eq!(raw.integers("SELECT encoding FROM blobs"), [1, 1]);
    raw.damage(
        "UPDATE blobs SET content = (SELECT content FROM blobs WHERE length = 16777216)
         WHERE length = 8192",
    );
    assert!(matches!(
        store.try_get_blob(&key).await,
        Err(Error::Engine(EngineError::Corrupt { .. }))
    ));
    // Nor is a length believed that was not written with the row.
    raw.damage("UPDATE blobs SET length = 16777216 WHERE length = 8192");
    assert!(matches!(
        store.try_get_blob(&key).await,
        Err(Error::Engine(EngineError::Corrupt { .. }))
    ));
}
