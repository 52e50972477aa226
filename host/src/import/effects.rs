//! Databases of effects.
//!
//! The native crate keeps an effect under the last identifier of its scope. The component
//! keeps it apart under that, until somebody asks for it who knows the scope.

use lash_core::{RuntimeEffectControllerError, RuntimeEffectOutcome};
use lash_store_engine::wit::effect_import::{ImportedEffect, ImportedEffectClaim, ImportedState};
use lash_store_engine::wit::effects::Recorded;

use super::error::ImportError;
use super::json::{decode, require};
use super::run::Run;
use super::table::{Reason, SourceRow, Table};

const EFFECTS: Table = Table {
    name: "runtime_effect_replay",
    columns: "scope_id || ' ' || replay_key, scope_id, replay_key, envelope_hash, status,
        outcome_json, error_json, lease_owner_id, lease_token, lease_expires_at_ms, due_at_ms,
        created_at_ms, updated_at_ms",
};

/// How long a SHA-256 digest in hex is.
const DIGEST_LENGTH: usize = 64;

/// Brings everything over.
pub(super) fn import(run: &mut Run<'_>) -> Result<(), ImportError> {
    run.table(
        &EFFECTS,
        |_, row| effect(row),
        |call, effects| Ok(call.effect_import().add_effects(effects)?),
    )
}

fn effect(row: &SourceRow<'_>) -> Result<ImportedEffect, Reason> {
    let envelope_hash = row.text(3)?;
    require(
        envelope_hash.len() == DIGEST_LENGTH
            && envelope_hash.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "the envelope hash is no digest",
    )?;
    Ok(ImportedEffect {
        scope_id: row.text(1)?.to_owned(),
        replay_key: row.text(2)?.to_owned(),
        envelope_hash: envelope_hash.to_owned(),
        state: state(row)?,
        due_at_ms: row.optional_time(10)?,
        claimed_at_ms: row.unsigned(11)?,
        updated_at_ms: row.unsigned(12)?,
    })
}

fn state(row: &SourceRow<'_>) -> Result<ImportedState, Reason> {
    let outcome = row.optional_text(5)?;
    let failure = row.optional_text(6)?;
    let claim = row.optional_text(7)?.zip(row.optional_text(8)?);
    Ok(match (row.text(4)?, outcome, failure, claim) {
        ("completed", Some(outcome), None, None) => {
            decode::<RuntimeEffectOutcome>("the outcome", outcome)?;
            ImportedState::Finished(Recorded::Outcome(outcome.as_bytes().to_vec()))
        }
        ("failed", None, Some(failure), None) => {
            decode::<RuntimeEffectControllerError>("the error", failure)?;
            ImportedState::Finished(Recorded::Failure(failure.as_bytes().to_vec()))
        }
        ("in_progress", None, None, Some((owner_id, token))) => {
            ImportedState::Claimed(ImportedEffectClaim {
                owner_id: owner_id.to_owned(),
                token: token.to_owned(),
                expires_at_ms: row.time(9)?,
            })
        }
        ("completed" | "failed" | "in_progress", ..) => {
            return Err("the status does not fit the result and the lease".to_owned());
        }
        (status, ..) => return Err(format!("the status `{status}` is not known")),
    })
}
