//! Looks for an order of calls that one caller after the other could have made.

use std::collections::{BTreeMap, HashSet};

use super::{Op, Outcome};
use crate::history::Call;

/// What there is: a session with its turns, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct State {
    session: Option<String>,
    pub(super) turns: Vec<String>,
}

impl State {
    /// Does what was called; returns what it would have returned.
    pub(super) fn apply(&mut self, op: &Op) -> Outcome {
        match op {
            Op::Create { name } => {
                let session = self.session.get_or_insert_with(|| name.clone());
                Outcome::Opened(Some(session.clone()))
            }
            Op::OpenExisting => match &self.session {
                Some(session) => Outcome::Opened(Some(session.clone())),
                None => Outcome::Absent,
            },
            Op::Delete => {
                *self = Self::default();
                Outcome::Deleted
            }
            Op::Commit { session, .. } | Op::Look { session }
                if self.session.as_ref() != Some(session) =>
            {
                Outcome::Retired
            }
            Op::Commit { turn, expected, .. } => {
                if *expected != self.turns.len() {
                    return Outcome::Conflict(self.turns.len());
                }
                self.turns.push(turn.clone());
                Outcome::Committed(self.turns.len())
            }
            Op::Look { .. } => Outcome::Seen(self.turns.clone()),
        }
    }
}

/// A call with the last position at which it can have happened.
struct Interval<'a> {
    call: &'a Call<Op, Outcome>,
    until: usize,
}

/// The end of a call that was killed is before whatever its successor called first.
fn intervals(calls: &[Call<Op, Outcome>]) -> Vec<Interval<'_>> {
    let worker = |call: &Call<Op, Outcome>| call.who.split('.').next().map(str::to_owned);
    let mut next: BTreeMap<Option<String>, usize> = BTreeMap::new();
    let mut intervals = Vec::new();
    for call in calls.iter().rev() {
        let killed = next.insert(worker(call), call.begun).unwrap_or(usize::MAX);
        let until = call.ended.as_ref().map_or(killed, |(at, _)| *at);
        intervals.push(Interval { call, until });
    }
    intervals.reverse();
    intervals
}

/// Looks for an order in which all calls can have been made one after the other. If there is
/// none, the calls are returned at which the longest attempt ends.
pub(super) fn check(calls: &[Call<Op, Outcome>]) -> Result<(), String> {
    let intervals = intervals(calls);
    // All before `first` are done, of the others those in `done`.
    let mut stack = vec![(0_usize, Vec::<usize>::new(), State::default())];
    let mut seen = HashSet::new();
    let mut furthest = (0, Vec::new(), State::default());
    while let Some((first, done, state)) = stack.pop() {
        if first == intervals.len() {
            return Ok(());
        }
        if !seen.insert((first, done.clone(), state.clone())) {
            continue;
        }
        if first + done.len() >= furthest.0 + furthest.1.len() {
            furthest = (first, done.clone(), state.clone());
        }
        let open = || (first..intervals.len()).filter(|at| !done.contains(at));
        // What begins after one of them has ended must come later.
        let mut limit = usize::MAX;
        for at in open() {
            if intervals[at].call.begun > limit {
                break;
            }
            limit = limit.min(intervals[at].until);
        }
        for at in open().take_while(|at| intervals[*at].call.begun < limit) {
            let call = intervals[at].call;
            let mut after = state.clone();
            let outcome = after.apply(&call.op);
            let fits = match call.result() {
                None | Some(Outcome::Failed(_)) => true,
                // It was deleted after it was opened, and before it was asked who it is.
                Some(Outcome::Opened(None)) => matches!(outcome, Outcome::Opened(_)),
                Some(result) => *result == outcome,
            };
            let mut ways = Vec::new();
            if fits {
                ways.push(after);
            }
            if matches!(call.result(), None | Some(Outcome::Failed(_))) {
                ways.push(state.clone());
            }
            for way in ways {
                let (mut first, mut done) = (first, done.clone());
                done.push(at);
                while let Some(position) = done.iter().position(|at| *at == first) {
                    done.swap_remove(position);
                    first += 1;
                }
                done.sort_unstable();
                stack.push((first, done, way));
            }
        }
    }
    let (first, done, state) = furthest;
    let mut text = format!("no order of calls explains the results; after {first}: {state:?}\n");
    for (at, interval) in intervals
        .iter()
        .enumerate()
        .skip(first.saturating_sub(12))
        .take(24)
    {
        let mark = if at < first || done.contains(&at) {
            "done"
        } else {
            "open"
        };
        text += &format!("{mark} {:?}\n", interval.call);
    }
    Err(text)
}
