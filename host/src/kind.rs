//! The kinds of database.

use std::fmt;

use serde::Serialize;

use crate::bindings::interfaces::format::Kind;
use crate::error::kind_name;

/// What a database holds. A file has one kind, and is never read as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DatabaseKind {
    /// One session: [`Store`](crate::Store).
    Session,
    /// The processes of a deployment:
    /// [`SqliteProcessRegistry`](crate::SqliteProcessRegistry).
    Processes,
    /// The host events of a deployment:
    /// [`SqliteHostEventStore`](crate::SqliteHostEventStore).
    HostEvents,
    /// The effects of a deployment: [`SqliteEffectHost`](crate::SqliteEffectHost).
    Effects,
}

impl DatabaseKind {
    pub(crate) const ALL: [Self; 4] = [
        Self::Session,
        Self::Processes,
        Self::HostEvents,
        Self::Effects,
    ];

    pub(crate) fn format(self) -> Kind {
        match self {
            Self::Session => Kind::Session,
            Self::Processes => Kind::Processes,
            Self::HostEvents => Kind::HostEvents,
            Self::Effects => Kind::Effects,
        }
    }
}

impl fmt::Display for DatabaseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(kind_name(self.format()))
    }
}
