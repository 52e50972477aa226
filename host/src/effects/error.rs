//! The errors of controllers. Their codes are those of the native crate, and part
//! of the interface.

use lash_core::{EffectScope, RuntimeEffectControllerError};
use lash_store_engine::observability::Chain;
use lash_store_engine::wit::effects::Request;

use crate::EngineError;
use crate::error::Error;

/// How all of the codes begin.
pub(super) const PREFIX: &str = "sqlite_effect_replay_";

fn with(code: &str, message: impl Into<String>) -> RuntimeEffectControllerError {
    RuntimeEffectControllerError::new(format!("{PREFIX}{code}"), message)
}

/// Names an effect in a message.
fn name(scope: &EffectScope, request: &Request) -> String {
    let replay_key = &request.key.replay_key;
    format!("effect `{replay_key}` of scope `{}`", scope.id())
}

/// The envelope does not say which effect it is.
pub(super) fn key_missing() -> RuntimeEffectControllerError {
    with(
        "key_missing",
        "the effect has no replay key, so it could not be recorded; it was not executed",
    )
}

/// Nothing is recorded, and nothing may be executed.
pub(super) fn missing(scope: &EffectScope, request: &Request) -> RuntimeEffectControllerError {
    with(
        "missing",
        format!(
            "nothing is recorded of {}, and it is only to be replayed",
            name(scope, request)
        ),
    )
}

/// Something else is recorded under the key.
pub(super) fn hash_conflict(
    scope: &EffectScope,
    request: &Request,
) -> RuntimeEffectControllerError {
    with(
        "hash_conflict",
        format!(
            "{} was executed earlier with other content; a replay must ask for the same",
            name(scope, request)
        ),
    )
}

/// Somebody else executes, or has executed, the effect.
pub(super) fn lease_lost(scope: &EffectScope, request: &Request) -> RuntimeEffectControllerError {
    with(
        "lease_lost",
        format!(
            "the claim of {} was taken over while it was executed; this result was dropped, theirs counts",
            name(scope, request)
        ),
    )
}

/// The database failed.
impl From<Error> for RuntimeEffectControllerError {
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::Engine(EngineError::Corrupt { .. } | EngineError::Malformed { .. }) => {
                "corrupt_row"
            }
            Error::Engine(_) => "store",
            Error::Encode { .. } => "encode",
            Error::TooDeep { .. } => "too_deep",
            Error::Condemned { .. } => "condemned",
            Error::Decode { .. } => "decode",
        };
        with(code, Chain(&error).to_string())
    }
}
