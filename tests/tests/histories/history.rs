//! The log of calls. All processes append to one file, so the position of a line is a time
//! that all agree on: what returned before something else was called is before it there.

use std::collections::HashMap;
use std::fmt::{Debug, Write as _};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A call. What was killed has no result: it may have happened, or may still not.
#[derive(Clone, Debug)]
pub struct Call<O, R> {
    pub who: String,
    pub begun: usize,
    pub ended: Option<(usize, R)>,
    pub op: O,
}

impl<O, R> Call<O, R> {
    pub fn result(&self) -> Option<&R> {
        self.ended.as_ref().map(|(_, result)| result)
    }

    /// Whether this had returned when the other was called.
    pub fn is_before<P, S>(&self, other: &Call<P, S>) -> bool {
        self.ended.as_ref().is_some_and(|(at, _)| *at < other.begun)
    }
}

#[derive(Serialize, Deserialize)]
struct Line<O, R> {
    who: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    begin: Option<O>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<R>,
}

/// Where one caller notes its calls, one after the other.
pub struct Log {
    file: File,
    pub who: String,
}

impl Log {
    pub fn open(path: &Path, who: impl Into<String>) -> Self {
        let mut options = OpenOptions::new();
        Self {
            file: options.create(true).append(true).open(path).unwrap(),
            who: who.into(),
        }
    }

    /// The same log, for somebody else.
    pub fn with(&self, who: String) -> Self {
        let file = self.file.try_clone().unwrap();
        Self { file, who }
    }

    /// Makes a call, and notes it before and after.
    pub async fn call<O: Serialize, R: Serialize + Clone>(
        &self,
        op: O,
        work: impl Future<Output = R>,
    ) -> R {
        self.append::<O, R>(Some(op), None);
        let result = work.await;
        self.append::<O, R>(None, Some(result.clone()));
        result
    }

    fn append<O: Serialize, R: Serialize>(&self, begin: Option<O>, end: Option<R>) {
        let who = self.who.clone();
        // The line break comes first: a line that a kill cut off ends there.
        let mut line = b"\n".to_vec();
        serde_json::to_writer(&mut line, &Line { who, begin, end }).unwrap();
        (&self.file).write_all(&line).unwrap();
    }
}

/// Reads a log. A line that was cut off was not followed by a call, or is a result that nobody
/// got.
pub fn read<O: DeserializeOwned, R: DeserializeOwned>(path: &Path) -> Vec<Call<O, R>> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut calls: Vec<Call<O, R>> = Vec::new();
    let mut open: HashMap<String, usize> = HashMap::new();
    for (at, line) in text.lines().enumerate() {
        let Ok(line) = serde_json::from_str::<Line<O, R>>(line) else {
            continue;
        };
        if let Some(op) = line.begin {
            open.insert(line.who.clone(), calls.len());
            calls.push(Call {
                who: line.who,
                begun: at,
                ended: None,
                op,
            });
        } else if let Some(result) = line.end
            && let Some(call) = open.remove(&line.who)
        {
            calls[call].ended = Some((at, result));
        }
    }
    calls
}

/// What a worker had called when it was killed the last time.
pub fn interrupted<O: DeserializeOwned, R: DeserializeOwned>(
    path: &Path,
    worker: usize,
) -> Option<O> {
    let prefix = format!("{worker}.");
    let mut calls = read::<O, R>(path).into_iter();
    let last = calls.rfind(|call| call.who.starts_with(&prefix))?;
    last.ended.is_none().then_some(last.op)
}

/// Something that cannot have happened one call after the other.
#[derive(Debug)]
pub struct Violation {
    /// What it is about: all calls that name it are shown.
    pub object: String,
    pub rule: String,
    /// Where the calls are that contradict each other, if only some do.
    pub at: Vec<usize>,
}

pub fn violation(object: impl ToString, rule: impl Into<String>) -> Violation {
    Violation {
        object: object.to_string(),
        rule: rule.into(),
        at: Vec::new(),
    }
}

/// The violations, each with the calls that name its object.
pub fn report<O: Debug, R: Debug>(calls: &[Call<O, R>], violations: &[Violation]) -> String {
    let mut text = String::new();
    for violation in violations.iter().take(5) {
        let Violation { object, rule, at } = violation;
        writeln!(text, "{object}: {rule} {at:?}").unwrap();
        // What went before explains it, and what came between.
        let from = at.first().map_or(0, |at| at.saturating_sub(50));
        let until = at.last().map_or(usize::MAX, |at| at + 50);
        let named = calls
            .iter()
            .filter(|call| (from..until).contains(&call.begun))
            .map(|call| format!("{call:?}"))
            .filter(|call| call.contains(&violation.object));
        for call in named.take(60) {
            writeln!(text, "  {call}").unwrap();
        }
    }
    text
}

/// A lease, in whatever it is of.
pub struct Lease {
    pub object: String,
    /// Who may claim it again while it holds it.
    pub owner: String,
    pub token: u64,
    pub begun: usize,
    pub ended: usize,
    pub claimed_at_ms: u64,
    /// When it expires, by the calls that had returned: each with its position.
    pub expires: Vec<(usize, u64)>,
    /// When somebody first called to give it back.
    pub released: Option<usize>,
}

/// Tokens only grow, and nobody gets what somebody else holds.
pub fn check_leases(leases: &[Lease]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut objects: HashMap<&str, Vec<&Lease>> = HashMap::new();
    for lease in leases {
        objects.entry(&lease.object).or_default().push(lease);
    }
    for leases in objects.values() {
        for one in leases {
            for other in leases {
                if !std::ptr::eq(*one, *other)
                    && let Some(rule) = contradiction(one, other, leases)
                {
                    let mut violation = violation(&one.object, rule);
                    violation.at = vec![one.begun, other.begun];
                    violations.push(violation);
                }
            }
        }
    }
    violations
}

/// What is wrong with two leases of one object.
fn contradiction(one: &Lease, other: &Lease, all: &[&Lease]) -> Option<&'static str> {
    if one.token == other.token {
        return Some("two leases have one token");
    }
    if one.token > other.token {
        return (one.ended < other.begun).then_some("a later lease has a lower token");
    }
    // Whoever holds it may claim it again.
    let is_adopted = |lease: &&Lease| {
        lease.owner == one.owner && lease.token > one.token && lease.begun < other.ended
    };
    let is_released = one.released.is_some_and(|released| released < other.ended);
    if one.owner == other.owner || is_released || all.iter().any(is_adopted) {
        return None;
    }
    let known = one.expires.iter().filter(|(at, _)| *at < other.begun);
    let expires = known.map(|(_, expires)| *expires).max()?;
    (other.claimed_at_ms < expires).then_some("it was leased while it was held")
}

/// A call of a history that is written by hand.
pub fn call<O, R>(begun: usize, op: O, ended: Option<(usize, R)>) -> Call<O, R> {
    Call {
        who: "0.0".to_owned(),
        begun,
        ended,
        op,
    }
}

/// Fails unless this is found.
#[track_caller]
pub fn finds(violations: &[Violation], rule: &str) {
    assert!(
        violations.iter().any(|violation| violation.rule == rule),
        "{rule:?} is not in {violations:?}"
    );
}
