//! Opening a database that is not there yet, and what is not whole when power is lost.

use std::path::Path;

use lash_wasm_store::{Durability, SqliteEffectReplayOptions};
use lash_wasm_store_testing::damage::wait_until_closed;

use crate::proof::steps;
use crate::state::{clock, contents, failure, power};

power! {
    session: super::session, super::session_state;
    processes: super::processes, super::processes_state;
    host_events: super::host_events, super::host_events_state;
    effects: super::effects, super::effects_state;
}

macro_rules! kinds {
    ($($work:ident, $state:ident: |$builder:ident, $path:ident| $open:expr;)*) => {$(
        async fn $work(base: &Path, durability: Durability) {
            let path = base.join("a.db");
            for _ in 0..2 {
                let ($builder, $path) = (clock().builder().durability(durability), &path);
                steps(true, $open).await.unwrap().close().await;
                wait_until_closed(&path);
            }
        }

        async fn $state(base: &Path) -> Result<String, String> {
            let path = base.join("a.db");
            let ($builder, $path) = (clock().builder(), &path);
            let opened = $open.await.map_err(failure)?;
            let contents = contents(&path).await;
            opened.close().await;
            contents
        }
    )*};
}

kinds! {
    session, session_state: |builder, path| builder.open(path);
    processes, processes_state: |builder, path| builder.open_process_registry(path);
    host_events, host_events_state: |builder, path| builder.open_host_event_store(path);
    effects, effects_state: |builder, path| {
        builder.open_effect_host(path, SqliteEffectReplayOptions::default())
    };
}

/// A copy that `VACUUM INTO` or a backup made has a rollback journal: it is put into WAL mode
/// when it is opened, and must not be lost over that.
mod conversion {
    use super::*;
    use lash_core::RuntimePersistence;
    use lash_wasm_store_testing::fixtures::{append, chain};

    power! {
        wal: super::work, super::super::session_state;
    }

    async fn work(base: &Path, durability: Durability) {
        let path = base.join("a.db");
        let builder = || clock().builder().durability(durability);
        let store = builder().open(&path).await.unwrap();
        let committed = store.commit_runtime_state(append(None, chain(0, 40)));
        crate::proof::step(true, committed).await.unwrap();
        store.close().await;
        wait_until_closed(&path);
        let plain = rusqlite::Connection::open(&path).unwrap();
        plain
            .execute_batch("PRAGMA synchronous = EXTRA; PRAGMA journal_mode = DELETE")
            .unwrap();
        drop(plain);
        std::fs::File::open(base).unwrap().sync_all().unwrap();
        crate::proof::ready();
        steps(true, builder().open(&path))
            .await
            .unwrap()
            .close()
            .await;
        wait_until_closed(&path);
    }
}
