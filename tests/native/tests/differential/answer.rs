//! What an operation is answered, as JSON.
//!
//! `{"ok": …}`, or `{"error": …}` with the variant of the error and its fields. The
//! wording is left out where it is a backend's own.

use lash_core::{PluginError, RuntimeEffectControllerError, StoreError};
use lashlang::ArtifactStoreError;
use serde::Serialize;
use serde_json::{Value, json};

/// An answer.
pub(crate) type Answer = Value;

/// The answer to something that worked.
pub(crate) fn ok(value: impl Serialize) -> Answer {
    json!({ "ok": serde_json::to_value(value).expect("JSON") })
}

/// What worked, or which error there was.
pub(crate) fn of<T: Serialize, E: Failure>(result: Result<T, E>) -> Answer {
    match result {
        Ok(value) => ok(value),
        Err(error) => json!({ "error": error.comparable() }),
    }
}

/// Whether it worked.
pub(crate) fn is_ok(answer: &Answer) -> bool {
    answer.get("ok").is_some()
}

/// Whether it is the error of a variant.
pub(crate) fn is_error(answer: &Answer, variant: &str) -> bool {
    answer["error"]["variant"] == variant
}

/// An error as what can be compared.
pub(crate) trait Failure {
    /// Its variant and what is not wording.
    fn comparable(&self) -> Value;
}

impl Failure for StoreError {
    fn comparable(&self) -> Value {
        match self {
            Self::SessionBindingMismatch {
                bound_session_id,
                attempted_session_id,
            } => json!({
                "variant": "SessionBindingMismatch",
                "bound": bound_session_id,
                "attempted": attempted_session_id,
            }),
            Self::HeadRevisionConflict { expected, actual } => json!({
                "variant": "HeadRevisionConflict",
                "expected": expected,
                "actual": actual,
            }),
            Self::RuntimeTurnCommitConflict {
                session_id,
                turn_id,
            } => json!({
                "variant": "RuntimeTurnCommitConflict",
                "session": session_id,
                "turn": turn_id,
            }),
            Self::QueuedWorkClaimExpired { session_id, .. } => json!({
                "variant": "QueuedWorkClaimExpired",
                "session": session_id,
            }),
            Self::UnsupportedReadScope(scope) => json!({
                "variant": "UnsupportedReadScope",
                "scope": format!("{scope:?}"),
            }),
            Self::UnsupportedRecordSchemaVersion { .. } => json!({
                "variant": "UnsupportedRecordSchemaVersion",
            }),
            Self::Backend(_) => json!({ "variant": "Backend" }),
        }
    }
}

impl Failure for ArtifactStoreError {
    fn comparable(&self) -> Value {
        json!({
            "variant": match self {
                Self::Encode(_) => "Encode",
                Self::Decode(_) => "Decode",
                _ => "Backend",
            },
        })
    }
}

impl Failure for PluginError {
    /// With the wording, because it is lash-core's, but for times.
    fn comparable(&self) -> Value {
        json!({ "variant": "Plugin", "text": without_times(&self.to_string()) })
    }
}

impl Failure for RuntimeEffectControllerError {
    /// With the wording, unless it is a backend's.
    fn comparable(&self) -> Value {
        let text = match self.code.starts_with("sqlite_effect_replay") {
            true => "",
            false => &self.message,
        };
        json!({ "variant": self.code, "text": text })
    }
}

/// A text without numbers that are ms since 1970.
fn without_times(text: &str) -> String {
    text.split(' ')
        .map(|word| match word.parse::<u64>() {
            Ok(number) if number > 1_000_000_000_000 => "(time)",
            _ => word,
        })
        .collect::<Vec<_>>()
        .join(" ")
}
