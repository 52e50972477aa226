//! A transaction on a database together with its digests.

use crate::Result;
use crate::bindings::types::{Corruption, Error};
use crate::storage::digests::Digests;
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

    /// As [`read`](Self::read), but a damaged row of digests is no error: it is
    /// returned, and the digests are those of a new database.
    pub(crate) fn inspect<'a, E>(env: &'a E) -> Result<(Self, Option<Corruption>)>
    where
        E: Environment<Transaction<'a> = T> + 'a,
    {
        let tx = env.begin(TransactionMode::Read)?;
        let (digests, damage) = match D::load(&tx) {
            Ok(digests) => (digests, None),
            Err(Error::Corrupt(damage)) => (D::new(), Some(damage)),
            Err(error) => return Err(error),
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

    /// Stores the digests if they changed, and commits.
    pub(crate) fn commit(self) -> Result<()> {
        if self.digests != self.stored {
            self.digests.store(&self.tx)?;
        }
        self.tx.commit()?;
        Ok(())
    }
}
