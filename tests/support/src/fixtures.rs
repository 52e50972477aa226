//! What the suites have in common: a session in a directory of its own, nodes,
//! commits, queued work, a clock that is set by hand, and raw connections by
//! which a file is looked at and damaged.

use std::fmt::Write as _;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lash_core::runtime::{
    QueuedWorkBatchDraft, QueuedWorkClaim, QueuedWorkClaimBoundary, QueuedWorkPayload,
};
use lash_core::store::{GraphCommitDelta, RuntimeCommit};
use lash_core::{
    ConversationRecord, DeliveryPolicy, HydratedSessionCheckpoint, Message, MessageRole, Part,
    PartKind, PluginSessionSnapshot, PruneState, RuntimePersistence, RuntimeSessionState,
    SessionEventRecord, SessionGraph, SessionMeta, SessionNodePayload, SessionNodeRecord,
    SessionRelation, SlotPolicy, TokenLedgerEntry, TokenUsage, ToolState, TurnInput, shared_parts,
};
use lash_wasm_store::{Store, StoreBuilder};
use lash_wasm_store_guest::seam::Value;
use rusqlite::{Connection, params_from_iter};
use tempfile::TempDir;

use crate::native::Param;

/// The session that the fixtures are about.
pub const SESSION: &str = "root";

/// A place for the file of one database, removed at the end.
pub struct Place {
    _directory: TempDir,
    path: PathBuf,
}

impl Place {
    /// A new place. The file is not there yet.
    #[expect(clippy::new_without_default, reason = "it makes a directory")]
    pub fn new() -> Self {
        Self::named("session.db")
    }

    /// A new place for a file of this name.
    pub fn named(name: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(name);
        Self {
            _directory: directory,
            path,
        }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the session.
    pub async fn open(&self) -> Store {
        Store::open(&self.path).await.expect("the store opens")
    }

    /// Opens the session as the builder says.
    pub async fn open_with(&self, builder: StoreBuilder) -> Store {
        builder.open(&self.path).await.expect("the store opens")
    }

    /// A connection that this crate knows nothing of.
    pub fn raw(&self) -> Raw {
        Raw::open(&self.path)
    }
}

/// A connection to a file that goes around the store.
pub struct Raw(Connection);

impl Raw {
    /// Opens a file that exists.
    pub fn open(path: &Path) -> Self {
        let connection = Connection::open(path).expect("the file opens");
        connection
            .busy_timeout(Duration::from_secs(30))
            .expect("a busy timeout");
        Self(connection)
    }

    /// Runs a statement; answers how many rows it changed.
    pub fn execute(&self, sql: &str) -> usize {
        self.0.execute(sql, []).expect(sql)
    }

    /// Runs a statement with parameters; returns how many rows it changed.
    pub fn execute_with(&self, sql: &str, params: &[Value<'_>]) -> usize {
        let params = params_from_iter(params.iter().map(Param));
        self.0.execute(sql, params).expect(sql)
    }

    /// Runs statements, and ignores what they return.
    pub fn batch(&self, sql: &str) {
        self.0.execute_batch(sql).expect(sql);
    }

    /// Runs a statement that must change exactly one row.
    pub fn damage(&self, sql: &str) {
        assert_eq!(self.execute(sql), 1, "{sql}");
    }

    /// Reads one integer.
    pub fn integer(&self, sql: &str) -> i64 {
        self.0.query_row(sql, [], |row| row.get(0)).expect(sql)
    }

    /// Reads one integer from a file that may be too corrupt for it.
    pub fn try_integer(&self, sql: &str) -> Option<i64> {
        self.0.query_row(sql, [], |row| row.get(0)).ok()
    }

    /// Reads one blob.
    pub fn blob(&self, sql: &str) -> Vec<u8> {
        self.0.query_row(sql, [], |row| row.get(0)).expect(sql)
    }

    /// Reads one integer from each row.
    pub fn integers(&self, sql: &str) -> Vec<i64> {
        let mut statement = self.0.prepare(sql).expect(sql);
        let rows = statement.query_map([], |row| row.get(0)).expect(sql);
        rows.map(|row| row.expect(sql)).collect()
    }

    /// Reads one text from each row.
    pub fn texts(&self, sql: &str) -> Vec<String> {
        let mut statement = self.0.prepare(sql).expect(sql);
        let rows = statement.query_map([], |row| row.get(0)).expect(sql);
        rows.map(|row| row.expect(sql)).collect()
    }

    /// Takes the write lock, until the guard is dropped.
    pub fn lock(&self) -> WriteLock<'_> {
        self.0.execute_batch("BEGIN IMMEDIATE").expect("the lock");
        WriteLock(&self.0)
    }

    /// Changes whenever another connection has committed something.
    pub fn data_version(&self) -> i64 {
        self.integer("PRAGMA data_version")
    }

    /// Every row of every table, as text.
    pub fn dump(&self) -> String {
        dump(&self.0)
    }
}

/// Every row of every table, as text.
pub(crate) fn dump(connection: &Connection) -> String {
    let mut dump = String::new();
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name";
    let mut statement = connection.prepare(sql).expect(sql);
    let tables = statement.query_map([], |row| row.get(0)).expect(sql);
    for table in tables {
        let table: String = table.expect("a name");
        let sql = format!("SELECT * FROM {table}");
        let mut statement = connection.prepare(&sql).expect("a table");
        let columns = statement.column_count();
        let mut rows = statement.query([]).expect("rows");
        while let Some(row) = rows.next().expect("a row") {
            write!(dump, "{table}:").expect("a string");
            for column in 0..columns {
                let value: rusqlite::types::Value = row.get(column).expect("a value");
                write!(dump, " {value:?}").expect("a string");
            }
            dump.push('\n');
        }
    }
    dump
}

/// The write lock of a file, held by a raw connection.
pub struct WriteLock<'c>(&'c Connection);

impl Drop for WriteLock<'_> {
    fn drop(&mut self) {
        self.0
            .execute_batch("ROLLBACK")
            .expect("the lock is given back");
    }
}

/// A clock that shows what it is told.
#[derive(Clone, Default)]
pub struct TestClock {
    now_ms: Arc<AtomicI64>,
    reads: Arc<AtomicU64>,
}

impl TestClock {
    /// A clock that shows this many ms since 1970, which may be negative.
    pub fn at(now_ms: i64) -> Self {
        let clock = Self::default();
        clock.set(now_ms);
        clock
    }

    /// Sets the time.
    pub fn set(&self, now_ms: i64) {
        self.now_ms.store(now_ms, Ordering::SeqCst);
    }

    /// Lets time pass.
    pub fn advance(&self, ms: i64) {
        self.now_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// How often the time was asked for.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }

    /// Options for a store that goes by this clock.
    pub fn builder(&self) -> StoreBuilder {
        let clock = self.clone();
        StoreBuilder::new().clock(move || clock.now())
    }

    fn now(&self) -> SystemTime {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let now_ms = self.now_ms.load(Ordering::SeqCst);
        let distance = Duration::from_millis(now_ms.unsigned_abs());
        if now_ms < 0 {
            UNIX_EPOCH - distance
        } else {
            UNIX_EPOCH + distance
        }
    }
}

/// This many ms after 1970 began.
pub fn at(ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(ms)
}

/// Fails a test that would otherwise not end.
pub async fn guarded<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future)
        .await
        .expect("it ends")
}

/// Polls a future once, so that whatever it begins with has begun.
pub fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// A node with a small body.
pub fn node(id: &str, parent: Option<&str>) -> SessionNodeRecord {
    plugin_node(id, parent, serde_json::json!({ "node": id }))
}

/// A node with a body of about this many bytes.
pub fn large_node(id: &str, parent: Option<&str>, bytes: usize) -> SessionNodeRecord {
    plugin_node(id, parent, serde_json::json!("x".repeat(bytes)))
}

fn plugin_node(id: &str, parent: Option<&str>, body: serde_json::Value) -> SessionNodeRecord {
    record(
        id,
        parent,
        SessionNodePayload::Plugin {
            plugin_type: "fixture".to_owned(),
            body: lash_core::session_graph::SharedJsonValue::new(body),
        },
    )
}

/// A node that is a message.
pub fn message_node(
    id: &str,
    parent: Option<&str>,
    role: MessageRole,
    text: &str,
) -> SessionNodeRecord {
    let message = Message {
        id: id.to_owned(),
        role,
        parts: shared_parts(vec![Part {
            id: format!("{id}.p0"),
            kind: PartKind::Text,
            content: text.to_owned(),
            attachment: None,
            tool_call_id: None,
            tool_name: None,
            tool_replay: None,
            prune_state: PruneState::Intact,
            reasoning_meta: None,
            response_meta: None,
        }]),
        origin: None,
    };
    record(
        id,
        parent,
        SessionNodePayload::Event {
            event: SessionEventRecord::Conversation(ConversationRecord::from_message(message)),
        },
    )
}

fn record(id: &str, parent: Option<&str>, payload: SessionNodePayload) -> SessionNodeRecord {
    SessionNodeRecord {
        node_id: id.to_owned(),
        parent_node_id: parent.map(str::to_owned),
        caused_by: None,
        agent_frame_id: None,
        timestamp: "1970-01-01T00:00:00Z".to_owned(),
        payload,
    }
}

/// Nodes `n{first}` and so on, each the child of the one before; the first is the
/// child of `n{first - 1}`, or a root if `first` is 0.
pub fn chain(first: usize, count: usize) -> Vec<SessionNodeRecord> {
    (first..first + count)
        .map(|number| {
            let parent = number.checked_sub(1).map(|parent| format!("n{parent}"));
            node(&format!("n{number}"), parent.as_deref())
        })
        .collect()
}

/// The identifiers of nodes, in order.
pub fn ids(nodes: &[SessionNodeRecord]) -> Vec<&str> {
    nodes.iter().map(|node| node.node_id.as_str()).collect()
}

/// A commit that leaves the graph alone.
pub fn commit(expected: Option<u64>) -> RuntimeCommit {
    let state = RuntimeSessionState {
        session_id: SESSION.to_owned(),
        ..RuntimeSessionState::default()
    };
    RuntimeCommit {
        expected_head_revision: expected,
        graph: GraphCommitDelta::Unchanged { leaf_node_id: None },
        ..RuntimeCommit::persisted_state(&state, &[])
    }
}

/// A commit that adds nodes; the last one becomes the leaf.
pub fn append(expected: Option<u64>, nodes: Vec<SessionNodeRecord>) -> RuntimeCommit {
    RuntimeCommit {
        graph: GraphCommitDelta::Append {
            leaf_node_id: nodes.last().map(|node| node.node_id.clone()),
            nodes,
        },
        ..commit(expected)
    }
}

/// A commit that replaces the graph; the last node becomes the leaf.
pub fn replace(expected: Option<u64>, nodes: Vec<SessionNodeRecord>) -> RuntimeCommit {
    RuntimeCommit {
        graph: GraphCommitDelta::ReplaceFull(graph(nodes)),
        ..commit(expected)
    }
}

/// A graph of which the last node is the leaf.
pub fn graph(nodes: Vec<SessionNodeRecord>) -> SessionGraph {
    let leaf = nodes.last().map(|node| node.node_id.clone());
    SessionGraph::from_nodes(nodes, leaf)
}

/// A checkpoint with all three snapshots.
pub fn full_checkpoint(turn: usize) -> HydratedSessionCheckpoint {
    HydratedSessionCheckpoint {
        turn_state: lash_core::PersistedTurnState {
            turn_index: turn,
            ..lash_core::PersistedTurnState::default()
        },
        tool_state: Some(ToolState::default().with_generation(turn as u64)),
        plugin_snapshot: Some(PluginSessionSnapshot::default()),
        plugin_snapshot_revision: Some(7),
        execution_state: Some(format!("execution {turn}").into_bytes()),
        ..HydratedSessionCheckpoint::default()
    }
}

/// A commit of a checkpoint with all three snapshots.
pub fn checkpointed(expected: Option<u64>, turn: usize) -> RuntimeCommit {
    RuntimeCommit {
        checkpoint: full_checkpoint(turn),
        ..commit(expected)
    }
}

/// An entry of the ledger.
pub fn usage(source: &str, model: &str, tokens: [i64; 4]) -> TokenLedgerEntry {
    let [
        input_tokens,
        output_tokens,
        cached_input_tokens,
        reasoning_tokens,
    ] = tokens;
    TokenLedgerEntry {
        source: source.to_owned(),
        model: model.to_owned(),
        usage: TokenUsage {
            input_tokens,
            output_tokens,
            cached_input_tokens,
            reasoning_tokens,
        },
    }
}

/// Entries of the ledger as what can be compared.
pub fn ledger(entries: &[TokenLedgerEntry]) -> Vec<(String, String, [i64; 4])> {
    entries
        .iter()
        .map(|entry| {
            let usage = &entry.usage;
            (
                entry.source.clone(),
                entry.model.clone(),
                [
                    usage.input_tokens,
                    usage.output_tokens,
                    usage.cached_input_tokens,
                    usage.reasoning_tokens,
                ],
            )
        })
        .collect()
}

/// Metadata of the session.
pub fn meta() -> SessionMeta {
    SessionMeta {
        session_id: SESSION.to_owned(),
        session_name: "a name".to_owned(),
        created_at: "unix:1".to_owned(),
        model: "a-model".to_owned(),
        cwd: Some("/somewhere".to_owned()),
        relation: SessionRelation::Child {
            parent_session_id: "parent".to_owned(),
            caused_by: None,
        },
    }
}

/// Work that is claimed alone, at any boundary.
pub fn work(text: &str) -> QueuedWorkBatchDraft {
    QueuedWorkBatchDraft::new(
        SESSION,
        DeliveryPolicy::EarliestSafeBoundary,
        SlotPolicy::Exclusive,
        vec![QueuedWorkPayload::turn_input(TurnInput::text(text))],
    )
}

/// Work that is claimed together with its like, at any boundary.
pub fn joining_work(text: &str) -> QueuedWorkBatchDraft {
    QueuedWorkBatchDraft {
        slot_policy: SlotPolicy::Join,
        ..work(text)
    }
}

/// Claims between turns.
pub async fn claim(
    store: &dyn RuntimePersistence,
    lease_ttl_ms: u64,
    max_batches: usize,
) -> Option<QueuedWorkClaim> {
    store
        .claim_ready_queued_work(
            SESSION,
            "owner",
            QueuedWorkClaimBoundary::Idle,
            lease_ttl_ms,
            max_batches,
        )
        .await
        .expect("the claim is answered")
}

/// The identifiers of the batches of a claim.
pub fn claimed_ids(claim: &QueuedWorkClaim) -> Vec<&str> {
    claim
        .batches
        .iter()
        .map(|batch| batch.batch_id.as_str())
        .collect()
}

/// Bytes that do not compress, always the same ones.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect()
}

/// A value as JSON, to compare values of types without `PartialEq`.
pub fn json<T: serde::Serialize>(value: &T) -> serde_json::Value {
    serde_json::to_value(value).expect("JSON")
}
