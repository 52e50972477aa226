//! Why nothing was imported.

use std::io;
use std::path::PathBuf;

use lash_store_engine::Source;

use super::report::Loss;
use crate::error::Error;
use crate::operation::Failure;

/// Why nothing was imported. The source is as it was, and there is no destination.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// There is something at the destination, or a log that belongs to such a file.
    #[error("{} exists already, and is not replaced; move it away, or choose another destination", path.display())]
    DestinationExists {
        /// What is there.
        path: PathBuf,
    },

    /// The source is not a database of `lash-sqlite-store` 0.1.0-alpha.46 of the kind
    /// that was to be imported.
    #[error("{} cannot be imported: {found}", path.display())]
    NotNative {
        /// The source.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },

    /// Some of the source cannot be read, or contradicts the rest.
    #[error("{}", damaged(path, losses, *omitted_losses))]
    Damaged {
        /// The source.
        path: PathBuf,
        /// What cannot be brought over; at most 1,000.
        losses: Vec<Loss>,
        /// How many further losses there are.
        omitted_losses: u64,
    },

    /// The source cannot be read at all.
    #[error("cannot read {}; check the file, and restore it from a backup if it is damaged", path.display())]
    Source {
        /// The source.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Source,
    },

    /// The new database cannot be written.
    #[error("cannot write the imported database")]
    Destination(#[source] Error),

    /// The operating system failed.
    #[error("cannot read or write {}; check the file, its directory and the disk", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What failed.
        #[source]
        source: io::Error,
    },
}

impl ImportError {
    /// A word for programs: the name of the variant, in lower case with hyphens.
    pub fn code(&self) -> &'static str {
        match self {
            Self::DestinationExists { .. } => "destination-exists",
            Self::NotNative { .. } => "not-native",
            Self::Damaged { .. } => "damaged",
            Self::Source { .. } => "source",
            Self::Destination(_) => "destination",
            Self::Io { .. } => "io",
        }
    }
}

impl Failure for ImportError {
    fn word(&self) -> &'static str {
        self.code()
    }
}

fn damaged(path: &std::path::Path, losses: &[Loss], omitted: u64) -> String {
    let count = (losses.len() as u64).saturating_add(omitted);
    let first = losses.first().map(ToString::to_string).unwrap_or_default();
    format!(
        "{} is damaged in {count} places, the first: {first}; nothing was imported: restore it from a backup, or import what is whole",
        path.display()
    )
}
