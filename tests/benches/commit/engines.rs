//! The engines that are compared, `synchronous = NORMAL` on all.

use std::path::Path;
use std::sync::mpsc;
use std::thread;

use lash_core::store::{GraphCommitDelta, RuntimeCommit, SessionReadScope};
use lash_core::{RuntimePersistence, SessionNodeRecord};
use lash_wasm_store::{Durability, StoreBuilder};
use lash_wasm_store_guest::bindings::exports::lash::store::checkpoints::CheckpointDraft;
use lash_wasm_store_guest::bindings::exports::lash::store::graph::Node;
use lash_wasm_store_guest::bindings::exports::lash::store::session::{
    CommitOutcome, CommitRequest, GraphChange, HeadBody, TurnStamp,
};
use lash_wasm_store_guest::bindings::lash::store::types::{BlobProfile, BlobSource, UsageEntry};
use lash_wasm_store_guest::session;
use lash_wasm_store_tests::native::NativeEnvironment;
use tokio::sync::oneshot;

/// Which engine.
#[derive(Clone, Copy)]
pub(crate) enum Setup {
    NativeCrate,
    Component,
    NativeLogic,
}

impl Setup {
    pub(crate) const ALL: [Self; 3] = [Self::NativeCrate, Self::Component, Self::NativeLogic];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NativeCrate => "lash-sqlite-store",
            Self::Component => "component",
            Self::NativeLogic => "native-logic",
        }
    }

    pub(crate) async fn open(self, path: &Path) -> Engine {
        match self {
            Self::NativeCrate => Engine::Store(Box::new(
                lash_sqlite_store::Store::open(path).await.unwrap(),
            )),
            Self::Component => {
                let builder = StoreBuilder::new().durability(Durability::Normal);
                Engine::Store(Box::new(builder.open(path).await.unwrap()))
            }
            Self::NativeLogic => Engine::Logic(Logic::open(path)),
        }
    }
}

/// An open database.
pub(crate) enum Engine {
    Store(Box<dyn RuntimePersistence>),
    Logic(Logic),
}

impl Engine {
    pub(crate) async fn commit(&mut self, commit: RuntimeCommit) {
        match self {
            Self::Store(store) => {
                store.commit_runtime_state(commit).await.unwrap();
            }
            Self::Logic(logic) => logic.commit(commit).await,
        }
    }
}

impl Engine {
    /// Loads the whole session and answers how many nodes it has.
    pub(crate) async fn load(&self) -> usize {
        let Self::Store(store) = self else {
            return 0;
        };
        let read = store
            .load_session(SessionReadScope::FullGraph)
            .await
            .unwrap();
        read.map_or(0, |session| session.graph.nodes.len())
    }
}

type Job = (RuntimeCommit, oneshot::Sender<()>);

/// The guest's logic compiled natively. It runs on a thread of its own, as the
/// other two do, and encodes what they encode.
pub(crate) struct Logic(mpsc::Sender<Job>);

impl Logic {
    fn open(path: &Path) -> Self {
        let (sender, jobs) = mpsc::channel::<Job>();
        let path = path.to_path_buf();
        thread::spawn(move || {
            let env = NativeEnvironment::open(&path).unwrap();
            session::initialize(&env).unwrap();
            for (commit, reply) in jobs {
                let outcome = session::commit(&env, request(commit)).unwrap();
                assert!(matches!(outcome, CommitOutcome::Committed(_)));
                let _ = reply.send(());
            }
        });
        Self(sender)
    }

    async fn commit(&self, commit: RuntimeCommit) {
        let (reply, answer) = oneshot::channel();
        self.0.send((commit, reply)).unwrap();
        answer.await.unwrap();
    }
}

fn request(commit: RuntimeCommit) -> CommitRequest {
    let leaf = commit.graph.leaf_node_id().cloned();
    let mut frames = commit.agent_frames;
    let mut blobs = Vec::new();
    for frame in &mut frames {
        blobs.extend(
            frame
                .execution_state_snapshot
                .take()
                .map(BlobSource::Content),
        );
    }
    let checkpoint = commit.checkpoint;
    let msgpack =
        |value: Result<Vec<u8>, rmp_serde::encode::Error>| BlobSource::Content(value.unwrap());
    CommitRequest {
        session_id: commit.session_id,
        expected_revision: commit.expected_head_revision,
        head: HeadBody {
            content: serde_json::to_vec(&(&commit.config, &frames, &commit.current_agent_frame_id))
                .unwrap(),
            blobs,
            retained: Vec::new(),
        },
        graph: match &commit.graph {
            GraphCommitDelta::Unchanged { .. } => GraphChange::Unchanged,
            GraphCommitDelta::Append { nodes, .. } => GraphChange::Append(encode(nodes)),
            GraphCommitDelta::ReplaceFull(graph) => GraphChange::Replace(encode(&graph.nodes)),
        },
        leaf,
        checkpoint: CheckpointDraft {
            turn_state: rmp_serde::to_vec_named(&checkpoint.turn_state).unwrap(),
            tool_state: checkpoint
                .tool_state
                .map(|state| msgpack(rmp_serde::to_vec_named(&state))),
            plugin_snapshot: checkpoint
                .plugin_snapshot
                .map(|snapshot| msgpack(rmp_serde::to_vec_named(&snapshot))),
            plugin_snapshot_revision: checkpoint.plugin_snapshot_revision,
            execution_state: checkpoint.execution_state.map(BlobSource::Content),
        },
        usage: commit
            .usage_deltas
            .into_iter()
            .map(|entry| UsageEntry {
                source: entry.source,
                model: entry.model,
                input_tokens: entry.usage.input_tokens,
                output_tokens: entry.usage.output_tokens,
                cached_input_tokens: entry.usage.cached_input_tokens,
                reasoning_tokens: entry.usage.reasoning_tokens,
            })
            .collect(),
        turn: commit.turn_commit.map(|stamp| TurnStamp {
            session_id: stamp.session_id,
            turn_id: stamp.turn_id,
            commit_hash: stamp.turn_commit_hash,
        }),
        completions: Vec::new(),
        attachment_ids: Vec::new(),
        profile: BlobProfile::Balanced,
    }
}

fn encode(nodes: &[SessionNodeRecord]) -> Vec<Node> {
    nodes
        .iter()
        .map(|node| Node {
            id: node.node_id.clone(),
            parent: node.parent_node_id.clone(),
            prompt: false,
            body: serde_json::to_vec(node).unwrap(),
        })
        .collect()
}
