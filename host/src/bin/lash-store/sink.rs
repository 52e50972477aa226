//! Where an export is written to.

use std::fs::{self, File};
use std::io::{self, BufWriter, Stdout, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use tempfile::{Builder, NamedTempFile};

use crate::failure::Failure;
use crate::output::json;

/// How the name of a temporary file begins.
const TEMPORARY: &str = ".lash-store-export-";

/// Whether a file is one that an export is still being written to.
pub(crate) fn is_temporary(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with(TEMPORARY))
}

/// Standard output, or a file that appears when it is complete.
pub(crate) struct Sink {
    to: To,
    written: u64,
}

enum To {
    Stdout(BufWriter<Stdout>),
    /// What a file cannot take the place of: a device, a pipe.
    Device {
        path: PathBuf,
        to: BufWriter<File>,
    },
    /// A temporary file beside the one to be, which is removed when it is dropped.
    File {
        path: PathBuf,
        force: bool,
        to: BufWriter<NamedTempFile>,
    },
}

impl Sink {
    pub(crate) fn stdout() -> Self {
        Self::to(To::Stdout(BufWriter::new(io::stdout())))
    }

    /// A file, which is replaced only with `force`.
    pub(crate) fn file(path: &Path, force: bool) -> Result<Self, Failure> {
        let failed = |error| Failure::io(path, &error);
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => Err(Failure::unusable(
                path,
                "output-exists",
                format!("{} is a directory; name a file in it", path.display()),
            )),
            Ok(metadata) if !metadata.is_file() => {
                let file = File::options().write(true).open(path).map_err(failed)?;
                Ok(Self::to(To::Device {
                    path: path.to_path_buf(),
                    to: BufWriter::new(file),
                }))
            }
            Ok(_) if !force => Err(exists(path)),
            Ok(_) | Err(_) => {
                let to = beside(path).map_err(failed)?;
                Ok(Self::to(To::File {
                    path: path.to_path_buf(),
                    force,
                    to: BufWriter::new(to),
                }))
            }
        }
    }

    fn to(to: To) -> Self {
        Self { to, written: 0 }
    }

    /// Writes a value on a line.
    pub(crate) fn write(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let mut line = json(value);
        line.push('\n');
        self.written = self.written.saturating_add(line.len() as u64);
        match &mut self.to {
            To::Stdout(to) => to
                .write_all(line.as_bytes())
                .map_err(|error| Failure::stdout(&error)),
            To::Device { path, to } => to
                .write_all(line.as_bytes())
                .map_err(|error| Failure::output(path, &error)),
            To::File { path, to, .. } => to
                .write_all(line.as_bytes())
                .map_err(|error| Failure::output(path, &error)),
        }
    }

    /// Sees to it that all is where it belongs; returns how many bytes that are.
    pub(crate) fn finish(self) -> Result<u64, Failure> {
        match self.to {
            To::Stdout(mut to) => to.flush().map_err(|error| Failure::stdout(&error))?,
            To::Device { path, mut to } => {
                to.flush().map_err(|error| Failure::output(&path, &error))?;
            }
            To::File { path, force, to } => {
                let failed = |error: io::Error| Failure::io(&path, &error);
                let file = to
                    .into_inner()
                    .map_err(|error| failed(error.into_error()))?;
                file.as_file().sync_all().map_err(failed)?;
                let placed = if force {
                    file.persist(&path)
                } else {
                    file.persist_noclobber(&path)
                };
                placed.map_err(|error| match error.error.kind() {
                    io::ErrorKind::AlreadyExists => exists(&path),
                    _ => failed(error.error),
                })?;
            }
        }
        Ok(self.written)
    }
}

/// A temporary file in the directory of the file to be. Only this user can read it, unless
/// it takes the place of one that others can read.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = Builder::new();
    builder.prefix(TEMPORARY);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let existing = fs::metadata(path).map(|existing| existing.permissions().mode());
        let mode = existing.map_or(0o600, |mode| mode & 0o777);
        builder.permissions(fs::Permissions::from_mode(mode));
    }
    builder.tempfile_in(directory)
}

fn exists(path: &Path) -> Failure {
    Failure::unusable(
        path,
        "output-exists",
        format!(
            "{} exists; choose another name, or replace it with --force",
            path.display()
        ),
    )
}
