//! What a controller that replays will be asked for next.
//!
//! A turn that is run again asks for its effects in the order in which they were
//! first executed. Who finds one therefore reads those that follow it too, and
//! decodes them, where the database is; they are returned without another call. A
//! result never changes, so it is as good later as it was when it was read.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use lash_store_engine::Call;
use lash_store_engine::observability::Logged;
use lash_store_engine::wit::effects::{EffectKey, Request};

use super::recording::{Ended, from_recorded};
use crate::error::Error;
use crate::sync::lock;

/// How many effects are read ahead.
const MOST_EFFECTS: u32 = 64;

/// How much may be read ahead, in bytes of results.
const MOST_BYTES: u64 = 1 << 20;

/// A finished effect.
pub(super) struct Finished {
    pub(super) envelope_hash: String,
    pub(super) ended: Ended,
    /// When it is due, in ms since 1970.
    pub(super) due_at_ms: Option<u64>,
}

/// Finished effects of one scope, by their replay keys.
#[derive(Default)]
pub(super) struct Ahead(Mutex<HashMap<String, Finished>>);

impl Ahead {
    /// Takes out an effect, which will not be asked for again soon.
    pub(super) fn take(&self, replay_key: &str) -> Option<Finished> {
        self.effects().remove(replay_key)
    }

    /// Reads what follows an effect, in place of what was read before. A failure is logged:
    /// whoever asks for one of these effects will have it.
    pub(super) fn read(&self, call: &mut Call<'_>, request: &Request) {
        if let Err(error) = self.try_read(call, request) {
            let error = Logged(&error);
            tracing::warn!(%error, "could not read the effects that follow one");
        }
    }

    fn try_read(&self, call: &mut Call<'_>, request: &Request) -> Result<(), Error> {
        let following = call
            .effects()
            .finished_after(&request.key, MOST_EFFECTS, MOST_BYTES)?;
        let mut ahead = HashMap::with_capacity(following.len());
        for effect in following {
            let key = EffectKey {
                scope: request.key.scope.clone(),
                replay_key: effect.replay_key,
            };
            // What cannot be decoded is an error when it is asked for, not before.
            let decoded = from_recorded(call.path(), &key, &effect.recorded);
            if let Ok(ended) = decoded {
                let finished = Finished {
                    envelope_hash: effect.envelope_hash,
                    ended,
                    due_at_ms: effect.due_at_ms,
                };
                ahead.insert(key.replay_key, finished);
            }
        }
        *self.effects() = ahead;
        Ok(())
    }

    fn effects(&self) -> MutexGuard<'_, HashMap<String, Finished>> {
        // A cache has no invariant that a panic could have broken.
        lock(&self.0)
    }
}
