//! The interface `queue`, as a plugin has it.
//!
//! An identifier of a session is within the plugin's namespace, so these queues are its
//! own, and all functions are there for them. Sessions of the application that the grant
//! names are the exception: there the plugin enqueues under source keys of its
//! namespace, and sees and cancels nothing but what has such a key.

use wasmtime::component::LinkerInstance;

use super::super::grant::Grant;
use super::super::namespace::Namespace;
use super::super::state::{Answer, State, denied, invalid};
use super::{Db, ROW, reading, writing};
use crate::wit::queue::{Batch, BatchDraft, BatchPage, ClaimRequest, Completion, HeldClaim};
use crate::wit::types::Cursor;

pub(super) const FUNCTIONS: &[&str] = &["abandon", "cancel", "claim", "enqueue", "list", "renew"];

pub(super) fn link(queue: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    let access = |grant: &Grant| grant.queue;
    writing(queue, "abandon", access, abandon)?;
    writing(queue, "cancel", access, cancel)?;
    writing(queue, "claim", access, claim)?;
    writing(queue, "enqueue", access, enqueue)?;
    reading(queue, "list", list)?;
    writing(queue, "renew", access, renew)
}

/// Whose queue it is.
enum Queue {
    Own,
    Application,
}

fn of(state: &State, session_id: &str) -> Queue {
    if state.grant().deliver_to.contains(session_id) {
        Queue::Application
    } else {
        Queue::Own
    }
}

fn enqueue(state: &mut State, (_, mut draft): (Db, BatchDraft)) -> Answer<Batch> {
    // Before a payload is decoded, so that one that is too long is not.
    let reserved = state.reserve(size(&draft))?;
    let queue = of(state, &draft.session_id);
    match queue {
        Queue::Own => draft.session_id = state.namespace().outside(&draft.session_id),
        Queue::Application => {
            let Some(key) = &draft.source_key else {
                return Err(invalid(
                    "what a plugin delivers to a session needs a source key",
                ));
            };
            draft.source_key = Some(state.namespace().outside(key));
            if !state.is_deliverable(&draft) {
                return Err(invalid(
                    "a plugin delivers turn inputs to a session, with a merge key, in the application's encoding",
                ));
            }
        }
    }
    let batch = state.store(reserved, "plugin enqueue", move |call| {
        call.queue().enqueue(&draft)
    })?;
    Ok(inside(state.namespace(), &queue, batch))
}

fn list(
    state: &mut State,
    (_, session_id, pending_only, cursor): (Db, String, bool, Option<Cursor>),
) -> Answer<BatchPage> {
    let queue = of(state, &session_id);
    let session_id = outside(state, &queue, session_id);
    let page = state.read("plugin list queue", move |call| {
        call.queue()
            .list(&session_id, pending_only, cursor.as_ref())
    })?;
    let names = state.namespace();
    let batches = page.batches.into_iter();
    Ok(BatchPage {
        batches: batches
            .filter(|batch| is_own(names, &queue, batch))
            .map(|batch| inside(names, &queue, batch))
            .collect(),
        next: page.next,
    })
}

fn cancel(
    state: &mut State,
    (_, session_id, batch_id): (Db, String, String),
) -> Answer<Option<Batch>> {
    let queue = of(state, &session_id);
    let session_id = outside(state, &queue, session_id);
    // A batch never changes its source key, so nothing can come between.
    if let Queue::Application = queue
        && !is_delivered(state, session_id.clone(), batch_id.clone())?
    {
        return Ok(None);
    }
    let cancelled = state.write("plugin cancel", 0, move |call| {
        call.queue().cancel(&session_id, &batch_id)
    })?;
    let names = state.namespace();
    Ok(cancelled.map(|batch| inside(names, &queue, batch)))
}

/// Whether a batch in the queue of the application is one that the plugin delivered.
fn is_delivered(state: &mut State, session_id: String, batch_id: String) -> Answer<bool> {
    let pages = state.read("plugin cancel", move |call| {
        call.list(|call, cursor| call.queue().list(&session_id, false, cursor))
    })?;
    let names = state.namespace();
    let mut batches = pages.iter().flat_map(|page| &page.batches);
    Ok(batches.any(|batch| batch.id == batch_id && is_own(names, &Queue::Application, batch)))
}

fn claim(state: &mut State, (_, mut request): (Db, ClaimRequest)) -> Answer<Option<HeldClaim>> {
    request.session_id = own(state, request.session_id)?;
    let held = state.lease("plugin claim", move |call| call.queue().claim(&request))?;
    let names = state.namespace();
    Ok(held.map(|mut held| {
        held.session_id = session_inside(names, held.session_id);
        held.batches = held
            .batches
            .into_iter()
            .map(|batch| inside(names, &Queue::Own, batch))
            .collect();
        held
    }))
}

fn renew(state: &mut State, (_, mut held, ttl_ms): (Db, Completion, u64)) -> Answer<Option<u64>> {
    held.session_id = own(state, held.session_id)?;
    state.lease("plugin renew", move |call| {
        call.queue().renew(&held, ttl_ms)
    })
}

fn abandon(state: &mut State, (_, mut held): (Db, Completion)) -> Answer<u64> {
    held.session_id = own(state, held.session_id)?;
    state.lease("plugin abandon", move |call| call.queue().abandon(&held))
}

/// What the store calls a session of the plugin. In those of the application a plugin
/// claims nothing: it would take work away from who does it.
fn own(state: &State, session_id: String) -> Answer<String> {
    match of(state, &session_id) {
        Queue::Own => Ok(state.namespace().outside(&session_id)),
        Queue::Application => Err(denied("a plugin may deliver to this session, not claim")),
    }
}

fn outside(state: &State, queue: &Queue, session_id: String) -> String {
    match queue {
        Queue::Own => state.namespace().outside(&session_id),
        Queue::Application => session_id,
    }
}

fn is_own(names: &Namespace, queue: &Queue, batch: &Batch) -> bool {
    match queue {
        Queue::Own => true,
        Queue::Application => batch
            .source_key
            .as_deref()
            .is_some_and(|key| names.inside(key).is_some()),
    }
}

/// A batch in the plugin's words.
fn inside(names: &Namespace, queue: &Queue, mut batch: Batch) -> Batch {
    match queue {
        Queue::Own => batch.session_id = session_inside(names, batch.session_id),
        Queue::Application => {
            let key = batch.source_key.as_deref();
            batch.source_key = key.and_then(|key| names.inside(key)).map(str::to_owned);
        }
    }
    batch
}

fn session_inside(names: &Namespace, session_id: String) -> String {
    match names.inside(&session_id) {
        Some(inside) => inside.to_owned(),
        // It is what was asked for.
        None => session_id,
    }
}

/// What a payload counts beside its content: its length is stored.
const LENGTH: usize = size_of::<u32>();

/// What of a batch the plugin chooses, in bytes.
fn size(draft: &BatchDraft) -> usize {
    let payloads = draft.payloads.iter().map(|payload| LENGTH + payload.len());
    let key = draft.source_key.as_ref().map_or(0, String::len);
    ROW + payloads.sum::<usize>() + key + draft.session_id.len() + draft.merge_key.len()
}
