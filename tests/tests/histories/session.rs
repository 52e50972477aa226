//! Commits, loads and the work queue of a session.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use lash_core::runtime::{QueuedWorkClaim, QueuedWorkCompletion};
use lash_core::store::SessionReadScope;
use lash_core::{RuntimeCommit, RuntimePersistence, RuntimeTurnCommitStamp, StoreError};
use lash_wasm_store::Store;
use lash_wasm_store_testing::fixtures::{SESSION, append, claim, node, work};
use lash_wasm_store_testing::random::Random;
use serde::{Deserialize, Serialize};

use crate::history::{self, Call, Lease, Log, Violation, check_leases, violation};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Op {
    Commit {
        turn: String,
        expected: Option<u64>,
        completes: Option<QueuedWorkCompletion>,
    },
    Load,
    Enqueue {
        key: String,
    },
    Claim,
    Renew {
        claim: String,
    },
    Abandon {
        claim: String,
    },
    /// What is there at the end.
    Audit,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Outcome {
    Committed(u64),
    Conflict {
        actual: u64,
    },
    Expired,
    Loaded {
        revision: u64,
        nodes: usize,
    },
    Enqueued(String),
    Claimed(Option<Claim>),
    Renewed(Claim),
    Abandoned,
    Audited {
        revision: u64,
        turns: BTreeSet<String>,
        pending: BTreeSet<String>,
    },
    Failed(String),
}

/// What is checked of a claim.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claim {
    pub id: String,
    pub token: u64,
    pub claimed_at_ms: u64,
    pub expires_at_ms: u64,
    pub batches: Vec<String>,
}

impl From<&QueuedWorkClaim> for Claim {
    fn from(claim: &QueuedWorkClaim) -> Self {
        Self {
            id: claim.claim_id.clone(),
            token: claim.fencing_token,
            claimed_at_ms: claim.claimed_at_epoch_ms,
            expires_at_ms: claim.expires_at_epoch_ms,
            batches: claim.batches.iter().map(|b| b.batch_id.clone()).collect(),
        }
    }
}

/// How long claims last: some expire while somebody works, some are renewed.
const TTL_MS: u64 = 60;

struct Worker<'a> {
    store: &'a Store,
    log: Log,
    head: Option<u64>,
    count: usize,
}

/// Works until it is killed.
pub async fn work_on(store: &Store, path: &Path, worker: usize, who: &str, mut random: Random) {
    let mut session = Worker {
        store,
        log: Log::open(path, who),
        head: None,
        count: 0,
    };
    match history::interrupted::<Op, Outcome>(path, worker) {
        Some(Op::Commit {
            turn,
            expected,
            completes,
        }) => session.commit(turn, expected, completes).await,
        Some(Op::Enqueue { key }) => session.enqueue(key).await,
        _ => {}
    }
    loop {
        match random.below(10) {
            0..=3 => session.commit_next(None).await,
            4 => session.load().await,
            5 | 6 => {
                let key = session.next("work");
                session.enqueue(key).await;
            }
            _ => session.serve(&mut random).await,
        }
    }
}

impl Worker<'_> {
    fn next(&mut self, what: &str) -> String {
        self.count += 1;
        format!("{what} {}.{}", self.log.who, self.count)
    }

    async fn commit_next(&mut self, completes: Option<QueuedWorkCompletion>) {
        let turn = self.next("turn");
        self.commit(turn, self.head, completes).await;
    }

    async fn commit(
        &mut self,
        turn: String,
        expected: Option<u64>,
        completes: Option<QueuedWorkCompletion>,
    ) {
        let commit = commit_of(&turn, expected, completes.clone());
        let op = Op::Commit {
            turn,
            expected,
            completes,
        };
        let outcome = self.log.call(op, async {
            match self.store.commit_runtime_state(commit).await {
                Ok(committed) => Outcome::Committed(committed.head_revision),
                Err(StoreError::HeadRevisionConflict { actual, .. }) => {
                    Outcome::Conflict { actual }
                }
                Err(StoreError::QueuedWorkClaimExpired { .. }) => Outcome::Expired,
                Err(error) => Outcome::Failed(format!("{error:?}")),
            }
        });
        match outcome.await {
            Outcome::Committed(revision) => self.head = self.head.max(Some(revision)),
            Outcome::Conflict { actual } => self.head = (actual > 0).then_some(actual),
            _ => {}
        }
    }

    async fn load(&mut self) {
        let outcome = self.log.call(Op::Load, async {
            match self.store.load_session(SessionReadScope::FullGraph).await {
                Ok(read) => {
                    let read = read.as_ref();
                    Outcome::Loaded {
                        revision: read.map_or(0, |read| read.head_revision),
                        nodes: read.map_or(0, |read| read.graph.nodes.len()),
                    }
                }
                Err(error) => Outcome::Failed(format!("{error:?}")),
            }
        });
        if let Outcome::Loaded { revision, .. } = outcome.await {
            self.head = (revision > 0).then_some(revision);
        }
    }

    async fn enqueue(&mut self, key: String) {
        let draft = work(&key).with_source_key(key.clone());
        let enqueued = async {
            match self.store.enqueue_queued_work(draft).await {
                Ok(batch) => Outcome::Enqueued(batch.batch_id),
                Err(error) => Outcome::Failed(format!("{error:?}")),
            }
        };
        self.log.call(Op::Enqueue { key }, enqueued).await;
    }

    /// Claims, and renews, abandons or completes.
    async fn serve(&mut self, random: &mut Random) {
        let mut claimed = None;
        self.log
            .call(Op::Claim, async {
                claimed = claim(self.store, TTL_MS, 1 + random.below(2) as usize).await;
                Outcome::Claimed(claimed.as_ref().map(Claim::from))
            })
            .await;
        let Some(mut claim) = claimed else { return };
        if random.percent(30) {
            tokio::time::sleep(std::time::Duration::from_millis(random.below(2 * TTL_MS))).await;
        }
        if random.percent(40) {
            let op = Op::Renew {
                claim: claim.claim_id.clone(),
            };
            let renewed = self.log.call(op, async {
                match self.store.renew_queued_work_claim(&claim, TTL_MS).await {
                    Ok(renewed) => {
                        let outcome = Outcome::Renewed(Claim::from(&renewed));
                        claim = renewed;
                        outcome
                    }
                    Err(StoreError::QueuedWorkClaimExpired { .. }) => Outcome::Expired,
                    Err(error) => Outcome::Failed(format!("{error:?}")),
                }
            });
            renewed.await;
        }
        match random.below(10) {
            0 => {}
            1 | 2 => {
                let op = Op::Abandon {
                    claim: claim.claim_id.clone(),
                };
                let abandoned = async {
                    match self.store.abandon_queued_work_claim(&claim).await {
                        Ok(()) => Outcome::Abandoned,
                        Err(StoreError::QueuedWorkClaimExpired { .. }) => Outcome::Expired,
                        Err(error) => Outcome::Failed(format!("{error:?}")),
                    }
                };
                self.log.call(op, abandoned).await;
            }
            _ => {
                self.load().await;
                self.commit_next(Some(claim.completion())).await;
            }
        }
    }
}

/// The commit of a turn, the same whenever it is made again.
fn commit_of(
    turn: &str,
    expected: Option<u64>,
    completes: Option<QueuedWorkCompletion>,
) -> RuntimeCommit {
    let commit = RuntimeCommit {
        completed_queue_claims: completes.into_iter().collect(),
        // Otherwise each process makes up one of its own.
        agent_frames: Vec::new(),
        current_agent_frame_id: String::new(),
        ..append(expected, vec![node(turn, None)])
    };
    let hash = commit.turn_commit_hash().unwrap();
    commit.with_turn_commit(RuntimeTurnCommitStamp::new(SESSION, turn, hash))
}

/// Notes what is there at the end.
pub async fn audit(store: &Store, path: &Path) {
    let audited = async {
        let read = store.load_session(SessionReadScope::FullGraph).await;
        let read = read.unwrap();
        let pending = store.list_queued_work(SESSION).await.unwrap();
        Outcome::Audited {
            revision: read.as_ref().map_or(0, |read| read.head_revision),
            turns: read
                .iter()
                .flat_map(|read| &read.graph.nodes)
                .map(|node| node.node_id.clone())
                .collect(),
            pending: pending.into_iter().map(|batch| batch.batch_id).collect(),
        }
    };
    Log::open(path, "audit").call(Op::Audit, audited).await;
}

/// All that is wrong with a history.
pub fn check(calls: &[Call<Op, Outcome>]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for call in calls {
        if let Some(Outcome::Failed(error)) = call.result() {
            violations.push(violation(&call.who, format!("a call failed: {error}")));
        }
    }
    check_revisions(calls, &mut violations);
    check_loads(calls, &mut violations);
    check_queue(calls, &mut violations);
    check_audit(calls, &mut violations);
    violations
}

/// A turn that was committed, by whatever of its calls.
struct Turn<'a> {
    turn: &'a str,
    /// When it was first called.
    begun: usize,
    /// When it first returned.
    ended: usize,
    expected: Option<u64>,
    revision: u64,
}

fn committed(calls: &[Call<Op, Outcome>]) -> BTreeMap<&str, Turn<'_>> {
    let mut begun: BTreeMap<&str, usize> = BTreeMap::new();
    let mut turns: BTreeMap<&str, Turn<'_>> = BTreeMap::new();
    for call in calls {
        let Op::Commit { turn, expected, .. } = &call.op else {
            continue;
        };
        begun.entry(turn).or_insert(call.begun);
        if let Some((ended, Outcome::Committed(revision))) = &call.ended {
            turns.entry(turn).or_insert(Turn {
                turn,
                begun: begun[turn.as_str()],
                ended: *ended,
                expected: *expected,
                revision: *revision,
            });
        }
    }
    turns
}

fn check_revisions(calls: &[Call<Op, Outcome>], violations: &mut Vec<Violation>) {
    let turns = committed(calls);
    let mut by_revision: BTreeMap<u64, &Turn<'_>> = BTreeMap::new();
    for turn in turns.values() {
        if turn.revision != turn.expected.unwrap_or(0) + 1 {
            violations.push(violation(turn.turn, "it does not follow what it expected"));
        }
        if let Some(other) = by_revision.insert(turn.revision, turn) {
            violations.push(violation(other.turn, "two turns have one revision"));
        }
    }
    for call in calls {
        match (&call.op, call.result()) {
            (Op::Commit { turn, .. }, Some(Outcome::Committed(revision)))
                if turns[turn.as_str()].revision != *revision =>
            {
                violations.push(violation(turn, "a repeated turn has another revision"));
            }
            (Op::Commit { turn, expected, .. }, Some(Outcome::Conflict { actual })) => {
                let known = turns.values().filter(|other| other.ended < call.begun);
                let known = known.map(|other| other.revision).max().unwrap_or(0);
                if *actual < known {
                    violations.push(violation(turn, "a conflict names an old revision"));
                }
                if *actual == expected.unwrap_or(0) {
                    violations.push(violation(turn, "a conflict with what was expected"));
                }
                if turns
                    .get(turn.as_str())
                    .is_some_and(|t| t.ended < call.begun)
                {
                    violations.push(violation(turn, "a committed turn was refused"));
                }
            }
            _ => {}
        }
    }
    // In the order of revisions, none may have begun after a later one had returned.
    let mut earliest = usize::MAX;
    for turn in by_revision.values().rev() {
        if turn.begun > earliest {
            violations.push(violation(
                turn.turn,
                "it was called after a later one had returned",
            ));
        }
        earliest = earliest.min(turn.ended);
    }
}

fn check_loads(calls: &[Call<Op, Outcome>], violations: &mut Vec<Violation>) {
    let turns = committed(calls);
    let mut ended: Vec<(usize, u64)> = turns.values().map(|t| (t.ended, t.revision)).collect();
    ended.sort_unstable();
    let loads = calls.iter().filter_map(|call| match &call.ended {
        Some((at, Outcome::Loaded { revision, nodes })) => Some((call, *at, *revision, *nodes)),
        _ => None,
    });
    let loads: Vec<_> = loads.collect();
    for (call, _, revision, nodes) in &loads {
        if *nodes as u64 != *revision {
            violations.push(violation(&call.who, "a load has half a commit"));
        }
        let before = ended.iter().take_while(|(at, _)| *at < call.begun);
        let before = before.map(|(_, revision)| *revision).max().unwrap_or(0);
        if *revision < before {
            violations.push(violation(&call.who, "a load lacks what was committed"));
        }
        let earlier = loads.iter().filter(|(_, at, ..)| *at < call.begun);
        if earlier.map(|(_, _, seen, _)| *seen).max().unwrap_or(0) > *revision {
            violations.push(violation(&call.who, "a load goes back"));
        }
    }
}

fn check_queue(calls: &[Call<Op, Outcome>], violations: &mut Vec<Violation>) {
    let mut leases: Vec<Lease> = Vec::new();
    let mut claims: BTreeMap<&str, Vec<(usize, u64)>> = BTreeMap::new();
    let mut released: BTreeMap<&str, usize> = BTreeMap::new();
    let mut completed: BTreeMap<&str, (&str, usize)> = BTreeMap::new();
    for call in calls {
        match (&call.op, &call.ended) {
            (Op::Renew { claim }, Some((at, Outcome::Renewed(renewed)))) => {
                claims
                    .entry(claim)
                    .or_default()
                    .push((*at, renewed.expires_at_ms));
            }
            (Op::Abandon { claim }, _) => {
                released.entry(claim).or_insert(call.begun);
            }
            (
                Op::Commit {
                    turn,
                    completes: Some(completes),
                    ..
                },
                ended,
            ) => {
                released.entry(&completes.claim_id).or_insert(call.begun);
                if let Some((at, Outcome::Committed(_))) = ended {
                    for batch in &completes.batch_ids {
                        let (first, _) = *completed.entry(batch).or_insert((turn, *at));
                        if first != turn {
                            violations.push(violation(batch, "it was completed twice"));
                        }
                    }
                }
            }
            _ => {}
        }
    }
    for call in calls {
        let Some((ended, Outcome::Claimed(Some(claim)))) = &call.ended else {
            continue;
        };
        for batch in &claim.batches {
            if completed
                .get(batch.as_str())
                .is_some_and(|(_, at)| *at < call.begun)
            {
                violations.push(violation(batch, "it was claimed after it was completed"));
            }
            let mut expires = vec![(*ended, claim.expires_at_ms)];
            expires.extend(claims.get(claim.id.as_str()).into_iter().flatten());
            leases.push(Lease {
                object: batch.clone(),
                owner: claim.id.clone(),
                token: claim.token,
                begun: call.begun,
                ended: *ended,
                claimed_at_ms: claim.claimed_at_ms,
                expires,
                released: released.get(claim.id.as_str()).copied(),
            });
        }
    }
    violations.extend(check_leases(&leases));
}

fn check_audit(calls: &[Call<Op, Outcome>], violations: &mut Vec<Violation>) {
    let audit = calls.iter().find_map(|call| match call.result() {
        Some(Outcome::Audited {
            revision,
            turns,
            pending,
        }) => Some((revision, turns, pending)),
        _ => None,
    });
    let Some((revision, turns, pending)) = audit else {
        return;
    };
    if turns.len() as u64 != *revision {
        violations.push(violation("audit", "the graph is not that of the revision"));
    }
    let mut called = BTreeSet::new();
    // By a turn that is there, whether or not somebody learnt of it.
    let mut completed = BTreeSet::new();
    for call in calls {
        let Op::Commit {
            turn, completes, ..
        } = &call.op
        else {
            continue;
        };
        called.insert(turn);
        if turns.contains(turn) {
            completed.extend(completes.iter().flat_map(|completes| &completes.batch_ids));
        } else if matches!(call.result(), Some(Outcome::Committed(_))) {
            violations.push(violation(turn, "a committed turn is lost"));
        }
    }
    for batch in completed.iter().filter(|batch| pending.contains(**batch)) {
        violations.push(violation(batch, "a completed batch is pending"));
    }
    for call in calls {
        if let Some(Outcome::Enqueued(batch)) = call.result()
            && !pending.contains(batch)
            && !completed.contains(batch)
        {
            violations.push(violation(batch, "an enqueued batch is lost"));
        }
    }
    for turn in turns.iter().filter(|turn| !called.contains(turn)) {
        violations.push(violation(turn, "nobody committed it"));
    }
}
