//! The kinds of database.

use std::fmt;

use serde::Serialize;

use crate::wit::format::Kind;

/// What a database holds. A file has one kind, and is never read as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DatabaseKind {
    /// One session.
    Session,
    /// The processes of a deployment.
    Processes,
    /// The host events of a deployment.
    HostEvents,
    /// The effects of a deployment.
    Effects,
}

impl DatabaseKind {
    pub(crate) const ALL: [Self; 4] = [
        Self::Session,
        Self::Processes,
        Self::HostEvents,
        Self::Effects,
    ];

    /// What people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Processes => "process",
            Self::HostEvents => "host event",
            Self::Effects => "effect",
        }
    }

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
        f.write_str(self.name())
    }
}
