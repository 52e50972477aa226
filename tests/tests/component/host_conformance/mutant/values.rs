//! Values on their way in and out, which can be broken too.

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};

use super::Mutation;
use super::imports::bindings::lash::store::sqlite::Value;

/// A parameter.
pub struct Param<'a> {
    pub value: &'a Value,
    pub mutation: Option<Mutation>,
}

impl ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let is = |mutation| self.mutation == Some(mutation);
        Ok(ToSqlOutput::Borrowed(match self.value {
            Value::Null if is(Mutation::NullIsZero) => ValueRef::Integer(0),
            Value::Null => ValueRef::Null,
            Value::Integer(value) => ValueRef::Integer(*value),
            Value::Real(value) if value.is_nan() && is(Mutation::NanIsZero) => ValueRef::Real(0.0),
            Value::Real(value) => ValueRef::Real(*value),
            Value::Text(value) if is(Mutation::TextEndsAtNul) => {
                let end = value.find('\0').unwrap_or(value.len());
                ValueRef::Text(&value.as_bytes()[..end])
            }
            Value::Text(value) => ValueRef::Text(value.as_bytes()),
            Value::Blob(value) if value.is_empty() && is(Mutation::EmptyBlobIsNull) => {
                ValueRef::Null
            }
            Value::Blob(value) if is(Mutation::ValuesAreCut) => {
                ValueRef::Blob(&value[..value.len().min(1 << 19)])
            }
            Value::Blob(value) => ValueRef::Blob(value),
        }))
    }
}

/// Adds a value to the cells of the answer.
pub fn pack(mutation: Option<Mutation>, cells: &mut Vec<u8>, value: ValueRef<'_>) {
    let mut put = |tag: u8, parts: [&[u8]; 2]| {
        cells.push(tag);
        parts.iter().for_each(|part| cells.extend_from_slice(part));
    };
    match value {
        ValueRef::Null => put(0, [&[], &[]]),
        ValueRef::Integer(value) if mutation == Some(Mutation::IntegersAreReals) => {
            put(1, [&(value as f64 as i64).to_le_bytes(), &[]]);
        }
        ValueRef::Integer(value) => put(1, [&value.to_le_bytes(), &[]]),
        ValueRef::Real(value)
            if value == value.trunc() && mutation == Some(Mutation::WholeRealsAreIntegers) =>
        {
            put(1, [&(value as i64).to_le_bytes(), &[]]);
        }
        ValueRef::Real(value) => put(2, [&value.to_le_bytes(), &[]]),
        ValueRef::Text(value) => put(3, [&(value.len() as u32).to_le_bytes(), value]),
        ValueRef::Blob(value) => put(4, [&(value.len() as u32).to_le_bytes(), value]),
    }
}
