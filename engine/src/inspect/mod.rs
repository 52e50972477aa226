//! Looking into a database of any kind, without changing it, and repairing one.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = std::env::temp_dir().join(format!("lash-inspect-{}", std::process::id()));
//! # std::fs::create_dir_all(&dir)?;
//! # let path = dir.join("session.db");
//! # let options = lash_store_engine::OpenOptions::new();
//! # let kind = lash_store_engine::DatabaseKind::Session;
//! # lash_store_engine::Database::open(&path, kind, &options).await?;
//! use lash_store_engine::inspect::Inspector;
//!
//! let inspector = Inspector::open(&path).await?;
//! let verification = inspector.verify().await?;
//! assert!(verification.is_sound());
//! # std::fs::remove_dir_all(&dir)?;
//! # Ok(())
//! # }
//! ```

mod file;
mod record;
mod records;
mod repair;
mod statistics;
mod verification;

pub use file::FileStatistics;
pub use record::Record;
pub use records::Records;
pub use repair::Repair;
pub use statistics::{
    AttachmentStatistics, BlobKind, BlobSizes, EffectStatistics, Garbage, HeadStatistics,
    HostEventStatistics, ProcessStatistics, QueueStatistics, SessionStatistics, Statistics,
};
pub use verification::{CheckedTable, Problem, Verification};

use std::path::Path;

use crate::database::{Database, OpenOptions};
use crate::error::Error;
use crate::kind::DatabaseKind;

/// A database of this crate, opened for reading.
///
/// Others may write to it meanwhile. Each call answers from one snapshot.
pub struct Inspector {
    db: Database,
    kind: DatabaseKind,
    options: OpenOptions,
}

impl Inspector {
    /// Opens a file, whatever kind of database it is.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] if there is no file or nothing in it,
    /// [`Error::NotADatabase`] and [`Error::Foreign`] if it is not of this crate,
    /// [`Error::OtherVersion`] if another version of the crate wrote it.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        Self::open_with(path, &OpenOptions::new()).await
    }

    /// As [`open`](Self::open), with a clock, a busy timeout or a component that are set.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn open_with(path: &Path, options: &OpenOptions) -> Result<Self, Error> {
        let mut refused = None;
        for kind in DatabaseKind::ALL {
            match Database::open_readonly(path, kind, options).await {
                Ok(db) => {
                    return Ok(Self {
                        db,
                        kind,
                        options: options.clone(),
                    });
                }
                Err(error @ Error::OtherKind { .. }) => refused = Some(error),
                Err(error) => return Err(error),
            }
        }
        // A file of this crate has one of the kinds.
        Err(refused.unwrap_or_else(|| Error::NotADatabase {
            path: path.to_path_buf(),
        }))
    }

    /// What the database holds.
    pub fn kind(&self) -> DatabaseKind {
        self.kind
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.db.path()
    }
}

impl std::fmt::Debug for Inspector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inspector")
            .field("path", &self.path())
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
