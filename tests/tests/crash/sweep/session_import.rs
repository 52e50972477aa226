//! The operations of an import of a session.

use std::rc::Rc;

use lash_wasm_store_guest::bindings::import_types::{
    ImportedArtifact, ImportedAttachment, ImportedBatch, ImportedBatchClaim, ImportedBlob,
    ImportedNode, ImportedTurn, StoredContent,
};
use lash_wasm_store_guest::bindings::session_types::{
    Batch, BlobKind, BlobProfile, DeliveryPolicy, HeadBody, HeadDraft, Manifest, Namespace,
    SlotPolicy, TurnStamp,
};
use lash_wasm_store_guest::session::{
    self, artifacts, attachments, blobs, graph, queue, turns, usage,
};

use crate::sweep::run::{Effect, Operation, Retry, copy};
use crate::sweep::session_start::{SESSION, entry, intent};

/// The digests of nothing, and of `abc`.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn snapshot() -> ImportedBlob {
    ImportedBlob {
        key: EMPTY.to_owned(),
        kind: BlobKind::ToolState,
        compressible: true,
        content: StoredContent::Raw(Vec::new()),
        manifest: None,
    }
}

fn manifest(turn_state: &[u8]) -> ImportedBlob {
    ImportedBlob {
        key: ABC.to_owned(),
        kind: BlobKind::CheckpointManifest,
        compressible: true,
        content: StoredContent::Raw(b"abc".to_vec()),
        manifest: Some(Manifest {
            turn_state: turn_state.to_vec(),
            tool_state: Some(EMPTY.to_owned()),
            plugin_snapshot: None,
            plugin_snapshot_revision: Some(1),
            execution_state: None,
        }),
    }
}

fn node(sequence: u64, parent: Option<u64>) -> ImportedNode {
    ImportedNode {
        sequence,
        id: format!("imported {sequence}"),
        parent,
        prompt: sequence == 3,
        tombstoned: sequence == 5,
        body: format!("node {sequence}").into_bytes(),
    }
}

fn head() -> HeadDraft {
    HeadDraft {
        session_id: SESSION.to_owned(),
        revision: 7,
        body: HeadBody {
            content: b"head".to_vec(),
            blobs: Vec::new(),
            retained: Vec::new(),
        },
        leaf: Some("removed".to_owned()),
        checkpoint_ref: Some(ABC.to_owned()),
        nodes: None,
        usage: None,
        profile: BlobProfile::Compact,
    }
}

fn batch(sequence: u64, claim: bool) -> ImportedBatch {
    ImportedBatch {
        batch: Batch {
            id: format!("imported {sequence}"),
            session_id: SESSION.to_owned(),
            sequence,
            source_key: Some(format!("imported {sequence}")),
            delivery: DeliveryPolicy::EarliestSafeBoundary,
            slot: SlotPolicy::Join,
            merge_key: String::new(),
            available_at_ms: 1,
            enqueued_at_ms: 1,
            payloads: [b"work"].into_iter().collect(),
        },
        claim: claim.then(|| ImportedBatchClaim {
            id: "a claim".to_owned(),
            lease_token: "a token".to_owned(),
            expires_at_ms: 5,
        }),
        fencing_token: u64::from(claim),
    }
}

/// All of them.
pub fn operations(fresh: &Rc<Vec<u8>>) -> Vec<Operation> {
    let profile = BlobProfile::Compact;
    let mut db = copy(fresh);
    db.seed(0);
    blobs::add(&db, vec![snapshot(), manifest(b"a turn")], profile).unwrap();
    let with_blobs = db.image().into();
    // A node that is before its parent, and one the parent of which was removed.
    graph::add(&db, &[node(1, Some(2)), node(2, Some(0))]).unwrap();
    let with_nodes = db.image().into();

    let refused = || {
        let why = "what is stored is not imported a second time";
        Effect::Writes(Retry::Answers("Err(Error::Invalid", why))
    };
    let blobs = |variant, effect, blobs: fn() -> Vec<ImportedBlob>| {
        Operation::new("session-import.add-blobs", variant, effect, move |db| {
            blobs::add(db, blobs(), profile)
        })
    };
    vec![
        blobs("new", Effect::Writes(Retry::Same), || {
            vec![snapshot(), manifest(b"a turn")]
        })
        .on(fresh),
        blobs("another reading", Effect::Writes(Retry::Same), || {
            vec![manifest(b"another turn")]
        })
        .on(&with_blobs),
        Operation::new("session-import.add-artifacts", "new", refused(), |db| {
            let artifact = ImportedArtifact {
                namespace: Namespace::Bytes,
                name: "imported".to_owned(),
                kind: BlobKind::Generic,
                blob: EMPTY.to_owned(),
            };
            artifacts::add(db, &[artifact])
        })
        .on(&with_blobs),
        Operation::new("session-import.add-nodes", "new", refused(), |db| {
            graph::add(db, &[node(3, Some(0)), node(4, Some(5)), node(5, None)])
        })
        .on(fresh),
        // What is wrong is looked for; the start must be sound, so there is nothing.
        Operation::new("session-import.check-nodes", "sound", Effect::Keeps, |db| {
            graph::check(db, 0)
        })
        .on(&with_nodes),
        Operation::new("session-import.add-head", "first", refused(), |db| {
            session::add_head(db, head())
        })
        .on(&with_blobs),
        Operation::new(
            "session-import.add-usage",
            "two",
            Effect::Writes(Retry::Again("Ok(", "an entry has no identity")),
            |db| usage::add(db, vec![entry("imported"), entry("imported")]),
        ),
        Operation::new("session-import.add-turns", "new", refused(), |db| {
            let stamp = TurnStamp {
                session_id: SESSION.to_owned(),
                turn_id: "imported".to_owned(),
                commit_hash: "a hash".to_owned(),
            };
            let turn = ImportedTurn {
                stamp,
                revision: 1,
                checkpoint: ABC.to_owned(),
                committed_at_ms: 1,
            };
            turns::add(db, &[turn])
        })
        .on(&with_blobs),
        Operation::new("session-import.add-batches", "new", refused(), |db| {
            queue::add(db, vec![batch(8, false), batch(9, true)])
        })
        .on(fresh),
        Operation::new("session-import.add-attachments", "new", refused(), |db| {
            let attachment = |name, committed_at_ms| ImportedAttachment {
                intent: intent(name, SESSION),
                committed_at_ms,
            };
            let attachments = [attachment("x", None), attachment("y", Some(2))];
            attachments::add(db, &attachments)
        }),
    ]
}
