//! Recording a session as a runtime does: one commit for each turn, which holds
//! everything that belongs to the turn or nothing of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lash_core::runtime::{
    DeliveryPolicy, QueuedWorkBatchDraft, QueuedWorkClaimBoundary, QueuedWorkPayload, SlotPolicy,
};
use lash_core::store::{GraphCommitDelta, RuntimeCommitResult, SessionCheckpoint};
use lash_core::{
    AttachmentId, AttachmentIntent, AttachmentManifest, BlobRef, Message, MessageRole, ModelSpec,
    Part, PartKind, PruneState, RuntimeCommit, RuntimePersistence, RuntimeSessionState,
    RuntimeTurnCommitStamp, SessionPolicy, TokenLedgerEntry, TokenUsage, ToolState, TurnInput,
    current_epoch_ms, shared_parts,
};
use lash_wasm_store::Store;

use crate::transcript::{Said, Turn};

/// What the session says that it ran on.
pub(crate) const MODEL: &str = "example-model";

/// How long a claim on queued work is ours alone.
const LEASE_MS: u64 = 60_000;

/// The policy of the sessions of this example.
pub(crate) fn policy() -> Result<SessionPolicy> {
    Ok(SessionPolicy {
        model: ModelSpec::from_token_limits(MODEL, None, 200_000, None)
            .map_err(anyhow::Error::msg)?,
        provider_id: "example".to_owned(),
        ..SessionPolicy::default()
    })
}

/// A session that is being recorded.
pub(crate) struct Recorder {
    store: Arc<Store>,
    state: RuntimeSessionState,
    files: PathBuf,
    pub(crate) figures: Figures,
    /// The last commit, to be sent again.
    last: Option<(RuntimeCommit, RuntimeCommitResult)>,
}

/// What was recorded.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) turns: usize,
    pub(crate) nodes: usize,
    pub(crate) content_bytes: usize,
    pub(crate) files: usize,
    pub(crate) file_bytes: usize,
    pub(crate) batches: usize,
    pub(crate) tokens: i64,
    pub(crate) commits: Vec<Duration>,
    /// Every blob that a commit said it had stored.
    pub(crate) blobs: Vec<BlobRef>,
    /// Every manifest among them.
    pub(crate) checkpoints: Vec<BlobRef>,
}

impl Recorder {
    /// Begins a session. What the tools returned goes into files in `files`.
    pub(crate) fn new(store: Arc<Store>, session_id: &str, files: PathBuf) -> Result<Self> {
        let mut state = RuntimeSessionState {
            session_id: session_id.to_owned(),
            policy: policy()?,
            ..RuntimeSessionState::default()
        };
        state.ensure_agent_frame_initialized();
        Ok(Self {
            store,
            state,
            files,
            figures: Figures::default(),
            last: None,
        })
    }

    /// Records a turn: the user's message comes in through the work queue, and
    /// the commit of the turn completes it.
    pub(crate) async fn record(&mut self, turn: &Turn) -> Result<()> {
        let number = self.figures.turns + 1;
        let session_id = self.state.session_id.clone();
        let Some(asked) = turn.first() else {
            return Ok(());
        };
        self.enqueue(number, asked).await?;
        let claim = self
            .store
            .claim_ready_queued_work(
                &session_id,
                "quickstart",
                QueuedWorkClaimBoundary::Idle,
                LEASE_MS,
                1,
            )
            .await?
            .context("the work that was enqueued is not ready")?;
        self.figures.batches += claim.batches.len();

        let attachments = self.attach(number, turn)?;
        let messages: Vec<Message> = turn
            .iter()
            .enumerate()
            .map(|(index, said)| message(number, index, said))
            .collect();
        let known = self.state.session_graph.nodes.len();
        self.state.append_active_conversation_messages(&messages);
        self.state.turn_index = number;
        self.state.tool_state_snapshot = Some(ToolState::default().with_generation(number as u64));
        self.state
            .set_execution_state_snapshot(Some(self.variables()?));
        let usage = usage(turn);
        self.state.token_usage = usage.usage.clone();

        let mut commit = RuntimeCommit::persisted_state(&self.state, std::slice::from_ref(&usage))
            .completing_queue_claim(claim.completion())
            .with_committed_attachments(attachments);
        let nodes = self.state.session_graph.nodes.get(known..);
        commit.graph = GraphCommitDelta::Append {
            nodes: nodes.unwrap_or_default().to_vec(),
            leaf_node_id: self.state.session_graph.leaf_node_id.clone(),
        };
        let hash = commit.turn_commit_hash()?;
        let stamp = RuntimeTurnCommitStamp::new(&session_id, format!("turn-{number}"), hash);
        let commit = commit.with_turn_commit(stamp);

        let started = Instant::now();
        let result = self.store.commit_runtime_state(commit.clone()).await?;
        self.figures.commits.push(started.elapsed());

        self.figures.turns = number;
        self.figures.nodes = self.state.session_graph.nodes.len();
        self.figures.content_bytes += turn.iter().map(|said| said.content.len()).sum::<usize>();
        self.figures.tokens += usage.usage.total();
        self.note_blobs(&result);
        self.state.apply_persisted_commit_result(result.clone());
        self.last = Some((commit, result));
        Ok(())
    }

    async fn enqueue(&self, number: usize, asked: &Said) -> Result<()> {
        let payload = QueuedWorkPayload::turn_input(TurnInput::text(asked.content.clone()));
        let draft = QueuedWorkBatchDraft::new(
            self.state.session_id.clone(),
            DeliveryPolicy::AfterCurrentTurnCommit,
            SlotPolicy::Exclusive,
            vec![payload],
        )
        .with_source_key(format!("transcript:{number}"));
        let first = self.store.enqueue_queued_work(draft.clone()).await?;
        // The same message delivered twice is one batch.
        let again = self.store.enqueue_queued_work(draft).await?;
        ensure!(
            first.batch_id == again.batch_id,
            "a message that was delivered twice was queued twice"
        );
        Ok(())
    }

    /// Writes what the tools returned to files, each announced before it is
    /// written, so that a crash leaves no file that nobody knows of.
    fn attach(&mut self, number: usize, turn: &Turn) -> Result<Vec<AttachmentId>> {
        let mut attached = Vec::new();
        for (index, said) in turn.iter().enumerate() {
            if said.role != MessageRole::Event {
                continue;
            }
            let name = format!("turn-{number}-{index}.txt");
            let path = self.files.join(&name);
            let id = AttachmentId::new(name);
            self.store.record_intent(AttachmentIntent {
                attachment_id: id.clone(),
                session_id: self.state.session_id.clone(),
                canonical_uri: path.display().to_string(),
                intent_at_epoch_ms: current_epoch_ms(),
            })?;
            std::fs::create_dir_all(&self.files)
                .and_then(|()| std::fs::write(&path, &said.content))
                .with_context(|| format!("cannot write {}", path.display()))?;
            self.figures.files += 1;
            self.figures.file_bytes += said.content.len();
            attached.push(id);
        }
        Ok(attached)
    }

    /// Stands for what an interpreter would want back after a restart.
    fn variables(&self) -> Result<Vec<u8>> {
        let history = serde_json::to_value(&self.state.session_graph)?;
        let turn = self.state.turn_index;
        Ok(serde_json::to_vec(
            &serde_json::json!({ "turn": turn, "history": history }),
        )?)
    }

    fn note_blobs(&mut self, result: &RuntimeCommitResult) {
        let SessionCheckpoint {
            tool_state_ref,
            plugin_snapshot_ref,
            execution_state_ref,
            ..
        } = &result.manifest;
        let checkpoint = result.checkpoint_ref.clone();
        self.figures.checkpoints.push(checkpoint.clone());
        let parts = [tool_state_ref, plugin_snapshot_ref, execution_state_ref];
        for blob in parts.into_iter().flatten().cloned().chain([checkpoint]) {
            if !self.figures.blobs.contains(&blob) {
                self.figures.blobs.push(blob);
            }
        }
    }

    /// The last commit and its result.
    pub(crate) fn last(&self) -> Result<&(RuntimeCommit, RuntimeCommitResult)> {
        self.last.as_ref().context("nothing was committed")
    }

    /// A commit of one more message, on top of what is recorded.
    pub(crate) fn next(&self, number: usize, said: &Said) -> RuntimeCommit {
        let mut state = self.state.clone();
        let known = state.session_graph.nodes.len();
        state.append_active_conversation_messages(&[message(number, 0, said)]);
        append(&state, known)
    }
}

/// A commit of the nodes of a state that are not stored yet.
pub(crate) fn append(state: &RuntimeSessionState, known: usize) -> RuntimeCommit {
    let mut commit = RuntimeCommit::persisted_state(state, &[]);
    let nodes = state.session_graph.nodes.get(known..);
    commit.graph = GraphCommitDelta::Append {
        nodes: nodes.unwrap_or_default().to_vec(),
        leaf_node_id: state.session_graph.leaf_node_id.clone(),
    };
    commit
}

/// A line of the transcript as a message of lash.
pub(crate) fn message(turn: usize, index: usize, said: &Said) -> Message {
    let id = format!("t{turn}.m{index}");
    let part = Part {
        id: format!("{id}.p0"),
        kind: match said.role {
            MessageRole::Event => PartKind::Output,
            _ => PartKind::Text,
        },
        content: said.content.clone(),
        attachment: None,
        tool_call_id: None,
        tool_name: None,
        tool_replay: None,
        prune_state: PruneState::Intact,
        reasoning_meta: None,
        response_meta: None,
    };
    Message {
        id,
        role: said.role,
        parts: shared_parts(vec![part]),
        origin: None,
    }
}

/// What the turn may have cost, at four characters a token.
fn usage(turn: &Turn) -> TokenLedgerEntry {
    let tokens = |answered: bool| {
        let said = turn
            .iter()
            .filter(|said| (said.role == MessageRole::Assistant) == answered);
        i64::try_from(said.map(|said| said.content.len()).sum::<usize>() / 4).unwrap_or(i64::MAX)
    };
    TokenLedgerEntry {
        source: "turn".to_owned(),
        model: MODEL.to_owned(),
        usage: TokenUsage {
            input_tokens: tokens(false),
            output_tokens: tokens(true),
            cached_input_tokens: 0,
            reasoning_tokens: 0,
        },
    }
}

/// How large a database and its log are together.
pub(crate) fn stored_bytes(path: &Path) -> u64 {
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    length(path) + length(&log(path))
}

/// How large a database is that nobody has open any more. Its last handle is
/// closed behind the program's back, and then the log is gone.
pub(crate) async fn closed_bytes(path: &Path) -> u64 {
    for _ in 0..100 {
        if !log(path).exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stored_bytes(path)
}

fn log(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_os_string();
    log.push("-wal");
    log.into()
}
