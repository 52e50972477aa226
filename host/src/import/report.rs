//! What an import did, and what it could not read.

use std::fmt;

use lash_store_engine::DatabaseKind;
use serde::Serialize;

/// How many losses are listed. Further ones are counted.
const MOST_LOSSES: usize = 1000;

/// What an import brought over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ImportReport {
    /// What the database holds.
    pub kind: DatabaseKind,
    /// What was read of the source and written, a table each.
    pub records: Vec<Imported>,
    /// What was not, because it cannot be read or contradicts the rest; empty unless
    /// the import was to be [`partial`](super::NativeImport::partial). At most 1,000.
    pub losses: Vec<Loss>,
    /// How many further losses there are.
    pub omitted_losses: u64,
}

impl ImportReport {
    /// Whether everything was brought over.
    pub fn is_complete(&self) -> bool {
        self.losses.is_empty()
    }
}

/// What was brought over of one table of the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Imported {
    /// The table of the source.
    pub table: String,
    /// How many of its rows were written.
    pub rows: u64,
    /// Their values, in bytes.
    pub bytes: u64,
}

/// Something of the source that cannot be brought over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Loss {
    /// The table of the source, empty if it is not known.
    pub table: String,
    /// Which row, as far as it is known.
    pub key: String,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.table, &self.key] {
            if !part.is_empty() {
                write!(f, "{part}: ")?;
            }
        }
        f.write_str(&self.reason)
    }
}

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What was read of the source, in bytes.
    pub done_bytes: u64,
    /// What there is to read, in bytes: the pages of the source.
    pub total_bytes: u64,
}

/// The losses so far.
#[derive(Debug, Default)]
pub(super) struct Losses {
    listed: Vec<Loss>,
    omitted: u64,
}

impl Losses {
    /// Notes a loss.
    pub(super) fn note(&mut self, table: &str, key: impl Into<String>, reason: impl Into<String>) {
        if self.listed.len() < MOST_LOSSES {
            self.listed.push(Loss {
                table: table.to_owned(),
                key: key.into(),
                reason: reason.into(),
            });
        } else {
            self.omitted = self.omitted.saturating_add(1);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// Those that are listed, and how many more there are.
    pub(super) fn into_parts(self) -> (Vec<Loss>, u64) {
        (self.listed, self.omitted)
    }
}
