//! What is corrupt and was passed over.

use alloc::vec::Vec;

use crate::Result;
use crate::bindings::types::{Corruption, Error};
use crate::storage::corruption;

/// How many are listed.
const MOST: usize = 100;

/// What retention passed over. Only what reads may be noted: a write that failed may have
/// been done in part.
#[derive(Default)]
pub(crate) struct Skipped {
    corrupt: Vec<Corruption>,
    count: u32,
}

impl Skipped {
    /// Notes what is corrupt and goes on; any other error is one.
    #[inline(always)]
    pub(crate) fn note<R>(&mut self, table: &'static str, read: Result<R>) -> Result<Option<R>> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(error) => self.pass(table, error).map(|()| None),
        }
    }

    #[inline(never)]
    fn pass(&mut self, table: &'static str, error: Error) -> Result<()> {
        let damage = corruption::damage(table, error)?;
        self.count = self.count.saturating_add(1);
        if self.corrupt.len() < MOST {
            self.corrupt.push(damage);
        }
        Ok(())
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// The first of them.
    pub(crate) fn into_corrupt(self) -> Vec<Corruption> {
        self.corrupt
    }
}
