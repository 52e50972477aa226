//! The interface of effect databases.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Component, exports};
use crate::bindings::effect_types::{
    Acquired, EffectKey, FinishedEffect, Known, Pruned, Recorded, Request,
};
use crate::bindings::format_types::Initialized;
use crate::bindings::sqlite::Database;
use crate::bindings::types::Error;
use crate::effects;

impl exports::effects::Guest for Component {
    fn initialize(db: &Database) -> Result<Initialized, Error> {
        effects::initialize(db)
    }

    fn find(db: &Database, request: Request) -> Result<Known, Error> {
        effects::find(db, &request)
    }

    fn finished_after(
        db: &Database,
        key: EffectKey,
        limit: u32,
        max_bytes: u64,
    ) -> Result<Vec<FinishedEffect>, Error> {
        effects::finished_after(db, &key, limit, max_bytes)
    }

    fn acquire(
        db: &Database,
        request: Request,
        owner_id: String,
        ttl_ms: u64,
        delay_ms: Option<u64>,
    ) -> Result<Acquired, Error> {
        effects::acquire(db, request, owner_id, ttl_ms, delay_ms)
    }

    fn renew(
        db: &Database,
        key: EffectKey,
        token: String,
        ttl_ms: u64,
    ) -> Result<Option<u64>, Error> {
        effects::renew(db, &key, &token, ttl_ms)
    }

    fn finish(
        db: &Database,
        key: EffectKey,
        token: String,
        recorded: Recorded,
    ) -> Result<bool, Error> {
        effects::finish(db, &key, &token, &recorded)
    }

    fn release(db: &Database, key: EffectKey, token: String) -> Result<(), Error> {
        effects::release(db, &key, &token)
    }

    fn generations(db: &Database, keys: Vec<EffectKey>) -> Result<Vec<Option<u64>>, Error> {
        effects::generations(db, &keys)
    }

    fn forget_scope(db: &Database, scope: String) -> Result<u64, Error> {
        effects::forget_scope(db, &scope)
    }

    fn prune(db: &Database, ended_before_ms: u64, after: u64, limit: u32) -> Result<Pruned, Error> {
        #[cfg(feature = "hostile")]
        if let Some(answer) = crate::hostile::endless::pruned(ended_before_ms, after) {
            return Ok(answer);
        }
        effects::prune(db, ended_before_ms, after, limit)
    }
}
