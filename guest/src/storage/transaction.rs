//! A transaction on a database together with its digests.

use core::mem;

use crate::Result;
use crate::bindings::inspection_types::Repaired;
use crate::bindings::types::Corruption;
use crate::storage::corruption;
use crate::storage::digests::{self, Digests};
use crate::storage::findings::Findings;
use crate::storage::seam::{Environment, Transaction, TransactionMode};

/// What every operation that reads or writes sets of rows works on.
pub(crate) struct Digested<T, D> {
    pub(crate) tx: T,
    /// Changed with the rows; stored by [`commit`](Self::commit).
    pub(crate) digests: D,
    stored: D,
}

impl<T: Transaction, D: Digests> Digested<T, D> {
    /// Reads from one snapshot.
    pub(crate) fn read<'a, E>(env: &'a E) -> Result<Self>
    where
        E: Environment<Transaction<'a> = T> + 'a,
    {
        Self::begin(env, TransactionMode::Read)
    }

    /// Begins a transaction for which a corrupt row of digests is no error: it is
    /// returned, and the digests are those of a new database.
    pub(crate) fn inspect<'a, E>(
        env: &'a E,
        mode: TransactionMode,
    ) -> Result<(Self, Option<Corruption>)>
    where
        E: Environment<Transaction<'a> = T> + 'a,
    {
        let tx = env.begin(mode)?;
        let (digests, damage) = match D::load(&tx) {
            Ok(digests) => (digests, None),
            Err(error) => (D::new(), Some(corruption::damage(digests::TABLE, error)?)),
        };
        digests.admit()?;
        let session = Self {
            tx,
            digests,
            stored: digests,
        };
        Ok((session, damage))
    }

    /// Writes what may be lost, whole, with the machine's power: claims and
    /// intents.
    pub(crate) fn write<'a, E>(env: &'a E) -> Result<Self>
    where
        E: Environment<Transaction<'a> = T> + 'a,
    {
        Self::begin(env, TransactionMode::Write)
    }

    /// Writes what must not be lost once it is acknowledged.
    pub(crate) fn write_durably<'a, E>(env: &'a E) -> Result<Self>
    where
        E: Environment<Transaction<'a> = T> + 'a,
    {
        Self::begin(env, TransactionMode::WriteDurable)
    }

    fn begin<'a, E>(env: &'a E, mode: TransactionMode) -> Result<Self>
    where
        E: Environment<Transaction<'a> = T> + 'a,
    {
        let tx = env.begin(mode)?;
        let digests = D::load(&tx)?;
        digests.admit()?;
        Ok(Self {
            tx,
            digests,
            stored: digests,
        })
    }

    /// Ends a repair: if nothing but derived data was corrupt, writes the digests that were
    /// found, and commits. Otherwise nothing is written.
    pub(crate) fn repair(self, found: D, findings: Findings) -> Result<Repaired> {
        let mut repaired = findings.into_repaired();
        if repaired.rebuilt.is_empty() {
            return Ok(repaired);
        }
        match found.replace(&self.tx) {
            Ok(()) => self.tx.commit()?,
            // The page that the row is on.
            Err(error) => {
                repaired.problems = mem::take(&mut repaired.rebuilt);
                let damage = corruption::damage(digests::TABLE, error)?;
                repaired.problems.push(damage);
            }
        }
        Ok(repaired)
    }

    /// Stores the digests if they changed, and commits.
    pub(crate) fn commit(self) -> Result<()> {
        if self.digests != self.stored {
            self.digests.store(&self.tx)?;
        }
        self.tx.commit()?;
        Ok(())
    }
}
