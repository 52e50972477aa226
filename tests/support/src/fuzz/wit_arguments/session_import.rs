//! The functions that bring a session over.

use lash_wasm_store_guest::bindings::import_types::{
    ImportedArtifact, ImportedAttachment, ImportedBatch, ImportedBatchClaim, ImportedBlob,
    ImportedNode, ImportedTurn, StoredContent,
};
use lash_wasm_store_guest::bindings::session_types::{Batch, Manifest};
use lash_wasm_store_guest::seam::Environment;
use lash_wasm_store_guest::session::{
    self, artifacts, attachments, blobs, graph, queue, turns, usage,
};

use super::Calls;
use super::session::{
    BLOB_KINDS, DELIVERIES, PROFILES, SLOTS, SPACES, entry, head_draft, intent, stamp,
};
use crate::fuzz::input::Input;

/// The SHA-256 digests of nothing, and of `abc`.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

pub(super) fn call<E: Environment>(env: &E, input: &mut Input<'_>, calls: &mut Calls) {
    match input.below(8) {
        0 => {
            let blobs = input.list(|input| imported_blob(input, calls));
            for key in [EMPTY, ABC] {
                calls.keep(key);
            }
            let added = blobs::add(env, blobs, input.pick(&PROFILES));
            calls.answered("session-import.add-blobs", added);
        }
        1 => {
            let added = artifacts::add(env, &input.list(|input| artifact(input, calls)));
            calls.answered("session-import.add-artifacts", added);
        }
        2 => add_nodes(env, input, calls),
        3 => {
            let draft = head_draft(input, calls);
            calls.answered("session-import.add-head", session::add_head(env, draft));
        }
        4 => {
            let entries = input.list(entry);
            calls.answered("session-import.add-usage", usage::add(env, entries));
        }
        5 => {
            let turns = input.list(|input| ImportedTurn {
                stamp: stamp(input),
                revision: calls.revision.unwrap_or_else(|| input.number()),
                checkpoint: calls.word(input),
                committed_at_ms: input.number(),
            });
            calls.answered("session-import.add-turns", turns::add(env, &turns));
        }
        6 => {
            let batches = input.list(|input| batch(input, calls));
            calls.answered("session-import.add-batches", queue::add(env, batches));
        }
        _ => {
            let added = input.list(|input| ImportedAttachment {
                intent: intent(input),
                committed_at_ms: input.maybe(Input::number),
            });
            let added = attachments::add(env, &added);
            calls.answered("session-import.add-attachments", added);
        }
    }
}

fn imported_blob(input: &mut Input<'_>, calls: &Calls) -> ImportedBlob {
    let (key, content) = match input.below(4) {
        0 => (EMPTY.to_owned(), Vec::new()),
        1 | 2 => (ABC.to_owned(), b"abc".to_vec()),
        _ => (calls.word(input), input.bytes()),
    };
    ImportedBlob {
        key,
        kind: input.pick(&BLOB_KINDS),
        compressible: input.flag(),
        content: match input.byte() < 240 {
            true => StoredContent::Raw(content),
            false => StoredContent::Zlib(input.bytes()),
        },
        manifest: input.maybe(|input| Manifest {
            turn_state: input.bytes(),
            tool_state: input.maybe(|input| calls.word(input)),
            plugin_snapshot: input.maybe(|input| calls.word(input)),
            plugin_snapshot_revision: input.maybe(Input::number),
            execution_state: input.maybe(|input| calls.word(input)),
        }),
    }
}

fn artifact(input: &mut Input<'_>, calls: &Calls) -> ImportedArtifact {
    ImportedArtifact {
        namespace: input.pick(&SPACES),
        name: input.name(),
        kind: input.pick(&BLOB_KINDS),
        blob: calls.word(input),
    }
}

/// Nodes, and the check that follows when all are there.
fn add_nodes<E: Environment>(env: &E, input: &mut Input<'_>, calls: &mut Calls) {
    let nodes = input.list(|input| ImportedNode {
        sequence: input.number(),
        id: input.name(),
        parent: input.maybe(Input::number),
        prompt: input.flag(),
        tombstoned: input.flag(),
        body: input.bytes(),
    });
    calls.answered("session-import.add-nodes", graph::add(env, &nodes));
    let mut from = Some(0);
    while let Some(next) = from {
        let checked = graph::check(env, next);
        let checked = calls.answered("session-import.check-nodes", checked);
        from = checked.and_then(|checked| checked.next);
        assert!(from.is_none_or(|from| from > next), "it goes on");
    }
}

fn batch(input: &mut Input<'_>, calls: &Calls) -> ImportedBatch {
    ImportedBatch {
        batch: Batch {
            id: calls.word(input),
            session_id: "root".to_owned(),
            sequence: input.number(),
            source_key: input.maybe(Input::name),
            delivery: input.pick(&DELIVERIES),
            slot: input.pick(&SLOTS),
            merge_key: input.name(),
            available_at_ms: input.number(),
            enqueued_at_ms: input.number(),
            payloads: input.list(Input::bytes).into_iter().collect(),
        },
        claim: input.maybe(|input| ImportedBatchClaim {
            id: calls.word(input),
            lease_token: calls.word(input),
            expires_at_ms: input.number(),
        }),
        fencing_token: input.number(),
    }
}
