//! Queued work: a batch is enqueued, and claimed and completed, among many; and a claim
//! when nothing is ready.

use std::time::{Duration, Instant};

use lash_core::runtime::QueuedWorkBatchDraft;
use lash_wasm_store_testing::fixtures::{claim, commit, work};

use crate::engines::{Engine, Setup};
use crate::harness::{Wanted, interleave};
use crate::names;
use crate::report::Report;

const LEASE_MS: u64 = 60_000;
/// After every time at which this runs.
const LATER_MS: u64 = 1 << 50;

type Times = Vec<Duration>;

pub(crate) async fn run(wanted: &Wanted, report: &mut Report) {
    for (claiming, enqueuing, pending) in [
        ("claim-10", "enqueue-10", 10),
        ("claim-1000", "enqueue-1000", 1000),
        ("claim-100000", "enqueue-100000", 100_000),
    ] {
        let asked = wanted.has(claiming) || wanted.has(enqueuing);
        if asked && !(wanted.quick() && pending > 1000) {
            let (claimed, enqueued) = busy(pending, wanted).await;
            report.add(claiming, &names(), claimed);
            report.add(enqueuing, &names(), enqueued);
        }
    }
    for (case, later) in [("idle-claim", 0), ("idle-claim-later", 2000)] {
        if wanted.has(case) {
            idle(case, later, wanted, report).await;
        }
    }
}

/// Claims a batch, completes it with a commit, and enqueues another, while so many are
/// pending. Answers the times of the first two together, and of the third.
async fn busy(pending: usize, wanted: &Wanted) -> (Vec<Times>, Vec<Times>) {
    let dir = tempfile::tempdir().unwrap();
    let mut engines = Vec::new();
    for engine in open(dir.path(), pending, &work("what is to be done")).await {
        engines.push((engine, None, Vec::new()));
    }
    let turns = if pending > 10_000 { 60 } else { 150 };
    let samples = interleave(&mut engines, wanted.repeat(turns), async |state, turn| {
        let (engine, revision, enqueued) = state;
        let store = engine.store();
        let start = Instant::now();
        let held = claim(store, LEASE_MS, 1).await.unwrap();
        let done = commit(*revision).completing_queue_claim(held.completion());
        let committed = store.commit_runtime_state(done).await.unwrap();
        let elapsed = start.elapsed();
        *revision = Some(committed.head_revision);
        // As many are pending in the next turn.
        let next = work(&format!("what is to be done after {turn}"));
        let start = Instant::now();
        store.enqueue_queued_work(next).await.unwrap();
        enqueued.push(start.elapsed());
        elapsed
    });
    let claimed = samples.await;
    let enqueued = engines.into_iter().map(|(_, _, times)| times);
    (claimed, enqueued.collect())
}

/// Asks for work when there is none, or none yet.
async fn idle(case: &str, later: usize, wanted: &Wanted, report: &mut Report) {
    let dir = tempfile::tempdir().unwrap();
    let draft = work("not yet").with_available_at_ms(LATER_MS);
    let mut engines = open(dir.path(), later, &draft).await;
    let samples = interleave(&mut engines, wanted.repeat(900), async |engine, _| {
        let start = Instant::now();
        let held = claim(engine.store(), LEASE_MS, 10).await;
        let elapsed = start.elapsed();
        assert!(held.is_none());
        elapsed
    });
    report.add(case, &names(), samples.await);
}

async fn open(
    directory: &std::path::Path,
    batches: usize,
    draft: &QueuedWorkBatchDraft,
) -> Vec<Engine> {
    let mut engines = Vec::new();
    for setup in Setup::BOTH {
        let engine = setup.open(&directory.join(setup.name())).await;
        for _ in 0..batches {
            let draft = draft.clone();
            engine.store().enqueue_queued_work(draft).await.unwrap();
        }
        engines.push(engine);
    }
    engines
}
