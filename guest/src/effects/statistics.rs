//! Counting what a database of effects holds.

use crate::Result;
use crate::bindings::inspection_types::EffectStatistics;
use crate::storage::counts::counts;
use crate::storage::seam::{Environment, TransactionMode, Value};

use super::effect_row;
use super::scope_row::ScopeRow;

/// The WIT function `effect-inspection.statistics`.
pub fn statistics(env: &impl Environment) -> Result<EffectStatistics> {
    let tx = env.begin(TransactionMode::Read)?;
    let now_ms = Value::Integer(env.now_ms());
    let [scopes] = counts(
        &tx,
        ScopeRow::TABLE,
        "SELECT count(*) FROM effect_scopes",
        &[],
    )?;
    let [claimed, expired, released, completed, failed, bytes] = counts(
        &tx,
        effect_row::TABLE,
        "SELECT count(CASE WHEN status = 1 AND lease_expires_ms > ?1 THEN 1 END),
                count(CASE WHEN status = 1 AND lease_expires_ms <= ?1 THEN 1 END),
                count(CASE WHEN status = 2 THEN 1 END),
                count(CASE WHEN status = 3 THEN 1 END),
                count(CASE WHEN status = 4 THEN 1 END),
                sum(length(content))
         FROM effects NOT INDEXED",
        &[now_ms],
    )?;
    Ok(EffectStatistics {
        scopes,
        claimed,
        expired,
        released,
        completed,
        failed,
        bytes,
    })
}
