//! A session: commits with all that belongs to them, maintenance, and a log that is copied
//! while the store is open.

use std::path::Path;

use lash_core::{
    AttachmentId, AttachmentIntent, AttachmentManifest, LashlangArtifactStore, RuntimeCommit,
    RuntimePersistence, RuntimeTurnCommitStamp,
};
use lash_wasm_store::{BlobArtifactDescriptor, Durability, Store};
use lash_wasm_store_testing::damage::wait_until_closed;
use lash_wasm_store_testing::fixtures::{
    SESSION, TestClock, append, at, chain, claim, full_checkpoint, meta, noise, usage, work,
};

use crate::proof::{ready, step, steps};
use crate::state::{NOW_MS, clock, contents, failure, power};

power! {
    commits: super::commits, super::state;
    maintenance: super::maintenance, super::state;
    long_log: super::long_log, super::state;
}

async fn open(base: &Path, durability: Durability, clock: &TestClock) -> Store {
    let builder = clock.builder().durability(durability);
    let path = base.join("session.db");
    steps(true, builder.open(&path)).await.unwrap()
}

async fn close(base: &Path, store: Store) {
    store.close().await;
    wait_until_closed(&base.join("session.db"));
}

/// Opens the session as an application does, which recovers it.
async fn state(base: &Path) -> Result<String, String> {
    let path = base.join("session.db");
    let store = clock().builder().open(&path).await.map_err(failure)?;
    let contents = contents(&path).await?;
    store.close().await;
    Ok(contents)
}

/// The commit of a turn, which can be repeated.
fn turn(number: usize) -> RuntimeCommit {
    let mut checkpoint = full_checkpoint(number);
    checkpoint.execution_state = Some(format!("variable {number} ").repeat(300).into_bytes());
    let commit = RuntimeCommit {
        checkpoint,
        usage_deltas: vec![usage("turn", "a-model", [10, 3, 1, number as i64])],
        ..append((number > 0).then_some(number as u64), chain(2 * number, 2))
    };
    let hash = commit.turn_commit_hash().unwrap();
    commit.with_turn_commit(RuntimeTurnCommitStamp::new(
        SESSION,
        format!("turn-{number}"),
        hash,
    ))
}

async fn commit(store: &Store, commit: RuntimeCommit) {
    step(true, store.commit_runtime_state(commit))
        .await
        .unwrap();
}

/// A turn of the work queue, from enqueueing to the commit that completes it.
async fn commit_queued(store: &Store, number: usize) {
    let work = work(&format!("work {number}")).with_source_key(format!("source {number}"));
    step(true, store.enqueue_queued_work(work)).await.unwrap();
    let claim = step(false, claim(store, 60_000, 1)).await.unwrap();
    let attachment = AttachmentId::new(format!("attachment {number}"));
    let intent = AttachmentIntent {
        attachment_id: attachment.clone(),
        session_id: SESSION.to_owned(),
        canonical_uri: format!("file:{number}"),
        intent_at_epoch_ms: 1000,
    };
    step(false, async { store.record_intent(intent) })
        .await
        .unwrap();
    let mut turn = turn(number).completing_queue_claim(claim.completion());
    turn.committed_attachment_ids = vec![attachment];
    let hash = turn.turn_commit_hash().unwrap();
    turn.turn_commit.as_mut().unwrap().turn_commit_hash = hash;
    commit(store, turn).await;
}

async fn commits(base: &Path, durability: Durability) {
    let store = open(base, durability, &clock()).await;
    ready();
    let named = RuntimePersistence::save_session_meta(&store, meta());
    step(true, named).await.unwrap();
    commit(&store, turn(0)).await;
    commit_queued(&store, 1).await;
    let artifact = store.put_artifact_bytes("environment", "process_execution_env", b"here");
    step(true, artifact).await.unwrap();
    close(base, store).await;
    let store = open(base, durability, &clock()).await;
    commit(&store, turn(2)).await;
    commit_queued(&store, 3).await;
    close(base, store).await;
}

async fn maintenance(base: &Path, durability: Durability) {
    let clock = clock();
    let store = open(base, durability, &clock).await;
    ready();
    for number in 0..4 {
        commit(&store, turn(number)).await;
    }
    for number in 0..8 {
        let garbage = noise(9000 + number);
        let descriptor = BlobArtifactDescriptor::execution_state_snapshot();
        step(true, store.try_put_artifact_blob(descriptor, &garbage))
            .await
            .unwrap();
    }
    let nodes = ["n0".to_owned(), "n3".to_owned()];
    step(true, store.tombstone_nodes(&nodes)).await.unwrap();
    steps(true, RuntimePersistence::vacuum(&store))
        .await
        .unwrap();
    commit(&store, turn(4)).await;
    let garbage = steps(true, store.try_gc_unreachable()).await.unwrap();
    assert!(garbage.deleted_blob_count >= 8, "{garbage:?}");
    clock.advance(10_000);
    let before = at(NOW_MS.cast_unsigned() + 1);
    let pruned = steps(true, store.prune(before)).await.unwrap();
    assert!(pruned.turn_commits > 0, "{pruned:?}");
    close(base, store).await;
    let store = open(base, durability, &clock).await;
    commit(&store, turn(5)).await;
    close(base, store).await;
}

/// The log is copied into the database behind a commit once it has 4 MB, and then written
/// from the start again.
async fn long_log(base: &Path, durability: Durability) {
    let store = open(base, durability, &clock()).await;
    ready();
    commit(&store, turn(0)).await;
    for number in 0..3 {
        let large = noise(1_600_000 + number);
        let descriptor = BlobArtifactDescriptor::execution_state_snapshot();
        step(true, store.try_put_artifact_blob(descriptor, &large))
            .await
            .unwrap();
    }
    for number in 1..5 {
        commit(&store, turn(number)).await;
    }
    close(base, store).await;
}
