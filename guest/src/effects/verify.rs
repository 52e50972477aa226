//! Checking everything in a database of effects.

use crate::Result;
use crate::bindings::inspection_types::Verification;
use crate::storage::findings::{Findings, Pages, verify_step};
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
    verify_step(
        cursor,
        &list,
        None,
        &[
            &|findings| {
                database_identity::verify_row(&tx, findings)?;
                verify_scopes(&tx, findings)
            },
            &|findings| verify_effects(&tx, findings),
        ],
    )
}

fn verify_scopes(tx: &impl Transaction, findings: &mut Findings) -> Result<()> {
    findings.walk(tx, &SCOPES, &mut |findings, reader| {
        let row = ScopeRow::read(reader)?;
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
        let stored = reader.integer()?;
        let expected = identity(&row.scope, &row.replay_key);
        findings.require_index_keys(effect_row::TABLE, row.replay_key(), stored, expected)
    })?;
    findings.orphans(
        tx,
        effect_row::TABLE,
        "SELECT e.id FROM effects e LEFT JOIN effect_scopes s ON s.id = e.scope_id
         WHERE s.id IS NULL LIMIT 100",
        "the scope of the effect is missing",
    )
}
