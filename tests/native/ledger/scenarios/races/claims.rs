//! R6, R7, R8, R10, R16: work that is queued and claimed.

use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lash_core::{ProcessRegistry, RuntimePersistence};
use lash_wasm_store_testing::fixtures::{
    Raw, SESSION, claim, claimed_ids, commit, joining_work, poll_once, work,
};
use lash_wasm_store_testing::process_fixtures::registration;

use super::engine::{SqliteProcessRegistry, Store};
use crate::observation::Observation;

const HOUR_MS: u64 = 3_600_000;

/// Repeated, because a token of the native crate tells claims apart by the millisecond.
pub(super) async fn cancelled_and_committed() -> Result<Observation> {
    const ROUNDS: usize = 400;
    let store = Store::memory().await?;
    for _ in 0..ROUNDS {
        store.enqueue_queued_work(work("first")).await?;
        // A lease without length: the batch can be cancelled at once.
        let first = claim(&store, 0, 1).await.context("a claim")?;
        let [batch] = claimed_ids(&first)[..] else {
            anyhow::bail!("{first:?}");
        };
        store.cancel_queued_work_batch(SESSION, batch).await?;
        store.enqueue_queued_work(work("second")).await?;
        let second = claim(&store, HOUR_MS, 1).await.context("a claim")?;

        let late = commit(None).completing_queue_claim(first.completion());
        if store.commit_runtime_state(late).await.is_ok() {
            ensure!(first.lease_token == second.lease_token);
            return Ok(Observation::defect(
                "the commit is accepted: its later claim has the same token",
            ));
        }
        store.abandon_queued_work_claim(&second).await?;
        for batch in claimed_ids(&second) {
            store.cancel_queued_work_batch(SESSION, batch).await?;
        }
    }
    Ok(Observation::right(format!(
        "refused, {ROUNDS} times of {ROUNDS}"
    )))
}

/// Repeated, because the native crate tells batches apart by the millisecond.
pub(super) async fn two_handles_enqueue(directory: PathBuf) -> Result<Observation> {
    const ROUNDS: usize = 400;
    let path = directory.join("session.db");
    let handles = [Store::open(&path).await?, Store::open(&path).await?];
    for _ in 0..ROUNDS {
        for handle in &handles {
            if let Err(error) = handle.enqueue_queued_work(work("w")).await {
                return Ok(Observation::defect(format!("one call fails: {error}")));
            }
        }
    }
    let queued = handles[0].list_queued_work(SESSION).await?.len();
    ensure!(queued == 2 * ROUNDS, "{queued} are queued");
    Ok(Observation::right(format!("all {queued} are queued")))
}

pub(super) async fn renewed_in_part() -> Result<Observation> {
    let store = Store::memory().await?;
    for text in ["a", "b"] {
        store.enqueue_queued_work(joining_work(text)).await?;
    }
    // It expires at once.
    let lost = claim(&store, 0, 2).await.context("a claim")?;
    ensure!(lost.batches.len() == 2);
    let taken = claim(&store, HOUR_MS, 1).await.context("a claim")?;
    ensure!(claimed_ids(&taken) == claimed_ids(&lost)[..1]);
    ensure!(store.renew_queued_work_claim(&lost, HOUR_MS).await.is_err());
    Ok(match claim(&store, HOUR_MS, 1).await {
        None => Observation::defect("refused, and the other batch is locked for 1 h"),
        Some(_) => Observation::right("refused, and the other batch can be claimed"),
    })
}

pub(super) async fn joined() -> Result<Observation> {
    let store = Store::memory().await?;
    for text in ["a", "b"] {
        store.enqueue_queued_work(joining_work(text)).await?;
    }
    let first = claim(&store, HOUR_MS, 1).await.context("a claim")?;
    let mut highest = 0;
    for _ in 0..5 {
        let second = claim(&store, HOUR_MS, 1).await.context("a claim")?;
        ensure!(claimed_ids(&second) != claimed_ids(&first));
        highest = second.fencing_token;
        store.abandon_queued_work_claim(&second).await?;
    }
    store.abandon_queued_work_claim(&first).await?;
    let both = claim(&store, HOUR_MS, 2).await.context("a claim")?;
    ensure!(both.batches.len() == 2);
    let text = format!(
        "its fencing token is {}, an earlier owner's {highest}",
        both.fencing_token
    );
    Ok(if both.fencing_token > highest {
        Observation::right(text)
    } else {
        Observation::defect(text)
    })
}

pub(super) async fn dropped(directory: PathBuf) -> Result<Observation> {
    const PATIENCE: Duration = Duration::from_secs(3);
    let queue_path = directory.join("session.db");
    let store = Store::open(&queue_path).await?;
    store.enqueue_queued_work(work("w")).await?;
    let registry_path = directory.join("processes.db");
    let registry = SqliteProcessRegistry::open(&registry_path).await?;
    registry.register_process(registration("p")).await?;

    {
        let (queue, processes) = (Raw::open(&queue_path), Raw::open(&registry_path));
        let _locks = (queue.lock(), processes.lock());
        let mut queued = pin!(claim(&store, HOUR_MS, 1));
        let mut leased = pin!(registry.claim_process_lease("p", "gone", HOUR_MS));
        ensure!(poll_once(queued.as_mut()).is_pending());
        ensure!(poll_once(leased.as_mut()).is_pending());
        // They get as far as the lock.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    let begun = Instant::now();
    let (mut work, mut process) = (false, false);
    while !(work && process) && begun.elapsed() < PATIENCE {
        work = work || claim(&store, HOUR_MS, 1).await.is_some();
        process = process
            || registry
                .claim_process_lease("p", "heir", HOUR_MS)
                .await
                .is_ok();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(match (work, process) {
        (true, true) => Observation::right("others can claim the work and the process"),
        (false, false) => {
            Observation::defect("the work and the process are leased to nobody for 1 h")
        }
        (false, true) => Observation::defect("the work is leased to nobody for 1 h"),
        (true, false) => Observation::defect("the process is leased to nobody for 1 h"),
    })
}
