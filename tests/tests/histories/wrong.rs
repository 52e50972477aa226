//! Histories that no sound store leaves: the checkers find what is wrong with each.

use lash_core::runtime::QueuedWorkCompletion;

use crate::history::{Call, call, finds};
use crate::{effects, host_events, registry, session};

mod of_session {
    use super::*;
    use session::{Claim, Op, Outcome, check};

    fn commit(turn: &str, expected: u64) -> Op {
        Op::Commit {
            turn: turn.to_owned(),
            expected: (expected > 0).then_some(expected),
            completes: None,
        }
    }

    fn completing(turn: &str, expected: u64, batch: &str) -> Op {
        Op::Commit {
            turn: turn.to_owned(),
            expected: (expected > 0).then_some(expected),
            completes: Some(QueuedWorkCompletion {
                session_id: "s".to_owned(),
                claim_id: format!("of {turn}"),
                lease_token: String::new(),
                batch_ids: vec![batch.to_owned()],
            }),
        }
    }

    fn claimed(id: &str, token: u64, at_ms: u64) -> Outcome {
        Outcome::Claimed(Some(Claim {
            id: id.to_owned(),
            token,
            claimed_at_ms: at_ms,
            expires_at_ms: at_ms + 10,
            batches: vec!["batch".to_owned()],
        }))
    }

    fn audit(revision: u64, turns: &[&str], pending: &[&str]) -> Call<Op, Outcome> {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let outcome = Outcome::Audited {
            revision,
            turns: set(turns),
            pending: set(pending),
        };
        call(100, Op::Audit, Some((101, outcome)))
    }

    fn committed(begun: usize, op: Op, revision: u64) -> Call<Op, Outcome> {
        call(begun, op, Some((begun + 1, Outcome::Committed(revision))))
    }

    #[test]
    fn a_right_history_is_right() {
        let calls = [
            committed(0, commit("a", 0), 1),
            call(2, commit("b", 1), None),
            call(4, commit("b", 1), Some((5, Outcome::Committed(2)))),
            call(
                6,
                commit("c", 1),
                Some((7, Outcome::Conflict { actual: 2 })),
            ),
            call(8, Op::Claim, Some((9, claimed("x", 1, 100)))),
            call(10, Op::Claim, Some((11, claimed("y", 2, 110)))),
            committed(12, completing("d", 2, "batch"), 3),
            call(14, commit("e", 3), None),
            audit(3, &["a", "b", "d"], &[]),
        ];
        assert!(check(&calls).is_empty(), "{:?}", check(&calls));
    }

    #[test]
    fn revisions() {
        let calls = [
            committed(0, commit("a", 0), 1),
            committed(2, commit("b", 0), 1),
        ];
        finds(&check(&calls), "two turns have one revision");
        finds(
            &check(&[committed(0, commit("a", 3), 5)]),
            "it does not follow what it expected",
        );
        let calls = [
            committed(0, commit("a", 0), 1),
            committed(2, commit("a", 0), 2),
        ];
        finds(&check(&calls), "a repeated turn has another revision");
        // What returned first was the later one.
        let calls = [
            committed(0, commit("b", 1), 2),
            committed(2, commit("a", 0), 1),
        ];
        finds(
            &check(&calls),
            "it was called after a later one had returned",
        );
        let conflict = |actual| Some((5, Outcome::Conflict { actual }));
        let calls = [
            committed(0, commit("a", 1), 2),
            call(4, commit("b", 3), conflict(1)),
        ];
        finds(&check(&calls), "a conflict names an old revision");
        finds(
            &check(&[call(0, commit("a", 1), conflict(1))]),
            "a conflict with what was expected",
        );
        let calls = [
            committed(0, commit("a", 0), 1),
            call(4, commit("a", 0), conflict(1)),
        ];
        finds(&check(&calls), "a committed turn was refused");
    }

    #[test]
    fn loads() {
        let load = |begun, revision, nodes| {
            let outcome = Outcome::Loaded { revision, nodes };
            call(begun, Op::Load, Some((begun + 1, outcome)))
        };
        finds(&check(&[load(0, 2, 1)]), "a load has half a commit");
        let calls = [committed(0, commit("a", 0), 1), load(2, 0, 0)];
        finds(&check(&calls), "a load lacks what was committed");
        finds(&check(&[load(0, 2, 2), load(2, 1, 1)]), "a load goes back");
    }

    #[test]
    fn the_queue() {
        let claim = |begun, token, at_ms| {
            let outcome = claimed(&format!("claim {begun}"), token, at_ms);
            call(begun, Op::Claim, Some((begun + 1, outcome)))
        };
        finds(
            &check(&[claim(0, 1, 100), claim(2, 1, 200)]),
            "two leases have one token",
        );
        finds(
            &check(&[claim(0, 2, 100), claim(2, 1, 200)]),
            "a later lease has a lower token",
        );
        let held = "it was leased while it was held";
        finds(&check(&[claim(0, 1, 100), claim(4, 2, 109)]), held);
        // A renewal that had returned counts, one that was abandoned does not.
        let renewed = Outcome::Renewed(Claim {
            id: "claim 0".to_owned(),
            token: 1,
            claimed_at_ms: 100,
            expires_at_ms: 120,
            batches: Vec::new(),
        });
        let name = "claim 0".to_owned();
        let renew = call(
            2,
            Op::Renew {
                claim: name.clone(),
            },
            Some((3, renewed)),
        );
        finds(&check(&[claim(0, 1, 100), renew, claim(4, 2, 115)]), held);
        let abandon = call(2, Op::Abandon { claim: name }, None);
        assert!(check(&[claim(0, 1, 100), abandon, claim(4, 2, 109)]).is_empty());

        let first = committed(0, completing("a", 0, "batch"), 1);
        let calls = [first.clone(), committed(2, completing("b", 1, "batch"), 2)];
        finds(&check(&calls), "it was completed twice");
        let calls = [first, claim(4, 1, 100)];
        finds(&check(&calls), "it was claimed after it was completed");
    }

    #[test]
    fn what_is_there_at_the_end() {
        let turn = committed(0, completing("a", 0, "batch"), 1);
        finds(
            &check(&[turn.clone(), audit(0, &[], &[])]),
            "a committed turn is lost",
        );
        finds(
            &check(&[turn.clone(), audit(1, &["a"], &["batch"])]),
            "a completed batch is pending",
        );
        finds(
            &check(&[turn.clone(), audit(2, &["a"], &[])]),
            "the graph is not that of the revision",
        );
        finds(&check(&[audit(1, &["z"], &[])]), "nobody committed it");
        let enqueue = Op::Enqueue {
            key: "k".to_owned(),
        };
        let enqueued = call(0, enqueue, Some((1, Outcome::Enqueued("other".to_owned()))));
        finds(
            &check(&[enqueued, audit(0, &[], &[])]),
            "an enqueued batch is lost",
        );
        let failed = call(0, Op::Load, Some((1, Outcome::Failed("x".to_owned()))));
        finds(&check(&[failed]), "a call failed: x");
    }
}

mod of_registry {
    use super::*;
    use registry::{Op, Outcome, check};

    fn id() -> String {
        "p".to_owned()
    }

    fn append(begun: usize, key: &str, token: Option<u64>, sequence: u64) -> Call<Op, Outcome> {
        let op = Op::Append {
            id: id(),
            key: key.to_owned(),
            token,
        };
        call(begun, op, Some((begun + 1, Outcome::Appended(sequence))))
    }

    fn events(begun: usize, events: &[(u64, Option<&str>)]) -> Call<Op, Outcome> {
        let events = events.iter().map(|(n, key)| (*n, key.map(str::to_owned)));
        let outcome = Outcome::Events(events.collect());
        call(begun, Op::Events { id: id() }, Some((begun + 1, outcome)))
    }

    fn leased(token: u64, at_ms: u64) -> Outcome {
        Outcome::Leased {
            token,
            claimed_at_ms: at_ms,
            expires_at_ms: at_ms + 10,
        }
    }

    fn claim(begun: usize, who: &str, token: u64, at_ms: u64) -> Call<Op, Outcome> {
        let ended = Some((begun + 1, leased(token, at_ms)));
        let mut call = call(begun, Op::Claim { id: id() }, ended);
        call.who = who.to_owned();
        call
    }

    fn complete(begun: usize, value: &str, outcome: Outcome) -> Call<Op, Outcome> {
        let op = Op::Complete {
            id: id(),
            value: value.to_owned(),
            token: 1,
        };
        call(begun, op, Some((begun + 1, outcome)))
    }

    fn get(begun: usize, value: Option<&str>) -> Call<Op, Outcome> {
        let outcome = Outcome::Ended(value.map(str::to_owned));
        call(begun, Op::Get { id: id() }, Some((begun + 1, outcome)))
    }

    #[test]
    fn a_right_history_is_right() {
        let calls = [
            append(0, "a", None, 1),
            claim(2, "x", 1, 100),
            claim(4, "x", 2, 101),
            append(6, "b", Some(2), 2),
            claim(8, "y", 3, 111),
            append(10, "a", None, 1),
            events(12, &[(1, Some("a")), (2, Some("b"))]),
            get(14, None),
            complete(16, "v", Outcome::Done),
            get(18, Some("v")),
        ];
        let mut calls = calls.to_vec();
        // It was completed by the last holder.
        if let Op::Complete { token, .. } = &mut calls[8].op {
            *token = 3;
        }
        assert!(check(&calls).is_empty(), "{:?}", check(&calls));
    }

    #[test]
    fn event_numbers() {
        let calls = [append(0, "a", None, 1), append(2, "a", None, 2)];
        finds(&check(&calls), "a repeated event has another number");
        let calls = [append(0, "a", None, 1), append(2, "b", None, 1)];
        finds(&check(&calls), "two events have one number");
        let calls = [append(0, "a", None, 2), append(2, "b", None, 1)];
        finds(&check(&calls), "a later event has a lower number");
        finds(
            &check(&[events(0, &[(2, None)])]),
            "a list of events has a gap",
        );
        let calls = [append(0, "a", None, 1), events(2, &[(1, Some("b"))])];
        finds(&check(&calls), "an event is another one");
        finds(&check(&calls), "nobody appended an event");
        let calls = [append(0, "a", None, 1), events(2, &[])];
        finds(&check(&calls), "a list of events lacks one");
        let calls = [
            append(0, "a", None, 1),
            events(2, &[(1, Some("a")), (2, Some("a"))]),
        ];
        finds(&check(&calls), "an event is there twice");
    }

    #[test]
    fn ends() {
        let calls = [
            complete(0, "v", Outcome::Done),
            complete(2, "w", Outcome::Done),
        ];
        finds(&check(&calls), "it ended twice");
        let calls = [complete(0, "v", Outcome::Lost), get(2, Some("w"))];
        finds(&check(&calls), "nobody ended it so");
        let calls = [complete(0, "v", Outcome::Done), get(2, None)];
        finds(&check(&calls), "its end is lost");
        let refused = Outcome::Refused("x".to_owned());
        let claim = call(0, Op::Claim { id: id() }, Some((1, refused)));
        finds(&check(&[claim]), "a call was refused: x");
    }

    #[test]
    fn leases() {
        let calls = [claim(0, "x", 1, 100), claim(2, "y", 2, 105)];
        finds(&check(&calls), "it was leased while it was held");
        let calls = [claim(0, "x", 1, 100), claim(2, "y", 1, 200)];
        finds(&check(&calls), "two leases have one token");
        let calls = [claim(0, "x", 2, 100), claim(2, "y", 1, 200)];
        finds(&check(&calls), "a later lease has a lower token");
        let calls = [
            claim(0, "x", 1, 100),
            claim(2, "y", 2, 200),
            append(4, "a", Some(1), 1),
        ];
        finds(
            &check(&calls),
            "somebody worked under a lease that was adopted",
        );
        let renew = Op::Renew { id: id(), token: 1 };
        let calls = [
            claim(0, "x", 1, 100),
            call(2, renew, Some((3, leased(2, 100)))),
        ];
        finds(&check(&calls), "a renewed lease has another token");
    }
}

#[test]
fn host_events_of_wrong_histories() {
    use host_events::{Op, Outcome, check};
    let record = |key: &str, occurrence: &str| {
        let op = Op::Record {
            key: key.to_owned(),
        };
        call(0, op, Some((1, Outcome::Recorded(occurrence.to_owned()))))
    };
    let reserve = |who: &str, handles: &[&str]| {
        let op = Op::Reserve {
            occurrence: "o".to_owned(),
        };
        let handles = handles.iter().map(|handle| (*handle).to_owned()).collect();
        let mut call = call(0, op, Some((1, Outcome::Reserved(handles))));
        call.who = who.to_owned();
        call
    };
    let right = [
        record("a", "o"),
        reserve("x", &["1", "2"]),
        reserve("audit", &["3"]),
    ];
    assert!(check(&right).is_empty());
    finds(
        &check(&[record("a", "o"), record("a", "p")]),
        "a key has two occurrences",
    );
    finds(
        &check(&[record("a", "o"), record("b", "o")]),
        "an occurrence has two keys",
    );
    finds(
        &check(&[reserve("x", &["1"]), reserve("y", &["1"])]),
        "a delivery was reserved twice",
    );
    finds(
        &check(&[reserve("x", &["1"]), reserve("audit", &["2"])]),
        "a delivery is lost",
    );
}

#[test]
fn effects_of_wrong_histories() {
    use effects::{Op, Outcome, check};
    let run = |begun: usize, value: &str| {
        let op = Op::Run {
            key: "k".to_owned(),
        };
        call(
            begun,
            op,
            Some((begun + 3, Outcome::Value(value.to_owned()))),
        )
    };
    let execute = |begun: usize, value: &str| {
        let op = Op::Execute {
            key: "k".to_owned(),
            value: value.to_owned(),
        };
        call(begun, op, Some((begun + 1, Outcome::Executed)))
    };
    assert!(check(&[run(0, "v"), execute(1, "v"), run(4, "v")]).is_empty());
    finds(
        &check(&[run(0, "v"), execute(1, "v"), run(4, "w")]),
        "it has two results",
    );
    finds(
        &check(&[run(0, "v"), execute(1, "v"), run(4, "v"), execute(5, "w")]),
        "it was executed after it was recorded",
    );
    finds(&check(&[run(0, "v")]), "nobody executed it so");
}
