//! The row of a scope: how many effects it has.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::row::{EffectRow, Status};
use crate::Result;
use crate::checksum::Checksum;
use crate::corruption::{RowReader, confirm_found, corrupt, incomplete, verify};
use crate::seam::{Transaction, Value, unsigned};

const TABLE: &str = "effect_scopes";

/// A scope. It exists as long as it has effects.
pub(super) struct ScopeRow {
    pub(super) id: i64,
    pub(super) scope: String,
    effects: i64,
    /// How many of the effects are claimed, by whomever.
    claimed: i64,
    /// When an effect was last given back or finished; 0 if none was.
    settled_at_ms: i64,
}

impl ScopeRow {
    fn read(reader: &mut RowReader<'_>) -> Result<Self> {
        let row = Self {
            id: reader.integer()?,
            scope: reader.text()?.to_string(),
            effects: reader.integer()?,
            claimed: reader.integer()?,
            settled_at_ms: reader.integer()?,
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
            .integer(self.claimed)
            .integer(self.settled_at_ms)
            .finish()
    }

    /// Finds a scope.
    pub(super) fn find(tx: &impl Transaction, scope: &str) -> Result<Option<Self>> {
        let rows = tx.query(
            "SELECT id, scope, effects, claimed, settled_at_ms, checksum
             FROM effect_scopes WHERE scope = ?1",
            &[Value::Text(scope)],
        )?;
        let mut reader = RowReader::new(TABLE, &rows);
        if !reader.advance() {
            return Ok(None);
        }
        let row = Self::read(&mut reader)?;
        confirm_found(TABLE, scope, row.scope == scope)?;
        Ok(Some(row))
    }

    /// The scope of an effect that is stored.
    pub(super) fn load(tx: &impl Transaction, scope: &str) -> Result<Self> {
        Self::find(tx, scope)?.ok_or_else(|| corrupt(TABLE, scope, "the row is missing"))
    }

    /// A scope without effects. It is not stored yet.
    pub(super) fn new(tx: &impl Transaction, scope: &str) -> Result<Self> {
        // Nothing refers to a scope that is gone, so its number may come again.
        let rows = tx.query("SELECT ifnull(max(id), 0) + 1 FROM effect_scopes", &[])?;
        let mut reader = RowReader::new(TABLE, &rows);
        reader.advance();
        Ok(Self {
            id: reader.integer()?,
            scope: scope.to_string(),
            effects: 0,
            claimed: 0,
            settled_at_ms: 0,
        })
    }

    /// Scopes without a claimed effect, in which nothing happened since a time.
    pub(super) fn settled_before(
        tx: &impl Transaction,
        before_ms: i64,
        limit: u32,
    ) -> Result<Vec<Self>> {
        let rows = tx.query(
            "SELECT id, scope, effects, claimed, settled_at_ms, checksum
             FROM effect_scopes WHERE claimed = 0 AND settled_at_ms < ?1
             ORDER BY settled_at_ms LIMIT ?2",
            &[Value::Integer(before_ms), Value::Integer(i64::from(limit))],
        )?;
        let mut reader = RowReader::new(TABLE, &rows);
        let mut scopes = Vec::with_capacity(rows.count as usize);
        while reader.advance() {
            let row = Self::read(&mut reader)?;
            let found = row.claimed == 0 && row.settled_at_ms < before_ms;
            confirm_found(TABLE, &row.scope, found)?;
            scopes.push(row);
        }
        Ok(scopes)
    }

    /// Counts an effect that is new.
    pub(super) fn add(&mut self) {
        self.effects = self.effects.saturating_add(1);
    }

    /// Counts a claim of an effect that was not claimed.
    pub(super) fn claim(&mut self) {
        self.claimed = self.claimed.saturating_add(1);
    }

    /// Counts an effect that is claimed no more.
    pub(super) fn settle(&mut self, now_ms: i64) {
        self.claimed = self.claimed.saturating_sub(1);
        self.settled_at_ms = self.settled_at_ms.max(now_ms);
    }

    /// Counts effects that were removed.
    pub(super) fn remove(&mut self, removed: &[EffectRow]) {
        let claimed = removed.iter().filter(|row| row.status == Status::Claimed);
        self.claimed = self.claimed.saturating_sub(claimed.count() as i64);
        self.effects = self.effects.saturating_sub(removed.len() as i64);
    }

    /// These are all effects of the scope, and none changed unnoticed.
    pub(super) fn verify_complete(&self, effects: &[EffectRow]) -> Result<()> {
        let claimed = effects.iter().filter(|row| row.status == Status::Claimed);
        if effects.len() as u64 == unsigned(self.effects)
            && claimed.count() as u64 == unsigned(self.claimed)
        {
            Ok(())
        } else {
            Err(incomplete(
                super::row::TABLE,
                effects.len() as u64,
                unsigned(self.effects),
            ))
        }
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
            "INSERT INTO effect_scopes (id, scope, effects, claimed, settled_at_ms, checksum)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (id) DO UPDATE SET
                 effects = excluded.effects,
                 claimed = excluded.claimed,
                 settled_at_ms = excluded.settled_at_ms,
                 checksum = excluded.checksum",
            &[
                Value::Integer(self.id),
                Value::Text(&self.scope),
                Value::Integer(self.effects),
                Value::Integer(self.claimed),
                Value::Integer(self.settled_at_ms),
                Value::Integer(self.checksum()),
            ],
        )?;
        Ok(())
    }
}
