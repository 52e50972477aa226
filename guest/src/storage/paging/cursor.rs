//! Where a page ended.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use crate::Result;
use crate::bindings::types::Error;
use crate::storage::checksum::{self, Checksum, SetDigest};
use crate::storage::corruption::{invalid, verify_complete};
use crate::storage::digests::Digests;
use crate::storage::pack;

/// Which list the pages are of.
pub(crate) struct List {
    /// A digest of the function and its arguments.
    name: u64,
    /// A digest of what is stored: another one when something is added or removed.
    state: u64,
}

impl List {
    /// The list that a function returns for its arguments, of rows with these digests.
    pub(crate) fn of(function: &'static str, arguments: &[&[u8]], stored: &[SetDigest]) -> Self {
        let state = stored.iter().fold(Checksum::of(function), |state, digest| {
            state
                .integer(digest.count.cast_signed())
                .integer(digest.sum.cast_signed())
        });
        Self {
            name: checksum::identity(function, arguments).cast_unsigned(),
            state: state.finish().cast_unsigned(),
        }
    }

    /// All that a database holds.
    pub(crate) fn of_all(function: &'static str, digests: impl Digests) -> Self {
        Self {
            state: digests.fingerprint(),
            ..Self::of(function, &[], &[])
        }
    }
}

fn foreign() -> Error {
    invalid("the cursor is not one that this function returned for these arguments")
}

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
    /// As in [`List`].
    list: u64,
    state: u64,
}

/// The first key that was not read yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd)]
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
    /// Where a page of a list begins: the first, or what an earlier page returned as `next`.
    pub(crate) fn resume(cursor: Option<&[u8]>, list: &List) -> Result<Self> {
        let Some(bytes) = cursor else {
            return Ok(Self {
                list: list.name,
                state: list.state,
                ..Self::default()
            });
        };
        match Self::read(bytes) {
            Some(cursor) if cursor.list != list.name => Err(foreign()),
            Some(cursor) if cursor.state != list.state => Err(Error::StaleCursor),
            Some(cursor) => Ok(cursor),
            None => Err(foreign()),
        }
    }

    /// Whether nothing was read yet.
    pub(crate) fn is_start(&self) -> bool {
        self.table == 0 && self.next == Key::Start
    }

    /// The beginning of the table after this one.
    pub(crate) fn next_table(&self) -> Self {
        Self {
            table: self.table.saturating_add(1),
            list: self.list,
            state: self.state,
            ..Self::default()
        }
    }

    /// What a page returns as `next`, if it is not the last. With the last one all rows of
    /// the table were read: those that were found must be those that were written.
    pub(crate) fn finish(
        self,
        table: &'static str,
        expected: SetDigest,
        ended: bool,
    ) -> Result<Option<Vec<u8>>> {
        if !ended {
            return Ok(Some(self.encode()));
        }
        verify_complete(table, self.found, expected)?;
        Ok(None)
    }

    /// What a page returns as `next`.
    pub(crate) fn encode(mut self) -> Vec<u8> {
        let mut numbers = (self.table as u64).to_le_bytes().to_vec();
        let mut write = |number: &mut u64| numbers.extend_from_slice(&number.to_le_bytes());
        self.found.visit(&mut write);
        self.hidden.visit(&mut write);
        write(&mut self.list);
        write(&mut self.state);
        let mut items = vec![numbers];
        match self.next {
            Key::Start => {}
            Key::Number(number) => items.push(number.to_le_bytes().to_vec()),
            Key::Names(first, second) => items.extend([first.into_bytes(), second.into_bytes()]),
        }
        pack::pack(&items)
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
        let mut whole = rest.is_empty() && numbers.len() == 6;
        let mut numbers = numbers.iter();
        let mut read = |number: &mut u64| match numbers.next() {
            Some(bytes) => *number = u64::from_le_bytes(*bytes),
            None => whole = false,
        };
        cursor.found.visit(&mut read);
        cursor.hidden.visit(&mut read);
        read(&mut cursor.list);
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
                list: 5,
                state: 6,
            };
            let bytes = cursor.clone().encode();
            assert_eq!(Cursor::read(&bytes).unwrap(), cursor);
            for length in 0..bytes.len() {
                let cut = Cursor::read(&bytes[..length]);
                assert!(cut.is_none_or(|cut| cut != cursor), "cut at {length}");
            }
        }
        for bytes in [&[][..], b"x", &[0; 64]] {
            assert!(Cursor::read(bytes).is_none());
        }
    }

    #[test]
    fn a_cursor_is_of_one_list_as_it_was() {
        let stored = [SetDigest { count: 1, sum: 2 }];
        let list = |function, argument: &str, stored: &[SetDigest]| {
            List::of(function, &[argument.as_bytes()], stored)
        };
        let first = Cursor::resume(None, &list("f", "a", &stored)).unwrap();
        let cursor = first.encode();
        let resume = |list: &List| Cursor::resume(Some(&cursor), list);
        assert!(resume(&list("f", "a", &stored)).is_ok());
        for other in [list("g", "a", &stored), list("f", "b", &stored)] {
            assert!(matches!(resume(&other), Err(Error::Invalid(_))));
        }
        let written = list("f", "a", &[SetDigest::default()]);
        assert!(matches!(resume(&written), Err(Error::StaleCursor)));
    }
}
