//! The databases that a command is for: one, or those in a directory.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use lash_wasm_store::inspect::Inspector;
use lash_wasm_store::{EngineError, Error, StoreBuilder};

use crate::arguments::Databases;
use crate::failure::Failure;
use crate::output::Output;
use crate::sink::is_temporary;

/// What SQLite adds to the name of a database for its files beside it.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

impl Databases {
    /// Calls `command` for each database, opened for reading. In a directory, what is no
    /// database of this crate is skipped and said, but for what [should be one](is_named_so),
    /// and what fails does not keep the rest from being done.
    ///
    /// # Errors
    ///
    /// That the path cannot be used, and whatever ends the whole command.
    pub(crate) async fn each(
        &self,
        output: &mut Output,
        mut command: impl AsyncFnMut(Inspector, &Path, &mut Output) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let path = &self.path;
        if !is_directory(path)? {
            let inspector = self.builder().open_inspector(path).await?;
            return command(inspector, path, output).await;
        }
        let mut found = 0_usize;
        for file in files(path)? {
            let opened = self.builder().open_inspector(&file).await;
            if let Some(reason) = opened
                .as_ref()
                .err()
                .and_then(|error| not_ours(&file, error))
            {
                output.skipped(&file, reason);
                continue;
            }
            found += 1;
            let done = match opened {
                Ok(inspector) => command(inspector, &file, output).await,
                Err(error) => Err(error.into()),
            };
            if let Err(failure) = done {
                output.failed(failure)?;
            }
        }
        if found == 0 {
            return Err(none_in(path, "of this crate"));
        }
        Ok(())
    }

    /// How the databases are opened.
    pub(crate) fn builder(&self) -> StoreBuilder {
        StoreBuilder::new().busy_timeout(self.wait)
    }
}

/// Nothing was found in a directory that the command is for.
pub(crate) fn none_in(directory: &Path, whose: &str) -> Failure {
    Failure::unusable(
        directory,
        "no-database",
        format!(
            "{} has no database {whose}; check the path",
            directory.display()
        ),
    )
}

/// Whether there is a directory, or something else.
pub(crate) fn is_directory(path: &Path) -> Result<bool, Failure> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.is_dir()),
        Err(error) => Err(Failure::io(path, &error)),
    }
}

/// The files in a directory in the order of their names, without those that belong to a
/// database beside them or to an export.
pub(crate) fn files(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error| Failure::io(directory, &error);
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        // One that is gone by now is none.
        let is_file = fs::metadata(&path).is_ok_and(|metadata| metadata.is_file());
        if is_file && !is_companion(&path) && !is_temporary(&path) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn is_companion(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    COMPANIONS
        .iter()
        .filter_map(|companion| name.strip_suffix(companion))
        .any(|database| path.with_file_name(database).is_file())
}

/// Whether a file has the name that databases have. If it is none then, it has lost its
/// header, and must not pass for another file that happens to be there.
pub(crate) fn is_named_so(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "db")
}

/// Why a file in a directory is none that the command is for.
fn not_ours(path: &Path, error: &Error) -> Option<&'static str> {
    let Error::Engine(error) = error else {
        return None;
    };
    match error {
        EngineError::NotADatabase { .. } if is_named_so(path) => None,
        EngineError::Foreign { application_id, .. }
            if *application_id != 0 && is_named_so(path) =>
        {
            None
        }
        EngineError::NotADatabase { .. } => Some("it is not a SQLite database"),
        EngineError::Foreign {
            application_id: 0, ..
        } => Some("it is not a database of this crate; if lash-sqlite-store wrote it, import it"),
        EngineError::Foreign { .. } => Some("it is a database of another program"),
        EngineError::Missing { .. } => Some("it is empty"),
        _ => None,
    }
}
