//! Maintenance goes in steps, of which each removes so much at most.

use std::cell::RefCell;

use lash_wasm_store_guest::bindings::session_types::{
    BlobKind, BlobProfile, BlobSource, CheckpointDraft, CommitOutcome, CommitRequest, GraphChange,
    HeadBody, Node, TurnStamp, UsageEntry,
};
use lash_wasm_store_guest::bindings::sqlite::Error;
use lash_wasm_store_guest::seam::{Environment, TransactionMode};
use lash_wasm_store_guest::session::{self, blobs, graph, maintenance, retention, usage};
use lash_wasm_store_testing::faults::{FaultyEnvironment, FaultyTransaction};

fn database() -> FaultyEnvironment {
    let db = FaultyEnvironment::empty();
    session::initialize(&db).unwrap();
    db
}

fn put(db: &impl Environment, content: &str) -> String {
    let content = content.as_bytes().to_vec();
    blobs::put(db, content, BlobKind::Generic, false, BlobProfile::Balanced).unwrap()
}

/// Commits a head that refers to stored blobs.
fn commit(db: &impl Environment, revision: Option<u64>, blobs: &[&str]) {
    let stored = blobs
        .iter()
        .map(|key| BlobSource::Stored((*key).to_owned()));
    let request = CommitRequest {
        session_id: "s".to_owned(),
        expected_revision: revision,
        head: HeadBody {
            content: Vec::new(),
            blobs: stored.collect(),
            retained: Vec::new(),
        },
        graph: GraphChange::Unchanged,
        leaf: None,
        checkpoint: CheckpointDraft {
            turn_state: Vec::new(),
            tool_state: None,
            plugin_snapshot: None,
            plugin_snapshot_revision: None,
            execution_state: None,
        },
        usage: Vec::new(),
        turn: revision.map(|revision| TurnStamp {
            session_id: "s".to_owned(),
            turn_id: format!("turn {revision}"),
            commit_hash: "hash".to_owned(),
        }),
        completions: Vec::new(),
        attachment_ids: Vec::new(),
        profile: BlobProfile::Balanced,
    };
    let outcome = session::commit(db, request).unwrap();
    assert!(
        matches!(outcome, CommitOutcome::Committed(_)),
        "{outcome:?}"
    );
}

#[test]
fn vacuum_removes_a_step_at_a_time() {
    let db = database();
    let ids: Vec<String> = (0..5).map(|number| format!("n{number}")).collect();
    let node = |id: &String| Node {
        id: id.clone(),
        parent: None,
        prompt: false,
        body: vec![7; 5 << 20],
    };
    graph::append(&db, &ids.iter().map(node).collect::<Vec<_>>()).unwrap();
    graph::tombstone(&db, &ids).unwrap();
    let mut steps = Vec::new();
    // Three of these nodes have as many bytes as a step removes.
    // A limit of nothing would never end.
    for limit in [0, 100, 100, 100] {
        let step = maintenance::vacuum(&db, limit).unwrap();
        steps.push((step.removed, step.remaining));
    }
    assert_eq!(steps, [(1, 4), (3, 1), (1, 0), (0, 0)]);
}

#[test]
fn garbage_is_collected_a_step_at_a_time() {
    let db = database();
    let kept = put(&db, "kept");
    for number in 0..5 {
        put(&db, &format!("garbage {number}"));
    }
    commit(&db, None, &[&kept]);
    let mut steps = Vec::new();
    for limit in [0, 2, 2, 2] {
        let step = maintenance::gc(&db, limit).unwrap();
        assert_eq!((step.roots, step.retained), (2, 2));
        steps.push((step.deleted, step.remaining));
    }
    assert_eq!(steps, [(1, 4), (2, 2), (2, 0), (0, 0)]);
    assert!(blobs::get(&db, &kept).unwrap().is_some());
}

type Other<'a> = Box<dyn FnOnce(&FaultyEnvironment) + 'a>;

/// What one caller does, and what another does before it gets the write lock.
struct Overtaken<'a> {
    db: &'a FaultyEnvironment,
    other: RefCell<Option<Other<'a>>>,
}

impl Environment for Overtaken<'_> {
    type Transaction<'t>
        = FaultyTransaction<'t>
    where
        Self: 't;

    fn begin(&self, mode: TransactionMode) -> Result<FaultyTransaction<'_>, Error> {
        let other = match mode {
            TransactionMode::Read => None,
            _ => self.other.take(),
        };
        if let Some(other) = other {
            other(self.db);
        }
        self.db.begin(mode)
    }

    fn now_ms(&self) -> i64 {
        self.db.now_ms()
    }

    fn random(&self) -> u64 {
        self.db.random()
    }
}

/// Garbage is found without the write lock. A commit that comes then may refer to it:
/// content that is stored is not stored again.
#[test]
fn what_a_commit_refers_to_meanwhile_is_not_collected() {
    let db = database();
    commit(&db, None, &[]);
    let (wanted, garbage) = (put(&db, "wanted"), put(&db, "garbage"));
    let overtaken = Overtaken {
        db: &db,
        other: RefCell::new(Some(Box::new(|db| commit(db, Some(1), &[&wanted])))),
    };
    let step = maintenance::gc(&overtaken, 10).unwrap();
    assert_eq!((step.deleted, step.remaining), (1, 0));
    assert!(blobs::get(&db, &wanted).unwrap().is_some());
    assert!(blobs::get(&db, &garbage).unwrap().is_none());
}

#[test]
fn pruning_goes_a_step_at_a_time() {
    let db = database();
    db.set_time(1);
    let entry = |number: i64| UsageEntry {
        source: format!("source {}", number % 2),
        model: "m".to_owned(),
        input_tokens: number,
        output_tokens: 0,
        cached_input_tokens: 0,
        reasoning_tokens: 0,
    };
    let entries: Vec<UsageEntry> = (1..=9).map(entry).collect();
    usage::append(&db, &entries).unwrap();
    commit(&db, None, &[]);
    for revision in 1..6 {
        commit(&db, Some(revision), &[]);
    }
    db.set_time(2);
    let mut steps = Vec::new();
    loop {
        let step = retention::prune(&db, 2, 3).unwrap();
        steps.push((step.turns, step.usage_entries));
        if !step.more {
            break;
        }
    }
    // The newest stamp stays, and a sum for each source.
    assert_eq!(steps, [(3, 3), (1, 3), (0, 1)]);
    let left = usage::load(&db, None).unwrap().entries;
    let mut left: Vec<(&str, i64)> = left
        .iter()
        .map(|entry| (entry.source.as_str(), entry.input_tokens))
        .collect();
    left.sort_unstable();
    assert_eq!(left, [("source 0", 20), ("source 1", 25)]);
}
