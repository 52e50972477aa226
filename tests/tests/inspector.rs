//! Looking into databases: what they hold, and whether it is what was written.
#![allow(clippy::unwrap_used, clippy::panic)]

use lash_core::{
    AttachmentId, AttachmentIntent, AttachmentManifest, RuntimePersistence, StoreError,
};
use lash_wasm_store::inspect::{Inspector, Problem, SessionStatistics, Statistics};
use lash_wasm_store::{BlobArtifactDescriptor, DatabaseKind, Error, Store};
use lash_wasm_store_tests::fixtures::{
    Place, SESSION, append, at, chain, checkpointed, claim, full_checkpoint, usage, work,
};

async fn session_statistics(place: &Place) -> SessionStatistics {
    let inspector = Inspector::open(place.path()).await.unwrap();
    match inspector.statistics().await.unwrap() {
        Statistics::Session(statistics) => statistics,
        other => panic!("{other:?}"),
    }
}

async fn problems(place: &Place) -> Vec<Problem> {
    let inspector = Inspector::open(place.path()).await.unwrap();
    inspector.verify().await.unwrap().problems
}

/// Three turns with a checkpoint each, and something of everything else.
async fn filled(place: &Place) -> Store {
    let store = place.open().await;
    let mut revision = None;
    for turn in 0..3 {
        let mut commit = checkpointed(revision, turn);
        commit.graph = append(None, chain(turn * 10, 10)).graph;
        let committed = store.commit_runtime_state(commit).await.unwrap();
        revision = Some(committed.head_revision);
    }
    store
        .append_usage_deltas(&[usage("turn", "model", [1, 2, 3, 4])])
        .await;
    for number in 0..4 {
        let draft = work(&format!("work {number}"));
        let draft = match number {
            0 => draft.with_available_at_ms(u64::MAX),
            _ => draft,
        };
        store.enqueue_queued_work(draft).await.unwrap();
    }
    claim(&store, 3_600_000, 1).await.unwrap();
    for name in ["a", "b"] {
        let intent = AttachmentIntent {
            attachment_id: AttachmentId::new(name),
            session_id: SESSION.to_owned(),
            canonical_uri: format!("file:{name}"),
            intent_at: at(7),
        };
        store.record_intent(intent).unwrap();
    }
    store.commit_refs(SESSION, &[AttachmentId::new("a")]).unwrap();
    store
}
