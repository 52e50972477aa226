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

use super::Context;
use super::call::Call;
use crate::error::Error;
use crate::kind::DatabaseKind;
use crate::pool::Worker;
use crate::sqlite::{self, DatabaseFile, Role, SqliteConnection};
use crate::wit::format::{Initialized, State};

/// What opening is called in errors.
const OPERATION: &str = "open";

/// How often a file is looked at again that changed while it was opened.
const ATTEMPTS: usize = 10;

/// Where `application_id` is in the header of a file, big-endian.
const APPLICATION_ID: usize = 68;

/// Opens a file for reading and writing, and makes it a database if it is empty.
pub(crate) fn file(
    worker: &mut Worker,
    context: &Context,
    kind: DatabaseKind,
) -> Result<SqliteConnection, Error> {
    let file = DatabaseFile::create_with_mode(context.path(), context.options.file_mode)
        .map_err(|error| Error::io(context.path(), error))?;
    let file = context.hold(file);
    let sql = |error| context.sqlite_error(error);
    for _ in 0..ATTEMPTS {
        let (header, state) = look(worker, context, file, kind)?;
        let mut sqlite =
            SqliteConnection::open(file, Role::Writer, &context.settings).map_err(sql)?;
        match state {
            State::Empty => {
                sqlite.prepare_empty().map_err(sql)?;
                sqlite = schema(worker, context, sqlite, kind)?;
            }
            // The process that wrote these bytes may have died before its
            // transaction was whole. SQLite has undone it just now.
            State::Ready if !agrees(&sqlite, &header).map_err(sql)? => continue,
            State::Ready => {}
        }
        sqlite.convert_to_wal().map_err(sql)?;
        sqlite.accept().map_err(sql)?;
        return Ok(sqlite);
    }
    Err(Error::io(
        context.path(),
        io::Error::other("the file kept changing while it was opened"),
    ))
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
    let missing = || Error::Missing {
        path: context.path().to_path_buf(),
        kind: kind.name(),
    };
    let file = DatabaseFile::existing(context.path()).map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            missing()
        } else {
            Error::io(context.path(), error)
        }
    })?;
    let file = context.hold(file);
    let (header, state) = look(worker, context, file, kind)?;
    if state == State::Empty {
        return Err(missing());
    }
    let sqlite = SqliteConnection::open(file, Role::Reader, &context.settings)
        .map_err(|error| context.sqlite_error(error))?;
    let sql = |error| context.sqlite_error(error);
    if !agrees(&sqlite, &header).map_err(sql)? {
        return Err(missing());
    }
    sqlite.check_schema().map_err(sql)?;
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
