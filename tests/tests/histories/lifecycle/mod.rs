//! One session that is created, opened, written and deleted by four processes.
//!
//! Each creation names itself, in the metadata (as the model), so every handle says whose
//! session it has. [`check`] looks for an order of all calls that one caller after the other
//! could have made, with the results that they had: a session is there or not. A call that
//! failed may have happened or not, and is reported separately.

mod order;
mod wrong;

use std::path::Path;
use std::sync::Arc;

use lash_core::store::SessionReadScope;
use lash_core::{
    ModelSpec, RuntimePersistence, SessionPolicy, SessionRelation, SessionStoreCreateRequest,
    SessionStoreFactory, StoreError,
};
use lash_wasm_store::SqliteSessionStoreFactory;
use lash_wasm_store_testing::child;
use lash_wasm_store_testing::fixtures::{SESSION, append, node};
use lash_wasm_store_testing::random::Random;
use serde::{Deserialize, Serialize};

use crate::crowd::{self, Life};
use crate::history::{Call, Log, read};
use order::check;

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Op {
    Create {
        name: String,
    },
    OpenExisting,
    Delete,
    /// With a handle of this session.
    Commit {
        session: String,
        turn: String,
        expected: usize,
    },
    Look {
        session: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Outcome {
    /// Whose session it is; `None` if it was deleted before the handle could be asked.
    Opened(Option<String>),
    Absent,
    Deleted,
    Committed(usize),
    Conflict(usize),
    Seen(Vec<String>),
    Retired,
    Failed(String),
}

type Handle = Arc<dyn RuntimePersistence>;

struct Worker {
    factory: SqliteSessionStoreFactory,
    log: Log,
    handle: Option<(Handle, String)>,
    turns: usize,
    count: usize,
}

async fn work(path: &Path) {
    let life = Life::of(path);
    let mut random = Random::new(life.seed);
    let mut worker = Worker {
        factory: SqliteSessionStoreFactory::new(life.base.join("sessions")),
        log: Log::open(&life.base.join("lifecycle.log"), life.who),
        handle: None,
        turns: 0,
        count: 0,
    };
    loop {
        match (random.below(20), worker.handle.clone()) {
            (0..=9, Some(handle)) => worker.commit(handle).await,
            (10..=14, Some(handle)) => worker.look(handle).await,
            (15, Some(_)) => worker.handle = None,
            (0..=9 | 16, _) => worker.create().await,
            (10..=17, _) => worker.open().await,
            _ => worker.delete().await,
        }
    }
}

fn request(name: &str) -> SessionStoreCreateRequest {
    SessionStoreCreateRequest {
        session_id: SESSION.to_owned(),
        relation: SessionRelation::Root,
        policy: SessionPolicy {
            model: ModelSpec::from_token_limits(name, None, 200_000, None).unwrap(),
            ..SessionPolicy::default()
        },
    }
}

/// What a handle of a deleted session fails with, and everything else.
fn failed(error: &StoreError) -> Outcome {
    let text = error.to_string();
    if text.contains("was deleted") {
        Outcome::Retired
    } else {
        Outcome::Failed(text)
    }
}

impl Worker {
    fn next(&mut self, what: &str) -> String {
        self.count += 1;
        format!("{what} {}.{}", self.log.who, self.count)
    }

    async fn create(&mut self) {
        let name = self.next("creation");
        let request = request(&name);
        let factory = self.factory.clone();
        let created = async move { factory.create_store(&request).await.map(Some) };
        self.open_by(Op::Create { name }, created).await;
    }

    async fn open(&mut self) {
        // If this makes a session, it has a name that nobody created.
        let request = request(&self.next("opening"));
        let factory = self.factory.clone();
        let opened = async move { factory.open_existing_store(&request).await };
        self.open_by(Op::OpenExisting, opened).await;
    }

    async fn open_by(
        &mut self,
        op: Op,
        work: impl Future<Output = Result<Option<Handle>, String>>,
    ) {
        let mut handle = None;
        let opened = async {
            let store = match work.await {
                Ok(Some(store)) => store,
                Ok(None) => return Outcome::Absent,
                Err(error) => return Outcome::Failed(error),
            };
            match store.load_session_meta().await {
                Ok(Some(meta)) => {
                    handle = Some((store, meta.model.clone()));
                    Outcome::Opened(Some(meta.model))
                }
                Ok(None) => Outcome::Failed("it has no metadata".to_owned()),
                Err(error) => match failed(&error) {
                    Outcome::Retired => Outcome::Opened(None),
                    outcome => outcome,
                },
            }
        };
        self.log.call(op, opened).await;
        self.handle = handle;
        self.turns = 0;
    }

    async fn delete(&mut self) {
        let deleted = async {
            match self.factory.delete_session(SESSION).await {
                Ok(()) => Outcome::Deleted,
                Err(error) => Outcome::Failed(error),
            }
        };
        self.log.call(Op::Delete, deleted).await;
    }

    async fn commit(&mut self, (store, session): (Handle, String)) {
        let turn = self.next("turn");
        let expected = self.turns;
        let head = (expected > 0).then_some(expected as u64);
        let commit = append(head, vec![node(&turn, None)]);
        let op = Op::Commit {
            session,
            turn,
            expected,
        };
        let committed = async {
            match store.commit_runtime_state(commit).await {
                Ok(committed) => Outcome::Committed(committed.head_revision as usize),
                Err(StoreError::HeadRevisionConflict { actual, .. }) => {
                    Outcome::Conflict(actual as usize)
                }
                Err(error) => failed(&error),
            }
        };
        match self.log.call(op, committed).await {
            Outcome::Committed(turns) | Outcome::Conflict(turns) => self.turns = turns,
            Outcome::Retired => self.handle = None,
            _ => {}
        }
    }

    async fn look(&mut self, (store, session): (Handle, String)) {
        let seen = async {
            match store.load_session(SessionReadScope::FullGraph).await {
                Ok(read) => Outcome::Seen(
                    read.iter()
                        .flat_map(|read| &read.graph.nodes)
                        .map(|node| node.node_id.clone())
                        .collect(),
                ),
                Err(error) => failed(&error),
            }
        };
        if self.log.call(Op::Look { session }, seen).await == Outcome::Retired {
            self.handle = None;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_there_or_not() {
    if let Some(path) = child::file() {
        return work(&path).await;
    }
    let kills = crowd::number("LASH_HISTORY_KILLS", 100);
    let seed = crowd::number("LASH_HISTORY_SEED", 17);
    println!("seed {seed}");
    let mut random = Random::new(seed as u64);
    let (mut left, mut calls, mut deletions) = (kills, 0, 0);
    let (mut wrong, mut failed) = (Vec::new(), Vec::new());
    while left > 0 {
        let round = left.min(20);
        left -= round;
        let directory = crowd::directory();
        crowd::kill(
            a_session_is_there_or_not,
            directory.path(),
            round,
            &mut random,
        );
        let history = read(&directory.path().join("lifecycle.log"));
        calls += history.len();
        let is_deletion = |call: &&Call<Op, Outcome>| matches!(call.op, Op::Delete);
        deletions += history.iter().filter(is_deletion).count();
        wrong.extend(check(&history).err());
        let of_failed =
            |call: &&Call<Op, Outcome>| matches!(call.result(), Some(Outcome::Failed(_)));
        failed.extend(
            history
                .iter()
                .filter(of_failed)
                .map(|call| format!("{call:?}")),
        );
    }
    println!(
        "{kills} kills, {calls} calls, {deletions} deletions, {} failed; {} rounds are wrong",
        failed.len(),
        wrong.len()
    );
    assert!(wrong.is_empty(), "seed {seed}: {}", wrong.join("\n"));
    assert!(failed.is_empty(), "seed {seed}: {}", failed.join("\n"));
}
