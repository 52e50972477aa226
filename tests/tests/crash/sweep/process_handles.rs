//! The operations on handles and leases of processes.

use lash_wasm_store_guest::processes;

use crate::sweep::processes::{GONE, Known, TTL, grant};
use crate::sweep::run::{Effect, Operation, Retry};

/// The operations.
pub fn operations(known: &Known) -> Vec<Operation> {
    let mut operations = handles();
    operations.extend(leases(known));
    operations
}

fn handles() -> Vec<Operation> {
    let grant = |variant, effect, scope, id| {
        Operation::new("process-handles.grant-handle", variant, effect, move |db| {
            processes::grant_handle(db, grant(scope, id, "a session"))
        })
    };
    let revoke = |variant, effect, scope, id| {
        Operation::new("process-handles.revoke", variant, effect, move |db| {
            processes::revoke(db, scope, id)
        })
    };
    let transfer = |variant, effect, ids: [&'static str; 2], to| {
        Operation::new("process-handles.transfer", variant, effect, move |db| {
            processes::transfer(db, "a", "a session", to, &ids.map(str::to_owned))
        })
    };
    let revoke_session = |variant, effect, session| {
        Operation::new(
            "process-handles.revoke-session",
            variant,
            effect,
            move |db| processes::revoke_session(db, session),
        )
    };
    let taken = "the handles have left the first scope";
    let moved = || Effect::Writes(Retry::Answers("Ok(Some(\"p\"))", taken));
    let gone = Effect::Writes(Retry::Answers("Ok(Revocation { handles: 0", GONE));
    vec![
        grant("new", Effect::Writes(Retry::Same), "new", "p"),
        grant("replaced", Effect::Writes(Retry::Same), "a", "p"),
        grant("unknown", Effect::Keeps, "a", "unknown"),
        revoke("granted", Effect::Writes(Retry::Same), "a", "p"),
        revoke("not granted", Effect::Keeps, "c", "p"),
        revoke("unknown", Effect::Keeps, "a", "unknown"),
        transfer("two", moved(), ["p", "q"], "c"),
        transfer("onto one that is there", moved(), ["p", "q"], "b"),
        // Found out when the first is moved already.
        transfer("one not granted", Effect::Keeps, ["p", "old"], "c"),
        revoke_session("three handles", gone, "session"),
        revoke_session("unknown", Effect::Keeps, "unknown"),
    ]
}

fn leases(known: &Known) -> Vec<Operation> {
    let claim = |variant, effect, id, owner| {
        Operation::new("process-leases.claim", variant, effect, move |db| {
            processes::claim(db, id, owner, TTL)
        })
    };
    let renew = |variant, effect, token: &str| {
        let token = token.to_owned();
        Operation::new("process-leases.renew", variant, effect, move |db| {
            processes::renew(db, "p", &token, 2 * TTL)
        })
    };
    let release = |variant, effect, token: &str| {
        let token = token.to_owned();
        Operation::new("process-leases.release", variant, effect, move |db| {
            processes::release(db, "p", &token)
        })
    };
    let why = "its owner gets a new lease, with a new token";
    let again = || Effect::Writes(Retry::Again("Ok(Claimed::Lease", why));
    let token = known.lease.token.as_str();
    vec![
        claim("free", again(), "q", "owner"),
        claim("one's own", again(), "p", "owner"),
        claim("held", Effect::Keeps, "p", "another"),
        claim("unknown", Effect::Keeps, "unknown", "owner"),
        renew("held", Effect::Writes(Retry::Same), token),
        renew("lost", Effect::Keeps, "wrong"),
        release("held", Effect::Writes(Retry::Same), token),
        release("lost", Effect::Keeps, "wrong"),
    ]
}
