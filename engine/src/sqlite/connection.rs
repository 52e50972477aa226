//! Opening connections: the one place in the crate that does, and the one
//! function that configures each of them.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use super::authorizer::Permission;
use super::error::{Error, ErrorCode, failure};
use super::file::{Connected, DatabaseFile, Opening};
use super::read_only::Frozen;
use super::transaction::{Deadline, Pin, Synchronous};
use super::version::warn_of_wal_reset_bug;
use super::wait::retry_while_busy;
use super::wal::Log;
use super::{limits, screen};
use crate::limits::Limits;
use crate::observability::TARGET;

/// How many compiled statements a connection keeps.
const STATEMENTS: usize = 64;

/// The page cache of a connection, in KiB.
const CACHE_KIB: i32 = 2000;

/// The longest statement, in bytes, of a component or of a schema. SQLite recurses while it
/// loads a view with queries within queries, and has no bound on that but this.
const SQL_BYTES: i32 = 64 << 10;

/// What one query may answer.
const RESULT_BYTES: usize = 1 << 30;

/// The longest wait for a lock: a day, which nobody waits for. SQLite counts
/// milliseconds in 31 bits.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// What the user of a database may choose. Begin with the default.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// How long to wait for the lock of another connection; at most a day. 15
    /// seconds by default.
    pub busy_timeout: Duration,
    /// Whether `write-durable` transactions survive a loss of power. True by
    /// default.
    pub durable: bool,
    /// The largest answer of one query, in bytes. 1 GiB by default.
    pub result_bytes: usize,
    /// The largest size of the database, in bytes. `None` by default: as large as SQLite
    /// permits.
    pub database_bytes: Option<u64>,
    /// Writing is refused while the disk has less room than so many bytes. 0 by default.
    pub disk_reserve: u64,
    /// The limits of a component that is not trusted. None by default: then a
    /// transaction is interrupted after five minutes, and that is all. Those of
    /// [`Limits`] apply that are about statements and the database, and
    /// [`Limits::call_time`] from [`SqliteCtx::lend`](super::SqliteCtx::lend) on; the others are wasmtime's to keep.
    pub limits: Option<Limits>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            busy_timeout: Duration::from_secs(15),
            durable: true,
            result_bytes: RESULT_BYTES,
            database_bytes: None,
            disk_reserve: 0,
            limits: None,
        }
    }
}

/// How long a connection waits for somebody who removes the file at this moment.
pub(super) const REMOVAL_TIMEOUT: Duration = Duration::from_secs(1);

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// Everything.
    Writer,
    /// Reads next to a writer of the same process.
    Reader,
    /// Reads of a file that is opened read-only. It leaves no file behind that was not there,
    /// and needs no permission to write.
    ReadOnly,
}

/// One connection, configured as `wit/sqlite.wit` says, with at most one
/// transaction. Dropping it closes it, which rolls back.
pub struct SqliteConnection {
    // Dropped in this order: the file must be released after the connection.
    pub(super) connection: Connection,
    pub(super) permission: Permission,
    pub(super) deadline: Deadline,
    /// When the running call ends at the latest.
    pub(super) call: Option<Instant>,
    pub(super) settings: Settings,
    pub(super) role: Role,
    pub(super) synchronous: Synchronous,
    /// The snapshot that all transactions read, if they do.
    pub(super) pinned: Option<Pin>,
    /// Whether the next transaction makes such a snapshot.
    pub(super) keeping: bool,
    /// Whether the open transaction may only read.
    pub(super) reading: bool,
    /// Whether the call may use what is kept in reserve on the disk.
    pub(super) makes_room: bool,
    pub(super) log: Log,
    /// Statements that were found harmless, some of them.
    pub(super) harmless: RefCell<HashSet<String>>,
    /// What `PRAGMA data_version` was last.
    pub(super) data_version: Option<i64>,
    /// Whether the file was moved, removed or replaced, or its log.
    pub(super) displaced: bool,
    /// Set if the connection does not see what others write.
    pub(super) frozen: Option<Frozen>,
    /// Keeps the descriptors of the file open, and other programs from removing the log.
    connected: Option<Connected>,
    /// Keeps the file from being removed while it is opened or closed.
    opening: Option<Opening>,
    pub(super) file: Option<Arc<DatabaseFile>>,
}

impl SqliteConnection {
    /// Opens a private database in memory.
    ///
    /// # Errors
    ///
    /// If SQLite has no memory.
    pub fn memory(settings: &Settings) -> Result<Self, Error> {
        Self::configured(Target::Memory, Role::Writer, settings, None)
    }

    /// Opens a file, the header of which was found good. If the role is to write
    /// and a transaction was cut off by a crash, it is undone.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Io`] if the file is gone or another one has its name;
    /// [`ErrorCode::Busy`] if it is being removed; with limits, what
    /// [`check_schema`](Self::check_schema) says; otherwise what SQLite says.
    pub fn open(file: &Arc<DatabaseFile>, role: Role, settings: &Settings) -> Result<Self, Error> {
        let Some(opening) = file.opening(settings.busy_timeout).map_err(of_file)? else {
            return Err(failure(ErrorCode::Busy, "the file is being removed"));
        };
        if file.log_is_lost() {
            return Err(log_lost(file));
        }
        // Neither before nor after SQLite has opened it may it be another one.
        file.check().map_err(of_file)?;
        let mut sqlite = match role {
            Role::Writer => {
                warn_of_wal_reset_bug();
                Self::at(Target::Writable(file.name()), role, settings, file)?
            }
            Role::Reader => Self::at(Target::ReadOnly(file.name()), role, settings, file)?,
            Role::ReadOnly => Self::open_read_only(file, settings)?,
        };
        sqlite.connected = Some(file.connected());
        file.check().map_err(of_file)?;
        if settings.limits.is_some() {
            sqlite.check_schema()?;
        }
        if role == Role::Writer {
            sqlite.opening = Some(opening);
        } else {
            sqlite.keep_log()?;
        }
        Ok(sqlite)
    }

    pub(super) fn at(
        target: Target<'_>,
        role: Role,
        settings: &Settings,
        file: &Arc<DatabaseFile>,
    ) -> Result<Self, Error> {
        Self::configured(target, role, settings, Some(Arc::clone(file)))
    }

    /// Keeps other programs from removing the log, if there is one: from now on, SQLite never
    /// needs the whole file for itself.
    fn keep_log(&mut self) -> Result<(), Error> {
        if let Some(file) = &self.file
            && self.frozen.is_none()
            && self.is_wal()?
        {
            self.log.opened();
            file.keep_log();
        }
        Ok(())
    }

    /// Configures a connection. Every connection of the crate passes here.
    fn configured(
        target: Target<'_>,
        role: Role,
        settings: &Settings,
        file: Option<Arc<DatabaseFile>>,
    ) -> Result<Self, Error> {
        let settings = Settings {
            busy_timeout: settings.busy_timeout.min(LONGEST_TIMEOUT),
            result_bytes: settings
                .limits
                .map_or(usize::MAX, |limits| limits.result_bytes)
                .min(settings.result_bytes),
            limits: settings.limits.map(Limits::clamped),
            ..settings.clone()
        };
        let mut connection = target.connect()?;
        connection.busy_timeout(settings.busy_timeout)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);

        // What the schema, or a file that somebody prepared, could misuse.
        connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
        connection.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, SQL_BYTES)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
        // Otherwise a statement with a bound `LIMIT` is compiled anew whenever it runs.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        // Until the file is accepted as ours, closing must not write to it.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;

        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        if let Some(limits) = &settings.limits {
            limits::apply(&connection, limits)?;
        }
        let of_component = settings.limits.map(|limits| limits.database_bytes);
        let bounds = [of_component, settings.database_bytes];
        if let Some(bytes) = bounds.into_iter().flatten().min() {
            limits::bound_database(&connection, bytes)?;
        }
        connection.pragma_update(None, "synchronous", Synchronous::Extra.name())?;
        let log = Log::take_over(&connection, file.as_deref())?;

        let limited = settings.limits.is_some();
        let deadline = Deadline::install(&mut connection, limited)?;
        let permission = Permission::install(&mut connection, limited)?;
        // Reads the header, and with it everything that can be wrong with the
        // file's siblings.
        connection.query_row("PRAGMA user_version", [], |_| Ok(()))?;
        Ok(Self {
            connection,
            permission,
            deadline,
            call: None,
            settings,
            role,
            synchronous: Synchronous::Extra,
            pinned: None,
            keeping: false,
            reading: false,
            makes_room: false,
            log,
            harmless: RefCell::default(),
            data_version: None,
            displaced: false,
            frozen: None,
            connected: None,
            opening: None,
            file,
        })
    }

    /// Prepares a database that is empty for the schema to come: what has to be
    /// chosen before anything is written. Without it pages that are no longer
    /// needed stay in the file.
    ///
    /// # Errors
    ///
    /// If SQLite cannot read the file.
    pub fn prepare_empty(&self) -> Result<(), Error> {
        let _granted = self.permission.grant();
        let pages: i64 = self
            .connection
            .query_row("PRAGMA page_count", [], |row| row.get(0))?;
        if pages == 0 {
            self.connection
                .pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        }
        Ok(())
    }

    /// The file's `application_id` as SQLite sees it, which is not what its first
    /// bytes say if a transaction was cut off in the middle.
    ///
    /// # Errors
    ///
    /// If SQLite cannot read the file.
    pub fn application_id(&self) -> Result<u32, Error> {
        let id: i32 = self
            .connection
            .query_row("PRAGMA application_id", [], |row| row.get(0))?;
        Ok(id.cast_unsigned())
    }

    /// Puts the file into WAL mode. It takes no lock if it is so already.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Busy`] if another connection keeps its lock for longer than the
    /// busy timeout; [`ErrorCode::Other`] if the file system, or a database in
    /// memory, can have no write-ahead log.
    pub fn convert_to_wal(&self) -> Result<(), Error> {
        if self.is_wal()? {
            return Ok(());
        }
        let _granted = self.permission.grant();
        // SQLite does not wait for the lock that this takes.
        let mode = retry_while_busy(self.settings.busy_timeout, || {
            self.journal_mode("PRAGMA journal_mode = WAL")
        })?;
        if mode == "wal" {
            return Ok(());
        }
        Err(failure(
            ErrorCode::Other,
            format!(
                "the file system does not support a write-ahead log (journal mode stays {mode:?})"
            ),
        ))
    }

    /// The file is a database of ours: from now on it is treated as one. Until then
    /// closing the connection does not write to it.
    ///
    /// # Errors
    ///
    /// What [`check_schema`](Self::check_schema) says, or if SQLite refuses the setting.
    pub fn accept(&mut self) -> Result<(), Error> {
        self.check_schema()?;
        self.keep_log()?;
        self.connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        self.opening = None;
        Ok(())
    }

    /// Refuses a schema in which somebody has prepared something: SQLite asks for no
    /// permission when it loads one.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Corrupt`] if it has anything that computes (a generated column, a default
    /// in parentheses, an index or a constraint with a function, a foreign key with an
    /// action), or something else than tables and indexes.
    pub fn check_schema(&self) -> Result<(), Error> {
        let mut statement = self
            .connection
            .prepare("SELECT name, sql, type, tbl_name FROM sqlite_schema")?;
        let mut indexes: HashMap<String, usize> = HashMap::new();
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let name = row.get_ref(0)?.as_bytes().unwrap_or_default();
            let refused = |refusal: screen::Refusal| {
                let name = String::from_utf8_lossy(name);
                let message = format!("the schema of the file, `{name}`: {refusal}");
                failure(ErrorCode::Corrupt, message)
            };
            // An index that a constraint makes has none.
            if let Ok(sql) = row.get_ref(1)?.as_bytes() {
                let sql = str::from_utf8(sql).map_err(|_| refused("it is no text"))?;
                screen::definition(sql).map_err(refused)?;
            }
            if row.get_ref(2)?.as_bytes() == Ok(b"index") {
                let table = row.get_ref(3)?.as_bytes().unwrap_or_default();
                let table = String::from_utf8_lossy(table).into_owned();
                let indexes = indexes.entry(table).or_default();
                *indexes += 1;
                if *indexes > screen::INDEXES {
                    return Err(refused(screen::MANY_INDEXES));
                }
            }
        }
        Ok(())
    }

    /// Forgets compiled statements and pages that were read.
    pub(crate) fn release_memory(&mut self) {
        let _granted = self.permission.grant();
        self.connection.flush_prepared_statement_cache();
        if let Err(error) = self.connection.execute_batch("PRAGMA shrink_memory") {
            tracing::debug!(target: TARGET, %error, "could not free memory");
        }
    }

    fn is_wal(&self) -> rusqlite::Result<bool> {
        let _granted = self.permission.grant();
        Ok(self.journal_mode("PRAGMA journal_mode")? == "wal")
    }

    fn journal_mode(&self, sql: &str) -> rusqlite::Result<String> {
        self.connection.query_row(sql, [], |row| row.get(0))
    }
}

impl Drop for SqliteConnection {
    fn drop(&mut self) {
        if self.role == Role::Writer && self.has_lost_its_log() {
            // It logs what comes of it.
            let _ = self.save_log();
        }
        let (Some(file), Some(connected)) = (&self.file, self.connected.take()) else {
            return;
        };
        // SQLite removes the log by its name, if this is the last connection. So that has to be
        // the log that the connection has open, and stay it until the connection is closed.
        self.opening = file.opening(REMOVAL_TIMEOUT).ok().flatten();
        let is_ours = self.opening.is_some()
            && !file.log_is_lost()
            && file.is_in_place()
            && self.log.is_in_place();
        if !is_ours
            && let Err(error) = self
                .connection
                .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        {
            tracing::warn!(target: TARGET, path = %file.path().display(), %error, "could not keep the log from being removed");
        }
        drop(connected);
    }
}

/// What to open, and how.
pub(super) enum Target<'a> {
    Memory,
    Writable(&'a Path),
    ReadOnly(&'a Path),
    Immutable(&'a Path),
}

impl Target<'_> {
    fn connect(&self) -> rusqlite::Result<Connection> {
        // A connection is used by one thread at a time.
        let no_mutex = OpenFlags::SQLITE_OPEN_NO_MUTEX;
        match self {
            Self::Memory => Connection::open_in_memory(),
            // The file exists, even if it is empty.
            Self::Writable(path) => {
                Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | no_mutex)
            }
            Self::ReadOnly(path) => {
                Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | no_mutex)
            }
            Self::Immutable(path) => Connection::open_with_flags(
                immutable_uri(path),
                OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | no_mutex,
            ),
        }
    }
}

/// How many indexes the table has that has most.
pub(super) fn most_indexes(connection: &Connection) -> Result<usize, Error> {
    let sql = "SELECT ifnull(max(indexes), 0) FROM (
        SELECT count(*) AS indexes FROM sqlite_schema WHERE type = 'index' GROUP BY tbl_name)";
    let most: i64 = connection.query_row(sql, (), |row| row.get(0))?;
    Ok(usize::try_from(most).unwrap_or(usize::MAX))
}

pub(super) fn of_file(error: std::io::Error) -> Error {
    failure(ErrorCode::Io, error.to_string())
}

/// What every call says after the log was removed under its connections.
pub(super) fn log_lost(file: &DatabaseFile) -> Error {
    let reason = format!(
        "{} was removed while it was in use; close all stores of the file and open them again",
        file.log().display()
    );
    failure(ErrorCode::Io, reason)
}

fn immutable_uri(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                uri.push(char::from(*byte));
            }
            byte => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    uri
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Directory;

    fn open(path: &Path, role: Role) -> SqliteConnection {
        let file = Arc::new(DatabaseFile::create(path).unwrap());
        SqliteConnection::open(&file, role, &Settings::default()).unwrap()
    }

    fn pragma(sqlite: &SqliteConnection, name: &str) -> i64 {
        let _granted = sqlite.permission.grant();
        sqlite
            .connection
            .query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn every_connection_is_configured() {
        let directory = Directory::new();
        let path = directory.path("a.db");
        let mut writer = open(&path, Role::Writer);
        writer.prepare_empty().unwrap();
        writer.convert_to_wal().unwrap();
        writer.accept().unwrap();
        let reader = open(&path, Role::Reader);
        let memory = SqliteConnection::memory(&Settings::default()).unwrap();
        for sqlite in [&writer, &reader, &memory] {
            assert_eq!(pragma(sqlite, "foreign_keys"), 1);
            assert_eq!(pragma(sqlite, "cell_size_check"), 1);
            assert_eq!(pragma(sqlite, "trusted_schema"), 0);
            assert_eq!(pragma(sqlite, "cache_size"), -2000);
            assert_eq!(pragma(sqlite, "temp_store"), 2);
            assert_eq!(pragma(sqlite, "busy_timeout"), 15_000);
            assert_eq!(pragma(sqlite, "wal_autocheckpoint"), 0);
            let connection = &sqlite.connection;
            assert!(
                connection
                    .db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE)
                    .unwrap()
            );
            assert_eq!(connection.limit(Limit::SQLITE_LIMIT_ATTACHED).unwrap(), 0);
            let denied = connection.execute_batch("PRAGMA foreign_keys = OFF");
            assert_eq!(Error::from(denied.unwrap_err()).code, ErrorCode::Denied);
        }
        assert_eq!(pragma(&writer, "auto_vacuum"), 2);
        assert!(reader.connection.is_readonly(rusqlite::MAIN_DB).unwrap());
    }

    /// A connection that is opened elsewhere would be without the rules that
    /// [`SqliteConnection::configured`] sets.
    #[test]
    fn no_other_code_opens_a_connection() {
        fn visit(directory: &Path, found: &mut Vec<std::path::PathBuf>) {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    visit(&path, found);
                } else if !path.ends_with("tests.rs") && !path.ends_with("testing.rs") {
                    let source = std::fs::read_to_string(&path).unwrap();
                    let code = source.split("#[cfg(test)]\nmod tests").next().unwrap();
                    let code = code.replace("SqliteConnection::open", "");
                    if code.contains("Connection::open") {
                        found.push(path);
                    }
                }
            }
        }
        let mut found = Vec::new();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        visit(&source, &mut found);
        assert_eq!(found, [source.join("sqlite/connection.rs")]);
    }

    #[test]
    fn a_file_that_is_in_wal_mode_is_opened_while_another_writes() {
        let directory = Directory::new();
        let path = directory.path("a.db");
        let writer = open(&path, Role::Writer);
        writer.convert_to_wal().unwrap();
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let mut second = open(&path, Role::Writer);
        second.convert_to_wal().unwrap();
        second.accept().unwrap();
        assert_eq!(second.application_id().unwrap(), 0);
    }

    #[test]
    fn the_change_to_wal_waits_for_a_lock() {
        let directory = Directory::new();
        let path = directory.path("a.db");
        let writer = open(&path, Role::Writer);
        let other = Connection::open(&path).unwrap();
        other
            .execute_batch("CREATE TABLE t (a); BEGIN IMMEDIATE")
            .unwrap();
        let release = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            other.execute_batch("COMMIT").unwrap();
        });
        writer.convert_to_wal().unwrap();
        release.join().unwrap();
    }

    #[test]
    fn a_uri_survives_any_path() {
        assert_eq!(
            immutable_uri(Path::new("/a b/c?d#e%.db")),
            "file:/a%20b/c%3fd%23e%25.db?immutable=1"
        );
    }

    /// Stands for a directory that is read-only, which stops no privileged user.
    #[cfg(unix)]
    #[test]
    fn a_file_without_shared_memory_is_read_as_it_is_if_its_log_is_empty() {
        let directory = Directory::new();
        let path = directory.path("a.db");
        {
            let mut writer = open(&path, Role::Writer);
            writer.convert_to_wal().unwrap();
            writer.accept().unwrap();
        }
        std::os::unix::fs::symlink("nowhere/shm", directory.path("a.db-shm")).unwrap();
        assert_eq!(open(&path, Role::ReadOnly).application_id().unwrap(), 0);

        // Next to a writer it must see what that commits, so it is not opened.
        let file = Arc::new(DatabaseFile::existing(&path).unwrap());
        assert!(SqliteConnection::open(&file, Role::Reader, &Settings::default()).is_err());
    }

    #[test]
    fn an_immutable_connection_reads() {
        let directory = Directory::new();
        let path = directory.path("a ?.db");
        {
            let connection = Connection::open(&path).unwrap();
            connection
                .execute_batch("PRAGMA journal_mode = WAL; PRAGMA application_id = 9")
                .unwrap();
        }
        let sqlite = SqliteConnection::configured(
            Target::Immutable(&path),
            Role::Reader,
            &Settings::default(),
            None,
        )
        .unwrap();
        assert_eq!(sqlite.application_id().unwrap(), 9);
    }
}
