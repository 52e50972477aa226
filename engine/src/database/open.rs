//! Opening a database: what is looked at, in which order.
//!
//! 1. The component judges the first bytes of the file. What is not ours is
//!    refused before SQLite sees it.
//! 2. An empty file gets its schema in one transaction with a rollback journal,
//!    so that `application_id` is in the file itself before there is a log.
//! 3. The file is put into WAL mode.
//!
//! Any number of processes and threads may do this with one new file at a time.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::Context;
use super::call::Call;
use crate::error::Error;
use crate::kind::DatabaseKind;
use crate::pool::Worker;
use crate::sqlite::{self, DatabaseFile, Pin, Removal, Role, SqliteConnection};
use crate::wit::format::{Initialized, State};

/// What opening is called in errors.
pub(super) const OPERATION: &str = "open";

/// How often a file is looked at again that changed while it was opened.
const ATTEMPTS: usize = 10;

/// How a database begins.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Where `application_id` is in the header of a file, big-endian.
const APPLICATION_ID: usize = 68;

/// Opens a file for reading and writing, and makes it a database if it is empty and `create`
/// says so.
pub(crate) fn file(
    worker: &mut Worker,
    context: &Context,
    kind: DatabaseKind,
    create: bool,
) -> Result<SqliteConnection, Error> {
    for _ in 0..ATTEMPTS {
        let file = if create {
            let mode = context.options.file_mode;
            match DatabaseFile::create_with_mode(context.path(), mode) {
                // It was removed as soon as it was there.
                Err(error) if error.kind() == io::ErrorKind::NotFound && has_directory(context) => {
                    continue;
                }
                created => created.map_err(|error| Error::io(context.path(), error)),
            }
        } else {
            existing(context, kind)
        };
        let file = Arc::new(file?);
        let Some(_pin) = pin(context, &file)? else {
            continue;
        };
        match writer(worker, context, &file, kind, create) {
            Ok(Some(sqlite)) => {
                context.hold(file);
                return Ok(sqlite);
            }
            Ok(None) => {}
            // It was removed meanwhile.
            Err(_) if !file.is_in_place() => {}
            Err(error) => return Err(error),
        }
    }
    Err(kept_changing(context))
}

/// `None` if the file changed meanwhile.
fn writer(
    worker: &mut Worker,
    context: &Context,
    file: &Arc<DatabaseFile>,
    kind: DatabaseKind,
    create: bool,
) -> Result<Option<SqliteConnection>, Error> {
    let sql = |error| context.sqlite_error(error);
    let header = file
        .header()
        .map_err(|error| Error::io(context.path(), error))?;
    if !header.is_empty() && !header.starts_with(MAGIC) && file.is_cut_off() {
        SqliteConnection::open(file, Role::Writer, &context.settings).map_err(sql)?;
        return Ok(None);
    }
    let (header, state) = look(worker, context, file, kind)?;
    if state == State::Empty && !create {
        return Err(missing(context, kind));
    }
    let mut sqlite = SqliteConnection::open(file, Role::Writer, &context.settings)
        .map_err(|error| context.open_error(file, error))?;
    match state {
        State::Empty => {
            sqlite.prepare_empty().map_err(sql)?;
            sqlite = schema(worker, context, sqlite, kind)?;
        }
        // The process that wrote these bytes may have died before its
        // transaction was whole. SQLite has undone it just now.
        State::Ready if !agrees(&sqlite, &header).map_err(sql)? => return Ok(None),
        State::Ready => {}
    }
    sqlite.convert_to_wal().map_err(sql)?;
    sqlite.accept().map_err(sql)?;
    Ok(Some(sqlite))
}

/// What is removed.
#[derive(Clone, Copy)]
pub(crate) enum Deletion {
    /// A database after the function has marked it, another file as it is.
    Any(Visit),
    /// A database that is marked, of which the function fails with [`Error::Retired`].
    Retired(Visit),
}

/// A call of a database.
pub(crate) type Visit = fn(&mut Call<'_>) -> Result<(), Error>;

/// Removes a file. Handles that have it open cannot commit any more.
pub(crate) fn delete(
    worker: &mut Worker,
    context: &Context,
    kind: DatabaseKind,
    deletion: Deletion,
) -> Result<(), Error> {
    let any = matches!(deletion, Deletion::Any(_));
    let io = |error| Error::io(context.path(), error);
    for _ in 0..ATTEMPTS {
        let file = match DatabaseFile::existing(context.path()) {
            Ok(file) => Arc::new(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(io(error)),
        };
        let Some(_pin) = pin(context, &file)? else {
            continue;
        };
        let header = match file.header() {
            Ok(header) => header,
            Err(_) if !file.is_in_place() => continue,
            Err(error) => return Err(io(error)),
        };
        let state = worker.call(context, OPERATION, &mut None, |call| {
            call.classify(&header, kind)
        });
        let is_ours = matches!(state, Ok(State::Ready));
        if !is_ours && !any {
            return Ok(());
        }
        if is_ours {
            match mark(worker, context, &file, deletion) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                // What cannot be marked is removed all the same: nobody can commit to a file
                // that has no name.
                Err(Error::Corrupt { .. } | Error::Malformed { .. } | Error::DiskFull { .. })
                    if any => {}
                Err(_) if !file.is_in_place() => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        // Somebody may have begun to make a database of it.
        let is_unchanged = |file: &DatabaseFile| Ok(is_ours || file.header()? == header);
        match file.remove(context.settings.busy_timeout, is_unchanged) {
            Ok(Removal::Done) => return Ok(()),
            Ok(Removal::Refused) => {}
            Ok(Removal::Busy) => return Err(context.busy()),
            Err(error) => return Err(io(error)),
        }
    }
    Err(kept_changing(context))
}

/// `None` if the file was removed meanwhile.
fn pin(context: &Context, file: &Arc<DatabaseFile>) -> Result<Option<Pin>, Error> {
    match file.pin() {
        Ok(pin) => Ok(Some(pin)),
        Err(_) if !file.is_in_place() => Ok(None),
        Err(error) => Err(Error::io(context.path(), error)),
    }
}

/// Marks a database in the file itself, not only in its log: the log is removed first. False
/// if it is not to be removed.
fn mark(
    worker: &mut Worker,
    context: &Context,
    file: &Arc<DatabaseFile>,
    deletion: Deletion,
) -> Result<bool, Error> {
    let sql = |error| context.sqlite_error(error);
    let mut sqlite = SqliteConnection::open(file, Role::Writer, &context.settings).map_err(sql)?;
    sqlite.convert_to_wal().map_err(sql)?;
    sqlite.accept().map_err(sql)?;
    let mut slot = Some(sqlite);
    let (Deletion::Any(visit) | Deletion::Retired(visit)) = deletion;
    match worker.call(context, OPERATION, &mut slot, visit) {
        Ok(()) if matches!(deletion, Deletion::Retired(_)) => return Ok(false),
        // An earlier deletion was interrupted.
        Ok(()) | Err(Error::Retired { .. }) => {}
        Err(error) => return Err(error),
    }
    slot.as_ref()
        .map_or(Ok(()), SqliteConnection::copy_whole_log)
        .map_err(sql)?;
    Ok(true)
}

fn existing(context: &Context, kind: DatabaseKind) -> Result<DatabaseFile, Error> {
    DatabaseFile::existing(context.path()).map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            missing(context, kind)
        } else {
            Error::io(context.path(), error)
        }
    })
}

fn has_directory(context: &Context) -> bool {
    context.path().parent().is_some_and(Path::is_dir)
}

fn missing(context: &Context, kind: DatabaseKind) -> Error {
    Error::Missing {
        path: context.path().to_path_buf(),
        kind: kind.name(),
    }
}

fn kept_changing(context: &Context) -> Error {
    Error::io(
        context.path(),
        io::Error::other("the file kept changing while it was opened"),
    )
}

/// Makes a database in memory.
pub(crate) fn memory(
    worker: &mut Worker,
    context: &Context,
    kind: DatabaseKind,
) -> Result<SqliteConnection, Error> {
    let sqlite =
        SqliteConnection::memory(&context.settings).map_err(|error| context.sqlite_error(error))?;
    schema(worker, context, sqlite, kind)
}

/// Opens a file for reading. It must be a database already.
pub(crate) fn read_only(
    worker: &mut Worker,
    context: &Context,
    kind: DatabaseKind,
) -> Result<SqliteConnection, Error> {
    let sql = |error| context.sqlite_error(error);
    let file = Arc::new(existing(context, kind)?);
    let (header, state) = look(worker, context, &file, kind)?;
    if state == State::Empty {
        return Err(missing(context, kind));
    }
    let sqlite = SqliteConnection::open(&file, Role::ReadOnly, &context.settings).map_err(sql)?;
    if !agrees(&sqlite, &header).map_err(sql)? {
        return Err(missing(context, kind));
    }
    sqlite.check_schema().map_err(sql)?;
    context.hold(file);
    Ok(sqlite)
}

fn look(
    worker: &mut Worker,
    context: &Context,
    file: &DatabaseFile,
    kind: DatabaseKind,
) -> Result<(Vec<u8>, State), Error> {
    let header = file
        .header()
        .map_err(|error| Error::io(context.path(), error))?;
    let state = worker.call(context, OPERATION, &mut None, |call| {
        call.classify(&header, kind)
    })?;
    Ok((header, state))
}

fn agrees(sqlite: &SqliteConnection, header: &[u8]) -> Result<bool, sqlite::Error> {
    let found = header
        .get(APPLICATION_ID..)
        .and_then(|rest| rest.first_chunk::<4>())
        .map(|bytes| u32::from_be_bytes(*bytes));
    Ok(found == Some(sqlite.application_id()?))
}

fn schema(
    worker: &mut Worker,
    context: &Context,
    sqlite: SqliteConnection,
    kind: DatabaseKind,
) -> Result<SqliteConnection, Error> {
    let mut slot = Some(sqlite);
    match worker.call(context, OPERATION, &mut slot, |call| initialize(call, kind))? {
        Initialized::Ready => {}
        Initialized::Refused(mismatch) => {
            return Err(Error::from_mismatch(mismatch, context.path(), kind));
        }
    }
    slot.ok_or_else(|| Error::component(context.path(), OPERATION, "the connection was lost"))
}

/// Makes a database of the kind of an empty one.
fn initialize(call: &mut Call<'_>, kind: DatabaseKind) -> Result<Initialized, Error> {
    match kind {
        DatabaseKind::Session => call.session().initialize(),
        DatabaseKind::Processes => call.processes().initialize(),
        DatabaseKind::HostEvents => call.host_events().initialize(),
        DatabaseKind::Effects => call.effects().initialize(),
    }
}
