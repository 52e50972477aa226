//! What comes in beside turns: queued work and attachments.

use std::path::PathBuf;

use anyhow::{Context, Result};
use lash_core::{AttachmentId, AttachmentIntent, AttachmentManifest, RuntimePersistence};
use lash_wasm_store_tests::fixtures::{SESSION, claim, commit, work};

use super::engine::Store;
use crate::observation::Observation;
use crate::scenario::Scenario;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "D7",
            "an attachment is written again, and old intents are swept",
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
    Ok(match store.list_uncommitted(5_000)?.len() {
        0 => Observation::right("what was just written is not among what is old"),
        _ => Observation::defect("what was just written is swept"),
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
    let mut completion = held.completion();
    completion.batch_ids = vec![other.batch_id];

    let committed = store
        .commit_runtime_state(commit(None).completing_queue_claim(completion))
        .await;
    let again = claim(&store, 60_000, 1).await.context("another claim")?;
    let again = again.batches[0].batch_id == held.batches[0].batch_id;
    Ok(match (committed, again) {
        (Ok(_), true) => Observation::defect("accepted; what was done is claimed again"),
        (Err(_), _) => Observation::right("refused"),
        (committed, again) => anyhow::bail!("{:?}, {again}", committed.map(|_| ())),
    })
}
