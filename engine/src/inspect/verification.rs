//! Checking everything that a database holds.

use std::fmt;

use serde::Serialize;

use super::Inspector;
use crate::bindings::types::Corruption;
use crate::database::Database;
use crate::error::Error;
use crate::kind::DatabaseKind;
use crate::wit::inspection_types as wit;
use crate::wit::types::Cursor;

/// What [`Inspector::verify`] read, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Verification {
    /// The tables that were read.
    pub tables: Vec<CheckedTable>,
    /// What is wrong; empty if nothing is. At most 2,000.
    pub problems: Vec<Problem>,
    /// How many further problems there are.
    pub omitted_problems: u64,
}

impl Verification {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty() && self.omitted_problems == 0
    }
}

/// A table that was read from one end to the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CheckedTable {
    /// The table.
    pub name: String,
    /// Its rows, damaged ones included.
    pub rows: u64,
    /// What was read of it, in bytes of values.
    pub bytes: u64,
}

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// The table, empty if it is not known.
    pub table: String,
    /// Which row, as far as it is known.
    pub key: String,
    /// What is wrong with it.
    pub reason: String,
}

impl From<Corruption> for Problem {
    fn from(damage: Corruption) -> Self {
        Self {
            table: damage.table,
            key: damage.key,
            reason: damage.reason,
        }
    }
}

impl Problem {
    /// What SQLite says is wrong.
    pub(super) fn of_sqlite(reason: String) -> Self {
        Self {
            table: String::new(),
            key: String::new(),
            reason,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.table, &self.key] {
            if !part.is_empty() {
                write!(f, "{part}: ")?;
            }
        }
        f.write_str(&self.reason)
    }
}

impl Inspector {
    /// Reads everything and goes on after what is damaged. SQLite checks its pages and
    /// that indexes agree with tables; the component checks that every row is what was
    /// written, that none is missing, every blob against its key, and that what is
    /// referred to is there. The WIT function `session-inspection.verify` and its like
    /// say what exactly.
    ///
    /// Others may write meanwhile: all is read from one snapshot, in steps, so that calls
    /// of other databases get their turns in between. The memory that this takes does not
    /// grow with the database.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file cannot be read, [`Error::Retired`] if the session is
    /// being deleted; as [`open`](Self::open) if the file cannot be opened any more.
    /// Damage is no error.
    pub async fn verify(&self) -> Result<Verification, Error> {
        let db = Database::open_snapshot(self.path(), self.kind, &self.options).await?;
        let mut problems: Vec<Problem> = db
            .integrity_problems()
            .await?
            .into_iter()
            .map(Problem::of_sqlite)
            .collect();
        let most = problems.len().saturating_add(MOST_PROBLEMS);
        let mut verification = Verification::default();
        let mut cursor = None;
        loop {
            let step = verify_step(&db, self.kind, cursor).await?;
            let tables = step.tables.into_iter().map(checked_table);
            verification.tables.extend(tables);
            problems.extend(step.problems.into_iter().map(Problem::from));
            let omitted = problems.len().saturating_sub(most);
            problems.truncate(most);
            verification.omitted_problems = verification
                .omitted_problems
                .saturating_add(step.omitted)
                .saturating_add(omitted as u64);
            cursor = step.next;
            if cursor.is_none() {
                break;
            }
        }
        verification.problems = problems;
        Ok(verification)
    }
}

/// How many problems of the contents are listed.
const MOST_PROBLEMS: usize = 1000;

async fn verify_step(
    db: &Database,
    kind: DatabaseKind,
    cursor: Option<Cursor>,
) -> Result<wit::Verification, Error> {
    db.read("verify", move |call| {
        let cursor = cursor.as_ref();
        let step = match kind {
            DatabaseKind::Session => call.session_inspection().verify(cursor),
            DatabaseKind::Processes => call.process_inspection().verify(cursor),
            DatabaseKind::HostEvents => call.host_event_inspection().verify(cursor),
            DatabaseKind::Effects => call.effect_inspection().verify(cursor),
        }?;
        // Otherwise the same step would come for ever.
        if step.next.is_some() && step.next.as_ref() == cursor {
            return Err(call.contradiction("it returned a step that leads to itself"));
        }
        Ok(step)
    })
    .await
}

fn checked_table(table: wit::CheckedTable) -> CheckedTable {
    CheckedTable {
        name: table.name,
        rows: table.rows,
        bytes: table.bytes,
    }
}
