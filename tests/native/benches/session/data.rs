//! What a session commits: two nodes of 1 KB, a tool state of 2 KB, a plugin
//! snapshot of 8 KB and an execution state of 40 KB, all of text.

use std::collections::BTreeMap;

use lash_core::plugin::{PluginSnapshotEntry, PluginSnapshotMeta};
use lash_core::store::{GraphCommitDelta, RuntimeTurnCommitStamp};
use lash_core::{
    PluginSessionSnapshot, ProtocolEvent, RuntimeCommit, RuntimeSessionState, SessionEventRecord,
    SessionGraph, SessionNodePayload, SessionNodeRecord, TokenLedgerEntry, TokenUsage, ToolState,
};

const WORDS: [&str; 16] = [
    "session", "turn", "the", "store", "commits", "every", "tool", "call", "with", "its", "result",
    "before", "a", "model", "answers", "again",
];

/// A deterministic stream of words.
#[derive(Clone)]
struct Text(u64);

impl Text {
    fn take(&mut self, length: usize) -> String {
        let mut text = String::with_capacity(length + 16);
        while text.len() < length {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            text.push_str(WORDS[(self.0 >> 33) as usize % WORDS.len()]);
            text.push(' ');
            if (self.0 >> 40) & 7 == 0 {
                text.push_str(&format!("{:x} ", self.0 >> 44));
            }
        }
        text.truncate(length);
        text
    }
}

/// Which blobs differ from one commit to the next.
#[derive(Clone, Copy)]
pub(crate) enum Blobs {
    All,
    /// The snapshot of the plugins.
    One,
    None,
}

/// What an engine commits next.
#[derive(Clone)]
pub(crate) struct Session {
    state: RuntimeSessionState,
    text: Text,
    nodes: usize,
    turns: u64,
    blobs: Blobs,
}

impl Session {
    pub(crate) fn new(blobs: Blobs) -> Self {
        let mut session = Self {
            state: RuntimeSessionState {
                session_id: "bench".to_owned(),
                ..RuntimeSessionState::default()
            },
            text: Text(7),
            nodes: 0,
            turns: 0,
            blobs,
        };
        session.state.ensure_agent_frame_initialized();
        session.change_blobs();
        session
    }

    /// The first commit, with a whole graph.
    pub(crate) fn history(&mut self, count: usize) -> RuntimeCommit {
        let nodes = self.nodes(count);
        let leaf = nodes.last().map(|node| node.node_id.clone());
        self.commit(GraphCommitDelta::ReplaceFull(SessionGraph::from_nodes(
            nodes, leaf,
        )))
    }

    /// The next turn.
    pub(crate) fn turn(&mut self) -> RuntimeCommit {
        match self.blobs {
            Blobs::All => self.change_blobs(),
            Blobs::One => self.change_plugins(),
            Blobs::None => {}
        }
        let nodes = self.nodes(2);
        let leaf_node_id = nodes.last().map(|node| node.node_id.clone());
        self.commit(GraphCommitDelta::Append {
            nodes,
            leaf_node_id,
        })
    }

    /// A turn that leaves the graph alone.
    pub(crate) fn state(&mut self) -> RuntimeCommit {
        self.change_blobs();
        let leaf_node_id = self.nodes.checked_sub(1).map(node_id);
        self.commit(GraphCommitDelta::Unchanged { leaf_node_id })
    }

    fn commit(&mut self, graph: GraphCommitDelta) -> RuntimeCommit {
        self.turns += 1;
        let usage = TokenLedgerEntry {
            source: "turn".to_owned(),
            model: "model".to_owned(),
            usage: TokenUsage {
                input_tokens: 1200,
                output_tokens: 300,
                cached_input_tokens: 900,
                reasoning_tokens: 50,
            },
        };
        let mut commit = RuntimeCommit::persisted_state(&self.state, &[usage]);
        commit.expected_head_revision = (self.turns > 1).then_some(self.turns - 1);
        commit.graph = graph;
        // A digest as the runtime's would be; computing it is the runtime's work.
        let stamp = RuntimeTurnCommitStamp::new(
            "bench",
            format!("turn-{}", self.turns),
            format!("{:064x}", self.turns),
        );
        commit.with_turn_commit(stamp)
    }

    fn nodes(&mut self, count: usize) -> Vec<SessionNodeRecord> {
        (0..count)
            .map(|_| {
                let parent = (self.nodes > 0).then(|| node_id(self.nodes - 1));
                let id = node_id(self.nodes);
                self.nodes += 1;
                SessionNodeRecord {
                    node_id: id,
                    parent_node_id: parent,
                    caused_by: None,
                    agent_frame_id: None,
                    timestamp: "2026-01-01T00:00:00Z".to_owned(),
                    payload: SessionNodePayload::Event {
                        event: SessionEventRecord::Protocol(
                            ProtocolEvent::typed(
                                "bench",
                                serde_json::json!({ "text": self.text.take(850) }),
                            )
                            .unwrap(),
                        ),
                    },
                }
            })
            .collect()
    }

    fn change_blobs(&mut self) {
        self.change_plugins();
        self.state.tool_state_snapshot = Some(ToolState::default().with_generation(self.turns));
        self.state.execution_state_snapshot = Some(self.text.take(40 << 10).into_bytes());
    }

    fn change_plugins(&mut self) {
        let entry = |text: String| PluginSnapshotEntry {
            meta: PluginSnapshotMeta {
                plugin_id: "bench".to_owned(),
                plugin_version: "1".to_owned(),
                revision: 1,
                state: Some(serde_json::Value::String(text)),
            },
            artifacts: Vec::new(),
        };
        let snapshot = PluginSessionSnapshot {
            plugins: BTreeMap::from([
                ("small".to_owned(), entry(self.text.take(2 << 10))),
                ("large".to_owned(), entry(self.text.take(8 << 10))),
            ]),
        };
        self.state.plugin_snapshot = Some(snapshot);
        self.state.plugin_snapshot_revision = Some(self.turns);
    }
}

/// The identifier of a node by its number.
pub(crate) fn node_id(number: usize) -> String {
    format!("{number:032x}-node")
}
