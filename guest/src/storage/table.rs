//! Columns, written once for each table.
//!
//! [`table!`] declares a row by its columns. What is selected, inserted and read, and what
//! the checksum covers, follows from that.

use alloc::string::String;
use alloc::vec::Vec;

use crate::Result;
use crate::storage::checksum::Checksum;
use crate::storage::rows::RowReader;
use crate::storage::seam::Value;

/// A value that a column holds.
pub(crate) trait Column<'r>: Sized {
    /// The value as it is read, before its meaning is known.
    type Raw;

    /// Whether it may be NULL.
    const NULLABLE: bool = false;

    /// Reads the next value of a row.
    fn read(reader: &mut RowReader<'r>) -> Result<Self::Raw>;

    /// Converts what was read, or says what is wrong with it.
    fn decode(raw: Self::Raw) -> core::result::Result<Self, &'static str>;

    /// Returns what is bound for it.
    fn value(&self) -> Value<'_>;

    /// Adds it to the checksum of its row.
    fn cover(&self, checksum: Checksum) -> Checksum {
        let value = self.value();
        let checksum = match value {
            Value::Null => return checksum.bytes(&[0]),
            _ if Self::NULLABLE => checksum.bytes(&[1]),
            _ => checksum,
        };
        match value {
            Value::Integer(value) => checksum.integer(value),
            Value::Text(value) => checksum.bytes(value.as_bytes()),
            Value::Blob(value) => checksum.bytes(value),
            Value::Real(value) => checksum.bytes(&value.to_le_bytes()),
            Value::Null => checksum,
        }
    }
}

impl<'r, T: Column<'r>> Column<'r> for Option<T> {
    type Raw = Option<T::Raw>;

    const NULLABLE: bool = true;

    fn read(reader: &mut RowReader<'r>) -> Result<Self::Raw> {
        match reader.skip_null() {
            true => Ok(None),
            false => T::read(reader).map(Some),
        }
    }

    fn decode(raw: Self::Raw) -> core::result::Result<Self, &'static str> {
        raw.map(T::decode).transpose()
    }

    fn value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, T::value)
    }
}

/// Types whose values need no interpretation.
macro_rules! plain {
    ($($type:ty, $read:ident -> $raw:ty, |$value:ident| $bound:expr;)+) => {
        $(impl<'r> Column<'r> for $type {
            type Raw = $raw;

            fn read(reader: &mut RowReader<'r>) -> Result<$raw> {
                reader.$read()
            }

            fn decode(raw: $raw) -> core::result::Result<Self, &'static str> {
                Ok(raw.into())
            }

            fn value(&self) -> Value<'_> {
                let $value = self;
                $bound
            }
        })+
    };
}

plain! {
    i64, integer -> i64, |value| Value::Integer(*value);
    bool, flag -> bool, |value| Value::Integer(i64::from(*value));
    &'r str, text -> &'r str, |value| Value::Text(value);
    String, text -> &'r str, |value| Value::Text(value);
    &'r [u8], blob -> &'r [u8], |value| Value::Blob(value);
    Vec<u8>, blob -> &'r [u8], |value| Value::Blob(value);
}

/// Says how the values of an enum are stored, and the error for another number.
macro_rules! codes {
    ($type:ident, $unknown:literal { $($variant:ident = $code:literal,)+ }) => {
        impl $type {
            pub(crate) fn code(self) -> i64 {
                match self {
                    $(Self::$variant => $code,)+
                }
            }
        }

        impl<'r> $crate::storage::table::Column<'r> for $type {
            type Raw = i64;

            fn read(reader: &mut $crate::storage::rows::RowReader<'r>) -> $crate::Result<i64> {
                reader.integer()
            }

            fn decode(raw: i64) -> core::result::Result<Self, &'static str> {
                match raw {
                    $($code => Ok(Self::$variant),)+
                    _ => Err($unknown),
                }
            }

            fn value(&self) -> $crate::storage::seam::Value<'_> {
                $crate::storage::seam::Value::Integer(self.code())
            }
        }
    };
}
pub(crate) use codes;

/// Declares the row of a table.
///
/// ```ignore
/// table! {
///     /// An occurrence.
///     pub(super) struct OccurrenceRow in "occurrences", named by id, uncovered (identity) {
///         number: i64,
///         id: String,
///     }
/// }
/// ```
///
/// The columns are in the order in which the checksum covers them; the column `checksum`
/// comes after them. Errors name a row by one of its columns. Uncovered columns are
/// computed from the others, or have their own checksum: `values` takes them as
/// parameters, and `read` does not read them.
macro_rules! table {
    (
        $(#[$attribute:meta])*
        $visibility:vis struct $row:ident $(<$life:lifetime>)? in $table:literal, named by $key:ident
        $(, uncovered ($($uncovered:ident),+))? {
            $($(#[$column_attribute:meta])* $column:ident: $type:ty,)+
        }
    ) => {
        $(#[$attribute])*
        $visibility struct $row $(<$life>)? {
            $($(#[$column_attribute])* $visibility $column: $type,)+
        }

        #[allow(dead_code, reason = "not every table needs all of them")]
        impl $(<$life>)? $row $(<$life>)? {
            /// The name of the table.
            $visibility const TABLE: &'static str = $table;

            /// What [`read`](Self::read) reads.
            $visibility const COLUMNS: &'static str =
                concat!($(stringify!($column), ", ",)+ "checksum");

            /// The same for a query of several tables.
            $visibility const QUALIFIED: &'static str =
                concat!($($table, ".", stringify!($column), ", ",)+ $table, ".checksum");

            /// Selects that from the whole table.
            $visibility const SELECT: &'static str = concat!(
                "SELECT ",
                $(stringify!($column), ", ",)+
                "checksum FROM ",
                $table,
                " "
            );

            /// What an upsert sets that replaces all of it.
            $visibility const EXCLUDED: &'static str = concat!(
                $(stringify!($column), " = excluded.", stringify!($column), ", ",)+
                "checksum = excluded.checksum"
            );

            /// How many values that is.
            $visibility const WIDTH: usize = [$(stringify!($column)),+].len() + 1;

            /// Adds a row of [`values`](Self::values).
            $visibility const INSERT: &'static str = $crate::storage::sql::sql!(
                concat!("INSERT INTO ", $table, " ("),
                $row::COLUMNS,
                concat!($($(", ", stringify!($uncovered),)+)? ") VALUES ("),
                $crate::storage::sql::placeholders($row::WIDTH + $row::UNCOVERED),
                ")"
            );

            const UNCOVERED: usize = {
                const UNCOVERED: &[&str] = &[$($(stringify!($uncovered)),+)?];
                UNCOVERED.len()
            };

            /// Reads and checks [`COLUMNS`](Self::COLUMNS).
            $visibility fn read(
                reader: &mut $crate::storage::rows::RowReader<$($life)?>,
            ) -> $crate::Result<Self> {
                Self::read_with_checksum(reader).map(|(row, _)| row)
            }

            /// As [`read`](Self::read), and returns the checksum too.
            $visibility fn read_with_checksum(
                reader: &mut $crate::storage::rows::RowReader<$($life)?>,
            ) -> $crate::Result<(Self, i64)> {
                $(let $column = <$type as $crate::storage::table::Column>::read(reader)?;)+
                let stored = reader.integer()?;
                let key = $key;
                // After all values were read: now the row has a name.
                let corrupt = |reason| $crate::storage::corruption::corrupt($table, key, reason);
                let row = Self {
                    $($column: $crate::storage::table::Column::decode($column).map_err(corrupt)?,)+
                };
                $crate::storage::corruption::verify($table, key, stored, row.checksum())?;
                Ok((row, stored))
            }

            /// Reads and checks all rows of a query.
            $visibility fn read_all(
                rows: &$($life)? $crate::storage::seam::Rows,
            ) -> $crate::Result<alloc::vec::Vec<Self>> {
                $crate::storage::rows::read_all($table, rows, Self::read)
            }

            /// The checksum of all columns.
            $visibility fn checksum(&self) -> i64 {
                let checksum = $crate::storage::checksum::Checksum::of($table);
                $(let checksum = $crate::storage::table::Column::cover(&self.$column, checksum);)+
                checksum.finish()
            }

            /// The values of all columns, in the order of [`INSERT`](Self::INSERT).
            $visibility fn values<'v>(
                &'v self,
                $($($uncovered: $crate::storage::seam::Value<'v>,)+)?
            ) -> [$crate::storage::seam::Value<'v>; $row::WIDTH + $row::UNCOVERED] {
                [
                    $($crate::storage::table::Column::value(&self.$column),)+
                    $crate::storage::seam::Value::Integer(self.checksum()),
                    $($($uncovered,)+)?
                ]
            }
        }
    };
}
pub(crate) use table;

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::bindings::types::{Corruption, Error};
    use crate::storage::seam::Rows;

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Side {
        Left,
        Right,
    }

    codes! {
        Side, "the side is unknown" {
            Left = 3,
            Right = 5,
        }
    }

    table! {
        #[derive(Clone, Copy, Debug, PartialEq)]
        struct Sample<'r> in "samples", named by name, uncovered (identity) {
            name: &'r str,
            side: Side,
            note: Option<&'r [u8]>,
        }
    }

    const SAMPLE: Sample<'_> = Sample {
        name: "a",
        side: Side::Right,
        note: None,
    };

    fn packed(values: &[Value<'_>]) -> Rows {
        let mut cells = Vec::new();
        for value in values {
            let (tag, bytes) = match value {
                Value::Integer(value) => (1, &value.to_le_bytes()[..]),
                Value::Text(value) => (3, value.as_bytes()),
                Value::Blob(value) => (4, *value),
                Value::Null | Value::Real(_) => (0, &[][..]),
            };
            cells.push(tag);
            if tag > 1 {
                cells.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
            }
            cells.extend(bytes);
        }
        Rows { count: 1, cells }
    }

    fn damage(values: &[Value<'_>]) -> Corruption {
        match Sample::read_all(&packed(values)) {
            Err(Error::Corrupt(damage)) => damage,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_declaration_gives_the_statements() {
        assert_eq!(
            Sample::SELECT,
            "SELECT name, side, note, checksum FROM samples "
        );
        assert_eq!(
            Sample::QUALIFIED,
            "samples.name, samples.side, samples.note, samples.checksum"
        );
        assert_eq!(
            Sample::INSERT,
            "INSERT INTO samples (name, side, note, checksum, identity) VALUES (?1, ?2, ?3, ?4, ?5)"
        );
    }

    #[test]
    fn the_checksum_covers_every_column_as_it_is_stored() {
        let of = Checksum::of("samples").bytes(b"a").integer(5);
        assert_eq!(SAMPLE.checksum(), of.optional(None).finish());
        let noted = Sample {
            note: Some(b"n"),
            ..SAMPLE
        };
        assert_eq!(noted.checksum(), of.optional(Some(b"n")).finish());
    }

    #[test]
    fn a_row_is_read_back_and_an_error_names_it() {
        let checksum = SAMPLE.checksum();
        let values = |side| {
            [
                Value::Text("a"),
                Value::Integer(side),
                Value::Null,
                Value::Integer(checksum),
            ]
        };
        assert_eq!(Sample::read_all(&packed(&values(5))).unwrap(), [SAMPLE]);
        assert_eq!(
            packed(&SAMPLE.values(Value::Null)[..4]).cells,
            packed(&values(5)).cells
        );
        let unknown = damage(&values(4));
        assert_eq!(
            (&*unknown.key, &*unknown.reason),
            ("a", "the side is unknown")
        );
        let changed = damage(&values(3));
        assert_eq!(
            (&*changed.key, &*changed.reason),
            ("a", "the checksum does not match")
        );
    }
}
