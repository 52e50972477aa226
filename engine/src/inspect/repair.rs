//! Rebuilding what is derived from other rows.

use serde::Serialize;

use super::Problem;
use crate::database::{Call, Database};
use crate::error::Error;
use crate::kind::DatabaseKind;
use crate::wit::inspection_types::Repaired;

/// What [`Database::repair`] did.
///
/// Derived are SQLite's indexes, the row that says which rows the tables have, columns that
/// are for indexes only, totals of token usage, and the counts of an effect scope. If the
/// second of these was corrupt, nobody knows whether rows are missing: the log of the
/// application, or a backup, says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Repair {
    /// What was corrupt and was rebuilt.
    pub rebuilt: Vec<Problem>,
    /// What is corrupt and cannot be rebuilt. If the component found any of it, only indexes
    /// of SQLite were rebuilt, and what else could be is listed here.
    pub problems: Vec<Problem>,
    /// How many further ones there are of both.
    pub omitted_problems: u64,
}

impl Repair {
    /// Whether nothing is corrupt any more.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty() && self.omitted_problems == 0
    }
}

impl Database {
    /// Rebuilds what is derived from other rows, if it is corrupt and these are not: SQLite's
    /// indexes, and what the WIT interface `repair` lists. It reads everything, as
    /// [`Inspector::verify`](super::Inspector::verify) does, and holds the write lock for that
    /// long.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] if another process has the write lock, [`Error::ReadOnly`] and
    /// [`Error::DiskFull`] if the file cannot be written. Corrupt rows are no error.
    pub async fn repair(&self) -> Result<Repair, Error> {
        let before = self.integrity_problems().await?;
        if !before.is_empty() {
            self.rebuild_indexes().await?;
        }
        let kind = self.kind();
        let contents = self
            .write("repair", move |call| repair_contents(call, kind))
            .await?;
        let after = match before.is_empty() {
            true => Vec::new(),
            false => self.integrity_problems().await?,
        };
        let gone = before
            .into_iter()
            .filter(|problem| !after.contains(problem));
        let mut repair = Repair {
            rebuilt: gone.map(Problem::of_sqlite).collect(),
            omitted_problems: contents.omitted,
            ..Repair::default()
        };
        repair
            .rebuilt
            .extend(contents.rebuilt.into_iter().map(Problem::from));
        repair
            .problems
            .extend(after.into_iter().map(Problem::of_sqlite));
        repair
            .problems
            .extend(contents.problems.into_iter().map(Problem::from));
        Ok(repair)
    }
}

fn repair_contents(call: &mut Call<'_>, kind: DatabaseKind) -> Result<Repaired, Error> {
    match kind {
        DatabaseKind::Session => call.repair().session(),
        DatabaseKind::Processes => call.repair().processes(),
        DatabaseKind::HostEvents => call.repair().host_events(),
        DatabaseKind::Effects => call.repair().effects(),
    }
}
