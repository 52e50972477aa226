//! A row of the two tables of the ledger, which have the same columns.

use alloc::string::ToString;
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::session_types::UsageEntry;
use crate::storage::checksum::{Checksum, SetDigest};
use crate::storage::corruption::{verify, verify_complete};
use crate::storage::rows::{RowReader, capacity};
use crate::storage::seam::{Rows, Transaction, Value};
use crate::storage::sql::{placeholders, sql};

pub(super) const ENTRIES: &str = "usage_entries";
pub(super) const TOTALS: &str = "usage_totals";

/// The columns of both tables, in the order of [`UsageRow::read`] and
/// [`UsageRow::params`].
pub(super) const COLUMNS: &str = "seq, source, model, input_tokens, output_tokens, cached_tokens, \
                                  reasoning_tokens, recorded_at_ms, checksum";

/// How many these are.
pub(super) const WIDTH: usize = 9;

/// The entries from a number on, in order.
pub(super) const ENTRIES_FROM: &str = sql!(
    "SELECT ",
    COLUMNS,
    " FROM usage_entries WHERE seq >= ?1 ORDER BY seq LIMIT ?2"
);

/// The totals from a number on, in order.
pub(super) const TOTALS_FROM: &str = sql!(
    "SELECT ",
    COLUMNS,
    " FROM usage_totals NOT INDEXED WHERE seq >= ?1 ORDER BY seq LIMIT ?2"
);

/// Adds an entry.
pub(super) const INSERT_ENTRY: &str = sql!(
    "INSERT INTO usage_entries (",
    COLUMNS,
    ") VALUES (",
    placeholders(WIDTH),
    ")"
);

/// An entry, or the sum of several.
pub(super) struct UsageRow {
    pub(super) seq: i64,
    pub(super) entry: UsageEntry,
    /// When the last of the entries was recorded.
    pub(super) recorded_at_ms: i64,
}

impl UsageRow {
    /// Reads and checks [`COLUMNS`]; returns the checksum too.
    pub(super) fn read(table: &'static str, reader: &mut RowReader<'_>) -> Result<(Self, i64)> {
        let row = Self {
            seq: reader.integer()?,
            entry: UsageEntry {
                source: reader.text()?.to_string(),
                model: reader.text()?.to_string(),
                input_tokens: reader.integer()?,
                output_tokens: reader.integer()?,
                cached_input_tokens: reader.integer()?,
                reasoning_tokens: reader.integer()?,
            },
            recorded_at_ms: reader.integer()?,
        };
        let stored = reader.integer()?;
        verify(table, row.seq, stored, row.checksum(table))?;
        Ok((row, stored))
    }

    /// Every row of a table; none may be missing.
    pub(super) fn all(table: &'static str, rows: &Rows, expected: SetDigest) -> Result<Vec<Self>> {
        let mut reader = RowReader::new(table, rows);
        let mut all = Vec::with_capacity(capacity(rows));
        let mut found = SetDigest::default();
        while reader.advance() {
            let (row, checksum) = Self::read(table, &mut reader)?;
            found.insert(checksum);
            all.push(row);
        }
        verify_complete(table, found, expected)?;
        Ok(all)
    }

    pub(super) fn checksum(&self, table: &'static str) -> i64 {
        Checksum::of(table)
            .integer(self.seq)
            .bytes(self.entry.source.as_bytes())
            .bytes(self.entry.model.as_bytes())
            .integer(self.entry.input_tokens)
            .integer(self.entry.output_tokens)
            .integer(self.entry.cached_input_tokens)
            .integer(self.entry.reasoning_tokens)
            .integer(self.recorded_at_ms)
            .finish()
    }

    /// Writes the row with a statement that takes all columns in order.
    pub(super) fn store(&self, tx: &impl Transaction, sql: &str, checksum: i64) -> Result<()> {
        tx.execute(sql, &self.params(checksum))?;
        Ok(())
    }

    /// The values of [`COLUMNS`].
    pub(super) fn params(&self, checksum: i64) -> [Value<'_>; WIDTH] {
        [
            Value::Integer(self.seq),
            Value::Text(&self.entry.source),
            Value::Text(&self.entry.model),
            Value::Integer(self.entry.input_tokens),
            Value::Integer(self.entry.output_tokens),
            Value::Integer(self.entry.cached_input_tokens),
            Value::Integer(self.entry.reasoning_tokens),
            Value::Integer(self.recorded_at_ms),
            Value::Integer(checksum),
        ]
    }

    /// Adds what was recorded later.
    pub(super) fn add(&mut self, other: &UsageEntry, recorded_at_ms: i64) {
        let sum = &mut self.entry;
        sum.input_tokens = sum.input_tokens.saturating_add(other.input_tokens);
        sum.output_tokens = sum.output_tokens.saturating_add(other.output_tokens);
        sum.cached_input_tokens = sum
            .cached_input_tokens
            .saturating_add(other.cached_input_tokens);
        sum.reasoning_tokens = sum.reasoning_tokens.saturating_add(other.reasoning_tokens);
        self.recorded_at_ms = self.recorded_at_ms.max(recorded_at_ms);
    }

    /// Whether both are of the same source and model.
    pub(super) fn is_like(&self, entry: &UsageEntry) -> bool {
        self.entry.source == entry.source && self.entry.model == entry.model
    }
}
