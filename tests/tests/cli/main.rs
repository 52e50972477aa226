//! The program `lash-store`, run as a whole on files that the library has written.

mod bad_input;
mod directory;
mod help;
mod interrupted;
mod repair;
mod session;

use std::path::Path;

use lash_core::{
    AttachmentId, AttachmentIntent, AttachmentManifest, RuntimeCommit, RuntimePersistence,
};
use lash_wasm_store::{BlobArtifactDescriptor, Store};
use lash_wasm_store_testing::fixtures::{SESSION, append, chain, full_checkpoint, usage, work};
use lash_wasm_store_testing::program::Program;

const PROGRAM: Program = Program(env!("CARGO_BIN_EXE_lash-store-tested"));

/// A session with something of everything, and a blob that nothing refers to; closed.
async fn fill(path: &Path) {
    let store = Store::open(path).await.unwrap();
    let mut revision = None;
    for turn in 0..3 {
        let commit = RuntimeCommit {
            checkpoint: full_checkpoint(turn),
            ..append(revision, chain(turn * 10, 10))
        };
        let committed = store.commit_runtime_state(commit).await.unwrap();
        revision = Some(committed.head_revision);
    }
    store
        .append_usage_deltas(&[usage("turn", "model", [1, 2, 3, 4])])
        .await;
    for text in ["now", "later"] {
        store.enqueue_queued_work(work(text)).await.unwrap();
    }
    let intent = AttachmentIntent {
        attachment_id: AttachmentId::new("a"),
        session_id: SESSION.to_owned(),
        canonical_uri: "file:a".to_owned(),
        intent_at_epoch_ms: 7,
    };
    store.record_intent(intent).unwrap();
    let loose = "nothing refers to it ".repeat(1000);
    store
        .try_put_artifact_blob(
            BlobArtifactDescriptor::tool_state_snapshot(),
            loose.as_bytes(),
        )
        .await
        .unwrap();
    store.close().await;
}
