//! Effects: their names, and what is recorded of them.

use std::path::Path;

use lash_core::{
    EffectScope, RuntimeEffectCommand, RuntimeEffectControllerError, RuntimeEffectEnvelope,
    RuntimeEffectOutcome,
};
use lash_store_engine::wit::effects::{EffectKey, Recorded};

use super::{from_json, to_json};
use crate::error::Error;

/// How an effect ended, in lash-core's types.
pub(crate) type Ended = Result<RuntimeEffectOutcome, RuntimeEffectControllerError>;

/// What separates the scope and the key in a topic. It is not in a scope.
const SEPARATOR: char = '\0';

/// The whole scope as text: its kind, and with it all identifiers. Scopes of
/// different kinds or sessions often have the same last identifier.
pub(crate) fn to_scope(path: &Path, scope: &EffectScope) -> Result<String, Error> {
    serde_json::to_string(scope).map_err(|source| Error::encode(path, "an effect scope", source))
}

/// The name by which one waits for an effect.
pub(crate) fn to_topic(key: &EffectKey) -> String {
    format!("{}{SEPARATOR}{}", key.scope, key.replay_key)
}

/// The effect that a topic names.
pub(crate) fn from_topic(topic: &str) -> EffectKey {
    let (scope, replay_key) = topic.split_once(SEPARATOR).unwrap_or((topic, ""));
    EffectKey {
        scope: scope.to_owned(),
        replay_key: replay_key.to_owned(),
    }
}

/// How long after the first claim an effect is due.
pub(crate) fn delay_ms(envelope: &RuntimeEffectEnvelope) -> Option<u64> {
    match envelope.command {
        RuntimeEffectCommand::Sleep { duration_ms } => Some(duration_ms),
        _ => None,
    }
}

pub(crate) fn to_recorded(path: &Path, ended: &Ended) -> Result<Recorded, Error> {
    Ok(match ended {
        Ok(outcome) => Recorded::Outcome(to_json(path, "an effect outcome", outcome)?),
        Err(error) => Recorded::Failure(to_json(path, "an effect error", error)?),
    })
}

pub(crate) fn from_recorded(
    path: &Path,
    replay_key: &str,
    recorded: &Recorded,
) -> Result<Ended, Error> {
    Ok(match recorded {
        Recorded::Outcome(bytes) => Ok(from_json(path, "an effect outcome", replay_key, bytes)?),
        Recorded::Failure(bytes) => Err(from_json(path, "an effect error", replay_key, bytes)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_names_its_effect_whatever_is_in_the_names() {
        for (id, replay_key) in [("turn", "key"), ("a\0b", "c\0d"), ("", "")] {
            let scope = EffectScope::turn("session", id);
            let key = EffectKey {
                scope: to_scope(Path::new("x"), &scope).unwrap(),
                replay_key: replay_key.to_owned(),
            };
            let found = from_topic(&to_topic(&key));
            assert_eq!(found.scope, key.scope);
            assert_eq!(found.replay_key, key.replay_key);
        }
    }
}
