//! Commands to the process registry.

use lash_core::{
    ProcessCommand, ProcessEffectOutcome, ProcessEventAppendRequest, ProcessListMode,
    RuntimeEffectControllerError, RuntimeEffectLocalExecutor,
};

use crate::error::unknown_process;

/// Runs a command against the registry of the executor.
pub(super) async fn execute(
    command: ProcessCommand,
    local_executor: RuntimeEffectLocalExecutor<'_>,
) -> Result<ProcessEffectOutcome, RuntimeEffectControllerError> {
    let registry = local_executor.into_process()?.registry;
    Ok(match command {
        ProcessCommand::Start {
            registration,
            grant,
            ..
        } => {
            let record = registry.register_process(registration).await?;
            if let Some(grant) = grant {
                registry
                    .grant_handle(&grant.session_scope, &record.id, grant.descriptor)
                    .await?;
            }
            ProcessEffectOutcome::Start { record }
        }
        ProcessCommand::List {
            session_scope,
            mode,
        } => ProcessEffectOutcome::List {
            entries: match mode {
                ProcessListMode::Live => registry.list_live_handle_grants(&session_scope).await?,
                ProcessListMode::All => registry.list_handle_grants(&session_scope).await?,
            },
        },
        ProcessCommand::Transfer {
            from_scope,
            to_scope,
            process_ids,
        } => {
            registry
                .transfer_handle_grants(&from_scope, &to_scope, &process_ids)
                .await?;
            ProcessEffectOutcome::Transfer
        }
        ProcessCommand::DeleteSession { session_id } => ProcessEffectOutcome::DeleteSession {
            report: registry.delete_session_process_state(&session_id).await?,
        },
        ProcessCommand::Await { process_id } => ProcessEffectOutcome::Await {
            output: registry.await_process(&process_id).await?,
        },
        ProcessCommand::Cancel { process_id, reason } => {
            let request = ProcessEventAppendRequest::cancel_requested(&process_id, reason);
            registry.append_event(&process_id, request).await?;
            let record = match registry.get_process(&process_id).await {
                Some(record) => record,
                // It was there just now. A failure looks like absence here, and
                // must not be recorded as that.
                None => {
                    registry.handle_grants_for_process(&process_id).await?;
                    return Err(unknown_process(&process_id).into());
                }
            };
            ProcessEffectOutcome::Cancel { record }
        }
        ProcessCommand::Signal {
            process_id,
            request,
            ..
        } => ProcessEffectOutcome::Signal {
            event: registry.append_event(&process_id, request).await?.event,
        },
    })
}
