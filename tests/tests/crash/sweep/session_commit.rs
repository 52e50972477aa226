//! Committing, and writing the head without a commit.

use lash_wasm_store_guest::bindings::session_types::{
    BlobProfile, BlobSource, CommitRequest, Completion, GraphChange, HeadBody, HeadDraft, Node,
    TurnStamp,
};
use lash_wasm_store_guest::session;

use crate::sweep::run::{Effect, Operation, Retry};
use crate::sweep::session::Starts;
use crate::sweep::session_start::{Known, entry, new, node, request, stamp};

/// The revision of the start.
const REVISION: u64 = 2;

fn commit(variant: &'static str, effect: Effect, request: CommitRequest) -> Operation {
    Operation::new("session.commit", variant, effect, move |db| {
        session::commit(db, request.clone())
    })
}

fn save(variant: &'static str, effect: Effect, draft: HeadDraft) -> Operation {
    Operation::new("session.save-head", variant, effect, move |db| {
        session::save_head(db, draft.clone())
    })
}

fn unstamped() -> Effect {
    let why = "without a stamp only the revision tells, which has passed";
    Effect::Writes(Retry::Answers("Ok(CommitOutcome::RevisionConflict", why))
}

fn stamped() -> Effect {
    let why = "the stamp tells that it was committed, and what";
    Effect::Writes(Retry::Named("Committed", "Replayed", why))
}

/// `n4` and `n5`, after the leaf.
fn nodes() -> Vec<Node> {
    vec![node("n4", Some("n2"), true), node("n5", Some("n4"), false)]
}

/// A request with something of everything.
fn whole(known: &Known) -> CommitRequest {
    let mut request = CommitRequest {
        graph: GraphChange::Append(nodes()),
        leaf: Some("n5".to_owned()),
        usage: vec![entry("turn"), entry("new")],
        turn: Some(stamp("turn 3")),
        completions: vec![known.held.clone()],
        attachment_ids: vec!["pending".to_owned(), "unknown".to_owned()],
        ..request(Some(REVISION), "turn 3")
    };
    request.head.blobs = vec![new("new frame"), BlobSource::Stored(known.blob.clone())];
    request.head.retained = vec![known.checkpoint.clone()];
    request.checkpoint.tool_state = Some(BlobSource::Stored(known.blob.clone()));
    request
}

/// The operations.
pub fn operations(known: &Known, starts: &Starts) -> Vec<Operation> {
    let mut operations = commits(known, starts);
    operations.extend(refusals(known));
    operations.extend(heads(known, starts));
    operations
}

fn commits(known: &Known, starts: &Starts) -> Vec<Operation> {
    let leaf = |leaf: &str| Some(leaf.to_owned());
    let without_stamp = CommitRequest {
        turn: None,
        completions: Vec::new(),
        ..whole(known)
    };
    let replaced = CommitRequest {
        graph: GraphChange::Replace(vec![node("n0", None, true), node("m1", Some("n0"), false)]),
        leaf: leaf("m1"),
        turn: Some(stamp("turn 3")),
        ..request(Some(REVISION), "turn 3")
    };
    let moved = CommitRequest {
        leaf: leaf("n1"),
        ..request(Some(REVISION), "turn 3")
    };
    let nothing_new = CommitRequest {
        leaf: leaf("n2"),
        usage: Vec::new(),
        ..request(Some(REVISION), "turn 2")
    };
    let first = CommitRequest {
        graph: GraphChange::Append(vec![node("n0", None, true)]),
        leaf: leaf("n0"),
        turn: Some(stamp("turn 1")),
        ..request(None, "turn 1")
    };
    let without_cache = CommitRequest {
        profile: BlobProfile::LowLatency,
        turn: None,
        ..whole(known)
    };
    vec![
        commit("everything", stamped(), whole(known)),
        commit("append, no stamp", unstamped(), without_stamp),
        commit(
            "uncompressed, with a completion, no stamp",
            unstamped(),
            without_cache,
        ),
        commit("replace", stamped(), replaced),
        commit("the leaf moves", unstamped(), moved),
        commit("nothing new", unstamped(), nothing_new),
        commit("the first", stamped(), first.clone()).on(&starts.fresh),
        commit(
            "the first, no stamp",
            unstamped(),
            CommitRequest {
                turn: None,
                ..first
            },
        )
        .on(&starts.fresh),
    ]
}

fn refusals(known: &Known) -> Vec<Operation> {
    let keeps = |variant, request| commit(variant, Effect::Keeps, request);
    let whole = || whole(known);
    let replayed = CommitRequest {
        turn: Some(stamp("turn 1")),
        ..whole()
    };
    let stale = CommitRequest {
        expected_revision: Some(1),
        ..whole()
    };
    let foreign = CommitRequest {
        session_id: "another".to_owned(),
        ..whole()
    };
    let contradicted = CommitRequest {
        turn: Some(TurnStamp {
            commit_hash: "another".to_owned(),
            ..stamp("turn 2")
        }),
        ..whole()
    };
    let lost = CommitRequest {
        completions: vec![Completion {
            lease_token: "wrong".to_owned(),
            ..known.held.clone()
        }],
        ..whole()
    };
    // These are found out when a part is written already.
    let unknown_parent = CommitRequest {
        graph: GraphChange::Append(vec![node("n4", Some("unknown"), false)]),
        leaf: None,
        ..whole()
    };
    let taken_node = CommitRequest {
        graph: GraphChange::Append(vec![node("n4", None, false), node("n0", None, false)]),
        leaf: None,
        ..whole()
    };
    let unknown_leaf = CommitRequest {
        leaf: Some("unknown".to_owned()),
        ..whole()
    };
    let mut missing_blob = whole();
    let unknown = format!("blake3:{}", "0".repeat(64));
    missing_blob.head.blobs = vec![new("new frame"), BlobSource::Stored(unknown)];
    vec![
        keeps("replayed", replayed),
        keeps("a revision that has passed", stale),
        keeps("another session", foreign),
        keeps("a turn with another hash", contradicted),
        keeps("a lost claim", lost),
        keeps("an unknown parent", unknown_parent),
        keeps("a node that is stored", taken_node),
        keeps("an unknown leaf", unknown_leaf),
        keeps("a missing blob", missing_blob),
    ]
}

fn heads(known: &Known, starts: &Starts) -> Vec<Operation> {
    let head = |revision| HeadDraft {
        session_id: "session".to_owned(),
        revision,
        body: HeadBody {
            content: b"saved".to_vec(),
            blobs: vec![new("saved"), BlobSource::Stored(known.blob.clone())],
            retained: Vec::new(),
        },
        leaf: Some("n1".to_owned()),
        checkpoint_ref: Some(known.checkpoint.clone()),
        nodes: None,
        usage: None,
        profile: BlobProfile::Compact,
    };
    let all = HeadDraft {
        leaf: Some("n5".to_owned()),
        nodes: Some(vec![node("n4", None, true), node("n5", Some("n4"), false)]),
        usage: Some(vec![entry("saved"), entry("turn")]),
        ..head(0)
    };
    let mut first = HeadDraft {
        leaf: None,
        checkpoint_ref: None,
        ..head(7)
    };
    first.body.blobs.truncate(1);
    let unknown_leaf = HeadDraft {
        leaf: Some("unknown".to_owned()),
        ..all.clone()
    };
    let why = "a revision is never used twice";
    let again = |begin| Effect::Writes(Retry::Again(begin, why));
    vec![
        save("the head alone", again("Ok(4)"), head(0)),
        save("a higher revision", again("Ok(10)"), head(9)),
        save("nodes and usage", again("Ok(4)"), all),
        save("the first", again("Ok(8)"), first).on(&starts.fresh),
        save("an unknown leaf", Effect::Keeps, unknown_leaf),
    ]
}
