//! The hosts that must keep all rules.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lash_wasm_store::sqlite::{
    self, DatabaseFile, Role, Settings, SqliteConnection, SqliteCtx, SqliteView,
};
use lash_wasm_store::wasi;
use lash_wasm_store_embedding::imports::Imports;
use lash_wasm_store_embedding::imports::bindings::lash::store::sqlite as embedding;
use lash_wasm_store_embedding::imports::bindings::wasi::{clocks::wall_clock, random::random};
use rusqlite::Connection;
use wasmtime::Result;
use wasmtime::component::{HasSelf, Linker, Resource};

use super::driver::{Driven, Host};

/// How long the hosts wait for a lock: a rule waits as long.
pub const BUSY_TIMEOUT: Duration = Duration::from_millis(100);

/// This crate's own host, by its public API.
pub struct Ours(SqliteCtx);

impl SqliteView for Driven<Ours> {
    fn sqlite(&mut self) -> &mut SqliteCtx {
        &mut self.host.0
    }
}

impl Host for Ours {
    type Database = sqlite::Database;
    type Config = ();

    fn open((): (), path: &Path) -> Result<Self> {
        let file = Arc::new(DatabaseFile::create(path)?);
        let mut settings = Settings::default();
        settings.busy_timeout = BUSY_TIMEOUT;
        let connection = SqliteConnection::open(&file, Role::Writer, &settings)?;
        connection.prepare_empty()?;
        connection.convert_to_wal()?;
        connection.accept()?;
        let mut context = SqliteCtx::new();
        context.lend(connection);
        Ok(Self(context))
    }

    fn add_to_linker(linker: &mut Linker<Driven<Self>>) -> Result<()> {
        sqlite::add_to_linker(linker)?;
        wasi::add_to_linker(linker, |_| SystemTime::now())
    }

    fn begin_call(&mut self) -> Resource<sqlite::Database> {
        self.0.begin_call()
    }

    fn end_call(&mut self, _: bool) -> Result<()> {
        Ok(self.0.end_call()?)
    }
}

/// The host of `tests/embedding/rust`.
pub struct Embedding(Imports);

impl Host for Embedding {
    type Database = embedding::Database;
    type Config = ();

    fn open((): (), path: &Path) -> Result<Self> {
        let imports = Imports::new(Connection::open(path)?, BUSY_TIMEOUT)?;
        imports.use_wal()?;
        Ok(Self(imports))
    }

    fn add_to_linker(linker: &mut Linker<Driven<Self>>) -> Result<()> {
        fn imports(driven: &mut Driven<Embedding>) -> &mut Imports {
            &mut driven.host.0
        }
        embedding::add_to_linker::<_, HasSelf<Imports>>(linker, imports)?;
        wall_clock::add_to_linker::<_, HasSelf<Imports>>(linker, imports)?;
        random::add_to_linker::<_, HasSelf<Imports>>(linker, imports)
    }

    fn begin_call(&mut self) -> Resource<embedding::Database> {
        Resource::new_borrow(0)
    }

    fn end_call(&mut self, _: bool) -> Result<()> {
        Ok(self.0.end_call()?)
    }
}
