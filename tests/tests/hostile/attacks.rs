//! What is tried, and what must stop it.

use lash_wasm_store::{EngineError, Error};

/// An attack.
pub struct Attack {
    /// What the table calls it.
    pub name: &'static str,
    /// What the component is told, call by call. The last one is judged.
    pub steps: &'static [&'static str],
    pub stopped: Stopped,
}

/// What stops an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// A limit of this name.
    Limit(&'static str),
    /// The same, after the call has committed.
    LimitAfterCommit(&'static str),
    /// A rule of the component model or a trap: the instance ends.
    Trap,
    /// The host's rules for statements and handles. The message says this.
    Refused(&'static str),
    /// The call succeeds and has no effect.
    RolledBack,
}

impl Stopped {
    /// Whether this is how a call has ended.
    pub fn is(self, answer: Result<(), &Error>) -> bool {
        match (self, answer) {
            (
                Self::Limit(name),
                Err(Error::Engine(EngineError::Limit {
                    limit, committed, ..
                })),
            ) => limit.name() == name && !committed,
            (
                Self::LimitAfterCommit(name),
                Err(Error::Engine(EngineError::Limit {
                    limit, committed, ..
                })),
            ) => limit.name() == name && *committed,
            (Self::Trap, Err(Error::Engine(EngineError::Component { committed, .. }))) => {
                !committed
            }
            (
                Self::Refused(words),
                Err(Error::Engine(
                    EngineError::Sqlite { message, .. } | EngineError::ReadOnly { message, .. },
                )),
            ) => message.contains(words),
            (Self::RolledBack, Ok(())) => true,
            _ => false,
        }
    }

    /// The same in words.
    pub fn words(self) -> String {
        match self {
            Self::Limit(name) | Self::LimitAfterCommit(name) => format!("limit {name}"),
            Self::Trap => "a trap".to_owned(),
            Self::Refused(_) => "the rules for statements and handles".to_owned(),
            Self::RolledBack => "the end of the call".to_owned(),
        }
    }
}

macro_rules! attacks {
    ($($name:literal: $($step:literal),+ => $stopped:ident $(($words:literal))?;)*) => {
        pub const ATTACKS: &[Attack] = &[$(
            Attack {
                name: $name,
                steps: &[$($step),+],
                stopped: Stopped::$stopped $(($words))?,
            },
        )*];
    };
}

attacks! {
    "loops for ever": "loop" => Limit("call_time");
    "loops for ever under the write lock": "loop-in-transaction" => Limit("call_time");
    "loops for ever after a commit": "loop-after-commit" => LimitAfterCommit("call_time");
    "recurses without end": "recurse" => Limit("stack_bytes");
    "grows its memory": "grow" => Limit("memory_bytes");
    "traps within a transaction": "trap" => Trap;
    "leaves a transaction open": "leave-open" => RolledBack;

    "passes a list of 4 GiB": "long-list" => Trap;
    "passes the same bytes a thousand times": "same-bytes" => Limit("hostcall_bytes");
    "passes text that is not UTF-8": "invalid-text" => Trap;
    "answers text that is not UTF-8": "invalid-answer" => Trap;
    "answers 8 MiB": "long-answer" => Limit("hostcall_bytes");
    "opens a million handles": "handles" => Limit("handles");
    "uses a handle that it dropped": "dropped-handle" => Trap;
    "uses a transaction of an earlier call": "keep-handle", "kept-handle" => Refused("has ended");
    "the same while another one is open":
        "keep-handle", "kept-handle-beside" => Refused("has ended");
    "uses a handle that it was never given": "unknown-handle" => Trap;

    "runs a recursive query without end":
        "read WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n FROM r) SELECT count(*) FROM r"
        => Limit("statement_time");
    "makes SQLite remember rows without end": "distinct" => Limit("statement_time");
    "makes SQLite sort rows without end": "sort" => Limit("statement_time");
    "joins without end":
        "read WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r LIMIT 100000) SELECT count(*) FROM r, r AS s, r AS t"
        => Limit("statement_time");
    "reads an answer without end":
        "read WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n FROM r) SELECT hex(hex(hex(hex(hex('0123456789abcdef'))))) FROM r"
        => Limit("result_bytes");
    "reaches a limit and traps later": "cope trap" => Trap;
    "reaches a limit and breaks a rule later": "cope refused" => Refused("not authorized");
    "runs statements without end": "statements" => Limit("statements_per_call");
    "a statement of 1 MB": "long-statement 1000000" => Limit("sql_bytes");
    "a statement of 10 MB": "long-statement 10000000" => Limit("hostcall_bytes");
    "twenty thousand parameters": "parameters 20000" => Limit("parameters");
    "a million parameters": "parameters 1000000" => Limit("hostcall_bytes");
    "a value that is too long": "long-row" => Limit("row_bytes");
    "fills the database": "fill" => Limit("database_bytes");

    "queries within queries": "deep-statement 2250" => Refused("too many");
    "parentheses within parentheses": "read SELECT ((((((((((((((((((((((((((((((((((1))))))))))))))))))))))))))))))))))" => Refused("too deep");
    "definitions that double": "doubling-tables" => Refused("too many");
    "expressions that double": "doubling-names" => Refused("too many");
    "columns that double": "doubling-columns" => Refused("cannot compute");
    "a default that takes hours": "computed-default" => Refused("cannot compute");
    "a hundred values that are long": "many-values 100" => Refused("too many functions");
    "a dozen values that are long": "many-values 12" => Limit("result_bytes");
    "a condition of a table that takes long":
        "write CREATE TABLE t (a CHECK (hex(hex(a)) > 'x'))" => Refused("cannot compute");
    "foreign keys that delete in turn":
        "write CREATE TABLE t (a PRIMARY KEY REFERENCES t ON DELETE CASCADE)"
        => Refused("cannot have an action");

    "ATTACH by a literal": "write ATTACH '/tmp/other.db' AS other" => Refused("not authorized");
    "ATTACH by an expression": "write ATTACH '/tmp/' || 'other.db' AS other" => Refused("not authorized");
    "ATTACH by a URI": "write ATTACH 'file:/tmp/other.db?mode=rwc' AS other" => Refused("not authorized");
    "ATTACH of memory": "write ATTACH ':memory:' AS other" => Refused("not authorized");
    "DETACH": "write DETACH main" => Refused("not authorized");
    "VACUUM": "write VACUUM" => Refused("within a transaction");
    "VACUUM INTO": "write VACUUM INTO '/tmp/stolen.db'" => Refused("within a transaction");
    "PRAGMA journal_mode": "write PRAGMA journal_mode = DELETE" => Refused("not authorized");
    "PRAGMA synchronous": "write PRAGMA synchronous = OFF" => Refused("not authorized");
    "PRAGMA writable_schema": "write PRAGMA writable_schema = ON" => Refused("not authorized");
    "PRAGMA max_page_count": "write PRAGMA max_page_count = 1000000" => Refused("not authorized");
    "PRAGMA hard_heap_limit": "write PRAGMA hard_heap_limit = 1" => Refused("not authorized");
    "PRAGMA temp_store_directory": "write PRAGMA temp_store_directory = '/'" => Refused("not authorized");
    "PRAGMA wal_checkpoint": "write PRAGMA wal_checkpoint(TRUNCATE)" => Refused("not authorized");
    "a pragma as a table": "read SELECT * FROM pragma_database_list" => Refused("prohibited");
    "load_extension": "read SELECT load_extension('/tmp/evil.so')" => Refused("not authorized");
    "readfile": "read SELECT readfile('/etc/passwd')" => Refused("no such function");
    "a search that nothing interrupts":
        "read SELECT instr(hex(hex(hex('a'))), hex(hex('b')))" => Refused("not authorized");
    "a pattern that takes for ever": "read SELECT 'aaaaaaaaaa' LIKE '%a%a%a%a%b'" => Refused("not authorized");
    "writes to the schema":
        "write INSERT INTO sqlite_schema VALUES ('table', 'x', 'x', 2, 'CREATE TABLE x (a)')"
        => Refused("may not be modified");
    "changes the schema":
        "write UPDATE sqlite_schema SET sql = 'CREATE TABLE blobs (x)'" => Refused("may not be modified");
    "CREATE TRIGGER":
        "write CREATE TRIGGER t AFTER INSERT ON blobs BEGIN DELETE FROM blobs; END"
        => Refused("not authorized");
    "CREATE VIEW": "write CREATE VIEW v AS SELECT 1" => Refused("not authorized");
    "CREATE VIRTUAL TABLE": "write CREATE VIRTUAL TABLE v USING fts5(a)" => Refused("not authorized");
    "CREATE TEMP TABLE": "write CREATE TEMP TABLE t (a)" => Refused("not authorized");
    "DROP TABLE": "write DROP TABLE blobs" => Refused("not authorized");
    "ALTER TABLE": "write ALTER TABLE blobs RENAME TO b" => Refused("not authorized");
    "ANALYZE": "write ANALYZE" => Refused("not authorized");
    "COMMIT as a statement": "write COMMIT" => Refused("not authorized");
    "ROLLBACK as a statement": "write ROLLBACK" => Refused("not authorized");
    "BEGIN as a statement": "write BEGIN" => Refused("not authorized");
    "SAVEPOINT": "write SAVEPOINT s" => Refused("not authorized");
    "two statements at once": "write SELECT 1; DELETE FROM blobs" => Refused("Multiple statements");
    "writes in a transaction that reads": "read DELETE FROM blobs" => Refused("reading only");
    "reads an array as a table": "read SELECT count(*) FROM json_each('[1]')" => Refused("not authorized");
    "reads a tree as a table": "read SELECT key FROM JSON_TREE('[1]')" => Refused("prohibited");
    "reads pages of the file": "read SELECT * FROM sqlite_dbpage" => Refused("no such table");
}
