//! The component in a program with a wasmtime engine of its own, without the
//! threads of [`lash_store_engine::Database`].
//!
//! ```console
//! $ cargo run --example embed -- session.db
//! ```
//!
//! It opens the file as a session database, commits, and reads back what it
//! committed.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use lash_store_engine::sqlite::{
    self, DatabaseFile, Role, Settings, SqliteConnection, SqliteCtx, SqliteView,
};
use lash_store_engine::{COMPONENT, wasi};
use wasmtime::component::{Component, Linker, Resource};
use wasmtime::error::Context;
use wasmtime::{Engine, Result, bail};

use bindings::SessionStore;
use bindings::lash::store::format_types::{Initialized, Kind, State};
use bindings::lash::store::session_types::{
    BlobProfile, CheckpointDraft, CommitOutcome, CommitRequest, GraphChange, HeadBody, Node,
    ReadScope,
};

/// What wasmtime generates from `wit/`, with the handles of this crate's host.
#[allow(missing_docs, unreachable_pub)]
mod bindings {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "session-store",
        with: {
            "lash:store/sqlite.database": lash_store_engine::sqlite::Database,
            "lash:store/sqlite.transaction": lash_store_engine::sqlite::Transaction,
        },
    });
}

/// The data of the program's own wasmtime store.
struct MyState {
    sqlite: SqliteCtx,
}

impl SqliteView for MyState {
    fn sqlite(&mut self) -> &mut SqliteCtx {
        &mut self.sqlite
    }
}

/// An instance of the component.
struct Instance {
    store: wasmtime::Store<MyState>,
    exports: SessionStore,
}

impl Instance {
    fn new(engine: &Engine) -> Result<Self> {
        let component = Component::from_binary(engine, COMPONENT)?;
        let mut linker = Linker::new(engine);
        sqlite::add_to_linker(&mut linker)?;
        wasi::add_to_linker(&mut linker, |_| SystemTime::now())?;
        let sqlite = SqliteCtx::new();
        let mut store = wasmtime::Store::new(engine, MyState { sqlite });
        let exports = SessionStore::instantiate(&mut store, &component, &linker)?;
        Ok(Self { store, exports })
    }

    /// Calls an export with a connection, which is back behind it. If this fails
    /// with a trap, the instance is to be thrown away; the database is as it was.
    fn call<T>(
        &mut self,
        connection: SqliteConnection,
        export: impl FnOnce(
            &SessionStore,
            &mut wasmtime::Store<MyState>,
            Resource<sqlite::Database>,
        ) -> Result<T>,
    ) -> Result<(T, SqliteConnection)> {
        let sqlite = self.store.data_mut().sqlite();
        sqlite.lend(connection);
        let database = sqlite.begin_call();
        let answer = export(&self.exports, &mut self.store, database);
        let sqlite = self.store.data_mut().sqlite();
        sqlite.end_call()?;
        let mut connection = sqlite.take_back().context("the connection was closed")?;
        // Behind the call, so that nobody waits for it.
        connection.tidy();
        Ok((answer?, connection))
    }

    /// Opens a session database, in the order that the interface asks for.
    fn open(&mut self, path: &Path) -> Result<SqliteConnection> {
        let file = Arc::new(DatabaseFile::create(path)?);
        let header = file.header()?;
        let format = self.exports.lash_store_format();
        let state = format.call_classify(&mut self.store, &header, Kind::Session)?;
        let mut connection = match state {
            Ok(_) => SqliteConnection::open(&file, Role::Writer, &Settings::default())?,
            Err(mismatch) => bail!("{}: {mismatch:?}", path.display()),
        };
        if state.is_ok_and(|state| state == State::Empty) {
            connection.prepare_empty()?;
            let (initialized, back) = self.call(connection, |exports, store, database| {
                exports
                    .lash_store_session()
                    .call_initialize(store, database)
            })?;
            connection = back;
            if !matches!(initialized, Ok(Initialized::Ready)) {
                bail!("{}: {initialized:?}", path.display());
            }
        } else if header.get(68..72) != Some(&connection.application_id()?.to_be_bytes()) {
            bail!("{}: a crash was undone; open it again", path.display());
        }
        connection.convert_to_wal()?;
        connection.accept()?;
        Ok(connection)
    }
}

/// A commit that adds one node behind the leaf.
fn request(revision: Option<u64>, leaf: Option<String>, text: &str) -> CommitRequest {
    let id = format!("node-{}", revision.unwrap_or_default() + 1);
    CommitRequest {
        session_id: "embedded".into(),
        expected_revision: revision,
        head: HeadBody {
            content: b"what only the application understands".to_vec(),
            blobs: vec![],
            retained: vec![],
        },
        graph: GraphChange::Append(vec![Node {
            id: id.clone(),
            parent: leaf,
            prompt: true,
            body: text.into(),
        }]),
        leaf: Some(id),
        checkpoint: CheckpointDraft {
            turn_state: vec![],
            tool_state: None,
            plugin_snapshot: None,
            plugin_snapshot_revision: None,
            execution_state: None,
        },
        usage: vec![],
        turn: None,
        completions: vec![],
        attachment_ids: vec![],
        profile: BlobProfile::Balanced,
    }
}

fn main() -> Result<()> {
    let path = std::env::args_os().nth(1).context("usage: embed FILE")?;
    let mut instance = Instance::new(&Engine::default())?;
    let connection = instance.open(Path::new(&path))?;

    let (head, connection) = instance.call(connection, |exports, store, database| {
        exports.lash_store_session().call_load_head(store, database)
    })?;
    let (revision, leaf) = match head? {
        Some(head) => (Some(head.revision), head.leaf),
        None => (None, None),
    };

    let request = request(revision, leaf, "Hello.");
    let (outcome, connection) = instance.call(connection, |exports, store, database| {
        exports
            .lash_store_session()
            .call_commit(store, database, &request)
    })?;
    match outcome? {
        CommitOutcome::Committed(receipt) => println!("committed revision {}", receipt.revision),
        lost => bail!("not committed: {lost:?}"),
    }

    let (snapshot, _) = instance.call(connection, |exports, store, database| {
        exports
            .lash_store_session()
            .call_load(store, database, &ReadScope::Full)
    })?;
    // What does not fit into one page comes by `session.load-nodes`.
    let nodes = snapshot?.context("what was committed is there")?.nodes;
    println!(
        "read back {:?}",
        String::from_utf8_lossy(&nodes.bodies.bytes)
    );
    Ok(())
}
