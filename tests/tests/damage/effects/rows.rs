//! A damaged row is neither replayed nor executed.

use lash_wasm_store_testing::effects::{
    code, controller, effect, forbidden, gated, marker, open, outcome, place, returning, run,
    sleep, spawn,
};

/// Every column that a replay depends on, with a change that only a checksum
/// notices.
#[tokio::test]
async fn no_column_of_an_effect_can_change_unnoticed() {
    for change in [
        "content = CAST(replace(content, 'right', 'wrong') AS BLOB)",
        "content_hash = content_hash + 1",
        "checksum = checksum + 1",
        "status = 2",
        "status = 4",
        "status = 9",
        "envelope_hash = 'another'",
        "due_at_ms = 1",
        "generation = generation + 1",
        "settled_at_ms = settled_at_ms + 1",
        "claimed_at_ms = 0",
        "lease_expires_ms = 1",
        "owner_id = 'me'",
        "lease_token = 'mine'",
    ] {
        let place = place();
        let host = open(place.path()).await;
        run(&controller(&host), effect("a"), returning("right"))
            .await
            .unwrap();
        place.raw().damage(&format!("UPDATE effects SET {change}"));
        // As a controller that looks, and as one that claims at once.
        let ended = run(&controller(&host), effect("a"), forbidden()).await;
        assert_eq!(code(ended), "sqlite_effect_replay_corrupt_row", "{change}");
        let forward = controller(&host);
        run(&forward, effect("b"), returning("b")).await.unwrap();
        let ended = run(&forward, effect("a"), forbidden()).await;
        assert_eq!(code(ended), "sqlite_effect_replay_corrupt_row", "{change}");
    }
}

/// An index that does not lead to a row would have the effect executed again.
#[tokio::test]
async fn an_effect_that_one_index_hides_is_not_executed_again() {
    for change in [
        // Another scope, or another key, as the index of names would have it.
        "UPDATE effect_scopes SET scope = 'another'",
        "UPDATE effects SET scope_id = 77",
        "UPDATE effects SET replay_key = 'another'",
        "DELETE FROM effect_scopes",
    ] {
        let place = place();
        let host = open(place.path()).await;
        run(&controller(&host), effect("a"), returning("right"))
            .await
            .unwrap();
        place.raw().damage(change);
        let ended = run(&controller(&host), effect("a"), forbidden()).await;
        assert_eq!(code(ended), "sqlite_effect_replay_corrupt_row", "{change}");
    }
}

/// A claim that could not be found any more was answered as one that somebody else
/// had taken over, and nobody learnt of the damage.
#[tokio::test]
async fn a_claim_that_one_index_hides_was_not_taken_over() {
    let place = place();
    let host = open(place.path()).await;
    let (gate, executor) = gated();
    let execution = spawn(&controller(&host), effect("a"), executor);
    gate.entered.await.unwrap();
    place
        .raw()
        .damage("UPDATE effect_scopes SET scope = 'another'");
    gate.end.send(Ok(outcome("a"))).unwrap();
    let ended = execution.await.unwrap();
    assert_eq!(code(ended), "sqlite_effect_replay_corrupt_row");
}

#[tokio::test]
async fn an_effect_that_an_index_mistakes_for_another_is_not_replayed() {
    let place = place();
    let host = open(place.path()).await;
    run(&controller(&host), effect("a"), returning("right"))
        .await
        .unwrap();
    place.raw().damage("UPDATE effects SET replay_key = 'b'");
    let ended = run(&controller(&host), effect("b"), forbidden()).await;
    assert_eq!(code(ended), "sqlite_effect_replay_corrupt_row");
}

/// What is damaged is said, and the rest goes on.
#[tokio::test]
async fn one_damaged_effect_leaves_the_others_alone() {
    let place = place();
    let host = open(place.path()).await;
    for key in ["a", "b"] {
        run(&controller(&host), effect(key), returning(key))
            .await
            .unwrap();
    }
    place
        .raw()
        .damage("UPDATE effects SET status = 4 WHERE replay_key = 'a'");
    let damaged = run(&controller(&host), effect("a"), forbidden())
        .await
        .unwrap_err();
    assert!(
        damaged.message.contains("table effects, row a"),
        "{damaged}"
    );
    assert_eq!(
        marker(run(&controller(&host), effect("b"), forbidden()).await),
        "b"
    );
    run(&controller(&host), sleep("c", 0), forbidden())
        .await
        .unwrap();
}

/// A result that this release can not read is not executed again either.
#[tokio::test]
async fn a_result_of_a_later_release_is_said_to_be_unreadable() {
    use lash_wasm_store_guest::bindings::effect_types::{Acquired, EffectKey, Recorded, Request};
    use lash_wasm_store_guest::effects;
    use lash_wasm_store_testing::native::NativeEnvironment;

    let place = place();
    let host = open(place.path()).await;
    let request = Request {
        key: EffectKey {
            scope: serde_json::to_string(&lash_wasm_store_testing::effects::turn()).unwrap(),
            replay_key: "a".to_owned(),
        },
        envelope_hash: effect("a").stable_hash().unwrap(),
    };
    let native = NativeEnvironment::open(place.path());
    let acquired = effects::acquire(&native, request.clone(), "me".to_owned(), 1000, None).unwrap();
    let Acquired::Claimed(claim) = acquired else {
        panic!("{acquired:?}");
    };
    let recorded = Recorded::Outcome(b"{\"type\":\"of tomorrow\"}".to_vec());
    assert!(effects::finish(&native, &request.key, &claim.token, &recorded).unwrap());
    let ended = run(&controller(&host), effect("a"), forbidden()).await;
    assert_eq!(code(ended), "sqlite_effect_replay_decode");
}
