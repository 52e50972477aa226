//! The functions of session databases.

use lash_wasm_store_guest::bindings::session_types::{
    AttachmentIntent, BatchDraft, BlobKind, BlobProfile, BlobSource, Boundary, CheckpointDraft,
    ClaimRequest, CommitOutcome, CommitRequest, Completion, DeliveryPolicy, GraphChange, HeadBody,
    HeadDraft, Meta, Namespace, Node, ReadScope, SlotPolicy, TurnStamp, UsageEntry,
};
use lash_wasm_store_guest::seam::Environment;
use lash_wasm_store_guest::session::{
    self, artifacts, attachments, blobs, checkpoints, graph, maintenance, metadata, queue,
    retention, usage,
};

use super::{Calls, session_import};
use crate::fuzz::input::Input;

pub(super) const PROFILES: [BlobProfile; 3] = [
    BlobProfile::LowLatency,
    BlobProfile::Balanced,
    BlobProfile::Compact,
];
pub(super) const BLOB_KINDS: [BlobKind; 7] = [
    BlobKind::Generic,
    BlobKind::CheckpointManifest,
    BlobKind::ToolState,
    BlobKind::PluginSnapshot,
    BlobKind::ExecutionState,
    BlobKind::Module,
    BlobKind::ProcessEnvironment,
];
pub(super) const SPACES: [Namespace; 2] = [Namespace::Modules, Namespace::Bytes];
pub(super) const DELIVERIES: [DeliveryPolicy; 2] = [
    DeliveryPolicy::EarliestSafeBoundary,
    DeliveryPolicy::AfterCurrentTurnCommit,
];
pub(super) const SLOTS: [SlotPolicy; 2] = [SlotPolicy::Join, SlotPolicy::Exclusive];

pub(super) fn call<E: Environment>(env: &E, input: &mut Input<'_>, calls: &mut Calls) {
    match input.below(36) {
        0..6 => commit(env, input, calls),
        6..10 => enqueue_or_list(env, input, calls),
        10..14 => claimed(env, input, calls),
        14..18 => graph_change(env, input, calls),
        18..22 => blobs(env, input, calls),
        22..25 => attachment(env, input, calls),
        25..30 => rest(env, input, calls),
        _ => session_import::call(env, input, calls),
    }
}

fn node(input: &mut Input<'_>) -> Node {
    Node {
        id: input.name(),
        parent: input.maybe(Input::name),
        prompt: input.flag(),
        body: input.bytes(),
    }
}

fn source(input: &mut Input<'_>, calls: &Calls) -> BlobSource {
    match input.flag() {
        false => BlobSource::Content(input.bytes()),
        true => BlobSource::Stored(calls.word(input)),
    }
}

fn sources(input: &mut Input<'_>, calls: &Calls) -> Vec<BlobSource> {
    input.list(|input| source(input, calls))
}

pub(super) fn entry(input: &mut Input<'_>) -> UsageEntry {
    let number = |input: &mut Input<'_>| input.number().cast_signed();
    UsageEntry {
        source: input.name(),
        model: input.name(),
        input_tokens: number(input),
        output_tokens: number(input),
        cached_input_tokens: number(input),
        reasoning_tokens: number(input),
    }
}

pub(super) fn stamp(input: &mut Input<'_>) -> TurnStamp {
    TurnStamp {
        session_id: session_id(input),
        turn_id: input.name(),
        commit_hash: input.name(),
    }
}

fn session_id(input: &mut Input<'_>) -> String {
    match input.byte() {
        0..240 => "root".to_owned(),
        _ => input.name(),
    }
}

fn completion(input: &mut Input<'_>, calls: &Calls) -> Completion {
    if !calls.held.is_empty() && input.byte() < 200 {
        return input.pick(&calls.held);
    }
    Completion {
        session_id: session_id(input),
        claim_id: calls.word(input),
        lease_token: calls.word(input),
        batch_ids: input.list(|input| calls.word(input)),
    }
}

fn checkpoint_draft(input: &mut Input<'_>, calls: &Calls) -> CheckpointDraft {
    CheckpointDraft {
        turn_state: input.bytes(),
        tool_state: input.maybe(|input| source(input, calls)),
        plugin_snapshot: input.maybe(|input| source(input, calls)),
        plugin_snapshot_revision: input.maybe(Input::number),
        execution_state: input.maybe(|input| source(input, calls)),
    }
}

fn revision(input: &mut Input<'_>, calls: &Calls) -> Option<u64> {
    match input.byte() {
        0..200 => calls.revision,
        _ => input.maybe(Input::number),
    }
}

fn head_body(input: &mut Input<'_>, calls: &Calls) -> HeadBody {
    HeadBody {
        content: input.bytes(),
        blobs: sources(input, calls),
        retained: input.list(|input| calls.word(input)),
    }
}

pub(super) fn head_draft(input: &mut Input<'_>, calls: &Calls) -> HeadDraft {
    HeadDraft {
        session_id: session_id(input),
        revision: input.number(),
        body: head_body(input, calls),
        leaf: input.maybe(Input::name),
        checkpoint_ref: input.maybe(|input| calls.word(input)),
        nodes: input.maybe(|input| input.list(node)),
        usage: input.maybe(|input| input.list(entry)),
        profile: input.pick(&PROFILES),
    }
}

fn commit<E: Environment>(env: &E, input: &mut Input<'_>, calls: &mut Calls) {
    if input.byte() > 230 {
        let draft = head_draft(input, calls);
        let saved = calls.answered("session.save-head", session::save_head(env, draft));
        calls.revision = saved.or(calls.revision);
        return;
    }
    let request = CommitRequest {
        session_id: session_id(input),
        expected_revision: revision(input, calls),
        head: head_body(input, calls),
        graph: match input.below(4) {
            0 => GraphChange::Unchanged,
            1 | 2 => GraphChange::Append(input.list(node)),
            _ => GraphChange::Replace(input.list(node)),
        },
        leaf: input.maybe(Input::name),
        checkpoint: checkpoint_draft(input, calls),
        usage: input.list(entry),
        turn: input.maybe(stamp),
        completions: match input.flag() {
            false => Vec::new(),
            true => input.list(|input| completion(input, calls)),
        },
        attachment_ids: input.names(),
        profile: input.pick(&PROFILES),
    };
    match calls.answered("session.commit", session::commit(env, request)) {
        Some(CommitOutcome::Committed(receipt)) => {
            calls.revision = Some(receipt.revision);
            calls.keep(&receipt.checkpoint_ref);
        }
        Some(CommitOutcome::RevisionConflict(conflict)) => {
            calls.revision = (conflict.actual > 0).then_some(conflict.actual);
        }
        _ => {}
    }
}

fn enqueue_or_list<E: Environment>(env: &E, input: &mut Input<'_>, calls: &mut Calls) {
    match input.below(4) {
        3 => {
            let session_id = session_id(input);
            let (pending_only, cursor) = (input.flag(), input.maybe(Input::bytes));
            let listed = queue::list(env, &session_id, pending_only, cursor.as_deref());
            calls.answered("queue.list", listed);
        }
        _ => {
            let draft = BatchDraft {
                session_id: session_id(input),
                source_key: input.maybe(Input::name),
                delivery: input.pick(&DELIVERIES),
                slot: input.pick(&SLOTS),
                merge_key: input.name(),
                available_at_ms: input.number(),
                payloads: input.list(Input::bytes),
            };
            if let Some(batch) = calls.answered("queue.enqueue", queue::enqueue(env, draft)) {
                calls.keep(&batch.id);
            }
        }
    }
}

fn claimed<E: Environment>(env: &E, input: &mut Input<'_>, calls: &mut Calls) {
    match input.below(6) {
        0..3 => {
            let request = ClaimRequest {
                session_id: session_id(input),
                owner_id: input.name(),
                boundary: input.pick(&[Boundary::Idle, Boundary::ActiveTurnCheckpoint]),
                lease_ttl_ms: input.number(),
                max_batches: input.number(),
                exactly: match input.byte() > 200 {
                    true => Some(input.list(|input| calls.word(input))),
                    false => None,
                },
            };
            let claim = calls.answered("queue.claim", queue::claim(env, request));
            if let Some(claim) = claim.flatten() {
                calls.held.push(Completion {
                    session_id: claim.session_id,
                    claim_id: claim.id,
                    lease_token: claim.lease_token,
                    batch_ids: claim.batches.into_iter().map(|batch| batch.id).collect(),
                });
            }
        }
        3 => {
            let held = completion(input, calls);
            calls.answered("queue.renew", queue::renew(env, &held, input.number()));
        }
        4 => {
            let held = completion(input, calls);
            calls.answered("queue.abandon", queue::abandon(env, &held));
        }
        _ => {
            let (session, batch) = (session_id(input), calls.word(input));
            calls.answered("queue.cancel", queue::cancel(env, &session, &batch));
        }
    }
}

fn graph_change<E: Environment>(env: &E, input: &mut Input<'_>, calls: &mut Calls) {
    match input.below(5) {
        0 => {
            let nodes = input.list(node);
            calls.answered("graph.append", graph::append(env, &nodes));
        }
        1 => {
            let nodes = input.list(node);
            calls.answered("graph.replace", graph::replace(env, &nodes));
        }
        2 => {
            let ids = input.names();
            calls.answered("graph.tombstone", graph::tombstone(env, &ids));
        }
        3 => {
            calls.answered("graph.load-node", graph::load_node(env, &input.name()));
        }
        _ => {
            let scope = match input.flag() {
                false => ReadScope::Full,
                true => ReadScope::Path(input.maybe(Input::name)),
            };
            calls.answered("session.load", session::load(env, scope));
        }
    }
}

fn blobs<E: Environment>(env: &E, input: &mut Input<'_>, calls: &mut Calls) {
    let (kind, profile) = (input.pick(&BLOB_KINDS), input.pick(&PROFILES));
    match input.below(6) {
        0 => {
            let put = blobs::put(env, input.bytes(), kind, input.flag(), profile);
            if let Some(key) = calls.answered("blobs.put", put) {
                calls.keep(&key);
            }
        }
        1 => {
            calls.answered("blobs.get", blobs::get(env, &calls.word(input)));
        }
        2 => {
            let draft = checkpoint_draft(input, calls);
            let stored = calls.answered("checkpoints.put", checkpoints::put(env, draft, profile));
            if let Some(stored) = stored {
                calls.keep(&stored.key);
            }
        }
        3 => {
            // That a blob is no manifest is answered as if it were damaged.
            let _ = checkpoints::get(env, &calls.word(input));
        }
        4 => {
            let (space, name) = (input.pick(&SPACES), input.name());
            let content = input.bytes();
            let put = artifacts::put(env, space, &name, content, kind, input.flag(), profile);
            calls.answered("artifacts.put", put);
        }
        _ => {
            let (space, name) = (input.pick(&SPACES), input.name());
            calls.answered("artifacts.get", artifacts::get(env, space, &name));
            if input.byte() > 200 {
                calls.answered("artifacts.delete", artifacts::delete(env, space, &name));
            }
            calls.answered("artifacts.list", artifacts::list(env, None));
        }
    }
}

pub(super) fn intent(input: &mut Input<'_>) -> AttachmentIntent {
    AttachmentIntent {
        attachment_id: input.name(),
        session_id: session_id(input),
        canonical_uri: input.name(),
        intent_at_ms: input.number(),
    }
}

fn attachment<E: Environment>(env: &E, input: &mut Input<'_>, calls: &mut Calls) {
    match input.below(5) {
        0 => {
            let recorded = attachments::record_intent(env, &intent(input));
            calls.answered("attachments.record-intent", recorded);
        }
        1 => {
            let committed = attachments::commit(env, &session_id(input), &input.names());
            calls.answered("attachments.commit", committed);
        }
        2 => {
            let listed = attachments::list_uncommitted(env, input.number(), None);
            calls.answered("attachments.list-uncommitted", listed);
        }
        3 => {
            let condemned = attachments::condemn(env, &input.name(), input.number());
            calls.answered("attachments.condemn", condemned);
        }
        _ => {
            let forgotten = attachments::forget(env, &input.name());
            calls.answered("attachments.forget", forgotten);
        }
    }
}

fn meta(input: &mut Input<'_>) -> Meta {
    Meta {
        session_id: session_id(input),
        session_name: input.name(),
        created_at: input.name(),
        model: input.name(),
        cwd: input.maybe(Input::name),
        relation: input.bytes(),
    }
}

fn rest<E: Environment>(env: &E, input: &mut Input<'_>, calls: &mut Calls) {
    match input.below(12) {
        0 => {
            let entries = input.list(entry);
            calls.answered("usage.append", usage::append(env, &entries));
        }
        1 => {
            calls.answered(
                "usage.load",
                usage::load(env, input.maybe(Input::bytes).as_deref()),
            );
        }
        2 => {
            calls.answered("metadata.save", metadata::save(env, &meta(input)));
        }
        3 => {
            calls.answered("metadata.create", metadata::create(env, &meta(input)));
        }
        4 => {
            calls.answered("metadata.load", metadata::load(env));
            calls.answered("metadata.describe", metadata::describe(env));
        }
        5 => {
            calls.answered(
                "maintenance.vacuum",
                maintenance::vacuum(env, input.number() as u32),
            );
        }
        6 => {
            calls.answered(
                "maintenance.gc",
                maintenance::gc(env, input.number() as u32),
            );
        }
        7 => {
            let pruned = retention::prune(env, input.number(), input.number() as u32);
            calls.answered("retention.prune", pruned);
        }
        8 => {
            calls.answered("statistics", session::statistics(env));
            calls.answered("session.load-head", session::load_head(env));
            calls.answered("graph.load", graph::load(env, None));
        }
        9 if input.byte() > 250 => {
            calls.retired |= calls
                .answered("session.retire", session::retire(env))
                .is_some();
        }
        _ => {
            let cursor = input.maybe(Input::bytes);
            let page = session::read_page(env, cursor.as_deref());
            calls.answered("session-export.read-page", page);
        }
    }
}
