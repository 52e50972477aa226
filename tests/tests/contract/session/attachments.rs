//! The write-ahead manifest of attachments.

use std::pin::pin;
use std::slice;

use lash_core::store::SessionReadScope;
use lash_core::{
    AttachmentId, AttachmentIntent, AttachmentManifest, RuntimePersistence, StoreError,
};
use lash_wasm_store::Store;
use lash_wasm_store_testing::fixtures::{Place, SESSION, append, at, chain, poll_once};

fn record(store: &Store, session_id: &str, id: &str, at: u64) {
    store
        .record_intent(AttachmentIntent {
            attachment_id: AttachmentId::new(id),
            session_id: session_id.to_owned(),
            canonical_uri: format!("file:{id}"),
            intent_at_epoch_ms: at,
        })
        .unwrap();
}

fn uncommitted(store: &Store, at: u64) -> Vec<(String, String, u64)> {
    store
        .list_uncommitted(at)
        .unwrap()
        .into_iter()
        .map(|entry| {
            assert_eq!(entry.committed_at_epoch_ms, None);
            assert_eq!(
                entry.canonical_uri,
                format!("file:{}", entry.attachment_id.as_str())
            );
            (
                entry.session_id,
                entry.attachment_id.as_str().to_owned(),
                entry.intent_at_epoch_ms,
            )
        })
        .collect()
}

fn row(session_id: &str, id: &str, at: u64) -> (String, String, u64) {
    (session_id.to_owned(), id.to_owned(), at)
}

#[tokio::test]
async fn intents_of_an_age_or_older_are_listed_oldest_first() {
    let store = Store::memory().await.unwrap();
    record(&store, SESSION, "b", 300);
    record(&store, SESSION, "a", 100);
    record(&store, "other", "c", 200);
    assert!(uncommitted(&store, 99).is_empty());
    assert_eq!(uncommitted(&store, 100), [row(SESSION, "a", 100)]);
    assert_eq!(
        uncommitted(&store, 300),
        [
            row(SESSION, "a", 100),
            row("other", "c", 200),
            row(SESSION, "b", 300)
        ]
    );
}

#[tokio::test]
async fn only_the_session_s_own_known_intents_are_committed() {
    let store = Store::memory().await.unwrap();
    record(&store, SESSION, "a", 1);
    record(&store, SESSION, "b", 2);
    record(&store, "other", "c", 3);
    store.commit_refs(SESSION, &[]).unwrap();
    let ids = ["a", "c", "unknown"].map(AttachmentId::new);
    store.commit_refs(SESSION, &ids).unwrap();
    assert_eq!(
        uncommitted(&store, 9),
        [row(SESSION, "b", 2), row("other", "c", 3)]
    );
    // Doing it again changes nothing.
    store.commit_refs(SESSION, &ids).unwrap();
    assert_eq!(uncommitted(&store, 9).len(), 2);
}

#[tokio::test]
async fn an_attachment_is_forgotten_whole() {
    let place = Place::new();
    let store = place.open().await;
    record(&store, SESSION, "a", 1);
    record(&store, "other", "a", 2);
    record(&store, SESSION, "b", 3);
    store
        .commit_refs(SESSION, &[AttachmentId::new("a")])
        .unwrap();
    store.forget(&AttachmentId::new("a")).unwrap();
    store.forget(&AttachmentId::new("a")).unwrap();
    store.forget(&AttachmentId::new("unknown")).unwrap();
    let left = "SELECT attachment_id FROM attachment_intents";
    assert_eq!(place.raw().texts(left), ["b"]);
    assert_eq!(uncommitted(&store, 9), [row(SESSION, "b", 3)]);
    // After that it is a new attachment.
    record(&store, SESSION, "a", 4);
    assert_eq!(uncommitted(&store, 9).len(), 2);
}

#[tokio::test]
async fn a_damaged_or_missing_intent_is_an_error() {
    for damage in [
        "UPDATE attachment_intents SET intent_at_ms = 1000 WHERE attachment_id = 'a'",
        "UPDATE attachment_intents SET canonical_uri = '' WHERE attachment_id = 'a'",
        "UPDATE attachment_intents SET committed_at_ms = 5 WHERE attachment_id = 'a'",
        "DELETE FROM attachment_intents WHERE attachment_id = 'a'",
    ] {
        let place = Place::new();
        let store = place.open().await;
        record(&store, SESSION, "a", 1);
        record(&store, SESSION, "b", 1);
        place.raw().damage(damage);
        assert!(store.list_uncommitted(u64::MAX).is_err(), "{damage}");
    }
}

#[tokio::test]
async fn an_intent_that_follows_a_commit_does_not_make_the_attachment_uncommitted() {
    let store = Store::memory().await.unwrap();
    record(&store, SESSION, "a", 100);
    store
        .commit_refs(SESSION, &[AttachmentId::new("a")])
        .unwrap();
    record(&store, SESSION, "a", 200);
    record(&store, "other", "a", 200);
    assert!(store.list_uncommitted(u64::MAX).unwrap().is_empty());
}

#[tokio::test]
async fn an_intent_at_the_end_of_time_is_listed_last() {
    let store = Store::memory().await.unwrap();
    for (id, at) in [("last", u64::MAX), ("first", 1), ("second", 1 << 62)] {
        record(&store, SESSION, id, at);
    }
    let listed = |at| -> Vec<String> {
        let entries = store.list_uncommitted(at).unwrap();
        entries
            .iter()
            .map(|entry| entry.attachment_id.as_str().to_owned())
            .collect()
    };
    assert_eq!(listed(u64::MAX), ["first", "second", "last"]);
    assert_eq!(listed((1 << 62) - 1), ["first"]);
    assert!(listed(0).is_empty());
}

/// Defect R11 of the native crate: the synchronous manifest runs a future on the thread
/// of the caller, and panics where one is run already.
#[test]
fn the_attachment_manifest_works_on_the_only_thread_of_a_runtime_and_without_one() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
    };
    let store = runtime().block_on(Store::memory()).unwrap();
    record(&store, SESSION, "outside", 1);
    runtime().block_on(async {
        record(&store, SESSION, "inside", 1);
        // Also while a call of the same runtime is under way.
        let mut pending = pin!(store.try_put_blob(b"x"));
        let _ = poll_once(pending.as_mut());
        record(&store, SESSION, "between", 1);
    });
    assert_eq!(store.list_uncommitted(1).unwrap().len(), 3);
}

/// A sweep removed the bytes of an attachment that a commit had just referred to: listing,
/// removing and forgetting were three steps with room in between.
#[tokio::test]
async fn a_condemned_attachment_can_be_removed_without_a_race() {
    let store = Store::memory().await.unwrap();
    let id = AttachmentId::new("a");
    let condemn = |until| store.condemn_attachment(&id, at(until));
    assert!(!condemn(u64::MAX >> 20).await.unwrap(), "it is unknown");
    record(&store, SESSION, "a", 100);
    record(&store, "other", "a", 200);
    assert!(
        !condemn(199).await.unwrap(),
        "one of its intents is younger"
    );
    assert!(condemn(200).await.unwrap());
    assert!(condemn(200).await.unwrap(), "a sweep may begin again");
    assert_eq!(
        uncommitted(&store, 200),
        [row(SESSION, "a", 100), row("other", "a", 200)]
    );

    let refused = |error: StoreError| {
        let text = error.to_string();
        assert!(
            text.contains("attachment a in :memory: is condemned"),
            "{text}"
        );
    };
    refused(
        store
            .commit_refs("other", slice::from_ref(&id))
            .unwrap_err(),
    );
    let mut referring = append(None, chain(0, 1));
    referring.committed_attachment_ids = vec![id.clone()];
    let commit = store.commit_runtime_state(referring.clone());
    refused(commit.await.unwrap_err());
    let full = SessionReadScope::FullGraph;
    assert!(store.load_session(full).await.unwrap().is_none());
    let intent = AttachmentIntent {
        attachment_id: id.clone(),
        session_id: "a third".to_owned(),
        canonical_uri: "file:a".to_owned(),
        intent_at_epoch_ms: 300,
    };
    refused(store.record_intent(intent.clone()).unwrap_err());

    // Not even by a session that has recorded no intent.
    refused(
        store
            .commit_refs("a third", slice::from_ref(&id))
            .unwrap_err(),
    );

    store.forget(&id).unwrap();
    assert!(uncommitted(&store, 200).is_empty());
    assert!(!condemn(400).await.unwrap(), "there is nothing to remove");
    // Whoever wrote the bytes may have slept through all of that.
    let commit = store.commit_runtime_state(referring.clone());
    refused(commit.await.unwrap_err());
    store.record_intent(intent).unwrap();
    record(&store, SESSION, "a", 400);
    store.commit_runtime_state(referring).await.unwrap();
    store.commit_refs(SESSION, slice::from_ref(&id)).unwrap();
    assert!(!condemn(400).await.unwrap(), "it is committed");
}
