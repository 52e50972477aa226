//! Transactions, and how values of Rust are kept in SQLite.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::bindings::session_types::{DeliveryPolicy, SlotPolicy};
use crate::bindings::sqlite::{self, Database, Transaction, TransactionMode, Value};
use crate::bindings::types::{Corruption, Error};
use crate::bindings::wasi::clocks::wall_clock;

pub(crate) type Result<T> = core::result::Result<T, Error>;

pub(crate) fn now_ms() -> u64 {
    let now = wall_clock::now();
    now.seconds.saturating_mul(1000) + u64::from(now.nanoseconds / 1_000_000)
}

pub(crate) fn invalid<T>(parts: &[&str]) -> Result<T> {
    Err(Error::Invalid(parts.concat()))
}

pub(crate) fn corrupt(table: &str, key: &str, reason: &str) -> Error {
    Error::Corrupt(Corruption {
        table: table.to_string(),
        key: key.to_string(),
        reason: reason.to_string(),
    })
}

impl From<sqlite::Error> for Error {
    fn from(error: sqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// An open transaction. Dropping it rolls it back.
pub(crate) struct Tx(pub(crate) Transaction);

/// Does something within a transaction, and commits it unless that fails.
pub(crate) fn within<T>(
    db: &Database,
    mode: TransactionMode,
    work: impl FnOnce(&Tx) -> Result<T>,
) -> Result<T> {
    let tx = Tx(db.begin(mode)?);
    if tx.number("SELECT retired FROM state")? != 0 {
        return Err(Error::Retired);
    }
    let done = work(&tx)?;
    Transaction::commit(tx.0)?;
    Ok(done)
}

impl Tx {
    /// Runs a statement; returns how many rows it changed.
    pub(crate) fn run(&self, sql: &str, params: &[&dyn Param]) -> Result<u64> {
        let params: Vec<Value> = params.iter().map(|param| param.value()).collect();
        Ok(self.0.execute(sql, &params)?)
    }

    /// Reads the rows of a query. The columns of the record come first.
    pub(crate) fn all<T: Record>(&self, sql: &str, params: &[&dyn Param]) -> Result<Vec<T>> {
        let params: Vec<Value> = params.iter().map(|param| param.value()).collect();
        let rows = self.0.query(sql, &params)?;
        let damaged = || corrupt("unknown", "", "a column has another type");
        let mut cells = decode(&rows.cells).ok_or_else(damaged)?.into_iter();
        let width = cells.len() / rows.count.max(1) as usize;
        let mut read = |_| {
            let row: Vec<Value> = cells.by_ref().take(width).collect();
            T::read(&mut row.into_iter()).ok_or_else(damaged)
        };
        (0..rows.count).map(&mut read).collect()
    }

    /// Reads the only row of a query, if there is one.
    pub(crate) fn one<T: Record>(&self, sql: &str, params: &[&dyn Param]) -> Result<Option<T>> {
        Ok(self.all(sql, params)?.pop())
    }

    /// Reads one number, which must be there.
    pub(crate) fn number(&self, sql: &str) -> Result<u64> {
        let missing = || corrupt("state", "", "the row is missing");
        self.one(sql, &[])?.ok_or_else(missing)
    }
}

/// What can be a parameter.
pub(crate) trait Param {
    fn value(&self) -> Value;
}

/// What can be in a column.
pub(crate) trait Cell: Param + Sized {
    fn of(value: Value) -> Option<Self>;
}

macro_rules! cells {
    ($($type:ty: $this:ident => $write:expr, $cell:pat => $read:expr;)*) => {$(
        impl Param for $type {
            fn value(&self) -> Value {
                let $this = self;
                $write
            }
        }
        impl Cell for $type {
            fn of(value: Value) -> Option<Self> {
                match value {
                    $cell => $read,
                    _ => None,
                }
            }
        }
    )*};
}

cells! {
    i64: n => Value::Integer(*n), Value::Integer(n) => Some(n);
    // Times above 2^63-1 count as that.
    u64: n => Value::Integer((*n).min(i64::MAX as u64) as i64),
        Value::Integer(n) => n.try_into().ok();
    bool: b => Value::Integer((*b).into()), Value::Integer(n) => Some(n != 0);
    String: text => Value::Text(text.clone()), Value::Text(text) => Some(text);
    Vec<u8>: bytes => Value::Blob(bytes.clone()), Value::Blob(bytes) => Some(bytes);
    Vec<Vec<u8>>: list => Value::Blob(encode(list)),
        Value::Blob(list) => decode(&list)?.into_iter().map(Cell::of).collect();
    // Keys of blobs.
    Vec<String>: keys => Value::Text(keys.join(" ")),
        Value::Text(keys) => Some(keys.split_whitespace().map(String::from).collect());
    DeliveryPolicy: policy => Value::Integer(*policy as i64), Value::Integer(n) => match n {
        0 => Some(Self::EarliestSafeBoundary),
        _ => Some(Self::AfterCurrentTurnCommit),
    };
    SlotPolicy: policy => Value::Integer(*policy as i64), Value::Integer(n) => match n {
        0 => Some(Self::Join),
        _ => Some(Self::Exclusive),
    };
}

impl<T: Param> Param for Option<T> {
    fn value(&self) -> Value {
        self.as_ref().map_or(Value::Null, Param::value)
    }
}

impl<T: Cell> Cell for Option<T> {
    fn of(value: Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::of(value).map(Some),
        }
    }
}

/// What can be in the first columns of a row.
pub(crate) trait Record: Sized {
    fn read(row: &mut dyn Iterator<Item = Value>) -> Option<Self>;
}

impl<T: Cell> Record for T {
    fn read(row: &mut dyn Iterator<Item = Value>) -> Option<Self> {
        T::of(row.next()?)
    }
}

impl<A: Cell, B: Cell, C: Cell> Record for (A, B, C) {
    fn read(row: &mut dyn Iterator<Item = Value>) -> Option<Self> {
        Some((
            A::of(row.next()?)?,
            B::of(row.next()?)?,
            C::of(row.next()?)?,
        ))
    }
}

/// Makes a struct a record, and its fields parameters, in the order of the columns.
macro_rules! record {
    ($type:ident: $($field:ident),*) => {
        impl $crate::sql::Record for $type {
            fn read(row: &mut dyn Iterator<Item = $crate::bindings::sqlite::Value>) -> Option<Self> {
                Some(Self { $($field: $crate::sql::Cell::of(row.next()?)?),* })
            }
        }
        impl $type {
            fn params(&self) -> alloc::vec::Vec<&dyn $crate::sql::Param> {
                alloc::vec![$(&self.$field),*]
            }
        }
    };
}
pub(crate) use record;

/// Encodes a list as the cells of `rows` in `wit/sqlite.wit`.
pub(crate) fn encode(list: &[Vec<u8>]) -> Vec<u8> {
    let cell = |bytes: &Vec<u8>| [&[4], &(bytes.len() as u32).to_le_bytes()[..], bytes].concat();
    list.iter().flat_map(cell).collect()
}

/// Decodes cells.
pub(crate) fn decode(mut bytes: &[u8]) -> Option<Vec<Value>> {
    let mut values = Vec::new();
    while let Some((tag, rest)) = bytes.split_first() {
        let (value, rest) = match tag {
            0 => (Value::Null, rest),
            1 => {
                let (number, rest) = rest.split_first_chunk()?;
                (Value::Integer(i64::from_le_bytes(*number)), rest)
            }
            _ => {
                let (length, rest) = rest.split_first_chunk()?;
                let (content, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
                let content = content.to_vec();
                match tag {
                    3 => (Value::Text(String::from_utf8(content).ok()?), rest),
                    4 => (Value::Blob(content), rest),
                    // Nothing here stores a floating point number.
                    _ => return None,
                }
            }
        };
        values.push(value);
        bytes = rest;
    }
    Some(values)
}
