//! A session as the native crate writes it, with something of everything.

use std::path::Path;

use lash_core::plugin::{PluginSnapshotArtifact, PluginSnapshotEntry, PluginSnapshotMeta};
use lash_core::runtime::QueuedWorkClaim;
use lash_core::store::RuntimeCommit;
use lash_core::{
    AttachmentId, AttachmentIntent, AttachmentManifest, BlobRef, DeliveryPolicy,
    LashlangArtifactStore, MessageRole, PluginSessionSnapshot, RuntimePersistence,
    RuntimeTurnCommitStamp,
};
use lash_sqlite_store::{
    BlobArtifactDescriptor, BuiltinBlobProfile, Store, StoreGcPolicy, StoreOptions,
};
use lash_wasm_store_testing::fixtures::{
    SESSION, append, claim, full_checkpoint, joining_work, message_node, meta, node, noise, usage,
    work,
};
use lashlang::ModuleArtifact;
use serde_json::json;

/// How many turns there are.
const TURNS: usize = 6;

/// What must be known to ask about the session.
pub(crate) struct Workload {
    pub(crate) nodes: Vec<String>,
    /// The last one is unknown.
    pub(crate) blobs: Vec<BlobRef>,
    pub(crate) checkpoints: Vec<BlobRef>,
    pub(crate) artifacts: Vec<String>,
    pub(crate) module: ModuleArtifact,
    /// Every turn, to be sent again.
    pub(crate) turns: Vec<RuntimeCommit>,
    /// A claim that is held.
    pub(crate) claim: QueuedWorkClaim,
}

fn module() -> ModuleArtifact {
    let program = lashlang::parse("process echo(value: str) { finish value }").unwrap();
    ModuleArtifact::from_program(program).unwrap()
}

impl Workload {
    /// Writes the session. The store is still open afterwards.
    pub(crate) async fn run(
        path: &Path,
        blob_profile: BuiltinBlobProfile,
        collect_garbage: bool,
    ) -> (Store, Self) {
        let options = StoreOptions {
            blob_profile,
            gc_policy: StoreGcPolicy::default(),
        };
        let store = Store::open_with_options(path, options).await.unwrap();
        store.save_session_meta(meta()).await;
        let mut nodes = Vec::new();
        let mut checkpoints = Vec::new();
        let mut turns = Vec::new();
        for turn in 0..TURNS {
            let commit = self::turn(&store, turn, &mut nodes).await;
            let result = store.commit_runtime_state(commit.clone()).await.unwrap();
            checkpoints.push(result.checkpoint_ref);
            turns.push(commit);
        }
        prune_graph(&store).await;
        nodes.extend(["below-side-2", "unknown"].map(str::to_owned));
        let mut blobs = Vec::new();
        if collect_garbage {
            let report = store.gc_unreachable().await;
            assert!(report.deleted_blob_count > 0);
            checkpoints = checkpoints.split_off(TURNS - 1);
        }
        for checkpoint in &checkpoints {
            let stored = store.get_checkpoint(checkpoint).await.unwrap();
            blobs.push(checkpoint.clone());
            blobs.extend(stored.tool_state_ref);
            blobs.extend(stored.plugin_snapshot_ref);
            blobs.extend(stored.execution_state_ref);
        }
        blobs.extend(loose_blobs(&store).await);
        blobs.push(BlobRef(format!("{:064x}", 7)));
        let module = module();
        store.put_module_artifact(&module).await.unwrap();
        let artifacts = artifacts(&store).await;
        attachments(&store);
        let entries = [
            // Nothing together, but each of them counts.
            usage("correction", "a-model", [4, 0, 0, 0]),
            usage("correction", "a-model", [-4, 0, 0, 0]),
            usage("later", "a-model", [0, 0, 5, 0]),
            usage("turn", "another", [1, 2, 3, 4]),
        ];
        store.append_usage_deltas(&entries).await;
        let claim = queue(&store).await;
        let workload = Self {
            nodes,
            blobs,
            checkpoints,
            artifacts,
            module,
            turns,
            claim,
        };
        (store, workload)
    }
}

/// The commit of a turn: a question, an answer, a node off the path, and work that it
/// completes.
async fn turn(store: &Store, turn: usize, ids: &mut Vec<String>) -> RuntimeCommit {
    let done = work(&format!("done {turn}")).with_source_key(format!("done:{turn}"));
    store.enqueue_queued_work(done).await.unwrap();
    let claim = claim(store, 60_000, 1).await.unwrap();
    let attachment = format!("attachment-{turn}");
    intend(store, SESSION, &attachment, 1000 + turn as u64);

    let parent = turn.checked_sub(1).map(|before| format!("answer-{before}"));
    let question = format!("question-{turn}");
    let text = format!("What about {turn}? \u{e9}\u{1f600} ").repeat(1 + turn % 3 * 200);
    let nodes = vec![
        message_node(&question, parent.as_deref(), MessageRole::User, &text),
        node(&format!("side-{turn}"), Some(&question)),
        message_node(
            &format!("answer-{turn}"),
            Some(&question),
            MessageRole::Assistant,
            &format!("It is {turn}."),
        ),
    ];
    ids.extend(nodes.iter().map(|node| node.node_id.clone()));
    let mut checkpoint = full_checkpoint(turn);
    // Numbers and names in an order of their own, which must come back as they were.
    checkpoint.turn_state.protocol_turn_options.payload = json!({
        "z": [0.1 + turn as f64, -1, u64::MAX, 1e300],
        "a": {"nested": null, "text": "x".repeat(turn * 700)},
    });
    checkpoint.plugin_snapshot = Some(plugin_snapshot(turn));
    checkpoint.execution_state = Some(match turn % 3 {
        0 => format!("variable {turn} ").repeat(900).into_bytes(),
        1 => noise(9000 + turn),
        _ => Vec::new(),
    });
    let mut commit = append((turn > 0).then_some(turn as u64), nodes)
        .completing_queue_claim(claim.completion())
        .with_committed_attachments([AttachmentId::new(attachment)]);
    commit.checkpoint = checkpoint;
    commit.usage_deltas = vec![
        usage("turn", "a-model", [10, 3, 1, turn as i64]),
        usage("tool", &format!("model-{}", turn % 3), [1, 1, 0, 0]),
    ];
    for frame in &mut commit.agent_frames {
        frame.execution_state_snapshot = Some(noise(100 + turn));
    }
    let hash = commit.turn_commit_hash().unwrap();
    let stamp = RuntimeTurnCommitStamp::new(SESSION, format!("turn-{turn}"), hash);
    commit.with_turn_commit(stamp)
}

fn plugin_snapshot(turn: usize) -> PluginSessionSnapshot {
    let entry = PluginSnapshotEntry {
        meta: PluginSnapshotMeta {
            plugin_id: "notes".to_owned(),
            plugin_version: "1".to_owned(),
            revision: turn as u64,
            state: Some(json!({"notes": ["one", 2.5, null]})),
        },
        artifacts: vec![PluginSnapshotArtifact {
            name: "drawing".to_owned(),
            data: noise(500 + turn),
        }],
    };
    PluginSessionSnapshot {
        plugins: [("notes".to_owned(), entry)].into(),
    }
}

/// Nodes that are hidden, and a node the parent of which is gone.
async fn prune_graph(store: &Store) {
    let below = [node("below-side-2", Some("side-2"))];
    store.append_session_graph_nodes(&below).await;
    let ids = |ids: [&str; 2]| ids.map(str::to_owned);
    store
        .tombstone_nodes(&ids(["side-2", "side-3"]))
        .await
        .unwrap();
    RuntimePersistence::vacuum(store).await.unwrap();
    store
        .tombstone_nodes(&ids(["side-4", "question-1"]))
        .await
        .unwrap();
}

async fn loose_blobs(store: &Store) -> Vec<BlobRef> {
    let text = "loose ".repeat(2000).into_bytes();
    let snapshot = BlobArtifactDescriptor::tool_state_snapshot();
    vec![
        store.put_blob(b"as it is").await,
        store.put_blob(b"").await,
        store.put_artifact_blob(snapshot.clone(), &text).await,
        store.put_artifact_blob(snapshot, &noise(70_000)).await,
        store
            .put_typed_blob(&json!({"typed": [1, 2.5, "three"]}))
            .await,
    ]
}

async fn artifacts(store: &Store) -> Vec<String> {
    let put = async |name: &str, kind: &str, content: &[u8]| {
        store.put_artifact_bytes(name, kind, content).await.unwrap();
        name.to_owned()
    };
    let environment = "environment ".repeat(500);
    vec![
        put(
            "environment",
            "process_execution_env",
            environment.as_bytes(),
        )
        .await,
        put("bytes", "anything", &noise(3000)).await,
        put("replaced", "anything", b"before").await,
        put("replaced", "anything", b"after").await,
        put("empty", "anything", b"").await,
        "unknown".to_owned(),
    ]
}

fn intend(store: &Store, session: &str, id: &str, at_ms: u64) {
    let intent = AttachmentIntent {
        attachment_id: AttachmentId::new(id.to_owned()),
        session_id: session.to_owned(),
        canonical_uri: format!("file:{id}"),
        intent_at_epoch_ms: at_ms,
    };
    store.record_intent(intent).unwrap();
}

fn attachments(store: &Store) {
    intend(store, SESSION, "uncommitted", 5000);
    intend(store, "another", "of another", 4000);
    intend(store, "another", "committed by another", 3000);
    let ids = [AttachmentId::new("committed by another")];
    store.commit_refs("another", &ids).unwrap();
}

/// Work that waits, that is delayed, that was given back, whose lease has expired, and
/// that is claimed; answers the last claim.
async fn queue(store: &Store) -> QueuedWorkClaim {
    let enqueue = async |draft| store.enqueue_queued_work(draft).await.unwrap();
    enqueue(work("given back")).await;
    let given_back = claim(store, 60_000, 1).await.unwrap();
    store.abandon_queued_work_claim(&given_back).await.unwrap();
    // One after the other, as the queue has them.
    let claimed_again = claim(store, 3_600_000, 1).await.unwrap();
    assert_eq!(claimed_again.fencing_token, 2);
    enqueue(work("held").with_source_key("held")).await;
    let held = claim(store, 3_600_000, 1).await.unwrap();
    enqueue(work("expired")).await;
    claim(store, 0, 1).await.unwrap();
    store
        .abandon_queued_work_claim(&claimed_again)
        .await
        .unwrap();
    for number in 0..3 {
        enqueue(joining_work(&format!("joining {number}"))).await;
    }
    enqueue(work("delayed").with_available_at_ms(4_000_000_000_000)).await;
    let mut later = work("after the turn").with_source_key("later");
    later.delivery_policy = DeliveryPolicy::AfterCurrentTurnCommit;
    enqueue(later).await;
    let mut two = work("two payloads");
    two.payloads.extend(work("the second").payloads);
    enqueue(two).await;
    let mut another = work("of another");
    another.session_id = "another".to_owned();
    enqueue(another).await;
    held
}
