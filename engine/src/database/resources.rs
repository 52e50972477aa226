//! What a connection cannot be opened without: file descriptors and memory.

use std::fs::File;
use std::time::Duration;
use std::{io, thread};

use super::Context;
use crate::error::Error;
use crate::resource::Resource;

/// How many files SQLite opens for a connection.
const FILES: usize = 4;

/// How often, and after which time, connections are looked for again that are about to be
/// idle.
const ATTEMPTS: usize = 100;
const PAUSE: Duration = Duration::from_millis(2);

/// `ENFILE` and `EMFILE`, on every Unix.
const TOO_MANY_FILES: [i32; 2] = [23, 24];

/// Opens something. If the process lacks something, connections with which nothing is
/// being done are closed, and it is tried once more.
pub(super) fn with_room<T>(
    context: &Context,
    mut open: impl FnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    match open() {
        Err(error) if lacking(&error).is_some() => {
            let pool = context.options.component.pool();
            for _ in 0..ATTEMPTS {
                if !pool.park_all() || !lacks_descriptors() {
                    break;
                }
                thread::sleep(PAUSE);
            }
            open().map_err(|error| match lacking(&error) {
                Some(resource) if !matches!(error, Error::Resource { .. }) => Error::Resource {
                    path: context.path().to_path_buf(),
                    operation: "open",
                    resource,
                    committed: false,
                    source: error.into(),
                },
                _ => error,
            })
        }
        result => result,
    }
}

/// What the process lacks, if that may be why.
fn lacking(error: &Error) -> Option<Resource> {
    match error {
        Error::Resource { resource, .. } => Some(*resource),
        // SQLite only says that it could not open a file.
        Error::Io { .. } | Error::Sqlite { .. } if lacks_descriptors() => {
            Some(Resource::Descriptors)
        }
        _ => None,
    }
}

/// Whether the process cannot open as many files as SQLite needs.
fn lacks_descriptors() -> bool {
    let files: io::Result<Vec<File>> = (0..FILES).map(|_| File::open("/dev/null")).collect();
    files.is_err_and(|error| {
        error
            .raw_os_error()
            .is_some_and(|code| TOO_MANY_FILES.contains(&code))
    })
}
