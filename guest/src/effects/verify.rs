//! Checking everything in a database of effects, and rebuilding what is derived.

use crate::Result;
use crate::bindings::inspection_types::{Repaired, Verification};
use crate::bindings::types::Error;
use crate::storage::corruption::invalid;
use crate::storage::findings::{Findings, Pages, repair_all, verify_step};
use crate::storage::identity as database_identity;
use crate::storage::paging::List;
use crate::storage::rows::{RowReader, read_one};
use crate::storage::seam::{Environment, Transaction, TransactionMode, Value};

use super::effect_row::{self, EFFECT_PAGES, EffectRow, identity};
use super::scope_row::{self, ScopeRow};

const SCOPES: Pages = Pages {
    table: ScopeRow::TABLE,
    sql: scope_row::FROM,
    columns: ScopeRow::WIDTH,
    size: 256,
};

/// The WIT function `effect-inspection.verify`.
pub fn verify(env: &impl Environment, cursor: Option<&[u8]>) -> Result<Verification> {
    let tx = env.begin(TransactionMode::Read)?;
    let list = List::of("effect-inspection.verify", &[], &[]);
    verify_step(cursor, &list, None, &mut |step, findings| {
        check(&tx, step, findings)
    })
}

/// The WIT function `repair.effects`.
pub fn repair(env: &impl Environment) -> Result<Repaired> {
    let tx = env.begin(TransactionMode::WriteDurable)?;
    let findings = repair_all(env, None, &mut |step, findings| check(&tx, step, findings))?;
    let repaired = findings.into_repaired();
    if !repaired.rebuilt.is_empty() {
        tx.commit()?;
    }
    Ok(repaired)
}

/// Checks the tables of a step.
fn check(tx: &impl Transaction, step: usize, findings: &mut Findings) -> Result<bool> {
    match step {
        0 => {
            database_identity::verify_row(tx, findings)?;
            verify_scopes(tx, findings)?;
        }
        1 => verify_effects(tx, findings)?,
        _ => return Err(invalid("the cursor names no step")),
    }
    Ok(step < 1)
}

fn verify_scopes(tx: &impl Transaction, findings: &mut Findings) -> Result<()> {
    findings.walk(tx, &SCOPES, &mut |findings, reader| {
        let id = reader.clone().integer()?;
        let row = match (ScopeRow::read(reader), findings.repair_time()) {
            (Err(Error::Corrupt(damage)), Some(now_ms)) => {
                ScopeRow::rebuild(tx, id, now_ms)?;
                findings.rebuilt(damage);
                return Ok(());
            }
            (row, _) => row?,
        };
        let rows = tx.query(
            "SELECT count(*) FROM effects WHERE scope_id = ?1",
            &[Value::Integer(row.id)],
        )?;
        let counted = read_one(effect_row::TABLE, &rows, RowReader::integer)?;
        findings.require(
            ScopeRow::TABLE,
            &row.scope,
            counted == Some(row.effects),
            "the effects are not those that were claimed",
        )
    })
}

fn verify_effects(tx: &impl Transaction, findings: &mut Findings) -> Result<()> {
    findings.walk(tx, &EFFECT_PAGES, &mut |findings, reader| {
        let row = EffectRow::read(reader)?;
        findings.require(
            effect_row::TABLE,
            row.replay_key(),
            row.has_whole_claim(),
            "the claim is not whole",
        )?;
        row.recorded(reader.blob()?.to_vec())?;
        findings.require_index_keys(
            tx,
            (effect_row::TABLE, row.replay_key(), row.id),
            [reader.optional_integer()?],
            [Some(identity(&row.scope, &row.replay_key))],
            "UPDATE effects SET identity = ?2 WHERE id = ?1",
        )
    })?;
    findings.orphans(
        tx,
        effect_row::TABLE,
        "SELECT e.id FROM effects e LEFT JOIN effect_scopes s ON s.id = e.scope_id
         WHERE s.id IS NULL LIMIT 100",
        "the scope of the effect is missing",
    )
}
