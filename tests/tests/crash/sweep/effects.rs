//! The operations on a database of effects.

use std::rc::Rc;

use lash_wasm_store_guest::bindings::effect_types::{
    Acquired, Claim, EffectKey, Recorded, Request,
};
use lash_wasm_store_guest::effects;
use lash_wasm_store_testing::faults::FaultyEnvironment;

use crate::sweep::deployment_import;
use crate::sweep::run::{Effect, NOW, Operation, Retry, Table, copy, repair, sound};

const TTL: u64 = 60_000;

fn key(scope: &str, replay_key: &str) -> EffectKey {
    EffectKey {
        scope: scope.to_owned(),
        replay_key: replay_key.to_owned(),
    }
}

fn request(scope: &str, replay_key: &str) -> Request {
    Request {
        key: key(scope, replay_key),
        envelope_hash: "hash".to_owned(),
    }
}

fn outcome() -> Recorded {
    Recorded::Outcome(b"outcome".to_vec())
}

fn acquire(db: &FaultyEnvironment, scope: &str, replay_key: &str) -> Claim {
    let owner = "owner".to_owned();
    match effects::acquire(db, request(scope, replay_key), owner, TTL, Some(7)).unwrap() {
        Acquired::Claimed(claim) => claim,
        Acquired::Known(known) => panic!("{known:?}"),
    }
}

fn finish(db: &FaultyEnvironment, scope: &str, replay_key: &str, recorded: &Recorded) {
    let claim = acquire(db, scope, replay_key);
    assert!(effects::finish(db, &claim.key, &claim.token, recorded).unwrap());
}

/// Scope `old` is over, with two effects; scope `live` has effects in every state.
/// Answers the claim of `busy`.
fn fill(db: &FaultyEnvironment) -> Claim {
    effects::initialize(db).unwrap();
    db.set_time(NOW - 10 * 60_000);
    finish(db, "old", "a", &outcome());
    finish(db, "old", "b", &Recorded::Failure(b"failure".to_vec()));
    acquire(db, "live", "expired");
    db.set_time(NOW);
    finish(db, "live", "finished", &outcome());
    let released = acquire(db, "live", "released");
    effects::release(db, &released.key, &released.token).unwrap();
    acquire(db, "live", "busy")
}

/// The table.
pub fn table() -> Table {
    let mut db = copy(&[]);
    db.seed(0);
    let busy = fill(&db);
    let mut operations = reads();
    operations.extend(claims());
    operations.extend(of_a_claim(&busy));
    operations.extend(removals());
    let image = db.image();
    operations.extend(deployment_import::of_effects(&image));
    operations.push(repair(
        "repair.effects",
        &image,
        "UPDATE effects SET identity = 1 WHERE id = 1;
         UPDATE effect_scopes SET effects = 4711 WHERE id = 1",
        effects::repair,
    ));
    Table {
        kind: "effects",
        start: image.into(),
        operations,
        goes_on: Box::new(|db| {
            let claim = acquire(db, "work", "work");
            format!(
                "{:?}",
                effects::finish(db, &claim.key, &claim.token, &outcome())
            )
        }),
    }
}

fn reads() -> Vec<Operation> {
    let mut operations = Vec::new();
    for name in ["busy", "expired", "finished", "released", "unknown"] {
        operations.push(Operation::new(
            "effects.find",
            name,
            Effect::Reads,
            move |db| effects::find(db, &request("live", name)),
        ));
    }
    operations.push(Operation::new(
        "effects.finished-after",
        "all of a scope",
        Effect::Reads,
        |db| effects::finished_after(db, &key("old", "a"), 10, 1000),
    ));
    operations.push(Operation::new(
        "effects.generations",
        "known and unknown",
        Effect::Reads,
        |db| effects::generations(db, &[key("live", "busy"), key("live", "unknown")]),
    ));
    operations.push(Operation::new(
        "effect-export.read-page",
        "",
        Effect::Reads,
        |db| effects::read_page(db, None),
    ));
    operations.push(Operation::new(
        "effect-inspection.statistics",
        "",
        Effect::Reads,
        effects::statistics,
    ));
    operations.push(Operation::new(
        "effect-inspection.verify",
        "",
        Effect::Reads,
        |db| sound(|cursor| effects::verify(db, cursor)),
    ));
    operations
}

fn claims() -> Vec<Operation> {
    let busy = "the lost claim is live until its lease ends";
    let acquire = |variant, effect, scope, replay_key, delay_ms| {
        Operation::new("effects.acquire", variant, effect, move |db| {
            let owner = "another".to_owned();
            effects::acquire(db, request(scope, replay_key), owner, TTL, delay_ms)
        })
    };
    let lost = || Effect::Writes(Retry::Answers("Ok(Acquired::Known(Known::Busy", busy));
    vec![
        acquire("in a new scope", lost(), "new", "a", Some(5)),
        acquire("in a known scope", lost(), "live", "new", None),
        acquire("an expired claim", lost(), "live", "expired", Some(5)),
        acquire("a released claim", lost(), "live", "released", None),
        acquire("a finished effect", Effect::Keeps, "old", "a", None),
        acquire("a live claim", Effect::Keeps, "live", "busy", None),
        Operation::new(
            "effects.initialize",
            "empty",
            Effect::Writes(Retry::Same),
            effects::initialize,
        )
        .on(&Rc::default()),
        Operation::new(
            "effects.initialize",
            "made before",
            Effect::Keeps,
            effects::initialize,
        ),
    ]
}

fn of_a_claim(busy: &Claim) -> Vec<Operation> {
    let finish = |variant, effect, token: &str, recorded: Recorded| {
        let (key, token) = (busy.key.clone(), token.to_owned());
        Operation::new("effects.finish", variant, effect, move |db| {
            effects::finish(db, &key, &token, &recorded)
        })
    };
    let renew = |variant, effect, token: &str| {
        let (key, token) = (busy.key.clone(), token.to_owned());
        Operation::new("effects.renew", variant, effect, move |db| {
            effects::renew(db, &key, &token, 2 * TTL)
        })
    };
    let release = |variant, effect, token: &str| {
        let (key, token) = (busy.key.clone(), token.to_owned());
        Operation::new("effects.release", variant, effect, move |db| {
            effects::release(db, &key, &token)
        })
    };
    let finished = || {
        let why = "a claim ends with its result; `find` answers that";
        Effect::Writes(Retry::Answers("Ok(false)", why))
    };
    let failure = Recorded::Failure(b"failure".to_vec());
    vec![
        finish("an outcome", finished(), &busy.token, outcome()),
        finish("a failure", finished(), &busy.token, failure),
        finish("a lost claim", Effect::Keeps, "wrong", outcome()),
        renew("held", Effect::Writes(Retry::Same), &busy.token),
        renew("lost", Effect::Keeps, "wrong"),
        release("held", Effect::Writes(Retry::Same), &busy.token),
        release("lost", Effect::Keeps, "wrong"),
    ]
}

fn removals() -> Vec<Operation> {
    let forget = |variant, effect, scope| {
        Operation::new("effects.forget-scope", variant, effect, move |db| {
            effects::forget_scope(db, scope)
        })
    };
    let prune = |variant, effect, before_ms, after| {
        Operation::new("effects.prune", variant, effect, move |db| {
            effects::prune(db, before_ms, after, 10)
        })
    };
    let gone = "what it removed is gone";
    vec![
        forget(
            "ended",
            Effect::Writes(Retry::Answers("Ok(0)", gone)),
            "old",
        ),
        forget(
            "with a live claim",
            Effect::Writes(Retry::Answers("Ok(0)", gone)),
            "live",
        ),
        forget("unknown", Effect::Keeps, "unknown"),
        prune(
            "one of two scopes",
            Effect::Writes(Retry::Answers("Ok(Pruned { effects: 0", gone)),
            u64::MAX,
            0,
        ),
        prune("nothing old enough", Effect::Keeps, 1, 0),
        prune("after the last", Effect::Keeps, u64::MAX, 1000),
    ]
}
