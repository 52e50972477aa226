//! A transaction on a session database together with its digests.

use crate::Result;
use crate::bindings::lash::store::types::Error;
use crate::digests::Digests;
use crate::seam::{Environment, Transaction, TransactionMode};

/// What every operation that reads or writes lists of rows works on.
pub(crate) struct SessionTransaction<T> {
    pub(crate) tx: T,
    /// Changed with the rows; stored by [`commit`](Self::commit).
    pub(crate) digests: Digests,
    stored: Digests,
}

impl<T: Transaction> SessionTransaction<T> {
    fn begin<'a, E>(env: &'a E, mode: TransactionMode) -> Result<Self>
    where
        E: Environment<Transaction<'a> = T> + 'a,
    {
        let tx = env.begin(mode)?;
        let digests = Digests::load(&tx)?;
        if digests.retired != 0 {
            return Err(Error::Retired);
        }
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

/// Reads from one snapshot.
pub(crate) fn read<E: Environment>(env: &E) -> Result<SessionTransaction<E::Transaction<'_>>> {
    SessionTransaction::begin(env, TransactionMode::Read)
}

/// Writes what may be lost, whole, with the machine's power: claims and intents.
pub(crate) fn write<E: Environment>(env: &E) -> Result<SessionTransaction<E::Transaction<'_>>> {
    SessionTransaction::begin(env, TransactionMode::Write)
}

/// Writes what must not be lost once it is acknowledged.
pub(crate) fn write_durably<E: Environment>(
    env: &E,
) -> Result<SessionTransaction<E::Transaction<'_>>> {
    SessionTransaction::begin(env, TransactionMode::WriteDurable)
}
