//! What the logic of effects asks of SQLite, seen at its seam to the database.

use std::collections::BTreeSet;

use lash_wasm_store_guest::bindings::effect_types::{
    Acquired, Claim, EffectKey, Known, Recorded, Request,
};
use lash_wasm_store_guest::effects;
use lash_wasm_store_guest::seam::TransactionMode;
use lash_wasm_store_testing::recorder::{Recorder, assert_fits_the_cache, assert_no_scan};

fn recorder() -> Recorder {
    Recorder::new(effects::initialize)
}

/// How many transactions that write, and how many statements there were since the
/// last call.
fn count(recorder: &Recorder) -> (usize, usize) {
    let begun = recorder.begun();
    let writes = begun
        .iter()
        .filter(|mode| !matches!(mode, TransactionMode::Read));
    (writes.count(), recorder.statements().len())
}

fn request(scope: &str, replay_key: &str) -> Request {
    Request {
        key: EffectKey {
            scope: scope.to_owned(),
            replay_key: replay_key.to_owned(),
        },
        envelope_hash: "hash".to_owned(),
    }
}

fn acquire(recorder: &Recorder, request: &Request) -> Claim {
    let owner = "owner".to_owned();
    match effects::acquire(recorder, request.clone(), owner, 60_000, Some(1)).unwrap() {
        Acquired::Claimed(claim) => claim,
        Acquired::Known(known) => panic!("{known:?}"),
    }
}

fn finish(recorder: &Recorder, claim: &Claim) {
    let recorded = Recorded::Outcome(b"outcome".to_vec());
    assert!(effects::finish(recorder, &claim.key, &claim.token, &recorded).unwrap());
}

/// Everything that an effect goes through, and then forgetting it.
fn life(recorder: &Recorder, scope: &str) {
    let effect = request(scope, "a");
    assert!(matches!(
        effects::find(recorder, &effect).unwrap(),
        Known::Nothing
    ));
    let claim = acquire(recorder, &effect);
    effects::renew(recorder, &claim.key, &claim.token, 1000)
        .unwrap()
        .unwrap();
    effects::release(recorder, &claim.key, &claim.token).unwrap();
    finish(recorder, &acquire(recorder, &effect));
    assert!(matches!(
        effects::find(recorder, &effect).unwrap(),
        Known::Finished(_)
    ));
    assert_eq!(
        effects::generations(recorder, &[claim.key]).unwrap(),
        [Some(4)]
    );
    assert_eq!(effects::forget_scope(recorder, scope).unwrap(), 1);
    finish(recorder, &acquire(recorder, &effect));
    recorder.advance(1);
    assert_eq!(effects::prune(recorder, u64::MAX, 0, 8).unwrap().effects, 1);
}

/// The statements that all of this runs.
fn statements() -> (Recorder, BTreeSet<String>) {
    let recorder = recorder();
    for scope in ["one", "another"] {
        life(&recorder, scope);
    }
    let texts: BTreeSet<String> = recorder.statements().into_iter().collect();
    assert!(texts.len() > 8, "{texts:?}");
    (recorder, texts)
}

/// Nothing costs more the more is recorded.
#[test]
fn every_row_is_found_by_an_index() {
    let (recorder, texts) = statements();
    assert_no_scan(&recorder, &texts);
}

/// P5: each is compiled once for a connection.
#[test]
fn all_statements_together_fit_into_the_cache() {
    let (_, texts) = statements();
    assert_fits_the_cache(&texts);
}

/// P8: a replay of the native crate is a transaction that writes.
#[test]
fn a_replay_reads_once_and_writes_nothing() {
    let recorder = recorder();
    let effect = request("scope", "a");
    let claim = acquire(&recorder, &effect);
    finish(&recorder, &claim);
    count(&recorder);
    effects::find(&recorder, &effect).unwrap();
    assert_eq!(count(&recorder), (0, 1));
    effects::generations(&recorder, &[claim.key]).unwrap();
    assert_eq!(count(&recorder), (0, 1));
}

/// The lease can be written again, the result cannot.
#[test]
fn only_a_result_waits_for_the_disk() {
    let recorder = recorder();
    let durable = |recorder: &Recorder| {
        let begun = recorder.begun();
        let durable = |mode: &TransactionMode| matches!(mode, TransactionMode::WriteDurable);
        begun.iter().filter(|mode| durable(mode)).count()
    };
    let claim = acquire(&recorder, &request("scope", "a"));
    effects::renew(&recorder, &claim.key, &claim.token, 1000).unwrap();
    effects::release(&recorder, &claim.key, &claim.token).unwrap();
    let claim = acquire(&recorder, &request("scope", "a"));
    assert_eq!(durable(&recorder), 0);
    finish(&recorder, &claim);
    assert_eq!(durable(&recorder), 1);
}

/// What a caller makes up is answered, and changes nothing.
#[test]
fn a_wrong_token_does_nothing() {
    let recorder = recorder();
    let effect = request("scope", "a");
    let claim = acquire(&recorder, &effect);
    let recorded = Recorded::Failure(Vec::new());
    for (key, token) in [
        (&claim.key, "wrong"),
        (&claim.key, ""),
        (&request("scope", "b").key, claim.token.as_str()),
        (&request("another", "a").key, claim.token.as_str()),
    ] {
        assert_eq!(effects::renew(&recorder, key, token, 1000).unwrap(), None);
        assert!(!effects::finish(&recorder, key, token, &recorded).unwrap());
        effects::release(&recorder, key, token).unwrap();
    }
    assert!(matches!(
        effects::find(&recorder, &effect).unwrap(),
        Known::Busy(_)
    ));
    finish(&recorder, &claim);
    // Once it is finished the token proves nothing any more.
    assert!(!effects::finish(&recorder, &claim.key, &claim.token, &recorded).unwrap());
}

/// R13: numbers of the caller that no clock shows are clamped.
#[test]
fn the_largest_lease_and_delay_are_far_away_and_not_in_the_past() {
    let recorder = recorder();
    let effect = request("scope", "a");
    let owner = "owner".to_owned();
    let acquired =
        effects::acquire(&recorder, effect.clone(), owner, u64::MAX, Some(u64::MAX)).unwrap();
    let Acquired::Claimed(claim) = acquired else {
        panic!("{acquired:?}");
    };
    let farthest = u64::try_from(i64::MAX).unwrap();
    assert_eq!(
        (claim.expires_at_ms, claim.due_at_ms),
        (farthest, Some(farthest))
    );
    assert!(matches!(
        effects::find(&recorder, &effect).unwrap(),
        Known::Busy(_)
    ));
}

/// A lease that expired is void only once somebody else has claimed.
#[test]
fn an_expired_lease_can_be_renewed_and_finished_until_it_is_taken_over() {
    let recorder = recorder();
    let effect = request("scope", "a");
    let expired = |recorder: &Recorder| {
        let owner = "owner".to_owned();
        match effects::acquire(recorder, effect.clone(), owner, 0, None).unwrap() {
            Acquired::Claimed(claim) => claim,
            Acquired::Known(known) => panic!("{known:?}"),
        }
    };
    let first = expired(&recorder);
    assert!(
        effects::renew(&recorder, &first.key, &first.token, 0)
            .unwrap()
            .is_some()
    );
    let second = expired(&recorder);
    assert_eq!(
        effects::renew(&recorder, &first.key, &first.token, 60_000).unwrap(),
        None
    );
    finish(&recorder, &second);
    assert_eq!(effects::forget_scope(&recorder, "scope").unwrap(), 1);
}
