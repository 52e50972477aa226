//! Garbage collection over damaged rows: what may be referred to stays.

use lash_core::{LashlangArtifactStore, RuntimePersistence, RuntimeTurnCommitStamp};
use lash_wasm_store_testing::fixtures::{Place, SESSION, checkpointed};

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
async fn gc_removes_nothing_while_a_referenced_blob_is_missing_or_its_references_are_unknown() {
    // Kind 1 is the manifest of a checkpoint, 2 to 4 are its parts.
    for kind in 1..=4 {
        for damage in ["DELETE FROM blobs", "UPDATE blobs SET edges = x'00'"] {
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

/// One corrupt blob stopped it for good, although what refers to what is known.
#[tokio::test]
async fn gc_removes_what_is_garbage_although_something_else_is_corrupt() {
    for (damage, kept) in [
        // The content of what is referred to.
        ("UPDATE blobs SET content = x'00' WHERE kind = 1", 0),
        ("UPDATE blobs SET content = x'00' WHERE kind = 4", 0),
        // What nothing refers to, and is not known to be garbage any more.
        ("UPDATE blobs SET checksum = 0 WHERE kind = 0 AND id = 5", 1),
        (
            "UPDATE blobs SET length = 4711 WHERE kind = 0 AND id = 5",
            1,
        ),
        (
            "UPDATE blobs SET key = zeroblob(33) WHERE kind = 0 AND id = 5",
            1,
        ),
    ] {
        let place = Place::new();
        let store = place.open().await;
        store
            .commit_runtime_state(checkpointed(None, 1))
            .await
            .unwrap();
        for garbage in [&b"garbage"[..], b"more garbage"] {
            store.put_blob(garbage).await;
        }
        let raw = place.raw();
        raw.damage(damage);
        let report = store.try_gc_unreachable().await.unwrap();
        assert_eq!(report.deleted_blob_count, 2 - kept, "{damage}");
        let left = usize::try_from(raw.integer("SELECT count(*) FROM blobs")).unwrap();
        assert_eq!(left, 4 + kept, "{damage}");
    }
}

/// A corrupt stamp could be that of any manifest, and of nothing else.
#[tokio::test]
async fn gc_keeps_all_manifests_while_a_stamp_is_corrupt() {
    let place = Place::new();
    let store = place.open().await;
    let mut revision = None;
    for turn in 0..3 {
        let mut commit = checkpointed(revision, turn);
        let (id, hash) = (format!("turn {turn}"), format!("hash {turn}"));
        commit.turn_commit = Some(RuntimeTurnCommitStamp::new(SESSION, id, hash));
        let committed = store.commit_runtime_state(commit).await.unwrap();
        revision = Some(committed.head_revision);
    }
    store.put_blob(b"garbage").await;
    let raw = place.raw();
    raw.damage("UPDATE runtime_turn_commits SET commit_hash = 'x' WHERE turn_id = 'turn 0'");
    assert!(store.try_gc_unreachable().await.unwrap().deleted_blob_count > 0);
    assert_eq!(raw.integer("SELECT count(*) FROM blobs WHERE kind = 1"), 3);
    assert_eq!(raw.integer("SELECT count(*) FROM blobs WHERE kind = 0"), 0);
}
