//! What the tables of a session must hold.

use crate::Result;
use crate::bindings::types::{Corruption, Error};
use crate::storage::checksum::SetDigest;
use crate::storage::corruption;
use crate::storage::digests::Digests;
use crate::storage::rows::{RowReader, read_one};
use crate::storage::seam::{Environment, Transaction, TransactionMode};
use crate::storage::transaction::Digested;

/// A transaction on a session database.
pub(crate) type SessionTransaction<T> = Digested<T, SessionDigests>;

/// Begins a transaction for which a corrupt row of digests is no error: it is returned, and
/// nothing is known of the tables, but that the head and the metadata are as they are.
pub(crate) fn inspect<'a, E: Environment>(
    env: &'a E,
    mode: TransactionMode,
) -> Result<(SessionTransaction<E::Transaction<'a>>, Option<Corruption>)> {
    let (mut session, damage) = SessionTransaction::inspect(env, mode)?;
    if damage.is_some() {
        session.digests.head = of_one(&session.tx, "SELECT checksum FROM session_head")?;
        session.digests.meta = of_one(&session.tx, "SELECT checksum FROM session_meta")?;
    }
    Ok((session, damage))
}

/// The digest of a table of one row or none, by the checksum that is stored in the row.
fn of_one(tx: &impl Transaction, sql: &str) -> Result<SetDigest> {
    let read = |rows| read_one("", &rows, RowReader::integer);
    match tx.query(sql, &[]).map_err(Error::from).and_then(read) {
        Ok(checksum) => Ok(checksum.map(SetDigest::single).unwrap_or_default()),
        // Whoever reads the row says what is wrong with it.
        Err(error) => corruption::damage("", error).map(|_| SetDigest::default()),
    }
}

/// What the tables of a session hold, as of the last commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SessionDigests {
    /// Nodes that are not tombstoned.
    pub(crate) nodes: SetDigest,
    /// Nodes that are tombstoned.
    pub(crate) tombstones: SetDigest,
    /// The sequence that the next node gets.
    pub(crate) next_node: u64,
    /// How many of the nodes are messages of the user.
    pub(crate) prompts: u64,
    /// The sequence of the first of them, 0 if there is none.
    pub(crate) first_prompt: u64,
    pub(crate) usage_entries: SetDigest,
    /// The sequence that the next entry gets.
    pub(crate) next_usage_entry: u64,
    pub(crate) usage_totals: SetDigest,
    pub(crate) batches: SetDigest,
    /// The sequence that the next batch gets.
    pub(crate) next_batch: u64,
    /// Attachments, committed or not.
    pub(crate) intents: SetDigest,
    pub(crate) artifacts: SetDigest,
    pub(crate) blobs: SetDigest,
    /// Stamps of committed turns.
    pub(crate) turns: SetDigest,
    /// One row or none.
    pub(crate) head: SetDigest,
    /// One row or none.
    pub(crate) meta: SetDigest,
    /// 1 once the session is being deleted.
    pub(crate) retired: u64,
}

impl Digests for SessionDigests {
    /// Sequences start at 1.
    fn new() -> Self {
        Self {
            next_node: 1,
            next_batch: 1,
            next_usage_entry: 1,
            ..Self::default()
        }
    }

    fn visit(&mut self, visit: &mut dyn FnMut(&mut u64)) {
        self.nodes.visit(visit);
        self.tombstones.visit(visit);
        visit(&mut self.next_node);
        visit(&mut self.prompts);
        visit(&mut self.first_prompt);
        self.usage_entries.visit(visit);
        visit(&mut self.next_usage_entry);
        self.usage_totals.visit(visit);
        self.batches.visit(visit);
        visit(&mut self.next_batch);
        self.intents.visit(visit);
        self.artifacts.visit(visit);
        self.blobs.visit(visit);
        self.turns.visit(visit);
        self.head.visit(visit);
        self.meta.visit(visit);
        visit(&mut self.retired);
    }

    fn admit(&self) -> Result<()> {
        match self.retired {
            0 => Ok(()),
            _ => Err(Error::Retired),
        }
    }
}
