//! What grows with every turn has a bound, and nothing goes that a retry needs.

use std::time::SystemTime;

use lash_core::store::RuntimeTurnCommitStamp;
use lash_core::{RuntimePersistence, StoreError};
use lash_wasm_store::{SessionPruneReport, Store};
use lash_wasm_store_testing::fixtures::{
    Place, SESSION, TestClock, append, at, chain, claim, json, ledger, node, usage, work,
};

fn stamp(turn: u64) -> RuntimeTurnCommitStamp {
    RuntimeTurnCommitStamp::new(SESSION, format!("t{turn}"), format!("h{turn}"))
}

/// Commits turn after turn, the first at 1000 ms, a second apart.
async fn commit_turns(store: &Store, clock: &TestClock, turns: u64) {
    for turn in 1..=turns {
        clock.set(i64::try_from(turn * 1000).unwrap());
        let mut commit = append(
            (turn > 1).then_some(turn - 1),
            chain(usize::try_from(turn - 1).unwrap(), 1),
        );
        commit.usage_deltas = vec![
            usage("turn", "m", [10, 1, 2, 3]),
            usage("tool", "m", [0, 0, 5, 0]),
        ];
        store
            .commit_runtime_state(commit.with_turn_commit(stamp(turn)))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn old_stamps_go_and_young_ones_are_still_recognised() {
    let place = Place::new();
    let clock = TestClock::at(0);
    let store = place.open_with(clock.builder()).await;
    commit_turns(&store, &clock, 5).await;

    let report = store.prune(at(4000)).await.unwrap();
    assert_eq!(report.turn_commits, 3);
    let raw = place.raw();
    assert_eq!(raw.integer("SELECT count(*) FROM runtime_turn_commits"), 2);

    // Asked for again, the young one is answered and the old one refused: it is
    // not committed a second time.
    let again = append(Some(3), chain(3, 1)).with_turn_commit(stamp(4));
    let replayed = store.commit_runtime_state(again).await.unwrap();
    assert_eq!(replayed.head_revision, 4);
    let again = append(Some(1), chain(1, 1)).with_turn_commit(stamp(2));
    let error = store.commit_runtime_state(again).await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::HeadRevisionConflict {
                expected: Some(1),
                actual: 5
            }
        ),
        "{error}"
    );
}

/// Whoever lost the answer of the newest commit asks again, however late.
#[tokio::test]
async fn the_stamp_of_the_newest_commit_stays() {
    let place = Place::new();
    let clock = TestClock::at(0);
    let store = place.open_with(clock.builder()).await;
    commit_turns(&store, &clock, 3).await;
    let report = store.prune(at(u64::from(u32::MAX))).await.unwrap();
    assert_eq!(report.turn_commits, 2);
    let again = append(Some(2), chain(2, 1)).with_turn_commit(stamp(3));
    let replayed = store.commit_runtime_state(again).await.unwrap();
    assert_eq!(replayed.head_revision, 3);
    assert_eq!(
        store.prune(SystemTime::now()).await.unwrap(),
        SessionPruneReport::default(),
        "nothing is left to go"
    );
}

#[tokio::test]
async fn usage_is_summed_up_and_goes_on_to_be_recorded() {
    let place = Place::new();
    let clock = TestClock::at(0);
    let store = place.open_with(clock.builder()).await;
    commit_turns(&store, &clock, 10).await;
    let loaded = store.load_session(lash_core::store::SessionReadScope::FullGraph);
    let before = loaded.await.unwrap().unwrap();

    let report = store.prune(at(9000)).await.unwrap();
    assert_eq!(report.usage_entries, 14, "16 became 2");
    assert_eq!(
        ledger(&store.try_load_usage_deltas().await.unwrap()),
        [
            ("turn".to_owned(), "m".to_owned(), [80, 8, 16, 24]),
            ("tool".to_owned(), "m".to_owned(), [0, 0, 40, 0]),
            ("turn".to_owned(), "m".to_owned(), [10, 1, 2, 3]),
            ("tool".to_owned(), "m".to_owned(), [0, 0, 5, 0]),
            ("turn".to_owned(), "m".to_owned(), [10, 1, 2, 3]),
            ("tool".to_owned(), "m".to_owned(), [0, 0, 5, 0]),
        ]
    );
    let loaded = store.load_session(lash_core::store::SessionReadScope::FullGraph);
    let after = loaded.await.unwrap().unwrap();
    assert_eq!(json(&before.token_ledger), json(&after.token_ledger));

    // The next entry gets a place of its own, though there are fewer now.
    let more = [usage("turn", "m", [1, 0, 0, 0])];
    store.try_append_usage_deltas(&more).await.unwrap();
    assert_eq!(store.try_load_usage_deltas().await.unwrap().len(), 7);
    drop(store);
    let store = place.open_with(clock.builder()).await;
    assert_eq!(store.try_load_usage_deltas().await.unwrap().len(), 7);
}

#[tokio::test]
async fn old_source_keys_are_forgotten_and_young_ones_are_not() {
    let place = Place::new();
    let clock = TestClock::at(0);
    let store = place.open_with(clock.builder()).await;
    for (turn, key) in [(1_u64, "old"), (2, "young")] {
        clock.set(i64::try_from(turn * 1000).unwrap());
        store
            .enqueue_queued_work(work(key).with_source_key(key))
            .await
            .unwrap();
        let held = claim(&store, 60_000, 1).await.unwrap();
        let commit = append(
            (turn > 1).then_some(turn - 1),
            vec![node(key, (turn > 1).then_some("old"))],
        )
        .completing_queue_claim(held.completion());
        store.commit_runtime_state(commit).await.unwrap();
    }
    let report = store.prune(at(2000)).await.unwrap();
    assert_eq!(report.source_keys, 1);
    for key in ["old", "young"] {
        store
            .enqueue_queued_work(work(key).with_source_key(key))
            .await
            .unwrap();
    }
    let queued = store.list_queued_work(SESSION).await.unwrap();
    let keys: Vec<_> = queued
        .iter()
        .map(|batch| batch.source_key.as_deref())
        .collect();
    assert_eq!(keys, [Some("old")], "the young one is a redelivery");
}

#[tokio::test]
async fn a_corrupt_stamp_stays_and_keeps_no_other_one() {
    let place = Place::new();
    let clock = TestClock::at(0);
    let store = place.open_with(clock.builder()).await;
    commit_turns(&store, &clock, 3).await;
    let raw = place.raw();
    raw.damage("UPDATE runtime_turn_commits SET committed_at_ms = 9 WHERE turn_id = 't3'");
    let report = store.prune(at(9000)).await.unwrap();
    // The newest of those that can be read stays too.
    assert_eq!((report.turn_commits, report.corrupt), (1, 1));
    assert_eq!(raw.integer("SELECT count(*) FROM runtime_turn_commits"), 2);
}
