//! What comes in beside turns: queued work and attachments.

use std::path::PathBuf;

use anyhow::{Context, Result};
use lash_core::{AttachmentId, AttachmentIntent, AttachmentManifest, RuntimePersistence};
use lash_wasm_store_testing::fixtures::{SESSION, claim, commit, work};

use super::engine::Store;
use crate::observation::Observation;
use crate::scenario::Scenario;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "D7",
            "an attachment is written again, also by another session; old intents are swept",
            |directory| Box::pin(renewed_intent(directory)),
        ),
        Scenario::new(
            "D12",
            "work is delivered once more after it was completed",
            |directory| Box::pin(late_delivery(directory)),
        ),
        Scenario::new(
            "D13",
            "a claim is completed with the identifier of another batch",
            |directory| Box::pin(wrong_completion(directory)),
        ),
    ]
}

fn intent(session_id: &str, at: u64) -> AttachmentIntent {
    AttachmentIntent {
        attachment_id: AttachmentId::new("a"),
        session_id: session_id.to_owned(),
        canonical_uri: "file:a".to_owned(),
        intent_at_epoch_ms: at,
    }
}

async fn renewed_intent(directory: PathBuf) -> Result<Observation> {
    let store = Store::open(&directory.join("session.db")).await?;
    store.record_intent(intent(SESSION, 1_000))?;
    store.record_intent(intent(SESSION, 9_000))?;
    let new = store.list_uncommitted(5_000)?.len();

    // The session commits what another one wrote first.
    let store = Store::open(&directory.join("other.db")).await?;
    store.record_intent(intent("other", 1_000))?;
    store.record_intent(intent(SESSION, 1_000))?;
    let used = commit(None).with_committed_attachments([AttachmentId::new("a")]);
    store.commit_runtime_state(used).await?;
    let used = store.list_uncommitted(5_000)?.len();
    Ok(match (new, used) {
        (0, 0) => Observation::right("what is new or committed is not among what is swept"),
        (1, 1) => Observation::defect("what was just written is swept, and what is committed"),
        (new, used) => anyhow::bail!("{new}, {used}"),
    })
}

async fn late_delivery(directory: PathBuf) -> Result<Observation> {
    let store = Store::open(&directory.join("session.db")).await?;
    let draft = work("wake").with_source_key("process:1:wake:1");
    store.enqueue_queued_work(draft.clone()).await?;
    let held = claim(&store, 60_000, 1).await.context("a claim")?;
    store
        .commit_runtime_state(commit(None).completing_queue_claim(held.completion()))
        .await?;

    store.enqueue_queued_work(draft).await?;
    Ok(match claim(&store, 60_000, 1).await {
        Some(_) => Observation::defect("it is claimed and done again"),
        None => Observation::right("it is known to be done"),
    })
}

async fn wrong_completion(directory: PathBuf) -> Result<Observation> {
    let store = Store::open(&directory.join("session.db")).await?;
    store.enqueue_queued_work(work("first")).await?;
    let other = store.enqueue_queued_work(work("second")).await?;
    let held = claim(&store, 0, 1).await.context("a claim")?;
    let right = held.completion();
    let mut completion = right.clone();
    completion.batch_ids = vec![other.batch_id];

    let committed = store
        .commit_runtime_state(commit(None).completing_queue_claim(completion))
        .await;
    if committed.is_err() {
        // It is the identifier that was wrong.
        store
            .commit_runtime_state(commit(None).completing_queue_claim(right))
            .await?;
        return Ok(Observation::right("refused; with its own it is completed"));
    }
    let again = claim(&store, 60_000, 1).await.context("another claim")?;
    let again = again.batches[0].batch_id == held.batches[0].batch_id;
    anyhow::ensure!(again, "the first batch is still there");
    Ok(Observation::defect(
        "accepted; what was done is claimed again",
    ))
}
