//! This crate's own host, by its public API.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lash_wasm_store::sqlite::{
    self, DatabaseFile, Role, Settings, SqliteConnection, SqliteCtx, SqliteView,
};
use lash_wasm_store::wasi;
use wasmtime::Result;
use wasmtime::component::{Linker, Resource};

use super::driver::{Driven, Host};

/// How long every host of these tests waits for a lock: a rule waits as long.
pub const BUSY_TIMEOUT: Duration = Duration::from_millis(100);

/// The host.
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
        let mut connection = SqliteConnection::open(&file, Role::Writer, &settings)?;
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
