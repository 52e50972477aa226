//! What the statements of the component may do: an allow-list.
//!
//! SQLite asks while it compiles a statement. What is not listed is refused, so
//! that an action which this code has never heard of is refused too (`ATTACH`
//! with a computed name has no name to compare, for example). Transactions are
//! not on the list: the host opens and ends them by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

/// Functions of SQLite's core that compute from their arguments alone, and
/// cannot make much out of little.
const FUNCTIONS: &[&str] = &[
    "abs",
    "avg",
    "changes",
    "coalesce",
    "count",
    "glob",
    "hex",
    "ifnull",
    "iif",
    "instr",
    "last_insert_rowid",
    "length",
    "like",
    "lower",
    "ltrim",
    "max",
    "min",
    "nullif",
    "octet_length",
    "round",
    "row_number",
    "rtrim",
    "substr",
    "substring",
    "sum",
    "total",
    "trim",
    "typeof",
    "unicode",
    "upper",
];

/// Those of them that a component may use that is not trusted. The others search one
/// text within another: with long ones they take hours, and nothing interrupts a
/// function.
const FUNCTIONS_OF_UNTRUSTED: &[&str] = &[
    "abs",
    "avg",
    "changes",
    "coalesce",
    "count",
    "hex",
    "ifnull",
    "iif",
    "last_insert_rowid",
    "length",
    "lower",
    "max",
    "min",
    "nullif",
    "octet_length",
    "round",
    "row_number",
    "substr",
    "substring",
    "sum",
    "total",
    "typeof",
    "unicode",
    "upper",
];

/// The two fields of the header that say what a file is.
const PRAGMAS: &[&str] = &["application_id", "user_version"];

/// Tables that nobody has made: SQLite's virtual tables that are there by themselves, and
/// those that its shell and its extensions add. Reading them is all that is asked for.
const VIRTUAL_TABLES: &[&str] = &[
    "bytecode",
    "carray",
    "completion",
    "csv",
    "dbstat",
    "fsdir",
    "fts3tokenize",
    "generate_series",
    "json_each",
    "json_tree",
    "jsonb_each",
    "jsonb_tree",
    "sqlite_dbdata",
    "sqlite_dbpage",
    "sqlite_dbptr",
    "sqlite_memstat",
    "sqlite_stmt",
    "tables_used",
    "zipfile",
];

/// A pragma as a table is one too.
const PRAGMA_TABLES: &str = "pragma_";

/// Whether the statement that is being compiled is the host's own.
#[derive(Clone)]
pub(super) struct Permission(Arc<AtomicBool>);

impl Permission {
    /// Installs the allow-list on a connection. Until then everything is
    /// allowed; from then on only what the list says, or what runs while a
    /// [`Granted`] lives.
    pub(super) fn install(connection: &mut Connection, limited: bool) -> rusqlite::Result<Self> {
        let permission = Self(Arc::new(AtomicBool::new(false)));
        let granted = permission.clone();
        let functions = if limited {
            FUNCTIONS_OF_UNTRUSTED
        } else {
            FUNCTIONS
        };
        let hook = move |context: AuthContext<'_>| {
            if granted.0.load(Ordering::Relaxed) || allowed(&context, functions) {
                Authorization::Allow
            } else {
                Authorization::Deny
            }
        };
        connection.authorizer(Some(hook)).installed()?;
        Ok(permission)
    }

    /// Lets everything pass until the answer is dropped.
    ///
    /// Nothing that is compiled meanwhile may go into the statement cache: the
    /// component would find it there under the same text.
    pub(super) fn grant(&self) -> Granted {
        self.0.store(true, Ordering::Relaxed);
        Granted(Arc::clone(&self.0))
    }
}

/// The host may compile whatever it needs.
pub(super) struct Granted(Arc<AtomicBool>);

impl Drop for Granted {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// What installing a hook returns: nothing up to rusqlite 0.37, a result later.
pub(super) trait Installed {
    fn installed(self) -> rusqlite::Result<()>;
}

impl Installed for () {
    fn installed(self) -> rusqlite::Result<()> {
        Ok(())
    }
}

impl Installed for rusqlite::Result<()> {
    fn installed(self) -> rusqlite::Result<()> {
        self
    }
}

fn allowed(context: &AuthContext<'_>, functions: &[&str]) -> bool {
    match context.action {
        // A `CREATE` is also an insert into the table of the schema and a
        // rebuild of the index. The schema cannot be written directly: that
        // takes `writable_schema`, which is a pragma.
        AuthAction::Read { table_name, .. } => !is_virtual(table_name),
        AuthAction::Select
        | AuthAction::Insert { .. }
        | AuthAction::Update { .. }
        | AuthAction::Delete { .. }
        | AuthAction::CreateTable { .. }
        | AuthAction::CreateIndex { .. }
        | AuthAction::Reindex { .. }
        | AuthAction::Recursive => true,
        AuthAction::Function { function_name } => functions
            .iter()
            .any(|name| name.eq_ignore_ascii_case(function_name)),
        AuthAction::Pragma { pragma_name, .. } => PRAGMAS
            .iter()
            .any(|name| name.eq_ignore_ascii_case(pragma_name)),
        _ => false,
    }
}

fn is_virtual(table: &str) -> bool {
    let is_pragma = table
        .get(..PRAGMA_TABLES.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(PRAGMA_TABLES));
    is_pragma
        || VIRTUAL_TABLES
            .iter()
            .any(|name| name.eq_ignore_ascii_case(table))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> (Connection, Permission) {
        let mut connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT UNIQUE)")
            .unwrap();
        let permission = Permission::install(&mut connection, false).unwrap();
        (connection, permission)
    }

    fn is_denied(connection: &Connection, sql: &str) -> bool {
        match connection.execute_batch(sql) {
            Ok(()) => false,
            Err(error) => {
                let denied = error.sqlite_error_code()
                    == Some(rusqlite::ErrorCode::AuthorizationForStatementDenied)
                    // A function that is refused is reported as a plain error.
                    || error.to_string().contains("not authorized");
                assert!(denied, "{sql}: {error}");
                true
            }
        }
    }

    #[test]
    fn what_the_schema_and_its_statements_need_is_allowed() {
        let (connection, _permission) = connection();
        for sql in [
            "CREATE TABLE u (a INTEGER PRIMARY KEY, b TEXT NOT NULL UNIQUE, c BLOB,
                CHECK (a > 0), FOREIGN KEY (b) REFERENCES t (b))",
            "CREATE TABLE w (a TEXT, b TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID",
            "CREATE TABLE s (a INTEGER PRIMARY KEY AUTOINCREMENT)",
            "CREATE TABLE IF NOT EXISTS u (a)",
            "CREATE INDEX i ON t (b)",
            "CREATE UNIQUE INDEX p ON t (b) WHERE b IS NOT NULL",
            "INSERT INTO t VALUES (1, 'x') ON CONFLICT (a) DO UPDATE SET b = excluded.b",
            "INSERT INTO s DEFAULT VALUES RETURNING a",
            "UPDATE t SET b = 'y' WHERE a = 1 RETURNING a",
            "DELETE FROM t WHERE a IN (SELECT a FROM w)",
            "SELECT count(*), sum(a), max(a), coalesce(b, ''), length(b) FROM t",
            "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r LIMIT 9)
                SELECT n FROM r",
            "SELECT 1 FROM sqlite_schema LIMIT 1",
            "PRAGMA application_id = 7",
            "PRAGMA user_version = 3",
        ] {
            assert!(!is_denied(&connection, sql), "{sql}");
        }
    }

    #[test]
    fn what_reaches_beyond_the_tables_is_denied() {
        let (connection, _permission) = connection();
        for sql in [
            "ATTACH '/tmp/other.db' AS other",
            "ATTACH 'file:' || 'other.db' AS other",
            "DETACH main",
            "VACUUM",
            "VACUUM INTO '/tmp/copy.db'",
            "SELECT load_extension('x')",
            "SELECT writefile('x', 'y')",
            "SELECT zeroblob(1000000000)",
            "SELECT printf('%1000000d', 1)",
            "PRAGMA writable_schema = ON",
            "PRAGMA journal_mode = DELETE",
            "PRAGMA synchronous = OFF",
            "PRAGMA trusted_schema = ON",
            "PRAGMA foreign_keys = OFF",
            "PRAGMA temp_store_directory = '/'",
            "PRAGMA table_info(t)",
            "SELECT * FROM pragma_table_info('t')",
            "SELECT 1 FROM json_each('[1]')",
            "SELECT count(*) FROM JSON_tree('[1]')",
            "CREATE TEMP TABLE x (a)",
            "CREATE VIEW v AS SELECT 1",
            "CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t; END",
            "CREATE VIRTUAL TABLE f USING fts5(a)",
            "DROP TABLE t",
            "ALTER TABLE t ADD COLUMN c",
            "ANALYZE",
        ] {
            // Of the functions that this build does not have, there is no
            // telling whether they would be refused.
            if sql.contains("writefile") {
                assert!(connection.execute_batch(sql).is_err());
            } else {
                assert!(is_denied(&connection, sql), "{sql}");
            }
        }
    }

    #[test]
    fn transactions_are_the_hosts_alone() {
        let (connection, permission) = connection();
        for sql in ["BEGIN", "BEGIN IMMEDIATE", "SAVEPOINT s"] {
            assert!(is_denied(&connection, sql), "{sql}");
        }
        {
            let _granted = permission.grant();
            connection.execute_batch("BEGIN").unwrap();
        }
        for sql in ["COMMIT", "END", "ROLLBACK", "RELEASE s", "SAVEPOINT s"] {
            assert!(is_denied(&connection, sql), "{sql}");
        }
        assert!(!connection.is_autocommit());
    }

    #[test]
    fn the_table_of_the_schema_cannot_be_written() {
        let (connection, _permission) = connection();
        let error = connection
            .execute_batch("UPDATE sqlite_schema SET sql = 'x'")
            .unwrap_err();
        assert!(error.to_string().contains("may not be modified"), "{error}");
    }
}
