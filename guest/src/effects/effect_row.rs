//! The row of an effect.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::effect_types::{EffectKey, FinishedEffect, Recorded};
use crate::bindings::sqlite::ErrorCode;
use crate::storage::checksum::{self, Checksum};
use crate::storage::corruption::{confirm_absent, confirm_found, corrupt, verify};
use crate::storage::findings::Pages;
use crate::storage::rows::{RowReader, read_all, read_one};
use crate::storage::seam::{
    Transaction, Value, execute_rows, optional_integer, optional_text, unsigned,
};
use crate::storage::sql::sql;
use crate::storage::table::{Column, codes};

use super::scope_row::ScopeRow;

pub(super) const TABLE: &str = "effects";

/// Among how many effects of all scopes one of the same scope is looked for, for
/// each that is wanted.
const NEIGHBOURHOOD: i64 = 4;

/// What [`EffectRow::read`] reads.
const COLUMNS: &str = "effect.id, effect.scope_id, scope.scope, effect.replay_key, \
                       effect.envelope_hash, effect.status, effect.owner_id, effect.lease_token, \
                       effect.lease_expires_ms, effect.due_at_ms, effect.generation, \
                       effect.claimed_at_ms, effect.settled_at_ms, effect.content_hash, \
                       effect.checksum";

const TABLES: &str = " FROM effect_scopes scope JOIN effects effect ON effect.scope_id = scope.id ";

/// Selects effects.
const SELECT: &str = sql!("SELECT ", COLUMNS, TABLES);

/// Selects effects with what was recorded.
const SELECT_RECORDED: &str = sql!("SELECT ", COLUMNS, ", effect.content", TABLES);

/// The effects from a number on that have a scope, in order, with what was recorded.
pub(super) const FROM: &str = sql!(
    SELECT_RECORDED,
    "WHERE effect.id >= ?1 ORDER BY effect.id LIMIT ?2"
);

/// How all effects that have a scope are read, with their identities.
pub(super) const EFFECT_PAGES: Pages = Pages {
    table: TABLE,
    sql: sql!(
        "SELECT ",
        COLUMNS,
        ", effect.content, effect.identity",
        TABLES,
        "WHERE effect.id >= ?1 ORDER BY effect.id LIMIT ?2"
    ),
    columns: 17,
    size: 64,
};

/// How far an effect is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// Somebody executes it, or died over it.
    Claimed,
    /// It was given back.
    Released,
    /// It has an outcome.
    Completed,
    /// It has a failure.
    Failed,
}

codes! {
    Status, "the status is unknown" {
        Claimed = 1,
        Released = 2,
        Completed = 3,
        Failed = 4,
    }
}

/// An effect, without what was recorded.
pub(super) struct EffectRow {
    /// The row, which is not part of what the checksum covers.
    pub(super) id: i64,
    scope_id: i64,
    pub(super) scope: String,
    pub(super) replay_key: String,
    pub(super) envelope_hash: String,
    pub(super) status: Status,
    pub(super) owner_id: Option<String>,
    pub(super) lease_token: Option<String>,
    pub(super) lease_expires_ms: i64,
    /// When it is due, if it was claimed with a delay.
    pub(super) due_at_ms: Option<i64>,
    /// How often it was claimed, given back or finished.
    pub(super) generation: i64,
    /// When it was first claimed.
    pub(super) claimed_at_ms: i64,
    /// When it was given back or finished; none while it is claimed.
    pub(super) settled_at_ms: Option<i64>,
    content_hash: i64,
}

impl EffectRow {
    /// An effect that was never claimed. It is not stored yet.
    pub(super) fn new(
        key: EffectKey,
        scope_id: i64,
        envelope_hash: String,
        due_at_ms: Option<i64>,
        now_ms: i64,
    ) -> Self {
        Self {
            id: 0,
            scope_id,
            scope: key.scope,
            replay_key: key.replay_key,
            envelope_hash,
            status: Status::Released,
            owner_id: None,
            lease_token: None,
            lease_expires_ms: 0,
            due_at_ms,
            generation: 0,
            claimed_at_ms: now_ms,
            settled_at_ms: None,
            content_hash: content_hash(&[]),
        }
    }

    /// Reads and checks [`COLUMNS`].
    pub(super) fn read(reader: &mut RowReader<'_>) -> Result<Self> {
        let id = reader.integer()?;
        let scope_id = reader.integer()?;
        let scope = reader.text()?.to_string();
        let replay_key = reader.text()?.to_string();
        let envelope_hash = reader.text()?.to_string();
        let status = reader.integer()?;
        let row = Self {
            id,
            scope_id,
            scope,
            envelope_hash,
            status: Status::decode(status).map_err(|reason| corrupt(TABLE, &replay_key, reason))?,
            replay_key,
            owner_id: reader.optional_text()?.map(String::from),
            lease_token: reader.optional_text()?.map(String::from),
            lease_expires_ms: reader.integer()?,
            due_at_ms: reader.optional_integer()?,
            generation: reader.integer()?,
            claimed_at_ms: reader.integer()?,
            settled_at_ms: reader.optional_integer()?,
            content_hash: reader.integer()?,
        };
        let stored = reader.integer()?;
        verify(TABLE, &row.replay_key, stored, row.checksum())?;
        Ok(row)
    }

    fn confirm_found(self, key: &EffectKey) -> Result<Self> {
        let found = self.scope == key.scope && self.replay_key == key.replay_key;
        confirm_found(TABLE, &key.replay_key, found)?;
        Ok(self)
    }

    fn checksum(&self) -> i64 {
        Checksum::of(TABLE)
            .integer(self.scope_id)
            .bytes(self.scope.as_bytes())
            .bytes(self.replay_key.as_bytes())
            .bytes(self.envelope_hash.as_bytes())
            .integer(self.status.code())
            .optional(self.owner_id.as_deref().map(str::as_bytes))
            .optional(self.lease_token.as_deref().map(str::as_bytes))
            .integer(self.lease_expires_ms)
            .optional_integer(self.due_at_ms)
            .integer(self.generation)
            .integer(self.claimed_at_ms)
            .optional_integer(self.settled_at_ms)
            .integer(self.content_hash)
            .finish()
    }

    /// Whether this is the claim that the token proves.
    pub(super) fn is_held_with(&self, token: &str) -> bool {
        self.status == Status::Claimed && self.lease_token.as_deref() == Some(token)
    }

    /// Whether it has an owner with a token if, and only if, it is claimed.
    pub(super) fn has_whole_claim(&self) -> bool {
        let claimed = self.status == Status::Claimed;
        self.lease_token.is_some() == claimed && self.owner_id.is_some() == claimed
    }

    pub(super) fn replay_key(&self) -> &str {
        &self.replay_key
    }

    /// Whether nobody has the right to execute it at a time.
    pub(super) fn is_free_at(&self, now_ms: i64) -> bool {
        self.status != Status::Claimed || self.lease_expires_ms <= now_ms
    }

    /// Whether it was finished or given back, or its lease expired, before a time.
    pub(super) fn ended_before(&self, before_ms: i64) -> bool {
        self.settled_at_ms.unwrap_or(self.lease_expires_ms) < before_ms
    }

    /// Makes the effect somebody's for some time.
    pub(super) fn claim(&mut self, owner_id: String, token: String, lease_expires_ms: i64) {
        self.status = Status::Claimed;
        self.owner_id = Some(owner_id);
        self.lease_token = Some(token);
        self.lease_expires_ms = lease_expires_ms;
        self.settled_at_ms = None;
        self.generation = self.generation.saturating_add(1);
    }

    /// Makes the effect nobody's.
    pub(super) fn settle(&mut self, status: Status, now_ms: i64) {
        self.status = status;
        self.owner_id = None;
        self.lease_token = None;
        self.lease_expires_ms = 0;
        self.settled_at_ms = Some(now_ms);
        self.generation = self.generation.saturating_add(1);
    }

    /// Makes the effect one that is finished, and returns what was recorded.
    pub(super) fn finish<'r>(&mut self, recorded: &'r Recorded, now_ms: i64) -> &'r [u8] {
        let (status, content) = match recorded {
            Recorded::Outcome(content) => (Status::Completed, content),
            Recorded::Failure(content) => (Status::Failed, content),
        };
        self.settle(status, now_ms);
        self.content_hash = content_hash(content);
        content
    }

    /// Adds the row, with what was recorded.
    pub(super) fn insert(&self, tx: &impl Transaction, content: &[u8]) -> Result<()> {
        let inserted = tx.execute(
            "INSERT INTO effects (scope_id, replay_key, identity, envelope_hash, status, owner_id,
                 lease_token, lease_expires_ms, due_at_ms, generation, claimed_at_ms,
                 settled_at_ms, content_hash, checksum, content)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            &[
                Value::Integer(self.scope_id),
                Value::Text(&self.replay_key),
                Value::Integer(identity(&self.scope, &self.replay_key)),
                Value::Text(&self.envelope_hash),
                Value::Integer(self.status.code()),
                optional_text(self.owner_id.as_deref()),
                optional_text(self.lease_token.as_deref()),
                Value::Integer(self.lease_expires_ms),
                optional_integer(self.due_at_ms),
                Value::Integer(self.generation),
                Value::Integer(self.claimed_at_ms),
                optional_integer(self.settled_at_ms),
                Value::Integer(self.content_hash),
                Value::Integer(self.checksum()),
                Value::Blob(content),
            ],
        );
        match inserted {
            Ok(_) => Ok(()),
            // It was looked for by one of the two indexes.
            Err(error) if error.code == ErrorCode::Constraint => Err(corrupt(
                TABLE,
                &self.replay_key,
                "only one of two indexes leads to the row",
            )),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes what changes about an effect without a result.
    pub(super) fn update(&self, tx: &impl Transaction) -> Result<()> {
        tx.execute(
            "UPDATE effects SET status = ?2, owner_id = ?3, lease_token = ?4,
                 lease_expires_ms = ?5, due_at_ms = ?6, generation = ?7, settled_at_ms = ?8,
                 checksum = ?9
             WHERE id = ?1",
            &[
                Value::Integer(self.id),
                Value::Integer(self.status.code()),
                optional_text(self.owner_id.as_deref()),
                optional_text(self.lease_token.as_deref()),
                Value::Integer(self.lease_expires_ms),
                optional_integer(self.due_at_ms),
                Value::Integer(self.generation),
                optional_integer(self.settled_at_ms),
                Value::Integer(self.checksum()),
            ],
        )?;
        Ok(())
    }

    /// Moves the effect to another scope.
    pub(super) fn move_to(&mut self, tx: &impl Transaction, scope: &ScopeRow) -> Result<()> {
        self.scope_id = scope.id;
        self.scope.clone_from(&scope.scope);
        tx.execute(
            "UPDATE effects SET scope_id = ?2, identity = ?3, checksum = ?4 WHERE id = ?1",
            &[
                Value::Integer(self.id),
                Value::Integer(self.scope_id),
                Value::Integer(identity(&self.scope, &self.replay_key)),
                Value::Integer(self.checksum()),
            ],
        )?;
        Ok(())
    }

    /// Writes the result of an effect, and with it what else changes.
    pub(super) fn record(
        &mut self,
        tx: &impl Transaction,
        recorded: &Recorded,
        now_ms: i64,
    ) -> Result<()> {
        let content = self.finish(recorded, now_ms);
        tx.execute(
            "UPDATE effects SET status = ?2, owner_id = NULL, lease_token = NULL,
                 lease_expires_ms = 0, generation = ?3, settled_at_ms = ?4, content_hash = ?5,
                 checksum = ?6, content = ?7
             WHERE id = ?1",
            &[
                Value::Integer(self.id),
                Value::Integer(self.status.code()),
                Value::Integer(self.generation),
                Value::Integer(now_ms),
                Value::Integer(self.content_hash),
                Value::Integer(self.checksum()),
                Value::Blob(content),
            ],
        )?;
        Ok(())
    }

    /// The result, of which `content` was stored; none if there is none.
    pub(super) fn recorded(&self, content: Vec<u8>) -> Result<Option<Recorded>> {
        let key = &self.replay_key;
        verify(TABLE, key, self.content_hash, content_hash(&content))?;
        Ok(match self.status {
            Status::Completed => Some(Recorded::Outcome(content)),
            Status::Failed => Some(Recorded::Failure(content)),
            Status::Claimed | Status::Released => None,
        })
    }
}

/// Finds an effect.
pub(super) fn find(tx: &impl Transaction, key: &EffectKey) -> Result<Option<EffectRow>> {
    let rows = tx.query(
        sql!(SELECT, "WHERE scope.scope = ?1 AND effect.replay_key = ?2"),
        &[Value::Text(&key.scope), Value::Text(&key.replay_key)],
    )?;
    read_one(TABLE, &rows, |reader| {
        EffectRow::read(reader)?.confirm_found(key)
    })
}

/// Finds an effect and what was recorded of it.
pub(super) fn find_recorded(
    tx: &impl Transaction,
    key: &EffectKey,
) -> Result<Option<(EffectRow, Option<Recorded>)>> {
    let rows = tx.query(
        sql!(
            SELECT_RECORDED,
            "WHERE scope.scope = ?1 AND effect.replay_key = ?2"
        ),
        &[Value::Text(&key.scope), Value::Text(&key.replay_key)],
    )?;
    read_one(TABLE, &rows, |reader| {
        let row = EffectRow::read(reader)?.confirm_found(key)?;
        let recorded = row.recorded(reader.blob()?.to_vec())?;
        Ok((row, recorded))
    })
}

/// An effect was not found. That it is not known means that it is executed, so a
/// second index must agree. [`EffectRow::insert`] confirms it by itself.
pub(super) fn confirm_unknown(tx: &impl Transaction, key: &EffectKey) -> Result<()> {
    confirm_absent(
        tx,
        TABLE,
        &key.replay_key,
        "SELECT 1 FROM effects INDEXED BY effects_identity WHERE identity = ?1 LIMIT 1",
        &[Value::Integer(identity(&key.scope, &key.replay_key))],
    )
}

/// Finished effects of a scope that were first claimed after the given one, among
/// those of all scopes that were claimed next.
pub(super) fn finished_after(
    tx: &impl Transaction,
    key: &EffectKey,
    limit: u32,
    max_bytes: u64,
) -> Result<Vec<FinishedEffect>> {
    let Some(after) = find(tx, key)? else {
        return Ok(Vec::new());
    };
    let rows = tx.query(
        "SELECT id, length(content) FROM effects
         WHERE id > ?1 AND id <= ?1 + ?3 AND scope_id = ?2 AND status IN (3, 4) ORDER BY id",
        &[
            Value::Integer(after.id),
            Value::Integer(after.scope_id),
            Value::Integer(i64::from(limit).saturating_mul(NEIGHBOURHOOD)),
        ],
    )?;
    let mut reader = RowReader::new(TABLE, &rows);
    let mut bytes = 0_u64;
    let mut last = after.id;
    let mut count = 0;
    while count < limit && reader.advance() {
        let id = reader.integer()?;
        bytes = bytes.saturating_add(unsigned(reader.integer()?));
        if bytes > max_bytes {
            break;
        }
        last = id;
        count += 1;
    }
    let rows = tx.query(
        sql!(
            SELECT_RECORDED,
            "WHERE effect.id > ?1 AND effect.id <= ?2
             AND effect.scope_id = ?3 AND effect.status IN (3, 4) ORDER BY effect.id"
        ),
        &[
            Value::Integer(after.id),
            Value::Integer(last),
            Value::Integer(after.scope_id),
        ],
    )?;
    let effects = read_all(TABLE, &rows, |reader| {
        let row = EffectRow::read(reader)?;
        confirm_found(TABLE, &row.replay_key, row.scope == key.scope)?;
        let recorded = row.recorded(reader.blob()?.to_vec())?;
        Ok((row, recorded))
    })?;
    Ok(effects
        .into_iter()
        .filter_map(|(row, recorded)| {
            Some(FinishedEffect {
                replay_key: row.replay_key,
                envelope_hash: row.envelope_hash,
                recorded: recorded?,
                due_at_ms: row.due_at_ms.map(unsigned),
            })
        })
        .collect())
}

/// All effects of a scope.
pub(super) fn of_scope(tx: &impl Transaction, scope_id: i64) -> Result<Vec<EffectRow>> {
    let rows = tx.query(
        sql!(SELECT, "WHERE scope.id = ?1"),
        &[Value::Integer(scope_id)],
    )?;
    read_all(TABLE, &rows, |reader| {
        let row = EffectRow::read(reader)?;
        confirm_found(TABLE, &row.replay_key, row.scope_id == scope_id)?;
        Ok(row)
    })
}

/// Removes effects.
pub(super) fn delete(tx: &impl Transaction, effects: &[EffectRow]) -> Result<()> {
    let ids: Vec<[Value<'_>; 1]> = effects.iter().map(|row| [Value::Integer(row.id)]).collect();
    execute_rows(tx, "DELETE FROM effects WHERE id = ?1", &ids)?;
    Ok(())
}

pub(super) fn identity(scope: &str, replay_key: &str) -> i64 {
    checksum::identity(
        "effects.identity",
        &[scope.as_bytes(), replay_key.as_bytes()],
    )
}

fn content_hash(content: &[u8]) -> i64 {
    checksum::content_hash("effects.content_hash", content)
}
