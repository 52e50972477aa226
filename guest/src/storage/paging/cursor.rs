//! Where a page ended.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::types::Error;
use crate::storage::checksum::SetDigest;
use crate::storage::corruption::invalid;
use crate::storage::digests::Digests;
use crate::storage::pack;
use crate::storage::transaction::Digested;

/// The place where the next page begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// Which of several tables, or lists.
    pub(crate) table: usize,
    /// Where in the table.
    pub(crate) next: Key,
    /// The rows of the table that were read.
    pub(crate) found: SetDigest,
    /// Those of them that are counted apart.
    pub(crate) hidden: SetDigest,
    /// The fingerprint of what was stored when the first page was read.
    state: u64,
}

/// The first key that was not read yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Key {
    /// All of the table is to be read.
    #[default]
    Start,
    /// The number of a row.
    Number(i64),
    /// Two names.
    Names(String, String),
}

impl Cursor {
    /// Where a page of a list begins. It must be read from what the first page was read
    /// from.
    pub(crate) fn of_list<T, D: Digests>(
        cursor: Option<&[u8]>,
        stored: &Digested<T, D>,
    ) -> Result<Self> {
        let state = stored.digests.fingerprint();
        match cursor.map(Self::decode).transpose()? {
            Some(cursor) if cursor.state != state => Err(Error::StaleCursor),
            Some(cursor) => Ok(cursor),
            None => Ok(Self {
                state,
                ..Self::default()
            }),
        }
    }

    /// The beginning of the table after this one.
    pub(crate) fn next_table(&self) -> Self {
        Self {
            table: self.table.saturating_add(1),
            state: self.state,
            ..Self::default()
        }
    }

    /// What a page returns as `next`.
    pub(crate) fn encode(mut self) -> Vec<u8> {
        let mut numbers = (self.table as u64).to_le_bytes().to_vec();
        let mut write = |number: &mut u64| numbers.extend_from_slice(&number.to_le_bytes());
        self.found.visit(&mut write);
        self.hidden.visit(&mut write);
        write(&mut self.state);
        let mut items = vec![numbers];
        match self.next {
            Key::Start => {}
            Key::Number(number) => items.push(number.to_le_bytes().to_vec()),
            Key::Names(first, second) => items.extend([first.into_bytes(), second.into_bytes()]),
        }
        pack::pack(&items)
    }

    /// The beginning, or what was returned as `next`.
    pub(crate) fn resume(cursor: Option<&[u8]>) -> Result<Self> {
        cursor.map_or_else(|| Ok(Self::default()), Self::decode)
    }

    /// Reads what was returned as `next`.
    fn decode(bytes: &[u8]) -> Result<Self> {
        Self::read(bytes)
            .ok_or_else(|| invalid("the cursor is not one that this function returned"))
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let items = pack::unpack(bytes)?;
        let (numbers, key) = items.split_first()?;
        let (numbers, rest) = numbers.as_chunks::<8>();
        let [table, numbers @ ..] = numbers else {
            return None;
        };
        let mut cursor = Self {
            table: usize::try_from(u64::from_le_bytes(*table)).ok()?,
            ..Self::default()
        };
        let mut whole = rest.is_empty() && numbers.len() == 5;
        let mut numbers = numbers.iter();
        let mut read = |number: &mut u64| match numbers.next() {
            Some(bytes) => *number = u64::from_le_bytes(*bytes),
            None => whole = false,
        };
        cursor.found.visit(&mut read);
        cursor.hidden.visit(&mut read);
        read(&mut cursor.state);
        let text = |bytes: &[u8]| core::str::from_utf8(bytes).ok().map(ToString::to_string);
        cursor.next = match key {
            [] => Key::Start,
            [number] => Key::Number(i64::from_le_bytes((*number).try_into().ok()?)),
            [first, second] => Key::Names(text(first)?, text(second)?),
            _ => return None,
        };
        whole.then_some(cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_what_is_none_is_refused() {
        for next in [
            Key::Start,
            Key::Number(i64::MIN),
            Key::Names("a".to_string(), "b\0".to_string()),
        ] {
            let cursor = Cursor {
                table: 7,
                next,
                found: SetDigest { count: 1, sum: 2 },
                hidden: SetDigest { count: 3, sum: 4 },
                state: 5,
            };
            let bytes = cursor.clone().encode();
            assert_eq!(Cursor::decode(&bytes).unwrap(), cursor);
            for length in 0..bytes.len() {
                let cut = Cursor::decode(&bytes[..length]);
                assert!(cut.is_err() || cut.unwrap() != cursor, "cut at {length}");
            }
        }
        for bytes in [&[][..], b"x", &[0; 64]] {
            assert!(Cursor::decode(bytes).is_err());
        }
    }
}
