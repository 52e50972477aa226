//! The row of a scope: how many effects it has.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::effect_row::{self, EffectRow};
use crate::Result;
use crate::storage::corruption::{confirm_found, missing, verify_count};
use crate::storage::rows::{RowReader, read_all, read_one};
use crate::storage::seam::{Transaction, Value, clamp, unsigned};
use crate::storage::sql::{excluded, sql};
use crate::storage::table::table;

table! {
    /// A scope. It exists as long as it has effects.
    pub(super) struct ScopeRow in "effect_scopes", named by scope {
        id: i64,
        scope: String,
        effects: i64,
        /// When one of the effects was last claimed.
        last_claim_ms: i64,
    }
}

/// The scopes from a number on, in order.
pub(super) const FROM: &str = sql!(
    ScopeRow::SELECT,
    "NOT INDEXED WHERE id >= ?1 ORDER BY id LIMIT ?2"
);

impl ScopeRow {
    /// Finds a scope.
    pub(super) fn find(tx: &impl Transaction, scope: &str) -> Result<Option<Self>> {
        let rows = tx.query(
            sql!(ScopeRow::SELECT, "WHERE scope = ?1"),
            &[Value::Text(scope)],
        )?;
        read_one(Self::TABLE, &rows, |reader| {
            let row = Self::read(reader)?;
            confirm_found(Self::TABLE, scope, row.scope == scope)?;
            Ok(row)
        })
    }

    /// A scope without effects. It is not stored yet.
    pub(super) fn new(tx: &impl Transaction, scope: &str) -> Result<Self> {
        // Nothing refers to a scope that is gone, so its number may come again.
        let rows = tx.query("SELECT ifnull(max(id), 0) + 1 FROM effect_scopes", &[])?;
        Ok(Self {
            id: read_one(Self::TABLE, &rows, RowReader::integer)?.unwrap_or(1),
            scope: scope.to_string(),
            effects: 0,
            last_claim_ms: 0,
        })
    }

    /// Scopes by number, after the given one, as far as they can be read.
    pub(super) fn after(
        tx: &impl Transaction,
        id: i64,
        limit: u32,
    ) -> Result<Vec<(i64, Result<Self>)>> {
        let rows = tx.query(
            sql!(ScopeRow::SELECT, "WHERE id > ?1 ORDER BY id LIMIT ?2"),
            &[Value::Integer(id), Value::Integer(i64::from(limit))],
        )?;
        read_all(Self::TABLE, &rows, |reader| {
            let mut row = reader.split_row(Self::WIDTH)?;
            let found = row.clone().integer()?;
            confirm_found(Self::TABLE, found, found > id)?;
            Ok((found, Self::read(&mut row)))
        })
    }

    /// Makes the row of a scope anew from its effects. They say the name of the scope, so it
    /// is right if they can be read.
    pub(super) fn rebuild(tx: &impl Transaction, id: i64, now_ms: i64) -> Result<()> {
        let effects = effect_row::of_scope(tx, id)?;
        let first = effects
            .first()
            .ok_or_else(|| missing(effect_row::TABLE, id))?;
        let row = Self {
            id,
            scope: first.scope.clone(),
            effects: clamp(effects.len() as u64),
            // When it was is not known: as late as can be, so that it is kept longest.
            last_claim_ms: now_ms,
        };
        row.store(tx)
    }

    /// Counts an effect that is new.
    pub(super) fn add(&mut self) {
        self.effects = self.effects.saturating_add(1);
    }

    /// Notes a claim of one of the effects.
    pub(super) fn claim(&mut self, now_ms: i64) {
        self.last_claim_ms = self.last_claim_ms.max(now_ms);
    }

    /// Whether the last claim is older than a time. If not, the scope is not over.
    pub(super) fn was_claimed_before(&self, before_ms: i64) -> bool {
        self.last_claim_ms < before_ms
    }

    /// Counts effects that were removed.
    pub(super) fn remove(&mut self, removed: &[EffectRow]) {
        self.effects = self.effects.saturating_sub(removed.len() as i64);
    }

    /// These are all effects of the scope.
    pub(super) fn verify_complete(&self, effects: &[EffectRow]) -> Result<()> {
        verify_count(
            effect_row::TABLE,
            effects.len() as u64,
            unsigned(self.effects),
        )
    }

    /// Writes the row in place of the one with its number; removes it if no effect
    /// is left.
    pub(super) fn store(&self, tx: &impl Transaction) -> Result<()> {
        if self.effects == 0 {
            tx.execute(
                "DELETE FROM effect_scopes WHERE id = ?1",
                &[Value::Integer(self.id)],
            )?;
            return Ok(());
        }
        tx.execute(
            sql!(
                ScopeRow::INSERT,
                " ON CONFLICT (id) DO UPDATE SET ",
                excluded!(effects, last_claim_ms, checksum)
            ),
            &self.values(),
        )?;
        Ok(())
    }
}
