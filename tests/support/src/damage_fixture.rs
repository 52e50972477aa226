//! A small session file with something of everything in it, and every question
//! that can be asked of it.
//!
//! An answer is text, so that answers of all types can be compared. A refusal is
//! an answer too: the text of the error.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use lash_core::store::PersistedSessionRead;
use lash_core::{
    AttachmentId, AttachmentIntent, AttachmentManifest, BlobRef, LashlangArtifactStore,
    MessageRole, RuntimeCommit, RuntimePersistence, RuntimeTurnCommitStamp, SessionReadScope,
};
use lash_wasm_store::{
    BlobArtifactDescriptor, BuiltinBlobProfile, Durability, Store, StoreBuilder, StoreOptions,
};
use lashlang::ModuleArtifact;
use serde_json::json;

use crate::damage::wait_until_closed;
use crate::fixtures::{
    Place, SESSION, TestClock, append, full_checkpoint, json, ledger, message_node, meta, node,
    usage, work,
};

/// The time at which the file is written and read.
const NOW_MS: i64 = 1_700_000_000_000;

/// The questions that are asked by writing.
pub const WRITES: [&str; 5] = ["replay", "enqueue again", "claim", "vacuum", "gc"];

/// How the questions begin that are asked after writing.
pub const AFTER: &str = "after writing: ";

/// What a question was answered: text, or the text of a typed error.
pub type Answer = Result<String, String>;

/// Answers by question.
pub type Answers = BTreeMap<String, Answer>;

/// A session file and what must be known to ask about it.
pub struct Session {
    /// The file.
    pub bytes: Vec<u8>,
    /// The file as it was before the last commits.
    pub earlier: Vec<u8>,
    /// Nodes by identifier; the last one is unknown.
    nodes: Vec<String>,
    /// Keys of blobs; the last one is unknown.
    blobs: Vec<BlobRef>,
    /// Keys of checkpoints.
    checkpoints: Vec<BlobRef>,
    module: ModuleArtifact,
    /// The last turn, to be sent again.
    last_turn: RuntimeCommit,
}

/// How the stores of these tests are opened: at a time that stands still.
fn builder() -> StoreBuilder {
    TestClock::at(NOW_MS)
        .builder()
        .durability(Durability::Normal)
        .busy_timeout(Duration::from_secs(2))
        .options(StoreOptions {
            blob_profile: BuiltinBlobProfile::Compact,
            ..StoreOptions::default()
        })
}

/// Reads a file once it is closed.
fn closed(path: &Path) -> Vec<u8> {
    wait_until_closed(path);
    std::fs::read(path).expect("the file is read")
}

fn module() -> ModuleArtifact {
    let program = lashlang::parse("process echo(value: str) { finish value }").expect("a program");
    ModuleArtifact::from_program(program).expect("a module")
}

impl Session {
    /// Makes the file.
    pub async fn new() -> Self {
        let place = Place::new();
        let store = place.open_with(builder()).await;
        let module = module();
        let mut session = Self {
            bytes: Vec::new(),
            earlier: Vec::new(),
            nodes: Vec::new(),
            blobs: Vec::new(),
            checkpoints: Vec::new(),
            module,
            last_turn: append(None, Vec::new()),
        };
        RuntimePersistence::save_session_meta(&store, meta())
            .await
            .expect("metadata");
        session.fill(&store, 0, 6).await;
        drop(store);
        session.earlier = closed(place.path());
        let store = place.open_with(builder()).await;
        let mut renamed = meta();
        renamed.session_name = "another name".to_owned();
        RuntimePersistence::save_session_meta(&store, renamed)
            .await
            .expect("metadata");
        session.fill(&store, 6, 10).await;
        drop(store);
        session.bytes = closed(place.path());
        session.nodes.push("unknown".to_owned());
        // The digest of nothing that is stored.
        session.blobs.push(BlobRef(format!("blake3:{:064x}", 7)));
        session
    }

    async fn fill(&mut self, store: &Store, from: usize, to: usize) {
        for turn in from..to {
            let text = format!("queued for turn {turn}");
            store
                .enqueue_queued_work(work(&text).with_source_key(format!("done:{turn}")))
                .await
                .expect("work");
            let claim = crate::fixtures::claim(store, 60_000, 1)
                .await
                .expect("a claim");
            for session in [SESSION, "another"] {
                let kind = if turn % 2 == 0 { "shared" } else { session };
                intend(store, session, &format!("{kind}-{turn}"));
            }
            let commit = self
                .turn(turn)
                .completing_queue_claim(claim.completion())
                .with_committed_attachments([
                    AttachmentId::new(format!("shared-{turn}")),
                    AttachmentId::new(format!("{SESSION}-{turn}")),
                ]);
            let hash = commit.turn_commit_hash().expect("a hash");
            let stamp = RuntimeTurnCommitStamp::new(SESSION, format!("turn-{turn}"), hash);
            let commit = commit.with_turn_commit(stamp);
            let result = store
                .commit_runtime_state(commit.clone())
                .await
                .expect("a commit");
            self.checkpoints.push(result.checkpoint_ref.clone());
            self.blobs.push(result.checkpoint_ref);
            let manifest = result.manifest;
            let parts = [
                manifest.tool_state_ref,
                manifest.plugin_snapshot_ref,
                manifest.execution_state_ref,
            ];
            for blob in parts.into_iter().flatten() {
                if !self.blobs.contains(&blob) {
                    self.blobs.push(blob);
                }
            }
            self.last_turn = commit;
        }
        let ids = [format!("side-{}", to - 2)];
        store.tombstone_nodes(&ids).await.expect("a tombstone");
        if from > 0 {
            let ids = [format!("side-{from}")];
            store.tombstone_nodes(&ids).await.expect("a tombstone");
        } else {
            RuntimePersistence::vacuum(store).await.expect("a vacuum");
        }
        for number in from..to {
            let draft =
                work(&format!("pending {number}")).with_source_key(format!("pending:{number}"));
            store.enqueue_queued_work(draft).await.expect("work");
            store
                .put_artifact_bytes(
                    &format!("environment:{number}"),
                    "process_execution_env",
                    format!("environment {number} ").repeat(40).as_bytes(),
                )
                .await
                .expect("an artifact");
        }
        crate::fixtures::claim(store, 3_600_000, 1).await;
        store
            .put_module_artifact(&self.module)
            .await
            .expect("a module");
        let loose = store
            .try_put_artifact_blob(
                BlobArtifactDescriptor::execution_state_snapshot(),
                format!("loose {from} ").repeat(900).as_bytes(),
            )
            .await
            .expect("a blob");
        self.blobs.push(loose);
    }

    /// The commit of a turn: a question, an answer, and a node off the path.
    fn turn(&mut self, turn: usize) -> RuntimeCommit {
        let parent = turn.checked_sub(1).map(|before| format!("answer-{before}"));
        let question = format!("question-{turn}");
        let text = format!("What about {turn}? ").repeat(1 + turn % 3 * 40);
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
        self.nodes
            .extend(nodes.iter().map(|node| node.node_id.clone()));
        let mut checkpoint = full_checkpoint(turn);
        checkpoint.execution_state = Some(format!("variable {turn} ").repeat(500).into_bytes());
        RuntimeCommit {
            checkpoint,
            usage_deltas: vec![
                usage("turn", "a-model", [10, 3, 1, turn as i64]),
                usage("tool", &format!("model-{}", turn % 3), [1, 1, 0, 0]),
            ],
            ..append((turn > 0).then_some(turn as u64), nodes)
        }
    }

    /// Opens a file and asks everything. If it cannot be opened, that is the only
    /// answer.
    pub async fn ask(&self, path: &Path, read_only: bool) -> Answers {
        let opened = if read_only {
            builder().open_readonly(path).await
        } else {
            builder().open(path).await
        };
        let mut answers = Answers::new();
        match opened {
            Ok(store) => {
                self.read(&store, "", &mut answers).await;
                if !read_only {
                    self.write(&store, &mut answers).await;
                    self.read(&store, AFTER, &mut answers).await;
                }
            }
            Err(error) => {
                answers.insert("open".to_owned(), Err(error.to_string()));
            }
        }
        answers
    }

    /// Every read there is.
    async fn read(&self, store: &Store, when: &str, answers: &mut Answers) {
        let mut put = |question: String, answer: Answer| {
            answers.insert(format!("{when}{question}"), answer);
        };
        for (name, scope) in [
            ("full", SessionReadScope::FullGraph),
            ("path", SessionReadScope::ActivePath { leaf_node_id: None }),
            ("path to side-3", path_to("side-3")),
            ("path to side-4", path_to("side-4")),
            ("path to unknown", path_to("unknown")),
        ] {
            let loaded = store.load_session(scope).await;
            put(format!("load {name}"), answer(loaded.map(shown)));
        }
        for id in &self.nodes {
            let node = store.load_node(id).await;
            put(format!("node {id}"), answer(node.map(|node| json(&node))));
        }
        for session in [SESSION, "another"] {
            let queued = store.list_queued_work(session).await;
            put(
                format!("queued for {session}"),
                answer(queued.map(|batches| json(&batches))),
            );
            let pending = store.list_pending_queued_work(session).await;
            put(
                format!("pending for {session}"),
                answer(pending.map(|batches| json(&batches))),
            );
        }
        for until in [0, u64::MAX] {
            let uncommitted = store.list_uncommitted(until);
            put(
                format!("uncommitted until {until}"),
                answer(uncommitted.map(|entries| format!("{entries:?}"))),
            );
        }
        let meta = store.try_load_session_meta().await;
        put("meta".to_owned(), answer(meta.map(|meta| json(&meta))));
        let picker = store.try_load_picker_info().await;
        put(
            "picker".to_owned(),
            answer(picker.map(|info| format!("{info:?}"))),
        );
        let head = store.try_load_session_head_meta().await;
        put("head".to_owned(), answer(head.map(|head| json(&head))));
        let graph = store.try_load_session_graph().await;
        put("graph".to_owned(), answer(graph.map(|graph| json(&graph))));
        let entries = store.try_load_usage_deltas().await;
        put(
            "usage".to_owned(),
            answer(entries.map(|entries| format!("{:?}", ledger(&entries)))),
        );
        for blob in &self.blobs {
            let content = store.try_get_blob(blob).await;
            put(
                format!("blob {blob}"),
                answer(content.map(|content| format!("{content:?}"))),
            );
        }
        for key in &self.checkpoints {
            let checkpoint = store.try_get_checkpoint(key).await;
            put(
                format!("checkpoint {key}"),
                answer(checkpoint.map(|checkpoint| json(&checkpoint))),
            );
        }
        for number in 0..11 {
            let name = format!("environment:{number}");
            let bytes = store.get_artifact_bytes(&name).await;
            put(
                format!("artifact {name}"),
                answer(bytes.map(|bytes| format!("{bytes:?}"))),
            );
        }
        let module = store.get_module_artifact(&self.module.module_ref).await;
        put(
            "module".to_owned(),
            answer(module.map(|module| format!("{module:?}"))),
        );
    }

    /// Writes that answer from what is stored.
    async fn write(&self, store: &Store, answers: &mut Answers) {
        let mut put = |question: &str, answer: Answer| {
            answers.insert(question.to_owned(), answer);
        };
        let replayed = store.commit_runtime_state(self.last_turn.clone()).await;
        put(
            "replay",
            answer(replayed.map(|result| {
                json!([
                    result.head_revision,
                    result.checkpoint_ref,
                    json(&result.manifest)
                ])
            })),
        );
        let again = work("pending 9").with_source_key("pending:9");
        let batch = store.enqueue_queued_work(again).await;
        put("enqueue again", answer(batch.map(|batch| json(&batch))));
        let claim = store
            .claim_ready_queued_work(
                SESSION,
                "owner",
                lash_core::runtime::QueuedWorkClaimBoundary::Idle,
                60_000,
                4,
            )
            .await;
        put(
            "claim",
            answer(claim.map(|claim| json(&claim.map(|claim| claim.batches)))),
        );
        put(
            "vacuum",
            answer(
                RuntimePersistence::vacuum(store)
                    .await
                    .map(|report| report.removed_node_count),
            ),
        );
        put(
            "gc",
            answer(
                store
                    .try_gc_unreachable()
                    .await
                    .map(|report| format!("{report:?}")),
            ),
        );
    }
}

fn path_to(leaf: &str) -> SessionReadScope {
    SessionReadScope::ActivePath {
        leaf_node_id: Some(leaf.to_owned()),
    }
}

fn answer(result: Result<impl ToString, impl std::fmt::Display>) -> Answer {
    match result {
        Ok(value) => Ok(value.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

fn intend(store: &Store, session: &str, id: &str) {
    store
        .record_intent(AttachmentIntent {
            attachment_id: AttachmentId::new(id.to_owned()),
            session_id: session.to_owned(),
            canonical_uri: format!("file:{id}"),
            intent_at_epoch_ms: 1000,
        })
        .expect("an intent");
}

/// A session as a value that can be compared.
fn shown(read: Option<PersistedSessionRead>) -> serde_json::Value {
    read.map_or(serde_json::Value::Null, |read| {
        json!({
            "session": read.session_id,
            "revision": read.head_revision,
            "config": json(&read.config),
            "frames": json(&read.agent_frames),
            "frame": read.current_agent_frame_id,
            "nodes": json(&read.graph.nodes),
            "leaf": read.graph.leaf_node_id,
            "checkpoint_ref": read.checkpoint_ref,
            "checkpoint": json(&read.checkpoint),
            "ledger": format!("{:?}", ledger(&read.token_ledger)),
        })
    })
}
