//! The functions of databases of effects.

use lash_wasm_store_guest::bindings::effect_types::{Acquired, EffectKey, Recorded, Request};
use lash_wasm_store_guest::bindings::import_types::{
    ImportedEffect, ImportedEffectClaim, ImportedState,
};
use lash_wasm_store_guest::effects;
use lash_wasm_store_guest::seam::Environment;

use super::Calls;
use crate::fuzz::input::Input;

pub(super) fn call<E: Environment>(env: &E, input: &mut Input<'_>, calls: &mut Calls) {
    match input.below(14) {
        0..4 => {
            let (request, owner) = (request(input), input.name());
            let (ttl, delay) = (input.number(), input.maybe(Input::number));
            let acquired = effects::acquire(env, request, owner, ttl, delay);
            if let Some(Acquired::Claimed(claim)) = calls.answered("effects.acquire", acquired) {
                calls.keep(&claim.token);
            }
        }
        4..7 => {
            let (key, token, recorded) = (key(input), calls.word(input), recorded(input));
            let finished = effects::finish(env, &key, &token, &recorded);
            calls.answered("effects.finish", finished);
        }
        7 => {
            let (key, token) = (key(input), calls.word(input));
            let renewed = effects::renew(env, &key, &token, input.number());
            calls.answered("effects.renew", renewed);
        }
        8 => {
            let (key, token) = (key(input), calls.word(input));
            calls.answered("effects.release", effects::release(env, &key, &token));
        }
        9 => read(env, input, calls),
        10 => {
            let forgotten = effects::forget_scope(env, &input.name());
            calls.answered("effects.forget-scope", forgotten);
        }
        11 => {
            let (before, after) = (input.number(), input.number());
            let pruned = effects::prune(env, before, after, input.number() as u32);
            calls.answered("effects.prune", pruned);
        }
        _ => import(env, input, calls),
    }
}

fn key(input: &mut Input<'_>) -> EffectKey {
    EffectKey {
        scope: input.name(),
        replay_key: input.name(),
    }
}

fn request(input: &mut Input<'_>) -> Request {
    Request {
        key: key(input),
        envelope_hash: input.name(),
    }
}

fn recorded(input: &mut Input<'_>) -> Recorded {
    match input.flag() {
        false => Recorded::Outcome(input.bytes()),
        true => Recorded::Failure(input.bytes()),
    }
}

fn read<E: Environment>(env: &E, input: &mut Input<'_>, calls: &mut Calls) {
    match input.below(4) {
        0 => {
            calls.answered("effects.find", effects::find(env, &request(input)));
        }
        1 => {
            let (key, limit) = (key(input), input.number() as u32);
            let finished = effects::finished_after(env, &key, limit, input.number());
            calls.answered("effects.finished-after", finished);
        }
        2 => {
            let keys = input.list(key);
            calls.answered("effects.generations", effects::generations(env, &keys));
            calls.answered("statistics", effects::statistics(env));
        }
        _ => {
            let cursor = input.maybe(Input::bytes);
            let page = effects::read_page(env, cursor.as_deref());
            calls.answered("effect-export.read-page", page);
        }
    }
}

fn import<E: Environment>(env: &E, input: &mut Input<'_>, calls: &mut Calls) {
    if input.flag() {
        let scope = input.name();
        let adopted = effects::adopt(env, &scope, &request(input));
        calls.answered("effect-import.adopt", adopted);
        calls.answered("effect-import.has-imported", effects::has_imported(env));
        return;
    }
    let added = input.list(|input| ImportedEffect {
        scope_id: input.name(),
        replay_key: input.name(),
        envelope_hash: input.name(),
        state: match input.flag() {
            false => ImportedState::Finished(recorded(input)),
            true => ImportedState::Claimed(ImportedEffectClaim {
                owner_id: input.name(),
                token: input.name(),
                expires_at_ms: input.number(),
            }),
        },
        due_at_ms: input.maybe(Input::number),
        claimed_at_ms: input.number(),
        updated_at_ms: input.number(),
    });
    let added = effects::add_effects(env, &added);
    calls.answered("effect-import.add-effects", added);
}
