//! What a component that is not trusted may use, and how it is told that it has
//! used it up.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

macro_rules! limits {
    ($($(#[$doc:meta])* $field:ident: $type:ty = $default:expr;)*) => {
        /// What a component that is not trusted may use: one field for each
        /// [`Limit`].
        ///
        /// The defaults are many times what the component of this crate needs for
        /// an ordinary session, and small enough for a machine that does other
        /// things too. Times are counted by a clock that goes on while the process
        /// waits.
        ///
        /// ```
        /// use lash_store_engine::Limits;
        /// use std::time::Duration;
        ///
        /// let limits = Limits::default()
        ///     .call_time(Duration::from_secs(2))
        ///     .memory_bytes(64 << 20);
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Limits {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl Limits {
            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](Self#structfield.", stringify!($field), ").")]
                #[must_use]
                pub fn $field(mut self, $field: $type) -> Self {
                    self.$field = $field;
                    self
                }
            )*
        }
    };
}

limits! {
    /// How long one call may take, with all that it waits for: 30 s by default. It is
    /// looked at every 10 ms. Where a call of a store needs several exported functions
    /// at once, they share it.
    call_time: Duration = Duration::from_secs(30);
    /// The linear memory of an instance, all memories together: 512 MiB by default.
    memory_bytes: usize = 512 * MIB;
    /// The elements of an instance's tables, all tables together: 100,000 by default.
    table_elements: usize = 100_000;
    /// The core instances, and as many tables and as many memories, that an instance
    /// consists of: 64 by default.
    instances: usize = 64;
    /// The handles that an instance may have at a time, of all its resources: 1000 by
    /// default.
    handles: usize = 1000;
    /// The stack of the component: 512 KiB by default, at least 16 KiB, at most 64 MiB.
    stack_bytes: usize = 512 * KIB;
    /// What one call may hand over to the host, as arguments of an import or as the
    /// answer of an export, counted as the host stores it: 256 MiB by default. It also
    /// bounds what the host collects where one call of a store is many of the component.
    hostcall_bytes: usize = 256 * MIB;
    /// The pages of the database: 4 GiB by default. The write-ahead log may be as large
    /// again when a transaction begins, and one transaction adds at most as much. A
    /// database that is larger already cannot grow. One in memory is in the memory of the
    /// process, beside `memory_bytes`: choose less for it.
    database_bytes: u64 = 4 << 30;
    /// One row, one value: 16 MiB by default, at least 30 bytes, at most 1 GB. A statement
    /// can make 16 new values, read 16 tables and write to 16 indexes at a time: SQLite has
    /// at most some fifty times as much in memory. A blob of the component of this crate is
    /// one row, compressed if that makes it shorter.
    row_bytes: usize = 16 * MIB;
    /// What one query may answer: 256 MiB by default.
    result_bytes: usize = 256 * MIB;
    /// The text of one statement: 64 KiB by default, which is the most, at least 1 KiB.
    sql_bytes: usize = 64 * KIB;
    /// The parameters of one statement: 1000 by default, at most 32,766.
    parameters: usize = 1000;
    /// The statements that one call may run: 1,000,000 by default. A statement that is
    /// run for many rows counts once for each of them, a transaction counts once.
    statements_per_call: u64 = 1_000_000;
    /// How long one statement may take: 10 s by default. It is looked at every 100
    /// instructions of SQLite.
    statement_time: Duration = Duration::from_secs(10);
}

/// What the stack of a component may be. The engine refuses one of nothing.
const STACK: RangeInclusive<usize> = 16 * KIB..=64 * MIB;

/// What a statement may be limited to: those of the host itself are within it, and SQLite
/// recurses no deeper than its stack allows.
const SQL: RangeInclusive<usize> = KIB..=64 * KIB;

/// A day: longer times are this long, which nobody waits for.
const LONGEST_TIME: Duration = Duration::from_secs(24 * 60 * 60);

impl Limits {
    /// The same within what is possible at all. Any other limit of nothing is possible: a
    /// component reaches it at once.
    pub(crate) fn clamped(mut self) -> Self {
        self.call_time = self.call_time.min(LONGEST_TIME);
        self.statement_time = self.statement_time.min(LONGEST_TIME);
        self.stack_bytes = self.stack_bytes.clamp(*STACK.start(), *STACK.end());
        self.sql_bytes = self.sql_bytes.clamp(*SQL.start(), *SQL.end());
        self
    }
}

/// Which of its [`Limits`] a component has reached, and what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// [`Limits::call_time`].
    CallTime(Duration),
    /// [`Limits::memory_bytes`].
    Memory(usize),
    /// [`Limits::table_elements`].
    TableElements(usize),
    /// [`Limits::instances`].
    Instances(usize),
    /// [`Limits::handles`].
    Handles(usize),
    /// [`Limits::stack_bytes`].
    Stack(usize),
    /// [`Limits::hostcall_bytes`].
    Hostcall(usize),
    /// [`Limits::database_bytes`]; or the disk is full, which SQLite does not tell
    /// apart.
    Database(u64),
    /// [`Limits::row_bytes`].
    Row(usize),
    /// [`Limits::result_bytes`].
    Result(usize),
    /// [`Limits::sql_bytes`].
    Sql(usize),
    /// [`Limits::parameters`].
    Parameters(usize),
    /// [`Limits::statements_per_call`].
    Statements(u64),
    /// [`Limits::statement_time`].
    StatementTime(Duration),
}

impl Limit {
    /// The name of the field of [`Limits`].
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::CallTime(_) => "call_time",
            Self::Memory(_) => "memory_bytes",
            Self::TableElements(_) => "table_elements",
            Self::Instances(_) => "instances",
            Self::Handles(_) => "handles",
            Self::Stack(_) => "stack_bytes",
            Self::Hostcall(_) => "hostcall_bytes",
            Self::Database(_) => "database_bytes",
            Self::Row(_) => "row_bytes",
            Self::Result(_) => "result_bytes",
            Self::Sql(_) => "sql_bytes",
            Self::Parameters(_) => "parameters",
            Self::Statements(_) => "statements_per_call",
            Self::StatementTime(_) => "statement_time",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = ", self.name())?;
        match self {
            Self::CallTime(time) | Self::StatementTime(time) => write!(f, "{time:?}"),
            Self::Database(count) | Self::Statements(count) => write!(f, "{count}"),
            Self::Memory(count)
            | Self::TableElements(count)
            | Self::Instances(count)
            | Self::Handles(count)
            | Self::Stack(count)
            | Self::Hostcall(count)
            | Self::Row(count)
            | Self::Result(count)
            | Self::Sql(count)
            | Self::Parameters(count) => write!(f, "{count}"),
        }
    }
}

/// As the cause of a trap.
impl std::error::Error for Limit {}
