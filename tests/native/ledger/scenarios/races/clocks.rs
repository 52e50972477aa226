//! R13, R14: numbers that do not fit, and the clock.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use lash_core::{AttachmentId, AttachmentIntent, AttachmentManifest, RuntimePersistence};
use lash_wasm_store_testing::fixtures::{SESSION, TestClock, claim, joining_work, work};

use super::engine::{self, Store};
use crate::observation::Observation;

pub(super) async fn end_of_the_range() -> Result<Observation> {
    let mut wrong = Vec::new();

    let store = Store::memory().await?;
    let never = work("w").with_available_at_ms(u64::MAX);
    store.enqueue_queued_work(never).await?;
    if claim(&store, 1, 1).await.is_some() {
        wrong.push("work for the end of time is ready".to_owned());
    }

    let store = Store::memory().await?;
    store.enqueue_queued_work(work("w")).await?;
    claim(&store, u64::MAX, 1).await.context("a claim")?;
    if claim(&store, 1, 1).await.is_some() {
        wrong.push("a lease for ever is over at once".to_owned());
    }

    let store = Store::memory().await?;
    for number in 0..100 {
        let draft = joining_work(&number.to_string());
        store.enqueue_queued_work(draft).await?;
    }
    let all = claim(&store, 1, usize::MAX).await.context("a claim")?;
    if all.batches.len() < 100 {
        let claimed = all.batches.len();
        wrong.push(format!("a claim without limit takes {claimed} of 100"));
    }

    let store = Store::memory().await?;
    store.record_intent(AttachmentIntent {
        attachment_id: AttachmentId::new("a"),
        session_id: SESSION.to_owned(),
        canonical_uri: String::new(),
        intent_at_epoch_ms: 1,
    })?;
    if store.list_uncommitted(u64::MAX)?.is_empty() {
        wrong.push("no attachment is older than the end of time".to_owned());
    }

    Ok(if wrong.is_empty() {
        Observation::right("nothing overflows in 4 calls")
    } else {
        Observation::defect(wrong.join("; "))
    })
}

/// The native crate has no way to be given a clock, so it cannot be shown before
/// 1970 either.
pub(super) async fn of_the_host(directory: PathBuf) -> Result<Observation> {
    let clock = TestClock::at(1_000);
    let store = engine::open_by(&clock, &directory.join("session.db")).await?;
    store.enqueue_queued_work(work("w")).await?;
    claim(&store, 60_000, 1).await.context("a claim")?;
    clock.advance(60_000);
    if claim(&store, 60_000, 1).await.is_none() {
        return Ok(Observation::defect(
            "no clock can be given: the lease holds by that of the machine",
        ));
    }
    clock.set(-1);
    ensure!(store.enqueue_queued_work(work("w")).await.is_err());
    clock.set(61_000);
    ensure!(store.list_queued_work(SESSION).await?.len() == 1);
    Ok(Observation::right(
        "the lease is over; a time before 1970 is an error",
    ))
}
