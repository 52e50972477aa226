//! How an effect is named: its scope, its key, and the topic that one waits for.

use std::path::Path;

use lash_core::EffectScope;
use lash_store_engine::wit::effects::EffectKey;

use crate::encoding::to_json_text;
use crate::error::Error;

/// What separates the scope and the key in a topic. It is not in a scope.
const SEPARATOR: char = '\0';

/// The whole scope as text: its kind, and with it all identifiers. Scopes of
/// different kinds or sessions often have the same last identifier.
pub(crate) fn to_scope(path: &Path, scope: &EffectScope) -> Result<String, Error> {
    to_json_text(path, "an effect scope", scope.id(), scope)
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
