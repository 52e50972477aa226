//! Executing a claimed effect.

use std::sync::Arc;
use std::time::Duration;

use lash_core::{
    RuntimeEffectCommand, RuntimeEffectEnvelope, RuntimeEffectLocalExecutor, RuntimeEffectOutcome,
};

use super::recording::{Ended, is_cancellation};
use super::{Shared, process};

/// How long after the first claim an effect is due.
pub(crate) fn delay_ms(envelope: &RuntimeEffectEnvelope) -> Option<u64> {
    match envelope.command {
        RuntimeEffectCommand::Sleep { duration_ms } => Some(duration_ms),
        _ => None,
    }
}

/// Executes an effect: sleeps by the recorded due time, runs process commands
/// against the executor's registry, and leaves everything else to the executor.
pub(super) async fn execute(
    shared: &Arc<Shared>,
    due_at_ms: Option<u64>,
    envelope: RuntimeEffectEnvelope,
    local_executor: RuntimeEffectLocalExecutor<'_>,
) -> Ended {
    let RuntimeEffectEnvelope {
        invocation,
        command,
    } = envelope;
    match command {
        RuntimeEffectCommand::Sleep { duration_ms } => {
            let left = left(shared, due_at_ms, Some(duration_ms));
            let command = RuntimeEffectCommand::Sleep {
                duration_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
            };
            let envelope = RuntimeEffectEnvelope {
                invocation,
                command,
            };
            sleep(left, envelope, local_executor).await
        }
        RuntimeEffectCommand::Process { command } => process::execute(*command, local_executor)
            .await
            .map(|result| RuntimeEffectOutcome::Process { result }),
        command => {
            let envelope = RuntimeEffectEnvelope {
                invocation,
                command,
            };
            local_executor.execute(envelope).await
        }
    }
}

/// How long it is until an effect is due. Never longer than it was delayed: a
/// clock that was set back must not hold it up.
fn left(shared: &Shared, due_at_ms: Option<u64>, delay_ms: Option<u64>) -> Duration {
    let left_ms = due_at_ms.map_or(0, |due_at_ms| due_at_ms.saturating_sub(shared.db.now_ms()));
    Duration::from_millis(delay_ms.map_or(left_ms, |delay_ms| left_ms.min(delay_ms)))
}

/// Waits until a recorded effect is due. Mostly it was due before it was recorded.
pub(super) async fn wait_for_due(shared: &Shared, due_at_ms: Option<u64>, delay_ms: Option<u64>) {
    let left = left(shared, due_at_ms, delay_ms);
    if !left.is_zero() {
        tokio::time::sleep(left).await;
    }
}

/// Sleeps. Only the executor knows when the sleep is cancelled, so it sleeps too;
/// that it has no notion of sleeping, or ends early, does not matter.
async fn sleep(
    left: Duration,
    envelope: RuntimeEffectEnvelope,
    local_executor: RuntimeEffectLocalExecutor<'_>,
) -> Ended {
    if left.is_zero() {
        return Ok(RuntimeEffectOutcome::Sleep);
    }
    let cancelled = async {
        match local_executor.execute(envelope).await {
            Err(error) if is_cancellation(&error) => error,
            _ => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = tokio::time::sleep(left) => Ok(RuntimeEffectOutcome::Sleep),
        error = cancelled => Err(error),
    }
}
