//! Garbage collection over damaged rows: what may be referred to stays.

use lash_core::{LashlangArtifactStore, RuntimePersistence};
use lash_wasm_store_testing::fixtures::{Place, checkpointed};

/// Defect D1 of the native crate: a head that it cannot decode counts as no head, so
/// every blob is garbage. Here a reference that cannot be followed stops the collection.
#[tokio::test]
async fn gc_removes_nothing_while_the_head_is_damaged_or_missing() {
    for damage in [
        "UPDATE session_head SET content = x'7b'",
        "UPDATE session_head SET checkpoint = NULL",
        "UPDATE session_head SET retained = x'00'",
        "DELETE FROM session_head",
    ] {
        let place = Place::new();
        let store = place.open().await;
        store
            .commit_runtime_state(checkpointed(None, 1))
            .await
            .unwrap();
        let raw = place.raw();
        let blobs = raw.integer("SELECT count(*) FROM blobs");
        assert_eq!(blobs, 4);
        raw.damage(damage);

        assert!(
            RuntimePersistence::gc_unreachable(&store).await.is_err(),
            "{damage}"
        );
        assert_eq!(raw.integer("SELECT count(*) FROM blobs"), blobs, "{damage}");
    }
}

#[tokio::test]
async fn gc_removes_nothing_while_a_referenced_blob_is_damaged_or_missing() {
    // Kind 1 is the manifest of a checkpoint, 2 to 4 are its parts.
    for kind in 1..=4 {
        for damage in ["DELETE FROM blobs", "UPDATE blobs SET content = x'00'"] {
            let place = Place::new();
            let store = place.open().await;
            store
                .commit_runtime_state(checkpointed(None, 1))
                .await
                .unwrap();
            store.put_blob(b"garbage").await;
            let raw = place.raw();
            raw.damage(&format!("{damage} WHERE kind = {kind}"));
            let before = raw.dump();

            assert!(
                RuntimePersistence::gc_unreachable(&store).await.is_err(),
                "{damage} of kind {kind}"
            );
            assert_eq!(raw.dump(), before, "{damage} of kind {kind}");
        }
    }
}

#[tokio::test]
async fn gc_removes_nothing_while_an_artifact_is_missing() {
    let place = Place::new();
    let store = place.open().await;
    store
        .put_artifact_bytes("name", "generic", b"kept")
        .await
        .unwrap();
    let raw = place.raw();
    raw.damage("DELETE FROM artifacts");
    assert!(RuntimePersistence::gc_unreachable(&store).await.is_err());
    assert_eq!(raw.integer("SELECT count(*) FROM blobs"), 1);
}
