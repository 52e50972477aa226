//! The row of a scope: how many effects it has.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::effect_row::{self, EffectRow};
use crate::Result;
use crate::storage::checksum::Checksum;
use crate::storage::corruption::{confirm_found, verify, verify_count};
use crate::storage::rows::{RowReader, read_all, read_one};
use crate::storage::seam::{Transaction, Value, unsigned};

pub(super) const TABLE: &str = "effect_scopes";

/// A scope. It exists as long as it has effects.
pub(super) struct ScopeRow {
    pub(super) id: i64,
    pub(super) scope: String,
    pub(super) effects: i64,
    /// When one of the effects was last claimed.
    pub(super) last_claim_ms: i64,
}

impl ScopeRow {
    /// Reads and checks `id, scope, effects, last_claim_ms, checksum`.
    pub(super) fn read(reader: &mut RowReader<'_>) -> Result<Self> {
        let row = Self {
            id: reader.integer()?,
            scope: reader.text()?.to_string(),
            effects: reader.integer()?,
            last_claim_ms: reader.integer()?,
        };
        let stored = reader.integer()?;
        verify(TABLE, &row.scope, stored, row.checksum())?;
        Ok(row)
    }

    fn checksum(&self) -> i64 {
        Checksum::of(TABLE)
            .integer(self.id)
            .bytes(self.scope.as_bytes())
            .integer(self.effects)
            .integer(self.last_claim_ms)
            .finish()
    }

    /// Finds a scope.
    pub(super) fn find(tx: &impl Transaction, scope: &str) -> Result<Option<Self>> {
        let rows = tx.query(
            "SELECT id, scope, effects, last_claim_ms, checksum
             FROM effect_scopes WHERE scope = ?1",
            &[Value::Text(scope)],
        )?;
        read_one(TABLE, &rows, |reader| {
            let row = Self::read(reader)?;
            confirm_found(TABLE, scope, row.scope == scope)?;
            Ok(row)
        })
    }

    /// A scope without effects. It is not stored yet.
    pub(super) fn new(tx: &impl Transaction, scope: &str) -> Result<Self> {
        // Nothing refers to a scope that is gone, so its number may come again.
        let rows = tx.query("SELECT ifnull(max(id), 0) + 1 FROM effect_scopes", &[])?;
        Ok(Self {
            id: read_one(TABLE, &rows, RowReader::integer)?.unwrap_or(1),
            scope: scope.to_string(),
            effects: 0,
            last_claim_ms: 0,
        })
    }

    /// Scopes by number, after the given one.
    pub(super) fn after(tx: &impl Transaction, id: i64, limit: u32) -> Result<Vec<Self>> {
        let rows = tx.query(
            "SELECT id, scope, effects, last_claim_ms, checksum
             FROM effect_scopes WHERE id > ?1 ORDER BY id LIMIT ?2",
            &[Value::Integer(id), Value::Integer(i64::from(limit))],
        )?;
        read_all(TABLE, &rows, |reader| {
            let row = Self::read(reader)?;
            confirm_found(TABLE, &row.scope, row.id > id)?;
            Ok(row)
        })
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
            "INSERT INTO effect_scopes (id, scope, effects, last_claim_ms, checksum)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (id) DO UPDATE SET
                 effects = excluded.effects,
                 last_claim_ms = excluded.last_claim_ms,
                 checksum = excluded.checksum",
            &[
                Value::Integer(self.id),
                Value::Text(&self.scope),
                Value::Integer(self.effects),
                Value::Integer(self.last_claim_ms),
                Value::Integer(self.checksum()),
            ],
        )?;
        Ok(())
    }
}
