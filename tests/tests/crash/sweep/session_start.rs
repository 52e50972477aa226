//! The session that the operations on a session database start from, and what they
//! are called with.

use lash_wasm_store_guest::bindings::session_types::{
    AttachmentIntent, BatchDraft, BlobKind, BlobProfile, BlobSource, Boundary, CheckpointDraft,
    ClaimRequest, CommitOutcome, CommitRequest, Completion, DeliveryPolicy, GraphChange, HeadBody,
    HeldClaim, Meta, Namespace, Node, SlotPolicy, TurnStamp, UsageEntry,
};
use lash_wasm_store_guest::session::{
    self, artifacts, attachments, blobs, checkpoints, graph, maintenance, metadata, queue, usage,
};
use lash_wasm_store_testing::faults::FaultyEnvironment;

use crate::sweep::run::NOW;

/// The session.
pub const SESSION: &str = "session";

/// What an earlier time is, before which retention forgets.
pub const EARLIER: i64 = NOW - 60_000;

/// What is known of the start.
#[derive(Clone)]
pub struct Known {
    /// A live claim on two batches.
    pub held: Completion,
    /// A batch that is free.
    pub free: String,
    /// A blob of the head.
    pub blob: String,
    /// The checkpoint of the head.
    pub checkpoint: String,
}

/// Content that is just long enough to be compressed.
pub fn content(name: &str) -> Vec<u8> {
    name.bytes().cycle().take(1100).collect()
}

/// New content.
pub fn new(name: &str) -> BlobSource {
    BlobSource::Content(content(name))
}

pub fn node(id: &str, parent: Option<&str>, prompt: bool) -> Node {
    Node {
        id: id.to_owned(),
        parent: parent.map(str::to_owned),
        prompt,
        body: format!("body of {id}").into_bytes(),
    }
}

pub fn checkpoint_draft(turn: &str) -> CheckpointDraft {
    CheckpointDraft {
        turn_state: turn.as_bytes().to_vec(),
        tool_state: Some(new("tools")),
        plugin_snapshot: Some(new(&format!("plugins of {turn}"))),
        plugin_snapshot_revision: Some(3),
        execution_state: Some(new(&format!("execution of {turn}"))),
    }
}

pub fn entry(source: &str) -> UsageEntry {
    UsageEntry {
        source: source.to_owned(),
        model: "model".to_owned(),
        input_tokens: 5,
        output_tokens: 3,
        cached_input_tokens: 1,
        reasoning_tokens: 2,
    }
}

pub fn stamp(turn: &str) -> TurnStamp {
    TurnStamp {
        session_id: SESSION.to_owned(),
        turn_id: turn.to_owned(),
        commit_hash: format!("hash of {turn}"),
    }
}

/// A commit of a turn that leaves the graph alone, without a stamp.
pub fn request(expected_revision: Option<u64>, turn: &str) -> CommitRequest {
    CommitRequest {
        session_id: SESSION.to_owned(),
        expected_revision,
        head: HeadBody {
            content: format!("head of {turn}").into_bytes(),
            blobs: vec![new("frame")],
            retained: Vec::new(),
        },
        graph: GraphChange::Unchanged,
        leaf: None,
        checkpoint: checkpoint_draft(turn),
        usage: vec![entry("turn")],
        turn: None,
        completions: Vec::new(),
        attachment_ids: Vec::new(),
        profile: BlobProfile::Compact,
    }
}

pub fn meta(name: &str) -> Meta {
    Meta {
        session_id: SESSION.to_owned(),
        session_name: name.to_owned(),
        created_at: "then".to_owned(),
        model: "model".to_owned(),
        cwd: None,
        relation: b"relation".to_vec(),
    }
}

pub fn draft(source_key: Option<&str>, slot: SlotPolicy) -> BatchDraft {
    BatchDraft {
        session_id: SESSION.to_owned(),
        source_key: source_key.map(str::to_owned),
        delivery: DeliveryPolicy::EarliestSafeBoundary,
        slot,
        merge_key: "merge".to_owned(),
        available_at_ms: 0,
        payloads: vec![b"one".to_vec(), b"two".to_vec()],
    }
}

pub fn claim_request(max_batches: u64) -> ClaimRequest {
    ClaimRequest {
        session_id: SESSION.to_owned(),
        owner_id: "owner".to_owned(),
        boundary: Boundary::Idle,
        lease_ttl_ms: 60_000,
        max_batches,
        exactly: None,
    }
}

pub fn intent(attachment: &str, session: &str) -> AttachmentIntent {
    AttachmentIntent {
        attachment_id: attachment.to_owned(),
        session_id: session.to_owned(),
        canonical_uri: format!("file:{attachment}"),
        intent_at_ms: 5,
    }
}

fn completion(claim: HeldClaim) -> Completion {
    Completion {
        session_id: claim.session_id,
        claim_id: claim.id,
        lease_token: claim.lease_token,
        batch_ids: claim.batches.into_iter().map(|batch| batch.id).collect(),
    }
}

pub fn claim(db: &FaultyEnvironment, max_batches: u64) -> Completion {
    completion(
        queue::claim(db, claim_request(max_batches))
            .unwrap()
            .unwrap(),
    )
}

/// Commits; answers the checkpoint.
fn commit(db: &FaultyEnvironment, request: CommitRequest) -> String {
    match session::commit(db, request).unwrap() {
        CommitOutcome::Committed(receipt) => receipt.checkpoint_ref,
        other => panic!("{other:?}"),
    }
}

/// Makes the session: two commits, of which one is old, a graph with a hidden and a
/// removed node, artifacts, garbage, a queue, intents.
pub fn fill(db: &FaultyEnvironment) -> Known {
    session::initialize(db).unwrap();
    metadata::save(db, &meta("name")).unwrap();
    db.set_time(EARLIER - 60_000);
    for attachment in ["committed", "pending", "shared"] {
        attachments::record_intent(db, &intent(attachment, SESSION)).unwrap();
    }
    attachments::record_intent(db, &intent("shared", "another session")).unwrap();
    queue::enqueue(db, draft(Some("done"), SlotPolicy::Join)).unwrap();
    let done = claim(db, 1);
    let nodes = ["n0", "n1", "n2"].map(|id| {
        let parent = id
            .strip_prefix('n')
            .and_then(|n| n.parse::<u64>().ok()?.checked_sub(1));
        let parent = parent.map(|n| format!("n{n}"));
        node(id, parent.as_deref(), id == "n0")
    });
    commit(
        db,
        CommitRequest {
            graph: GraphChange::Append(nodes.to_vec()),
            leaf: Some("n2".to_owned()),
            turn: Some(stamp("turn 1")),
            completions: vec![done],
            attachment_ids: vec!["committed".to_owned()],
            ..request(None, "turn 1")
        },
    );
    db.set_time(NOW);
    let checkpoint = commit(
        db,
        CommitRequest {
            leaf: Some("n2".to_owned()),
            turn: Some(stamp("turn 2")),
            ..request(Some(1), "turn 2")
        },
    );
    graph::append(db, &[node("removed", Some("n1"), false)]).unwrap();
    graph::append(db, &[node("n3", Some("removed"), true)]).unwrap();
    graph::tombstone(db, &["removed".to_owned()]).unwrap();
    maintenance::vacuum(db, 100).unwrap();
    graph::append(db, &[node("hidden", Some("n1"), true)]).unwrap();
    graph::tombstone(db, &["hidden".to_owned()]).unwrap();
    usage::append(db, &[entry("tool"), entry("turn")]).unwrap();
    let put = |space, name, kind| {
        let profile = BlobProfile::Compact;
        artifacts::put(db, space, name, content(name), kind, true, profile).unwrap();
    };
    put(Namespace::Modules, "module", BlobKind::Module);
    put(Namespace::Bytes, "bytes", BlobKind::Generic);
    checkpoints::put(db, checkpoint_draft("garbage"), BlobProfile::Compact).unwrap();
    let frame = BlobKind::ExecutionState;
    let blob = blobs::put(db, content("frame"), frame, true, BlobProfile::Compact).unwrap();
    for source in ["a", "b"] {
        queue::enqueue(db, draft(Some(source), SlotPolicy::Join)).unwrap();
    }
    let held = claim(db, 2);
    let free = queue::enqueue(db, draft(Some("c"), SlotPolicy::Join)).unwrap();
    queue::enqueue(db, draft(None, SlotPolicy::Join)).unwrap();
    queue::enqueue(db, draft(None, SlotPolicy::Exclusive)).unwrap();
    Known {
        held,
        free: free.id,
        blob,
        checkpoint,
    }
}
