//! Events, leases and ends of processes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use lash_core::{
    PluginError, ProcessAwaitOutput, ProcessLease, ProcessLeaseCompletion, ProcessRegistry,
};
use lash_wasm_store::SqliteProcessRegistry;
use lash_wasm_store_testing::process_fixtures::{registration, success, tick};
use lash_wasm_store_testing::random::Random;
use serde::{Deserialize, Serialize};

use crate::history::{self, Call, Lease, Log, Violation, check_leases, violation};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Op {
    Register {
        id: String,
    },
    /// With the token of the lease under which it is done.
    Append {
        id: String,
        key: String,
        token: Option<u64>,
    },
    Events {
        id: String,
    },
    Claim {
        id: String,
    },
    Renew {
        id: String,
        token: u64,
    },
    Release {
        id: String,
        token: u64,
    },
    Complete {
        id: String,
        value: String,
        token: u64,
    },
    Get {
        id: String,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Outcome {
    Done,
    Appended(u64),
    /// Sequence, and the key if it is one of ours.
    Events(Vec<(u64, Option<String>)>),
    Leased {
        token: u64,
        claimed_at_ms: u64,
        expires_at_ms: u64,
    },
    /// Somebody else has the lease.
    Held,
    /// The lease is not ours any more.
    Lost,
    /// The process has ended, with this.
    Ended(Option<String>),
    /// The call was refused because the process has ended.
    Refused(String),
    Failed(String),
}

const TTL_MS: u64 = 60;

/// How many processes there are.
const PROCESSES: u64 = 12;

struct Worker<'a> {
    registry: &'a SqliteProcessRegistry,
    log: Log,
    count: usize,
}

/// Works until it is killed.
pub async fn work_on(
    registry: &SqliteProcessRegistry,
    path: &Path,
    worker: usize,
    who: &str,
    mut random: Random,
) {
    let mut worker_on = Worker {
        registry,
        log: Log::open(path, who),
        count: 0,
    };
    if let Some(Op::Append {
        id,
        key,
        token: None,
    }) = history::interrupted::<Op, Outcome>(path, worker)
    {
        worker_on.append(&id, key, None).await;
    }
    loop {
        let id = format!("process {}", random.below(PROCESSES));
        worker_on.register(&id).await;
        for _ in 0..4 {
            match random.below(6) {
                0 | 1 => {
                    let key = worker_on.next();
                    worker_on.append(&id, key, None).await;
                }
                2 => worker_on.events(&id).await,
                3 => worker_on.get(&id).await,
                _ => worker_on.own(&id, &mut random).await,
            }
        }
    }
}

/// Puts an error where it belongs.
fn refused(error: &PluginError) -> Outcome {
    let text = error.to_string();
    if text.contains("is already leased by") {
        Outcome::Held
    } else if text.contains("is missing or expired") {
        Outcome::Lost
    } else {
        Outcome::Refused(text)
    }
}

fn leased(lease: &ProcessLease) -> Outcome {
    Outcome::Leased {
        token: lease.fencing_token,
        claimed_at_ms: lease.claimed_at_epoch_ms,
        expires_at_ms: lease.expires_at_epoch_ms,
    }
}

impl Worker<'_> {
    fn next(&mut self) -> String {
        self.count += 1;
        format!("key {}.{}", self.log.who, self.count)
    }

    async fn register(&self, id: &str) {
        let registered = async {
            match self.registry.register_process(registration(id)).await {
                Ok(_) => Outcome::Done,
                Err(error) => Outcome::Failed(error.to_string()),
            }
        };
        let op = Op::Register { id: id.to_owned() };
        self.log.call(op, registered).await;
    }

    async fn append(&self, id: &str, key: String, lease: Option<&ProcessLease>) {
        let request = tick(1).with_replay_key(key.clone());
        let op = Op::Append {
            id: id.to_owned(),
            key,
            token: lease.map(|lease| lease.fencing_token),
        };
        let appended = async {
            let appended = match lease {
                Some(lease) => self.registry.append_event_with_lease(lease, request).await,
                None => self.registry.append_event(id, request).await,
            };
            match appended {
                Ok(appended) => Outcome::Appended(appended.event.sequence),
                Err(error) => refused(&error),
            }
        };
        self.log.call(op, appended).await;
    }

    async fn events(&self, id: &str) {
        let events = async {
            match self.registry.events_after(id, 0).await {
                Ok(events) => Outcome::Events(
                    events
                        .into_iter()
                        .map(|event| {
                            let key = event.invocation.replay.map(|replay| replay.key);
                            (event.sequence, key.filter(|key| key.starts_with("key ")))
                        })
                        .collect(),
                ),
                Err(error) => Outcome::Failed(error.to_string()),
            }
        };
        let op = Op::Events { id: id.to_owned() };
        self.log.call(op, events).await;
    }

    async fn get(&self, id: &str) {
        let found = async {
            match self.registry.try_get_process(id).await {
                Ok(Some(record)) => Outcome::Ended(record.status.await_output().map(value)),
                Ok(None) => Outcome::Failed("it is not there".to_owned()),
                Err(error) => Outcome::Failed(format!("{error:?}")),
            }
        };
        let op = Op::Get { id: id.to_owned() };
        self.log.call(op, found).await;
    }

    /// Claims a process, and works on it.
    async fn own(&mut self, id: &str, random: &mut Random) {
        let mut claimed = None;
        let op = Op::Claim { id: id.to_owned() };
        let claim = async {
            let owner = &self.log.who;
            match self.registry.claim_process_lease(id, owner, TTL_MS).await {
                Ok(lease) => {
                    let outcome = leased(&lease);
                    claimed = Some(lease);
                    outcome
                }
                Err(error) => refused(&error),
            }
        };
        self.log.call(op, claim).await;
        let Some(mut lease) = claimed else { return };
        if random.percent(30) {
            tokio::time::sleep(std::time::Duration::from_millis(random.below(2 * TTL_MS))).await;
        }
        let token = lease.fencing_token;
        let id = id.to_owned();
        if random.percent(40) {
            let renewed = async {
                match self.registry.renew_process_lease(&lease, TTL_MS).await {
                    Ok(renewed) => {
                        let outcome = leased(&renewed);
                        lease = renewed;
                        outcome
                    }
                    Err(error) => refused(&error),
                }
            };
            let op = Op::Renew {
                id: id.clone(),
                token,
            };
            self.log.call(op, renewed).await;
        }
        let key = self.next();
        self.append(&id, key, Some(&lease)).await;
        if random.percent(3) {
            let value = self.next();
            let output = success(&value);
            let completed = async {
                match self
                    .registry
                    .complete_process_with_lease(&lease, output)
                    .await
                {
                    Ok(_) => Outcome::Done,
                    Err(error) => refused(&error),
                }
            };
            self.log
                .call(Op::Complete { id, value, token }, completed)
                .await;
        } else if random.percent(80) {
            let completion = ProcessLeaseCompletion::from_lease(&lease);
            let released = async {
                match self.registry.complete_process_lease(&completion).await {
                    Ok(()) => Outcome::Done,
                    Err(error) => refused(&error),
                }
            };
            self.log.call(Op::Release { id, token }, released).await;
        }
    }
}

fn value(output: &ProcessAwaitOutput) -> String {
    match output {
        ProcessAwaitOutput::Success { value, .. } => value.as_str().unwrap().to_owned(),
        other => format!("{other:?}"),
    }
}

/// Notes what is there at the end.
pub async fn audit(registry: &SqliteProcessRegistry, path: &Path) {
    let audit = Worker {
        registry,
        log: Log::open(path, "audit"),
        count: 0,
    };
    for process in 0..PROCESSES {
        let id = format!("process {process}");
        audit.register(&id).await;
        audit.events(&id).await;
        audit.get(&id).await;
    }
}

fn id_of(op: &Op) -> &str {
    match op {
        Op::Register { id }
        | Op::Append { id, .. }
        | Op::Events { id }
        | Op::Claim { id }
        | Op::Renew { id, .. }
        | Op::Release { id, .. }
        | Op::Complete { id, .. }
        | Op::Get { id } => id,
    }
}

/// All that is wrong with a history.
pub fn check(calls: &[Call<Op, Outcome>]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut processes: BTreeMap<&str, Vec<&Call<Op, Outcome>>> = BTreeMap::new();
    for call in calls {
        processes.entry(id_of(&call.op)).or_default().push(call);
    }
    for (id, calls) in &processes {
        check_events(id, calls, &mut violations);
        check_end(id, calls, &mut violations);
        check_fences(id, calls, &mut violations);
    }
    violations
}

fn check_events(id: &str, calls: &[&Call<Op, Outcome>], violations: &mut Vec<Violation>) {
    let mut sequences: BTreeMap<&str, u64> = BTreeMap::new();
    let mut keys: BTreeMap<u64, &str> = BTreeMap::new();
    let mut appended: Vec<(usize, usize, u64)> = Vec::new();
    for call in calls {
        if let (Op::Append { key, .. }, Some((at, Outcome::Appended(sequence)))) =
            (&call.op, &call.ended)
        {
            if *sequences.entry(key).or_insert(*sequence) != *sequence {
                violations.push(violation(key, "a repeated event has another number"));
            }
            if *keys.entry(*sequence).or_insert(key) != key {
                violations.push(violation(id, "two events have one number"));
            }
            appended.push((call.begun, *at, *sequence));
        }
    }
    for (begun, _, sequence) in &appended {
        let is_after = |(_, ended, other): &&(usize, usize, u64)| ended < begun && other > sequence;
        // A call that was repeated returns what it had got before.
        let first = calls
            .iter()
            .find(|call| matches!(&call.op, Op::Append { key, .. } if keys[sequence] == key));
        if first.is_some_and(|first| first.begun == *begun) && appended.iter().any(|a| is_after(&a))
        {
            violations.push(violation(id, "a later event has a lower number"));
        }
    }
    for call in calls {
        let Some((_, Outcome::Events(events))) = &call.ended else {
            continue;
        };
        if events
            .iter()
            .map(|(sequence, _)| *sequence)
            .ne(1..=events.len() as u64)
        {
            violations.push(violation(id, "a list of events has a gap"));
        }
        for (sequence, key) in events {
            let known = keys.get(sequence);
            if let Some(known) = known
                && key.as_deref() != Some(*known)
            {
                violations.push(violation(id, "an event is another one"));
            }
        }
        let missing = |(_, ended, sequence): &&(usize, usize, u64)| {
            *ended < call.begun && *sequence > events.len() as u64
        };
        if appended.iter().any(|a| missing(&a)) {
            violations.push(violation(id, "a list of events lacks one"));
        }
        let called: BTreeSet<&str> = calls
            .iter()
            .filter_map(|call| match &call.op {
                Op::Append { key, .. } => Some(key.as_str()),
                _ => None,
            })
            .collect();
        let unknown = events.iter().filter_map(|(_, key)| key.as_deref());
        if unknown.into_iter().any(|key| !called.contains(key)) {
            violations.push(violation(id, "nobody appended an event"));
        }
        let distinct: BTreeSet<_> = events.iter().filter_map(|(_, key)| key.as_ref()).collect();
        if distinct.len() < events.iter().filter(|(_, key)| key.is_some()).count() {
            violations.push(violation(id, "an event is there twice"));
        }
    }
}

fn check_end(id: &str, calls: &[&Call<Op, Outcome>], violations: &mut Vec<Violation>) {
    let completions = || {
        calls.iter().filter_map(|call| match &call.op {
            Op::Complete { value, .. } => Some((*call, value)),
            _ => None,
        })
    };
    let may_have_ended = |call: &Call<Op, Outcome>| {
        let until = call.ended.as_ref().map_or(usize::MAX, |(at, _)| *at);
        completions().any(|(completion, _)| completion.begun < until)
    };
    let mut end: Option<&String> = None;
    for (call, value) in completions() {
        if matches!(call.result(), Some(Outcome::Done)) && *end.get_or_insert(value) != value {
            violations.push(violation(id, "it ended twice"));
        }
    }
    for call in calls {
        match call.result() {
            Some(Outcome::Ended(Some(value))) => {
                if *end.get_or_insert(value) != value {
                    violations.push(violation(id, "it ended twice"));
                }
                if !completions().any(|(_, called)| called == value) {
                    violations.push(violation(id, "nobody ended it so"));
                }
            }
            Some(Outcome::Ended(None)) => {
                let ended = |(done, _): (&Call<Op, Outcome>, &String)| {
                    matches!(done.result(), Some(Outcome::Done)) && done.is_before(call)
                };
                if completions().any(ended) {
                    violations.push(violation(id, "its end is lost"));
                }
            }
            Some(Outcome::Refused(error)) if !may_have_ended(call) => {
                violations.push(violation(id, format!("a call was refused: {error}")));
            }
            Some(Outcome::Failed(error)) => {
                violations.push(violation(id, format!("a call failed: {error}")));
            }
            _ => {}
        }
    }
}

fn check_fences(id: &str, calls: &[&Call<Op, Outcome>], violations: &mut Vec<Violation>) {
    let mut leases: BTreeMap<u64, Lease> = BTreeMap::new();
    for call in calls {
        if let (
            Op::Claim { .. },
            Some((
                ended,
                Outcome::Leased {
                    token,
                    claimed_at_ms,
                    expires_at_ms,
                },
            )),
        ) = (&call.op, &call.ended)
        {
            let lease = Lease {
                object: id.to_owned(),
                owner: call.who.clone(),
                token: *token,
                begun: call.begun,
                ended: *ended,
                claimed_at_ms: *claimed_at_ms,
                expires: vec![(*ended, *expires_at_ms)],
                released: None,
            };
            if leases.insert(*token, lease).is_some() {
                violations.push(violation(id, "two leases have one token"));
            }
        }
    }
    for call in calls {
        match (&call.op, &call.ended) {
            (
                Op::Renew { token, .. },
                Some((
                    at,
                    Outcome::Leased {
                        token: same,
                        expires_at_ms,
                        ..
                    },
                )),
            ) => {
                if token != same {
                    violations.push(violation(id, "a renewed lease has another token"));
                }
                if let Some(lease) = leases.get_mut(token) {
                    lease.expires.push((*at, *expires_at_ms));
                }
            }
            (Op::Release { token, .. } | Op::Complete { token, .. }, _) => {
                if let Some(lease) = leases.get_mut(token) {
                    lease.released.get_or_insert(call.begun);
                }
            }
            _ => {}
        }
        let fenced = match (&call.op, call.result()) {
            (
                Op::Append {
                    token: Some(token), ..
                },
                Some(Outcome::Appended(_)),
            )
            | (Op::Renew { token, .. }, Some(Outcome::Leased { .. }))
            | (Op::Complete { token, .. }, Some(Outcome::Done)) => Some(*token),
            _ => None,
        };
        if let Some(token) = fenced {
            let later = leases.range(token + 1..);
            if later.into_iter().any(|(_, lease)| lease.ended < call.begun) {
                violations.push(violation(
                    id,
                    "somebody worked under a lease that was adopted",
                ));
            }
        }
    }
    let leases: Vec<Lease> = leases.into_values().collect();
    violations.extend(check_leases(&leases));
}
