//! The guest's logic compiled natively: what is left when the sandbox is taken away.

use std::path::Path;
use std::sync::mpsc;
use std::thread;

use lash_core::SessionNodeRecord;
use lash_core::store::{GraphCommitDelta, RuntimeCommit};
use lash_wasm_store_guest::bindings::session_types::{
    BlobProfile, BlobSource, CheckpointDraft, CommitOutcome, CommitRequest, GraphChange, HeadBody,
    Node, TurnStamp, UsageEntry,
};
use lash_wasm_store_guest::session;
use lash_wasm_store_testing::native::NativeEnvironment;
use tokio::sync::oneshot;

type Job = (RuntimeCommit, oneshot::Sender<()>);

/// The guest's logic compiled natively. It runs on a thread of its own, as the
/// other two do, and encodes what they encode.
pub(crate) struct Logic(mpsc::Sender<Job>);

impl Logic {
    pub(crate) fn open(path: &Path) -> Self {
        let (sender, jobs) = mpsc::channel::<Job>();
        let path = path.to_path_buf();
        thread::spawn(move || {
            let env = NativeEnvironment::open(&path);
            session::initialize(&env).unwrap();
            for (commit, reply) in jobs {
                let outcome = session::commit(&env, request(commit)).unwrap();
                assert!(matches!(outcome, CommitOutcome::Committed(_)));
                let _ = reply.send(());
            }
        });
        Self(sender)
    }

    pub(crate) async fn commit(&self, commit: RuntimeCommit) {
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
