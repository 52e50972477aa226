//! A host over rusqlite that can be broken in one way.
//!
//! It is written for this alone: the host of the crate has no switch that breaks it.

mod imports;
mod mutation;
mod values;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use wasmtime::Result;
use wasmtime::component::{HasSelf, Linker, Resource};

use super::driver::{Driven, Host};
use super::ours::BUSY_TIMEOUT;
use imports::bindings::lash::store::sqlite;
use imports::bindings::wasi::{clocks::wall_clock, random::random};
pub use mutation::{MUTATIONS, Mutation};

/// The host.
pub struct Mutant {
    mutation: Option<Mutation>,
    connection: Connection,
    trusted: Arc<AtomicBool>,
    /// The number of the transaction that is open, or was open last.
    transaction: u32,
    /// Whether one was begun and not ended, whatever SQLite says.
    open: bool,
    mode: sqlite::TransactionMode,
    /// How many were begun in this call.
    begun: u32,
}

impl Mutant {
    fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// Runs a statement of the host's own.
    fn command(&self, sql: &str) -> rusqlite::Result<()> {
        self.trusted.store(true, Ordering::Relaxed);
        let result = self.connection.execute_batch(sql);
        self.trusted.store(false, Ordering::Relaxed);
        result
    }

    fn roll_back(&mut self) -> rusqlite::Result<()> {
        self.open = false;
        if self.connection.is_autocommit() {
            return Ok(());
        }
        self.command("ROLLBACK")
    }
}

impl Host for Mutant {
    type Database = sqlite::Database;
    type Config = Option<Mutation>;

    fn open(mutation: Option<Mutation>, path: &Path) -> Result<Self> {
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        let journal = match mutation {
            Some(Mutation::RollbackJournal) => "DELETE",
            _ => "WAL",
        };
        connection.execute_batch(&format!("PRAGMA journal_mode = {journal}"))?;
        let foreign_keys = mutation != Some(Mutation::ForeignKeysAreOff);
        connection.pragma_update(None, "foreign_keys", foreign_keys)?;
        let trusted = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&trusted);
        connection.authorizer(Some(move |context: AuthContext<'_>| {
            if asked.load(Ordering::Relaxed) || allowed(mutation, &context.action) {
                Authorization::Allow
            } else {
                Authorization::Deny
            }
        }))?;
        Ok(Self {
            mutation,
            connection,
            trusted,
            transaction: 0,
            open: false,
            mode: sqlite::TransactionMode::Read,
            begun: 0,
        })
    }

    fn add_to_linker(linker: &mut Linker<Driven<Self>>) -> Result<()> {
        fn mutant(driven: &mut Driven<Mutant>) -> &mut Mutant {
            &mut driven.host
        }
        sqlite::add_to_linker::<_, HasSelf<Self>>(linker, mutant)?;
        wall_clock::add_to_linker::<_, HasSelf<Self>>(linker, mutant)?;
        random::add_to_linker::<_, HasSelf<Self>>(linker, mutant)
    }

    fn begin_call(&mut self) -> Resource<sqlite::Database> {
        self.begun = 0;
        Resource::new_borrow(0)
    }

    fn end_call(&mut self, trapped: bool) -> Result<()> {
        if trapped && self.is(Mutation::TrapCommits) {
            self.open = false;
            return Ok(self.command("COMMIT")?);
        }
        if !trapped && self.is(Mutation::EndOfCallLeavesOpen) {
            return Ok(());
        }
        self.transaction += 1;
        Ok(self.roll_back()?)
    }
}

fn allowed(mutation: Option<Mutation>, action: &AuthAction<'_>) -> bool {
    match action {
        AuthAction::Attach { .. } | AuthAction::Unknown { .. } => {
            mutation == Some(Mutation::AllowsAttach)
        }
        AuthAction::Transaction { .. } | AuthAction::Savepoint { .. } => {
            mutation == Some(Mutation::AllowsTransactions)
        }
        AuthAction::Pragma { pragma_name, .. } => match mutation {
            Some(Mutation::AllowsPragmas) => true,
            Some(Mutation::DeniesPragmas) => false,
            _ => matches!(*pragma_name, "application_id" | "user_version"),
        },
        AuthAction::Function { function_name } => match mutation {
            Some(Mutation::HasFunctions(functions)) => {
                functions.iter().any(|known| known == function_name)
            }
            _ => *function_name != "load_extension",
        },
        _ => true,
    }
}
