//! Histories that have an order, and some that have none.

use lash_wasm_store_testing::random::Random;

use super::order::{State, check};
use super::{Op, Outcome};
use crate::history::{Call, call};

fn create(begun: usize, name: &str, session: &str) -> Call<Op, Outcome> {
    let op = Op::Create {
        name: name.to_owned(),
    };
    let outcome = Outcome::Opened(Some(session.to_owned()));
    call(begun, op, Some((begun + 3, outcome)))
}

fn commit(begun: usize, session: &str, expected: usize) -> Call<Op, Outcome> {
    let op = Op::Commit {
        session: session.to_owned(),
        turn: format!("turn {begun}"),
        expected,
    };
    call(
        begun,
        op,
        Some((begun + 3, Outcome::Committed(expected + 1))),
    )
}

fn simple(begun: usize, op: Op, outcome: Outcome) -> Call<Op, Outcome> {
    call(begun, op, Some((begun + 3, outcome)))
}

fn look(begun: usize, session: &str, turns: &[&str]) -> Call<Op, Outcome> {
    let op = Op::Look {
        session: session.to_owned(),
    };
    let turns = turns.iter().map(|turn| (*turn).to_owned()).collect();
    simple(begun, op, Outcome::Seen(turns))
}

#[test]
fn a_right_history_has_an_order() {
    let calls = [
        create(0, "a", "a"),
        // At the same time, by another one.
        create(1, "b", "a"),
        commit(10, "a", 0),
        look(20, "a", &["turn 10"]),
        simple(30, Op::Delete, Outcome::Deleted),
        simple(31, Op::OpenExisting, Outcome::Opened(Some("a".to_owned()))),
        simple(40, Op::OpenExisting, Outcome::Absent),
        create(50, "c", "c"),
        call(60, Op::Delete, None),
        simple(70, Op::OpenExisting, Outcome::Absent),
    ];
    check(&calls).unwrap();
}

#[test]
fn a_commit_to_a_deleted_session_has_none() {
    let delete = simple(10, Op::Delete, Outcome::Deleted);
    let calls = [create(0, "a", "a"), delete.clone(), commit(20, "a", 0)];
    check(&calls).unwrap_err();
    let calls = [
        create(0, "a", "a"),
        delete,
        create(20, "b", "b"),
        commit(30, "a", 0),
    ];
    check(&calls).unwrap_err();
}

#[test]
fn what_is_lost_or_comes_back_has_none() {
    let calls = [create(0, "a", "a"), commit(10, "a", 0), look(20, "a", &[])];
    check(&calls).unwrap_err();
    let delete = simple(10, Op::Delete, Outcome::Deleted);
    let opened = Outcome::Opened(Some("a".to_owned()));
    let reopened = simple(20, Op::OpenExisting, opened);
    check(&[create(0, "a", "a"), delete, reopened]).unwrap_err();
    check(&[create(0, "a", "a"), create(10, "b", "b")]).unwrap_err();
}

#[test]
fn opening_that_creates_has_none() {
    let opened = Outcome::Opened(Some("nobody creates it so".to_owned()));
    check(&[simple(0, Op::OpenExisting, opened)]).unwrap_err();
}

/// What was killed can have happened until its successor begins, not after that.
#[test]
fn a_killed_call_has_no_effect_after_its_process() {
    let mut successor = simple(10, Op::OpenExisting, Outcome::Opened(Some("a".to_owned())));
    successor.who = "1.2".to_owned();
    let mut killed = call(5, Op::Delete, None);
    killed.who = "1.1".to_owned();
    let late = simple(20, Op::OpenExisting, Outcome::Absent);
    let calls = [create(0, "a", "a"), killed, successor, late];
    check(&calls).unwrap_err();
}

/// Four callers of a store that does each call at one moment within it; some are killed
/// before that moment, some after.
#[test]
fn whatever_a_right_store_does_has_an_order() {
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let mut state = State::default();
        let mut calls: Vec<Call<Op, Outcome>> = Vec::new();
        let mut open: [Option<(usize, Option<Outcome>)>; 4] = [const { None }; 4];
        let mut sessions = vec![String::new(); 4];
        let mut lives = [1; 4];
        for at in 0..3000 {
            let worker = random.below(4) as usize;
            match open[worker].take() {
                None => {
                    let session = sessions[worker].clone();
                    let name = format!("{at}");
                    let expected = state.turns.len();
                    let op = match random.below(12) {
                        0 => Op::Create { name },
                        1 => Op::OpenExisting,
                        2 => Op::Delete,
                        3..=8 => Op::Commit {
                            session,
                            turn: name,
                            expected,
                        },
                        _ => Op::Look { session },
                    };
                    let mut call = call(at, op, None);
                    call.who = format!("{worker}.{}", lives[worker]);
                    open[worker] = Some((calls.len(), None));
                    calls.push(call);
                }
                Some(_) if random.percent(3) => lives[worker] += 1,
                Some((call, None)) => {
                    let outcome = state.apply(&calls[call].op);
                    open[worker] = Some((call, Some(outcome)));
                }
                Some((call, Some(outcome))) => {
                    if let Outcome::Opened(Some(session)) = &outcome {
                        sessions[worker].clone_from(session);
                    }
                    calls[call].ended = Some((at, outcome));
                }
            }
        }
        check(&calls).unwrap();
    }
}
