//! Which ends of an effect are recorded.
//!
//! What is recorded is replayed for ever. So only what says something about the
//! effect is: its outcome, and errors that it would have again, or that come after
//! it has taken effect. An error that says that it could not be executed now is
//! answered and forgotten, and the next attempt executes the effect.
//!
//! lash-core tells errors apart by their codes. A code that is not listed here,
//! such as one of an application, is recorded, as all are by the native crate.

use std::path::Path;

use lash_core::{
    LlmTerminalReason, PluginError, RuntimeEffectControllerError, RuntimeEffectOutcome,
    RuntimeErrorCode,
};

use lash_store_engine::wit::effects::{EffectKey, Recorded};

use super::error::PREFIX;
use crate::encoding::{from_json, to_json};
use crate::error::{Error, INFRASTRUCTURE};

const OUTCOME: &str = "the outcome of the effect";

const FAILURE: &str = "the error of the effect";

/// How an effect ended, in lash-core's types.
pub(crate) type Ended = Result<RuntimeEffectOutcome, RuntimeEffectControllerError>;

/// An effect, for who reads an error: its scope, and its key there.
fn name(key: &EffectKey) -> String {
    format!("{} in scope {}", key.replay_key, key.scope)
}

pub(crate) fn to_recorded(path: &Path, key: &EffectKey, ended: &Ended) -> Result<Recorded, Error> {
    let key = name(key);
    Ok(match ended {
        Ok(outcome) => Recorded::Outcome(to_json(path, OUTCOME, &key, outcome)?),
        Err(error) => Recorded::Failure(to_json(path, FAILURE, &key, error)?),
    })
}

pub(crate) fn from_recorded(
    path: &Path,
    key: &EffectKey,
    recorded: &Recorded,
) -> Result<Ended, Error> {
    let key = name(key);
    Ok(match recorded {
        Recorded::Outcome(bytes) => Ok(from_json(path, OUTCOME, &key, bytes)?),
        Recorded::Failure(bytes) => Err(from_json(path, FAILURE, &key, bytes)?),
    })
}

/// Why an error is not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transient {
    /// Whoever wanted the effect did not want it any more.
    Cancelled,
    /// There was nobody who could execute it.
    NotExecutable,
    /// A database or an attachment store failed.
    StoreFailed,
    /// The task that executed it died.
    TaskDied,
}

/// Whether this is what every later attempt is to be returned.
pub(super) fn is_recorded(ended: &Ended) -> bool {
    match ended {
        Err(error) | Ok(RuntimeEffectOutcome::Checkpoint { result: Err(error) }) => {
            transient(error).is_none()
        }
        // A call that failed is an outcome: the turn goes on from there. One that
        // was cancelled says nothing.
        Ok(
            RuntimeEffectOutcome::LlmCall {
                result: Err(error), ..
            }
            | RuntimeEffectOutcome::Direct { result: Err(error) },
        ) => {
            error.terminal_reason != LlmTerminalReason::Cancelled
                // The provider was never asked.
                && error.code.as_deref() != Some("attachment_resolution_failed")
        }
        Ok(
            RuntimeEffectOutcome::ExecCode { result: Err(error) }
            | RuntimeEffectOutcome::SyncExecutionSurface { result: Err(error) },
        ) => !error.contains(INFRASTRUCTURE),
        // So a tool that was cancelled is recorded too: it may have begun.
        Ok(_) => true,
    }
}

/// Whether the effect was cancelled.
pub(super) fn is_cancellation(error: &RuntimeEffectControllerError) -> bool {
    transient(error) == Some(Transient::Cancelled)
}

fn transient(error: &RuntimeEffectControllerError) -> Option<Transient> {
    match error.code.as_str() {
        "runtime_effect_sleep_cancelled" | "runtime_effect_await_event_cancelled" => {
            Some(Transient::Cancelled)
        }
        "runtime_effect_local_executor_unavailable"
        | "runtime_effect_local_executor_mismatch"
        // No tool has run yet.
        | "tool_surface_resolution_failed" => Some(Transient::NotExecutable),
        "runtime_store" | "runtime_effect_attachment_store" => Some(Transient::StoreFailed),
        // Of an effect within this one.
        code if code.starts_with(PREFIX) => Some(Transient::StoreFailed),
        "runtime_effect_process_task_join" => Some(Transient::TaskDied),
        code => match RuntimeErrorCode::from(code) {
            RuntimeErrorCode::StoreCommitFailed => Some(Transient::StoreFailed),
            RuntimeErrorCode::DurableStoreRequired { .. } => Some(Transient::NotExecutable),
            RuntimeErrorCode::TurnStreamJoin => Some(Transient::TaskDied),
            _ => is_of_failing_store(&error.message).then_some(Transient::StoreFailed),
        },
    }
}

/// lash-core has one code for all that a registry returns. What this crate's
/// registry says of a failing database begins in a way of its own.
fn is_of_failing_store(message: &str) -> bool {
    let plugin = PluginError::Session(INFRASTRUCTURE.to_owned()).to_string();
    message.starts_with(INFRASTRUCTURE) || message.starts_with(&plugin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lash_core::RuntimeError;
    use lash_core::sansio::LlmCallError;

    fn recorded(code: &str, message: &str) -> bool {
        is_recorded(&Err(RuntimeEffectControllerError::new(code, message)))
    }

    #[test]
    fn what_says_that_an_effect_could_not_be_executed_is_not_recorded() {
        for code in [
            "runtime_effect_sleep_cancelled",
            "runtime_effect_await_event_cancelled",
            "runtime_effect_local_executor_unavailable",
            "runtime_effect_local_executor_mismatch",
            "tool_surface_resolution_failed",
            "durable_store_required:attachment_store",
            "runtime_store",
            "runtime_effect_attachment_store",
            "store_commit_failed",
            "sqlite_effect_replay_store",
            "sqlite_effect_replay_lease_lost",
            "runtime_effect_process_task_join",
            "turn_stream_join",
        ] {
            assert!(!recorded(code, "message"), "{code}");
        }
    }

    #[test]
    fn what_says_something_about_an_effect_is_recorded() {
        for code in [
            "plugin",
            "tool_result_missing",
            "tool_host_event_outcome_drain",
            "runtime_effect_await_event_invalid_ordinal",
            "runtime_effect_await_event_key_mismatch",
            "runtime_effect_wrong_outcome",
            "plugin_checkpoint",
            "missing_effect_scope_id",
            "of_an_application",
            "",
        ] {
            assert!(recorded(code, "message"), "{code}");
        }
    }

    #[test]
    fn a_failing_registry_is_told_from_an_answer_of_it() {
        let of = |message: String| {
            is_recorded(&Err(RuntimeEffectControllerError::from(
                PluginError::Session(message),
            )))
        };
        assert!(of("unknown process `p`".to_owned()));
        assert!(!of(format!("{INFRASTRUCTURE}p.db is locked")));
        assert!(of(format!("unknown process `{INFRASTRUCTURE}`")));
    }

    /// Another release may have written it. The error did not name the scope.
    #[test]
    fn a_result_that_cannot_be_decoded_is_named() {
        let key = EffectKey {
            scope: "the scope".to_owned(),
            replay_key: "e1".to_owned(),
        };
        let recorded = Recorded::Outcome(br#"{"type":"later"}"#.to_vec());
        let error = from_recorded(Path::new("x.db"), &key, &recorded).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("effect e1 in scope the scope in x.db"),
            "{text}"
        );
    }

    #[test]
    fn an_error_within_a_checkpoint_is_judged_alike() {
        let of = |code: RuntimeErrorCode| {
            is_recorded(&Ok(RuntimeEffectOutcome::Checkpoint {
                result: Err(RuntimeError::new(code, "message").into()),
            }))
        };
        assert!(!of(RuntimeErrorCode::StoreCommitFailed));
        assert!(of(RuntimeErrorCode::PluginCheckpoint));
    }

    /// An attachment that could not be read, or a failing database within executed
    /// code, was replayed for ever.
    #[test]
    fn a_failing_store_within_an_outcome_is_not_recorded() {
        let unresolved = LlmCallError {
            message: "message".to_owned(),
            retryable: false,
            raw: None,
            code: Some("attachment_resolution_failed".to_owned()),
            terminal_reason: LlmTerminalReason::ProviderError,
            request_body: None,
        };
        assert!(!is_recorded(&Ok(RuntimeEffectOutcome::Direct {
            result: Err(unresolved),
        })));
        let code = |message: String| {
            is_recorded(&Ok(RuntimeEffectOutcome::ExecCode {
                result: Err(message),
            }))
        };
        assert!(!code(format!("process: {INFRASTRUCTURE}p.db is locked")));
        assert!(code("division by zero".to_owned()));
    }

    #[test]
    fn a_call_that_failed_is_recorded_and_one_that_was_cancelled_is_not() {
        let of = |terminal_reason| {
            is_recorded(&Ok(RuntimeEffectOutcome::Direct {
                result: Err(LlmCallError {
                    message: "message".to_owned(),
                    retryable: true,
                    raw: None,
                    code: None,
                    terminal_reason,
                    request_body: None,
                }),
            }))
        };
        assert!(of(LlmTerminalReason::ProviderError));
        assert!(!of(LlmTerminalReason::Cancelled));
    }
}
