//! The operations on the queue of a session.

use lash_wasm_store_guest::bindings::session_types::{ClaimRequest, Completion, SlotPolicy};
use lash_wasm_store_guest::session::queue;

use crate::sweep::run::{Effect, Operation, Retry};
use crate::sweep::session::{GONE, Starts};
use crate::sweep::session_start::{Known, SESSION, claim_request, draft};

const LIVE: &str = "the lost claim is live until its lease ends";

/// The operations.
pub fn operations(known: &Known, starts: &Starts) -> Vec<Operation> {
    let mut operations = batches(known, starts);
    operations.extend(claims_held(known));
    operations
}

fn batches(known: &Known, starts: &Starts) -> Vec<Operation> {
    let enqueue = |variant, effect, source: Option<&'static str>| {
        Operation::new("queue.enqueue", variant, effect, move |db| {
            queue::enqueue(db, draft(source, SlotPolicy::Join))
        })
    };
    let claim = |variant, effect, exactly: Option<Vec<String>>| {
        Operation::new("queue.claim", variant, effect, move |db| {
            let request = ClaimRequest {
                exactly: exactly.clone(),
                ..claim_request(1)
            };
            queue::claim(db, request)
        })
    };
    let cancel = |variant, effect, id: &str| {
        let id = id.to_owned();
        Operation::new("queue.cancel", variant, effect, move |db| {
            queue::cancel(db, SESSION, &id)
        })
    };
    let next = "the lost claim is live; the batch behind it is claimed";
    let again = || Effect::Writes(Retry::Again("Ok(Some(HeldClaim", next));
    let unnamed = "work without a source key has no identity";
    let claim_all = Operation::new("queue.claim", "all that joins", again(), |db| {
        queue::claim(db, claim_request(3))
    });
    vec![
        enqueue(
            "without a source",
            Effect::Writes(Retry::Again("Ok(Batch", unnamed)),
            None,
        ),
        enqueue("new source", Effect::Writes(Retry::Same), Some("new")),
        enqueue("queued before", Effect::Keeps, Some("c")),
        enqueue("completed before", Effect::Keeps, Some("done")),
        enqueue("new source, deep", Effect::Writes(Retry::Same), Some("new")).on(&starts.deep),
        enqueue("queued before, deep", Effect::Keeps, Some("known")).on(&starts.deep),
        claim("one", again(), None),
        claim("one, deep", again(), None).on(&starts.deep),
        claim(
            "exactly this",
            Effect::Writes(Retry::Answers("Ok(None)", LIVE)),
            Some(vec![known.free.clone()]),
        ),
        claim(
            "exactly another",
            Effect::Keeps,
            Some(vec!["another".to_owned()]),
        ),
        claim("nothing queued", Effect::Keeps, None).on(&starts.bare),
        claim_all,
        cancel(
            "free",
            Effect::Writes(Retry::Answers("Ok(None)", GONE)),
            &known.free,
        ),
        cancel("claimed", Effect::Keeps, &known.held.batch_ids[0]),
        cancel("unknown", Effect::Keeps, "unknown"),
    ]
}

fn claims_held(known: &Known) -> Vec<Operation> {
    let renew = |variant, effect, held: &Completion| {
        let held = held.clone();
        Operation::new("queue.renew", variant, effect, move |db| {
            queue::renew(db, &held, 120_000)
        })
    };
    let abandon = |variant, effect, held: &Completion| {
        let held = held.clone();
        Operation::new("queue.abandon", variant, effect, move |db| {
            queue::abandon(db, &held)
        })
    };
    let lost = Completion {
        lease_token: "wrong".to_owned(),
        ..known.held.clone()
    };
    let write = || Effect::Writes(Retry::Same);
    vec![
        renew("held", write(), &known.held),
        renew("lost", Effect::Keeps, &lost),
        abandon(
            "held",
            Effect::Writes(Retry::Answers("Ok(0)", "they were given back")),
            &known.held,
        ),
        abandon("lost", Effect::Keeps, &lost),
    ]
}
